package torture

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"weir/internal/testkit"
)

// resumeWithin is how long it may take from a start to the first new decision.
const resumeWithin = 10 * time.Second

// A weir that is killed again and again, at random moments and where it hurts
// most, decides what must be decided, and what a replay of its log decides.
func TestNothingIsLostWhenWeirIsKilledOverFiles(t *testing.T) {
	w := newWorld(t)
	s := w.fileSources(6 * time.Second)
	w.configure(s)
	w.begin(1, 600, s)
	w.killed(often(t, "WEIR_KILLS", 5), failpoints)
}

// The same over a topic.
func TestNothingIsLostWhenWeirIsKilledOverATopic(t *testing.T) {
	const partitions = 4
	w := newWorld(t)
	s := topicSources(t, embedded(t, partitions), partitions)
	w.configure(s)
	w.begin(2, 600, s)
	w.killed(often(t, "WEIR_KILLS", 5), slices.Concat(failpoints, topicFailpoints))
}

// killed kills weir n times, in turns at random moments and at one of the points, and
// demands that nobody can tell.
func (w *world) killed(n int, points []point) {
	t := w.t
	t.Helper()
	seed := rand.Uint64()
	t.Logf("weir is killed at the moments of seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	reached, died := map[string]int{}, 0
	for i := range n {
		before := newest(w.state())
		if i%2 == 0 {
			point := points[(i/2)%len(points)]
			hit := 1 + moments.IntN(point.most)
			if i == 0 {
				hit = 2 // behind a checkpoint, so that the last life has one to go on from
			}
			w.start(fmt.Sprintf("WEIR_FAILPOINT=%s:%d", point.name, hit))
			w.resumed(before)
			if status, ok := w.proc.wait(40 * time.Second); !ok {
				t.Errorf("life %d did not come by %s for the %d. time", w.lives, point.name, hit)
			} else if !status.Signaled() || status.Signal() != syscall.SIGKILL {
				t.Fatalf("life %d ended with %v instead of at %s:%d", w.lives, status, point.name, hit)
			} else {
				reached[point.name]++
			}
			w.proc.kill()
			continue
		}
		w.start()
		if moments.IntN(4) > 0 { // else it may be killed before it is up
			w.resumed(before)
		}
		if status, ok := w.proc.wait(time.Duration(moments.Int64N(int64(1800 * time.Millisecond)))); ok {
			t.Fatalf("life %d ended by itself: %v", w.lives, status)
		}
		w.proc.kill()
		died++
	}
	before := newest(w.state())
	w.start()
	if !w.resumed(before) {
		t.Fatalf("the last life ended by itself: %v", w.proc.cmd.ProcessState)
	}
	if w.wentOnFrom().IsZero() {
		t.Error("the last life began without a state: nothing was resumed")
	}
	last := w.settle()
	right, shipped := w.check(last)
	slices.Sort(w.resumes)
	quantile := func(q float64) float64 { return w.resumes[int(q*float64(len(w.resumes)-1))].Seconds() }
	testkit.Figure(t, "%d kills (%d at random, %v), %d restarts, %d stores put aside; %d requests; %d lines of decisions exactly as foreseen, they and %d of the rules that ship as replayed; "+
		"from a start to the first new decision %.2f s (p50), %.2f s (p99), %.2f s (max)",
		n, died, reached, w.lives-1, w.quarantined(), w.traffic.count(), right, shipped, quantile(0.5), quantile(0.99), quantile(1))
	if slowest := w.resumes[len(w.resumes)-1]; slowest > resumeWithin {
		t.Errorf("the first new decision came %v after a start, must be at most %v", slowest, resumeWithin)
	}
}
