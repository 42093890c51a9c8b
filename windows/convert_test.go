package windows

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// reloads counts what a comparison saw, so that none passes for lack of cases.
type reloads struct{ always, reached, begun, sketched int }

// compareReload compares what l's windows read of u with full, a unit that had
// l from the beginning, as far as the data are complete, and with fresh, which
// had nothing before tick at, where they begin there.
func (n *reloads) compareReload(t *testing.T, l, old *Layout, u, full, fresh *Unit, at, tick int64, keys int) {
	t.Helper()
	for ti := range l.Tables {
		tb := &l.Tables[ti]
		for si := range tb.Series {
			s := &tb.Series[si]
			for wi, w := range s.Windows {
				for i := range keys {
					k := namedKey(tb, i)
					got := answer(u, k, s.Kind, si, w, tick)
					want, from := "", "the beginning"
					switch since := s.since(wi); {
					case w.Start(tick) >= since:
						want = answer(full, k, s.Kind, si, w, tick)
						if since == 0 {
							n.always++
						} else {
							n.reached++
						}
					case since == at && !kept(old, tb, s, w):
						want, from = answer(fresh, k, s.Kind, si, w, tick), "the reload"
						n.begun++
					default:
						continue
					}
					if got != want {
						t.Fatalf("tick %d (reload at %d) table %s series %s window %d since %d key %d: %s, want %s as collected since %s",
							tick, at, tb.Name, s.Name, w, s.since(wi), i, got, want, from)
					}
					if bits, err := strconv.ParseUint(want, 10, 64); s.Kind == Distinct && err == nil && math.Float64frombits(bits) > exactPairs {
						n.sketched++
					}
				}
			}
		}
	}
}

// kept reports whether the layout before kept anything in what a window reads.
func kept(old *Layout, tb *Table, s *Series, w Window) bool {
	o := old.named(tb.Name)
	if o == nil || o.named(s.Name) == nil {
		return false
	}
	return slices.ContainsFunc(o.named(s.Name).Windows, func(x Window) bool { return s.Kind == Distinct || x.Ring() == w.Ring() })
}

func TestAReloadKeepsWhatItInherits(t *testing.T) {
	var n reloads
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 77))
		tr := &flow{rng: rng, tick: 1_700_000_000, keys: 3}
		layouts := []*Layout{randomLayout(rng, 0), randomLayout(rng, 1), randomLayout(rng, 2), randomLayout(rng, 3)}
		type moment struct {
			tick   int64
			events []sample
		}
		var past []moment
		u := NewUnit(layouts[0], 0)
		for li, l := range layouts {
			fresh := NewUnit(l, 0)
			at := tr.tick
			if li > 0 {
				if err := l.Inherit(layouts[li-1], at); err != nil {
					t.Fatal(err)
				}
				c, err := NewConversion(layouts[li-1], l)
				if err != nil {
					t.Fatal(err)
				}
				u = converted(t, u, c, l)
				if c.Cut > 0 {
					t.Errorf("%d blobs were cut", c.Cut)
				}
			}
			full := NewUnit(l, 0)
			for _, m := range past {
				fold(full, l, m.tick, m.events)
			}
			for range 120 {
				m := moment{events: tr.next(), tick: tr.tick}
				past = append(past, m)
				for _, x := range []*Unit{u, full, fresh} {
					fold(x, l, m.tick, m.events)
				}
				if li > 0 && rng.IntN(4) == 0 {
					n.compareReload(t, l, layouts[li-1], u, full, fresh, at, tr.tick, tr.keys)
				}
			}
			tr.tick += 10 - tr.tick%10
		}
		if c := u.Counters(); c.Full+c.Refused > 0 {
			t.Errorf("counters %+v, want nothing shed", c)
		}
	}
	if n.always < 10_000 || n.reached < 10_000 || n.begun < 10_000 || n.sketched < 1000 {
		t.Errorf("compared %+v: too few of some", n)
	}
}

