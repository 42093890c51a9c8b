package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"weir/internal/testkit"
)

// healsWithin is how long it should take until a damaged state is right again,
// or refused. It is a figure, not a demand: two of them share the machine.
const healsWithin = 3 * time.Second

// Of a state's directory one file is damaged. weir then decides what must be
// decided, from the log if need be, or refuses the directory and names the
// file: never is anything wrong in silence, and never does weir crash.
func TestADamagedStateIsMadeRightOrRefused(t *testing.T) {
	w := newWorld(t)
	s := w.fileSources(0)
	w.configure(s)
	w.begin(6, 600, s)
	w.start()
	w.resumed(time.Time{})
	time.Sleep(2500 * time.Millisecond) // some checkpoints' worth
	w.proc.signal(syscall.SIGTERM)      // so that not all of the store is in what it has in memory
	if status, ok := w.proc.wait(10 * time.Second); !ok || status.ExitStatus() != 0 {
		t.Fatalf("told to stop, weir ended within ten seconds: %v, with %v", ok, status)
	}
	copyTree(t, w.state(), w.path("older"))
	before := newest(w.state())
	w.start()
	w.resumed(before)
	time.Sleep(2500 * time.Millisecond)
	w.proc.kill()
	last, err := w.traffic.finish()
	if err != nil {
		t.Fatal(err)
	}
	want := w.foreseen(w.state(), last)
	all, kinds := wounds(t, w.state(), w.path("older"))
	picked := all
	if most := often(t, "WEIR_DAMAGES", 12); most < len(all) {
		picked = nil
		for i := range most { // spread over the files and over what befalls them
			picked = append(picked, all[i*len(all)/most])
		}
	}
	outcome := &outcomes{counts: map[string]int{}}
	t.Run("damaged", func(t *testing.T) {
		for i, wound := range picked {
			t.Run(wound.String(), func(t *testing.T) {
				t.Parallel()
				w.heals(t, i, wound, s, want, last, outcome)
			})
		}
	})
	slices.Sort(outcome.took)
	if n := len(outcome.took); n > 0 {
		longer, _ := slices.BinarySearch(outcome.took, healsWithin)
		testkit.Figure(t, "%d damages to the state's %d kinds of files: %v; %d of %d took more than %v, the slowest %.2f s",
			len(picked), kinds, outcome.counts, n-longer, n, healsWithin, outcome.took[n-1].Seconds())
	}
}

// outcomes counts how damages ended.
type outcomes struct {
	mu     sync.Mutex
	counts map[string]int
	took   []time.Duration
}

func (o *outcomes) note(what string, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.counts[what]++
	o.took = append(o.took, took)
}

// heals damages a copy of the state and starts weir on it.
func (w *world) heals(t *testing.T, number int, wound wound, s sources, want []decided, last int64, outcome *outcomes) {
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	state := filepath.Join(dir, "state")
	copyTree(t, w.state(), state)
	copyTree(t, filepath.Join(w.home, "archive"), filepath.Join(dir, "archive"))
	if err := wound.inflict(state); err != nil {
		t.Fatal(err)
	}
	path := w.path(fmt.Sprintf("weir-%d.yaml", number))
	if err := os.WriteFile(path, []byte(configText(s.yaml, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	said := filepath.Join(dir, "said")
	p, err := launch(said, nil, "run", "-c", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		p.kill()
		if t.Failed() {
			t.Logf("it said:\n%s", p.text())
		}
	}()
	for p.alive() && newest(state).Unix() < last {
		if time.Since(p.begun) > time.Minute {
			t.Fatalf("after a minute weir neither has decided all nor has it ended")
		}
		time.Sleep(5 * time.Millisecond)
	}
	took := time.Since(p.begun)
	if crashed(p.text()) {
		t.Fatal("weir crashed")
	}
	if p.alive() {
		lines, err := readLines(state, "decisions.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		if v := judge(lines, want, last); v.wrong > 0 {
			t.Fatalf("in silence: %v", v)
		}
		what := "right at once"
		if aside, err := filepath.Glob(filepath.Join(state, "store.broken-*")); err != nil {
			t.Fatal(err)
		} else if len(aside) > 0 {
			if what = "right behind a rebuild"; !strings.Contains(p.text(), filepath.Base(aside[0])) {
				t.Errorf("%s was put aside in silence", aside[0])
			}
		}
		outcome.note(what, took)
		return
	}
	if status, ok := p.wait(time.Second); !ok || status.Signaled() || status.ExitStatus() == 0 {
		t.Fatalf("weir ended with %v, must be with an exit status above 0", status)
	}
	if text := p.text(); !strings.Contains(text, filepath.Base(wound.file)) {
		t.Fatalf("the directory is refused without naming %s", wound.file)
	}
	outcome.note("refused", took)
}
