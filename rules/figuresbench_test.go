package rules

import (
	"fmt"
	"net/netip"
	"testing"

	"weir/event"
)

// besieged is a state with decisions in force on so many addresses, and one log-in
// for each of ten there that succeeded days before.
func besieged(tb testing.TB, addresses int) (st *State, tick int64, inForce []event.Asked) {
	tb.Helper()
	l := newLife(NewState(storyPlan(tb, PlanOptions{Site: true}, storyRules[0]), 64, Limits{}, enforced, named), 64)
	at := int64(1_780_000_000)
	second := func(n int, outcome event.Outcome) {
		sec := storySecond{at: at, events: make([]event.Event, n)}
		for i := range sec.events {
			e := &sec.events[i]
			e.Reset()
			e.Second, e.Offset, e.Outcome, e.Kind, e.Endpoint = at, at*1000+int64(i), outcome, event.Login, "POST /login"
			k := i
			if outcome == event.Success {
				k *= 10
			}
			e.IP, e.Session = netip.AddrFrom4([4]byte{198, byte(18 + k>>16), byte(k >> 8), byte(k)}), fmt.Sprint("s", k, outcome)
		}
		l.tell([]storySecond{sec})
		at++
	}
	second(addresses/10, event.Success)
	at += 3 * day
	for range 3 {
		second(addresses, event.Failure)
	}
	l.to(floor(at, Boundary) + Boundary)
	for i := range l.decisions {
		if l.decisions[i].Step == event.New {
			inForce = append(inForce, event.Asked{Decision: &l.decisions[i]})
		}
	}
	if len(inForce) != addresses {
		tb.Fatalf("%d decisions in force, want %d", len(inForce), addresses)
	}
	return l.st, l.now, inForce
}

// What a review of 100,000 entries in force asks: 2,000 of them, in turn.
func BenchmarkFigures(b *testing.B) {
	st, tick, inForce := besieged(b, 100_000)
	for _, again := range []bool{false, true} {
		b.Run(fmt.Sprintf("again=%v", again), func(b *testing.B) {
			next := 0
			for i := range inForce {
				st.Figures(&inForce[i], tick)
			}
			b.ReportAllocs()
			for b.Loop() {
				for range 2000 {
					a := &inForce[next%len(inForce)]
					if next++; !again {
						a.Memo = nil
					}
					st.Figures(a, tick)
				}
			}
		})
	}
}
