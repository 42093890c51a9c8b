package windows

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// testFacts are of the addresses of testLayout: more with bit 1 than with bit 0,
// more with bit 0, any, and a few of them with bit 1.
func testFacts() [][]Fact {
	return [][]Fact{{{More: 1, Than: 0, Of: -1}, {More: 0, Than: 1, Of: -1}, {More: 0, Than: -1, Of: -1}, {More: 1, Than: -1, Of: 0, Least: 3}}, nil, nil}
}

// factsOf returns what the unit says as of an hour, sorted.
func factsOf(t *testing.T, u *Unit, tick int64) []string {
	t.Helper()
	var all []string
	u.Facts(tick, []uint8{1<<MaxFacts - 1, 0, 0}, func(table int, key uint64, facts uint8) {
		if facts == 0 || facts >= 1<<MaxFacts {
			t.Fatalf("facts %b of a key", facts)
		}
		all = append(all, fmt.Sprintf("%d %016x %04b", table, key, facts))
	})
	slices.Sort(all)
	return all
}

// plainFacts asks every key for its windows.
func plainFacts(u *Unit, tick int64) []string {
	var all []string
	for t, facts := range testFacts() {
		u.Scan(t, nil, func(slot uint32, _ uint64) bool {
			total := func(series int) uint64 {
				if series < 0 {
					return 0
				}
				return u.Total(slot, series, W7d, tick)
			}
			holds := 0
			for i, f := range facts {
				if total(f.More) > total(f.Than) && (f.Of < 0 || total(f.Of) >= f.Least) {
					holds |= 1 << i
				}
			}
			if holds != 0 {
				all = append(all, fmt.Sprintf("%d %016x %04b", t, u.KeyOf(slot).Lo, holds))
			}
			return false
		})
	}
	slices.Sort(all)
	return all
}

func TestFactsAreTheSameWhereverKeysAre(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			limit := []int64{0, 9_000, 30_000, 20_000}[seed%4]
			keys := []int{40, 200, 800, 300}[seed%4]
			st := newStream(seed+900, testLayout(), keys)
			rng := rand.New(rand.NewPCG(seed, 12))
			want := NewUnit(st.l, limit)
			want.Keep(testFacts())
			r := newResident(t, rng, st.l, limit)
			r.facts = testFacts()
			r.u.Keep(r.facts)
			tick := int64(1_700_000_000)
			asked := tick / 3600
			noted, scanned, gone, changed := 0, 0, 0, 0
			before := ""
			for range 400 {
				tick += []int64{st.gap(), 1 + rng.Int64N(7200), rng.Int64N(2 * 86400)}[rng.IntN(3)] % (8 * 86400)
				for hour := asked + 1; hour <= tick/3600; hour++ {
					asked = hour
					if hour < tick/3600-200 {
						continue
					}
					a := factsOf(t, want, hour*3600)
					whole := r.u.noting.whole
					b := factsOf(t, r.u, hour*3600)
					r.check()
					if !slices.Equal(a, b) {
						t.Fatalf("hour %d, %v: %d of\n%v\nwant %d of\n%v", hour, whole, len(b), b, len(a), a)
					}
					if rng.IntN(8) == 0 {
						if p := plainFacts(want, hour*3600); !slices.Equal(a, p) {
							t.Fatalf("hour %d:\n%v\nwant\n%v", hour, a, p)
						}
					}
					switch {
					case !whole:
						scanned++
					case r.u.noting.notes[0].n > 0:
						noted++
					}
					if now := fmt.Sprint(a); now != before {
						before = now
						if hour*3600 > want.Tick()+7200 {
							changed++ // by nothing but time
						}
					}
				}
				st.keys = 1 + rng.IntN(keys)
				parts := st.tick(tick, rng.IntN(1+rng.IntN(120)))
				s := &story{tick, rowsOf(parts), parts}
				s.tell(want)
				s.tell(r.u)
				r.since = append(r.since, s)
				for range rng.IntN(4) {
					r.stir()
				}
				if rng.IntN(4) == 0 && r.u.outside.store != nil && r.going == nil {
					r.checkpoint()
					r.u.Evict(0)
					r.check()
				}
			}
			gone = int(want.Counters().Evicted)
			if noted < 50 || scanned < 3 || changed < 10 || limit > 0 && gone == 0 {
				t.Errorf("%d hours with notes, %d without, %d changes by time alone, %d keys shed: not much was tried", noted, scanned, changed, gone)
			}
		})
	}
}

func TestNotesThatTakeTooMuchAreGivenUpAndMadeAgain(t *testing.T) {
	st := newStream(3, testLayout(), 1)
	r := newResident(t, st.rng, st.l, 0)
	u := r.u
	u.Keep(testFacts())
	u.Attach(r.store.Unit(0))
	flood(u, 700_000, 0, 1000)
	r.checkpoint()
	hour := int64(700_000)/3600*3600 + 3600
	want := factsOf(t, u, hour)
	if len(want) != 1000 {
		t.Fatalf("facts of %d keys, want 1000", len(want))
	}
	u.Evict(notesShare * 1000 * noteBytes) // there are free places among them, so this is too little
	u.Evict(0)
	if u.noting.whole || u.noting.held() != 0 || u.index.keys != 0 {
		t.Fatalf("%d bytes of notes, %d keys in memory, must be none", u.noting.held(), u.index.keys)
	}
	if got := factsOf(t, u, hour); !slices.Equal(got, want) {
		t.Errorf("facts of %d keys without notes, want %d", len(got), len(want))
	}
	if u.noting.whole {
		t.Error("there are notes again, though they have no room")
	}
	u.boundNotes(1 << 20)
	if got := factsOf(t, u, hour); !slices.Equal(got, want) || !u.noting.whole || u.noting.notes[0].n != 1000 {
		t.Errorf("facts of %d keys, %d notes, want 1000", len(got), u.noting.notes[0].n)
	}
	if got := factsOf(t, u, hour); !slices.Equal(got, want) {
		t.Errorf("facts of %d keys by their notes, want 1000", len(got))
	}
	held := u.noting.held()
	if perKey := held / 1000; perKey > 28 {
		t.Errorf("%d bytes for a key's note, want at most 28", perKey)
	}
	// A week later nothing is so any more, and nothing is kept of it.
	if got := factsOf(t, u, hour+int64(W7d)+3600); len(got) != 0 || u.noting.held() != 0 {
		t.Errorf("facts of %d keys, %d bytes of notes, want none", len(got), u.noting.held())
	}
}

