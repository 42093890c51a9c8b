package windows

import (
	"maps"
	"math/rand/v2"
	"testing"
)

func TestACutHasAllKeysWhereMostChanged(t *testing.T) {
	failed := func(changed int) func(*resident) {
		return func(r *resident) {
			flood(r.u, 500_001, 0, changed)
			r.u.Cut(true)
			r.u.Settle(false)
		}
	}
	leave := func(key int) func(*resident) {
		return func(r *resident) {
			i, _ := r.u.index.find(testKey(0, key))
			r.u.leave(i, r.u.index.slot(i))
		}
	}
	for name, c := range map[string]struct {
		changed int
		all     bool
		prepare func(*resident)
		wholly  bool
		pending int
	}{
		"three in five":                {600, true, nil, true, 1000},
		"fewer":                        {599, true, nil, false, 599},
		"they may not all be dirty":    {1000, false, nil, false, 1000},
		"one is on disk only":          {900, true, leave(999), false, 900},
		"it has no store":              {1000, true, func(r *resident) { r.u.outside.store = nil }, false, 1000},
		"a cut that had all failed":    {1, true, failed(600), true, 1000},
		"one that had few keys failed": {1, true, failed(599), false, 599},
	} {
		t.Run(name, func(t *testing.T) {
			r, u := parted(t)
			if c.prepare != nil {
				c.prepare(r)
			}
			flood(u, 500_002, 0, c.changed)
			u.Cut(c.all)
			r.check()
			for u.changes.gatherEnd > 0 {
				u.gather()
			}
			if u.changes.wholly() != c.wholly || len(u.changes.pending) != c.pending {
				t.Errorf("all keys: %v, %d pending, must be %v and %d", u.changes.wholly(), len(u.changes.pending), c.wholly, c.pending)
			}
			r.check()
		})
	}
}

// parted returns a unit of a thousand keys that its store has as they are.
func parted(t *testing.T) (*resident, *Unit) {
	t.Helper()
	r := newResident(t, rand.New(rand.NewPCG(1, 1)), testLayout(), 0)
	r.u.Attach(r.store.Unit(0))
	flood(r.u, 500_000, 0, 1000)
	r.checkpoint()
	if r.u.Dirty() != 0 || r.u.changes.wholly() {
		t.Fatal("a checkpoint is not settled")
	}
	return r, r.u
}

// What the store had of keys that are gone, of whatever kind, is gone with a cut
// that has all keys, and what it has is as of the cut whatever happens meanwhile.
func TestAStoreHasNothingButWhatAWholeCutHad(t *testing.T) {
	buried, saved, still, partly, commits := 0, 0, 0, 0, 0
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 8))
		r, u := parted(t)
		tick := int64(500_000)
		for range 12 {
			for range rng.IntN(3) { // some of them are near, and keys that come and go take their slots
				tick += 1 + rng.Int64N(90)
				flood(u, tick, rng.IntN(800), 1+rng.IntN(700))
				for i := range u.index.slots {
					if s := u.index.slot(i); s.used() && rng.IntN(2) == 0 {
						u.Near(i)
					}
				}
				if rng.IntN(3) == 0 {
					u.SetLimit(u.Bytes() * int64(20+rng.IntN(70)) / 100)
					u.Shed(tick)
					u.SetLimit(0)
				}
			}
			for n := 100; len(u.changes.list)*100 < u.index.keys*wholeShare; n += 100 { // until most have changed
				tick++
				flood(u, tick, 0, n)
			}
			still += int(u.Bytes() - u.Dirty())
			buried += len(u.outside.buried)
			u.Cut(true)
			if !u.changes.wholly() {
				t.Fatal("not all keys are written")
			}
			want := valuesOf(u)
			alive := u.Alive()
			r.going = r.store.Begin(func(_ int, table uint16, value []byte) bool { return alive(table, value) })
			r.flip.Units = [][]byte{u.AppendHead(nil)}
			if rng.IntN(2) == 0 { // some are gathered before any changes
				if _, err := u.Encode(sinkOf(r.going, func() bool { return true })); err != nil {
					t.Fatal(err)
				}
			}
			if u.changes.gatherNext > 0 {
				partly++
				r.check()
			}
			for n := range 4 { // behind the cut keys change, go, and are replaced
				tick += 1 + rng.Int64N(90)
				flood(u, tick, 100*rng.IntN(30), 1+rng.IntN(400))
				if n == 0 && rng.IntN(4) == 0 {
					break // and it is given up, perhaps before all were gathered
				}
				if rng.IntN(2) == 0 {
					u.SetLimit(u.Bytes() * int64(20+rng.IntN(70)) / 100)
					u.Shed(tick)
					u.SetLimit(0)
				}
				r.encode([]int{0, 1, 3, 1 << 20}[n])
			}
			saved += len(u.changes.encoder.saved)
			if !u.changes.encoder.done || rng.IntN(4) == 0 {
				r.going.Abort()
				r.going = nil
				u.Settle(false)
				continue
			}
			r.commit()
			got := map[Key]string{}
			for table := range u.shapes {
				if err := r.store.Unit(0).Scan(u.stores[table], func(k Key, v []byte) error { got[k] = string(v); return nil }); err != nil {
					t.Fatal(err)
				}
			}
			if !maps.Equal(got, want) {
				t.Fatalf("seed %d: the store has %d keys, must have the %d of the cut as they were", seed, len(got), len(want))
			}
			r.check()
		}
		commits += r.commits
	}
	if buried < 200 || saved < 10_000 || still < 150_000 || partly < 7 || commits < 24 {
		t.Errorf("%d buried, %d saved, %d bytes that had not changed, %d gathered in part, %d committed: not much was tried", buried, saved, still, partly, commits)
	}
}

// valuesOf returns all keys in memory, encoded.
func valuesOf(u *Unit) map[Key]string {
	all := map[Key]string{}
	u.eachKey(func(_ uint32, s *slot) { all[s.key] = string(u.appendValue(nil, s)) })
	return all
}
