package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// turnstile is a table that is read from a pipe: at each opening something may
// happen before the reader gets on. Every opening has a pipe of its own.
type turnstile struct {
	t     *testing.T
	path  string
	n     int
	ended atomic.Bool
	done  chan struct{}
}

// newTurnstile calls opened with the number of each opening, from 1 on, and then
// gives what is in the table.
func newTurnstile(t *testing.T, path, table string, opened func(n int)) *turnstile {
	t.Helper()
	p := &turnstile{t: t, path: path, done: make(chan struct{})}
	p.place()
	go func() {
		defer close(p.done)
		for {
			f, err := os.OpenFile(p.path, os.O_WRONLY, 0) // waits for a reader
			if err != nil || p.ended.Load() {
				return
			}
			p.n++
			p.place() // for the next one
			opened(p.n)
			if _, err := f.WriteString(table); err != nil {
				t.Error(err)
			}
			f.Close()
		}
	}()
	t.Cleanup(p.end)
	return p
}

// place has another pipe stand under the path.
func (p *turnstile) place() {
	if err := syscall.Mkfifo(p.path+".new", 0o600); err != nil {
		p.t.Error(err)
	}
	if err := os.Rename(p.path+".new", p.path); err != nil {
		p.t.Error(err)
	}
}

// end lets the one that waits for a reader go.
func (p *turnstile) end() {
	if p.ended.Swap(true) {
		return
	}
	f, err := os.OpenFile(p.path, os.O_RDWR, 0)
	if err != nil {
		p.t.Error(err)
		return
	}
	<-p.done
	f.Close()
}

// changingTables is a site one of whose tables is another one after some of the
// openings of the next: each load opens that three times, to sum it, to load it,
// and to sum it again.
func changingTables(t *testing.T, at ...int) (s *livesSite, g *engine, openings int, err error) {
	t.Helper()
	s = newLivesSite(t)
	s.configure()
	s.write("weir.yaml", strings.Replace(string(s.read("weir.yaml")), "lookups: {safe: safe.txt}", "lookups: {safe: safe.txt, turn: turn}", 1))
	p := newTurnstile(t, s.path("turn"), "192.0.2.77\n", func(n int) {
		for i, when := range at {
			if when == n {
				s.write("safe.txt", fmt.Sprintf("192.0.2.%d\n", 10+i))
			}
		}
	})
	loaded := make(chan struct{})
	go func() {
		defer close(loaded)
		g, err = (&environment{out: io.Discard, errOut: io.Discard, log: slog.New(slog.DiscardHandler)}).engine(s.path("weir.yaml"), true, true)
	}()
	select {
	case <-loaded:
	case <-time.After(time.Minute):
		t.Fatalf("not loaded within a minute, the table was opened %d times", p.n)
	}
	p.end()
	return s, g, p.n, err
}

// Tables that change while they are loaded are loaded again; what decides is what
// was loaded at last. Nothing starts on some that never stand still.
func TestTablesThatChangeWhileTheyAreLoadedAreLoadedAgain(t *testing.T) {
	t.Parallel()
	const sum, again = 1, 3 // of the openings of a load
	for name, c := range map[string]struct {
		at       []int
		openings int
		safe     string
	}{
		"nothing changes":                   {nil, 3, "192.0.2.1"},
		"behind the first sum":              {[]int{sum}, 6, "192.0.2.10"},
		"in the first and the second load":  {[]int{sum, 3 + sum}, 9, "192.0.2.11"},
		"when the first is summed again":    {[]int{again}, 3, "192.0.2.1"}, // it is read before the other: a change behind all that is none
		"while it is loaded for the second": {[]int{sum, 3 + 2}, 9, "192.0.2.11"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g, openings, err := changingTables(t, c.at...)
			if err != nil || openings != c.openings {
				t.Fatalf("%v, opened %d times, must be %d", err, openings, c.openings)
			}
			if l := g.tables.Lookups(); !l.Has("safe", c.safe) || !l.Has("turn", "192.0.2.77") {
				t.Errorf("what is loaded has no %s", c.safe)
			}
			kept := ""
			for name, b := range g.taken.files {
				if filepath.Base(name) == "safe.txt" {
					kept = string(b)
				}
			}
			if kept != c.safe+"\n" {
				t.Errorf("the copy is %q, what decides %s, the file %q", kept, c.safe, s.read("safe.txt"))
			}
		})
	}
	t.Run("every time", func(t *testing.T) {
		t.Parallel()
		_, _, openings, err := changingTables(t, sum, 3+sum, 6+sum)
		if err == nil || openings != 3*maxTries || !strings.Contains(err.Error(), "enrich: safe.txt: changed while it was read, 3 times: try again when it is whole") {
			t.Errorf("%v, opened %d times", err, openings)
		}
	})
}