func TestNotesAreFoundUntilTheyAreDropped(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var x notes
	want := map[uint64][]note{}
	for range 20_000 {
		// Few homes, so that they stand in each other's way.
		key := uint64(rng.IntN(200)) << (56 * rng.IntN(2))
		switch rng.IntN(3) {
		case 0, 1:
			if len(want[key]) < 5 {
				n := newNote(key, 700_000, uint8(rng.IntN(8)), 1+uint8(rng.IntN(1<<MaxFacts-1)), 200, 201+uint32(len(want[key])))
				x.add(n)
				want[key] = append(want[key], n)
			}
		case 2:
			x.drop(key)
			delete(want, key)
		}
		n := 0
		for _, ns := range want {
			n += len(ns)
		}
		if n != x.n {
			t.Fatalf("%d notes, want %d", x.n, n)
		}
	}
	got := map[uint64][]note{}
	for _, n := range x.places {
		if n.last != 0 {
			got[n.key] = append(got[n.key], n)
		}
	}
	for key, ns := range want {
		for _, n := range ns {
			if !slices.Contains(got[key], n) {
				t.Fatalf("note %+v of key %x is gone", n, key)
			}
		}
		x.drop(key)
	}
	if x.n != 0 || len(x.places) > leastNotes {
		t.Errorf("%d notes in %d places behind dropping all", x.n, len(x.places))
	}
}

func TestFactsOfKeysOfAnOlderLayoutAreThoseOfTheUnits(t *testing.T) {
	count := func(name string, bit uint8) Series {
		return Series{Name: name, Kind: Count, Bit: bit, Windows: []Window{W7d}}
	}
	layout := func(series ...Series) *Layout {
		l := testLayout()
		l.Tables = l.Tables[:1]
		l.Tables[0].Name, l.Tables[0].Series, l.NextStore = "ip", series, 1
		return l
	}
	was, is := layout(count("good", 0)), layout(count("bad", 1), count("good", 0))
	begin := int64(1_700_000_000)
	if err := is.Inherit(was, begin+4*86400); err != nil {
		t.Fatal(err)
	}
	facts := [][]Fact{{{More: 1, Than: 0, Of: -1}}}
	st := newStream(8, was, 100)
	r := newResident(t, st.rng, was, 0)
	r.u.Attach(r.store.Unit(0))
	for n := range int64(50) {
		parts := st.tick(begin+n*7000, 20)
		r.u.Fold(begin+n*7000, rowsOf(parts), parts)
	}
	r.checkpoint()
	last, _ := r.store.Last()
	var units []*Unit
	for _, load := range []int64{1 << 40, 40_000, 0} {
		u, err := OpenUnit(is, 0, last.Units[0], r.store.Unit(0))
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Follow(succession(t, was, is)); err != nil {
			t.Fatal(err)
		}
		u.Keep(facts)
		if load > 0 {
			if err := u.Load(load); err != nil {
				t.Fatal(err)
			}
		}
		units = append(units, u)
	}
	if units[0].outside.keys > 0 || units[1].noting.notes[0].n == 0 || units[2].noting.whole {
		t.Fatalf("%d keys are not in memory, %d have notes, want 0 and some", units[0].outside.keys, units[1].noting.notes[0].n)
	}
	some := 0
	for hour := (begin+50*7000)/3600*3600 + 3600; ; hour += 3600 {
		want := factsOf(t, units[0], hour)
		for _, u := range units[1:] {
			if got := factsOf(t, u, hour); !slices.Equal(got, want) {
				t.Fatalf("hour %d:\n%v\nwant\n%v", hour/3600, got, want)
			}
		}
		if len(want) == 0 {
			break
		}
		some++
	}
	if some < 100 {
		t.Errorf("something was so for %d hours, want about a week", some)
	}
}

func TestOtherFactsDoNotGiveNotesMoreRoom(t *testing.T) {
	st := newStream(3, testLayout(), 1)
	r := newResident(t, st.rng, st.l, 0)
	u := r.u
	u.Keep(testFacts())
	if u.outside.store == nil {
		u.Attach(r.store.Unit(0))
	}
	flood(u, 700_000, 0, 2000)
	r.checkpoint()
	hour := int64(700_000)/3600*3600 + 3600
	u.Evict(20_000) // of which notes may take half
	if u.index.keys > 0 || u.noting.held() > 10_000 {
		t.Fatalf("%d keys in memory, %d bytes of notes", u.index.keys, u.noting.held())
	}
	want := len(factsOf(t, u, hour))
	u.Keep([][]Fact{testFacts()[0][:3], nil, nil})
	if got := len(factsOf(t, u, hour)); got != want {
		t.Errorf("facts of %d keys, want %d", got, want)
	}
	if held := u.noting.held(); held > 10_000 {
		t.Errorf("%d bytes of notes, may be 10000", held)
	}
}
