package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// growing is a rule that keeps another thing with each number.
const growing = `id: own.growing
version: %d
title: A rule that keeps something else each time
severity: info
key: ip
where: path != "/%d"
features:
  n: count("10m", status == %d)
when: n >= 1000
then: {alert: ip, for: 10s}
stage: alert
`

// line appends the request of an address to the log, at a second of the log.
func (s *livesSite) line(at time.Time) {
	f, err := os.OpenFile(s.path("a.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, "203.0.113.9 - - [%s] \"GET / HTTP/1.1\" 200 5 \"-\" \"x\"\n", at.Format("02/Jan/2006:15:04:05 -0700"))
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		s.t.Error(err)
	}
}

// More changes of what rules keep than a state may go through within a week are
// refused, in words that say until when, by a run that is reloaded each time; what
// changes nothing that is kept goes on being taken, and so does the next change a
// week later.
func TestChangesOfWhatIsKeptAreBoundedInARun(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.write("rules/own/growing.yaml", fmt.Sprintf(growing, 1, 1, 201))
	l, said, stop := s.start()
	defer stop()
	l.layouts = 16 // 256 take a minute
	if os.Getenv("WEIR_TORTURE") != "" {
		l.layouts = maxLayouts
	}
	at := time.Date(2026, 3, 6, 10, 0, 0, 0, time.UTC)
	stopped, written := make(chan struct{}), make(chan struct{})
	step := make(chan time.Duration, 1)
	go func() { // the log goes on while a reload waits for a whole ten seconds
		defer close(written)
		by := 10 * time.Second
		for {
			select {
			case <-stopped:
				return
			case by = <-step:
			default:
			}
			if l.asked.Load() != nil || by != 10*time.Second {
				at = at.Add(by)
				s.line(at)
				by = 10 * time.Second
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	defer func() { close(stopped); <-written }()
	reload := func(version int) (string, error) {
		s.write("rules/own/growing.yaml", fmt.Sprintf(growing, version, version, 200+version%3))
		return l.reload(context.Background())
	}
	s.line(at)
	began := time.Now()
	n := 1
	for version := 2; ; version++ {
		text, err := reload(version)
		if err != nil {
			want := fmt.Sprintf("too many changes of what the rules keep: %d within 7 days, must be at most %d; the next is possible when the log is at 2026-03-13T12:00:", l.layouts, l.layouts)
			if n != l.layouts || !strings.Contains(err.Error(), want) {
				t.Fatalf("change %d: %v\n%s\n%+v", version-1, err, said, l.status.Load())
			}
			break
		}
		if !strings.Contains(text, "own.growing") {
			t.Fatalf("change %d: %s", version-1, text)
		}
		if n++; n > l.layouts {
			t.Fatalf("change %d was taken", version-1)
		}
	}
	t.Logf("%d changes in %v", n-1, time.Since(began).Round(time.Millisecond))
	// The old rules go on, and one that keeps the same is taken.
	s.write("rules/own/growing.yaml", fmt.Sprintf(growing, n, n, 200+n%3))
	s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, 9))
	if text, err := l.reload(context.Background()); err != nil || !strings.Contains(text, "changed: own.tries") {
		t.Errorf("one that keeps the same: %q, %v", text, err)
	}
	tick := func() int64 { // behind a reload the new run may not have spoken yet
		for {
			if st := l.status.Load(); st != nil {
				return st.Tick
			}
			time.Sleep(time.Millisecond)
		}
	}
	before := tick()
	step <- 8 * 24 * time.Hour
	step <- 20 * time.Second // a single line so far ahead is in doubt
	for begun := time.Now(); tick() < before+8*24*3600; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("the log did not go on: %+v\n%s", l.status.Load(), said)
		}
	}
	if text, err := reload(n + 1); err != nil || !strings.Contains(text, "own.growing") {
		t.Errorf("a week later: %q, %v", text, err)
	}
}
