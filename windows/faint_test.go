package windows

import (
	"math/rand/v2"
	"testing"

	"weir/event"
)

// Faint rows count where their key is there, or comes in the same second,
// wherever they stand among the others; a key that might as well have been
// deleted is not there.
func TestAFaintRowBeginsNoKey(t *testing.T) {
	const strong, faint = 0, 1
	l := &Layout{Fields: []event.Field{event.FieldIP}, Tables: []Table{{
		Fields: []event.Field{event.FieldIP}, Retain: 70, Faint: 1 << faint,
		Series: []Series{{Kind: Count, Bit: strong, Windows: []Window{W1m}}, {Kind: Count, Bit: faint, Windows: []Window{W1m}}},
	}}}
	type model struct {
		last int64
		rows [2][]int64 // the seconds of those with each bit
	}
	rng := rand.New(rand.NewPCG(7, 7))
	u, keys := NewUnit(l, 0), map[int]*model{}
	dropped, begun := 0, 0
	tick := int64(1_700_000_000)
	for range 5000 {
		tick += 1 + int64(rng.IntN(9)*rng.IntN(2)+rng.IntN(2)*rng.IntN(2)*rng.IntN(60))
		d := &Deltas{Events: []Origin{{Second: tick - 1}}, Values: []byte{1, 'x'}}
		came := map[int][2]int{}
		for range 1 + rng.IntN(6) {
			i, bit := rng.IntN(6), rng.IntN(8)/7^1
			d.Rows = append(d.Rows, Row{Key: testKey(0, i), Mask: 1 << bit})
			n := came[i]
			n[bit]++
			came[i] = n
		}
		u.Fold(tick, d.Rows, []*Deltas{d})
		for i, n := range came {
			m := keys[i]
			if m == nil || tick-m.last > l.Tables[0].Retain {
				if n[strong] == 0 {
					dropped++
					continue
				}
				m = &model{}
				keys[i] = m
				begun++
			}
			m.last = tick
			for bit := range n {
				for range n[bit] {
					m.rows[bit] = append(m.rows[bit], tick-1)
				}
			}
		}
		if got := len(u.Touched()); got > len(came) {
			t.Fatalf("%d keys were touched, %d came", got, len(came))
		}
		for i := range 6 {
			m := keys[i]
			slot, ok := u.Find(testKey(0, i))
			if !ok || tick-u.LastTouch(slot) > l.Tables[0].Retain {
				if m != nil && tick-m.last <= l.Tables[0].Retain {
					t.Fatalf("tick %d: key %d is not there", tick, i)
				}
				continue
			}
			if m == nil {
				t.Fatalf("tick %d: key %d was begun by faint rows", tick, i)
			}
			for bit := range m.rows {
				want := uint64(0)
				for _, s := range m.rows[bit] {
					if s >= W1m.Start(tick) {
						want++
					}
				}
				if got := u.Total(slot, bit, W1m, tick); got != want {
					t.Fatalf("tick %d: key %d has %d rows with bit %d, must have %d", tick, i, got, bit, want)
				}
			}
		}
	}
	if dropped < 1000 || begun < 100 {
		t.Errorf("%d seconds of faint rows alone, %d keys begun: the test tells nothing", dropped, begun)
	}
}