// What a unit has not purged yet must not come to light when a window gets
// longer: it depends on when the key was touched last, and on more.
func TestALongerWindowSeesOnlyWhatWasKept(t *testing.T) {
	const at = 1_000_000
	for _, kind := range []Kind{Count, Sum, MinMax, Distinct, Buckets, Active, Span} {
		for _, many := range []int{1, 130} {
			old, now := layoutOf(ipTable(series(0, kind, 0, 0, W5m))), layoutOf(ipTable(series(0, kind, 0, 0, W10m)))
			u := NewUnit(old, 0)
			var before, within []sample
			for i := range many {
				before = append(before, sample{mask: 1, obs: [observed]uint64{mix(uint64(i))}})
				within = append(within, sample{mask: 1, obs: [observed]uint64{mix(uint64(i + 200))}})
			}
			fold(u, old, at-330, before)
			fold(u, old, at-290, within)
			want := NewUnit(now, 0)
			fold(want, now, at-290, within)
			if err := now.Inherit(old, at); err != nil {
				t.Fatal(err)
			}
			c, err := NewConversion(old, now)
			if err != nil {
				t.Fatal(err)
			}
			u = converted(t, u, c, now)
			k := namedKey(&now.Tables[0], 0)
			for tick := int64(at); tick < at+700; tick += 70 {
				if got, want := answer(u, k, kind, 0, W10m, tick), answer(want, k, kind, 0, W10m, tick); got != want {
					t.Errorf("kind %d of %d at %d: %s, want %s", kind, many, tick, got, want)
				}
				fold(u, now, tick+1, within[:1])
				fold(want, now, tick+1, within[:1])
			}
		}
	}
}

func TestWhatALayoutLackedIsGoneFromTheNext(t *testing.T) {
	a := layoutOf(ipTable(series(0, Count, 1, 0, W10m), series(0, Count, 0, 0, W10m, W24h), series(0, Distinct, 1, 0, W1h), series(0, Span, 2, 0, W7d)))
	b := layoutOf(ipTable(series(1, Count, 0, 0, W10m)))
	again := layoutOf(ipTable(series(2, Span, 2, 0, W7d), series(2, Distinct, 1, 0, W1h), series(2, Count, 0, 0, W24h, W10m)))
	u := NewUnit(a, 0)
	both, one := sample{mask: 7, obs: [observed]uint64{5, 6, 7}}, sample{mask: 6}
	fold(u, a, 10_000, []sample{both, both, one, one, one})
	if err := b.Inherit(a, 10_010); err != nil {
		t.Fatal(err)
	}
	if err := again.Inherit(b, 10_020); err != nil {
		t.Fatal(err)
	}
	stepwise, err := NewConversion(a, b)
	if err != nil {
		t.Fatal(err)
	}
	back, err := NewConversion(b, again)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := NewConversion(a, b, again)
	if err != nil {
		t.Fatal(err)
	}
	eager := converted(t, converted(t, u, stepwise, b), back, again)
	late := converted(t, u, whole, again)
	if !bytes.Equal(eager.AppendSnapshot(nil), late.AppendSnapshot(nil)) {
		t.Error("a key that is converted when it is read differs from one converted at once")
	}
	k := namedKey(&a.Tables[0], 0)
	for i, want := range []string{"none", "0", "2"} { // 24h begins anew: in the ring that b did not keep
		s := &again.Tables[0].Series[i]
		if got := answer(late, k, s.Kind, i, s.Windows[len(s.Windows)-1], 10_021); got != want {
			t.Errorf("%s: %s, want %s", s.Name, got, want)
		}
	}
	if got := answer(late, k, Count, 2, W24h, 10_021); got != "0" {
		t.Errorf("24h: %s, want 0", got)
	}
	if got, want := again.Tables[0].Series[2].Since, []int64{10_020, 0}; !slices.Equal(got, want) {
		t.Errorf("since %v, want %v", got, want)
	}
	if _, err := NewConversion(a, again); err == nil || !strings.Contains(err.Error(), "layout 2 behind layout 0") {
		t.Errorf("a layout was passed over: error %v", err)
	}
}
