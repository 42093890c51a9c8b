package torture

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/internal/kafkatest"
	"weir/internal/testkit"
)

// A real broker is killed and comes back, and weir is killed, in turn and under
// load: nobody can tell from what was decided.
func TestNothingIsLostWhenABrokerAndWeirAreKilled(t *testing.T) {
	brokersKilled(t, 1, often(t, "WEIR_BROKER_KILLS", 3))
}

// Of three brokers one is down, another one each time: weir goes on, is killed
// while one is down, and nobody can tell.
func TestNothingIsLostWhenOneOfThreeBrokersIsDown(t *testing.T) {
	needs(t, "a machine to itself")
	brokersKilled(t, 3, often(t, "WEIR_BROKER_KILLS", 3))
}

func brokersKilled(t *testing.T, nodes, n int) {
	const partitions = 6
	cluster := kafkatest.Start(t, kafkatest.Options{Nodes: nodes})
	cluster.Create(topic, partitions)
	w := newWorld(t)
	s := topicSources(t, cluster.Addr(), partitions)
	w.configure(s)
	w.begin(3, 600, s)
	seed := rand.Uint64()
	t.Logf("kills come at the moments of seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	pause := func(most time.Duration) {
		if status, ok := w.proc.wait(time.Duration(moments.Int64N(int64(most)))); ok {
			t.Fatalf("life %d ended by itself: %v", w.lives, status)
		}
	}
	var back []time.Duration // from a broker's readiness to the next new decision
	w.start()
	w.resumed(time.Time{})
	for i := range n {
		node := 1 + i%nodes
		pause(2 * time.Second)
		cluster.Kill(node)
		pause(1500 * time.Millisecond)
		down := nodes > 1 || i%2 == 1 // weir is killed while a broker is down, too
		if down {
			w.proc.kill()
		}
		before := newest(w.state())
		switch {
		case down && nodes > 1:
			w.start()
			if !w.resumed(before) {
				t.Fatalf("with one of %d brokers down, life %d ended by itself: %v", nodes, w.lives, w.proc.cmd.ProcessState)
			}
			before = newest(w.state())
		case down:
			w.start()
			until(t, time.Minute, "weir says that it waits for its broker", func() bool {
				if !w.proc.alive() {
					t.Fatalf("without its broker life %d ended by itself: %v", w.lives, w.proc.cmd.ProcessState)
				}
				return strings.Contains(w.proc.text(), "a source is away: weir waits for it")
			})
		}
		cluster.Restart(node)
		ready := time.Now()
		until(t, time.Minute, "a new decision behind the broker's return", func() bool {
			if !w.proc.alive() {
				t.Fatalf("life %d ended by itself: %v", w.lives, w.proc.cmd.ProcessState)
			}
			return newest(w.state()).After(before)
		})
		back = append(back, time.Since(ready))
		pause(1500 * time.Millisecond)
		w.proc.kill()
		before = newest(w.state())
		w.start()
		if !w.resumed(before) {
			t.Fatalf("life %d ended by itself: %v", w.lives, w.proc.cmd.ProcessState)
		}
	}
	last := w.settle()
	right, shipped := w.check(last)
	testkit.Figure(t, "%d broker(s): %d kills of a broker, %d of weir, %d stores put aside; %d requests; %d lines of decisions exactly as foreseen, they and %d of the rules that ship as replayed; "+
		"the next decision came at most %.2f s after a broker was back and %.2f s after a start of weir",
		nodes, n, w.lives-1, w.quarantined(), w.traffic.count(), right, shipped, slices.Max(back).Seconds(), slices.Max(w.resumes).Seconds())
	if slowest := max(slices.Max(back), slices.Max(w.resumes)); slowest > resumeWithin {
		t.Errorf("a decision came only %v after all was back, must be at most %v", slowest, resumeWithin)
	}
}
