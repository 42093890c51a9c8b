package torture

import (
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/testkit"
)

// Who is told to stop under load ends within ten seconds, well, and has nothing
// to read again when it comes back; who is told twice ends at once.
func TestAStopUnderLoadLeavesNothingToReadAgain(t *testing.T) {
	const most = 10 * time.Second
	w := newWorld(t)
	s := w.fileSources(0)
	w.configure(s)
	w.begin(4, 3000, s)
	moments := rand.New(rand.NewPCG(rand.Uint64(), 0))
	var ends []time.Duration
	n := often(t, "WEIR_STOPS", 3)
	for i := range n {
		before := newest(w.state())
		w.start()
		if !w.resumed(before) {
			t.Fatalf("life %d ended by itself: %v", w.lives, w.proc.cmd.ProcessState)
		}
		if i > 0 {
			if from := w.wentOnFrom(); from.Before(before) {
				t.Errorf("before it stopped, weir had decided up to %v; it went on from %v", before, from)
			}
		}
		time.Sleep(time.Duration(moments.Int64N(int64(2 * time.Second))))
		told := time.Now()
		w.proc.signal(syscall.SIGTERM)
		status, ok := w.proc.wait(2 * most)
		if took := time.Since(told); !ok || took > most || status.Signaled() || status.ExitStatus() != 0 {
			t.Errorf("told to stop, weir ended after %v with %v, must be within %v and with 0", took, status, most)
		} else {
			ends = append(ends, took)
		}
	}
	before := newest(w.state())
	w.start()
	w.resumed(before)
	w.proc.signal(syscall.SIGTERM)
	// Of two signals that come before it looks, the kernel keeps one.
	until(t, most, "it is about to end", func() bool { return !w.proc.alive() || strings.Contains(w.proc.text(), "msg=stopping") })
	told := time.Now()
	w.proc.signal(syscall.SIGTERM)
	const atOnce = 2 * time.Second
	if _, ok := w.proc.wait(2 * most); !ok || time.Since(told) > atOnce {
		t.Errorf("told twice to stop, weir ended after %v, must be within %v", time.Since(told), atOnce)
	}
	before = newest(w.state())
	w.start()
	w.resumed(before)
	last := w.settle()
	right, _ := w.check(last)
	slices.Sort(ends)
	// What grows from life to life would show here.
	middle := func(some []time.Duration) float64 {
		some = slices.Sorted(slices.Values(some))
		return some[len(some)/2].Seconds()
	}
	few := min(len(w.resumes), 10)
	testkit.Figure(t, "%d stops under load: the slowest took %v; from a start to the first new decision %.2f s in the first lives, %.2f s in the last; %d requests, %d lines of decisions exactly as foreseen",
		n, ends[len(ends)-1].Round(time.Millisecond), middle(w.resumes[:few]), middle(w.resumes[len(w.resumes)-few:]), w.traffic.count(), right)
}
