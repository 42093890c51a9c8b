package windows

import "testing"

func TestAScanReadsKeysOfTheStoreAndKeepsWhatItIsTold(t *testing.T) {
	st := newStream(9, testLayout(), 200)
	r := newResident(t, st.rng, st.l, 0)
	u := r.u
	u.Attach(r.store.Unit(0))
	tick := int64(1_700_000_000)
	for range 20 {
		tick++
		parts := st.tick(tick, 40)
		u.Fold(tick, rowsOf(parts), parts)
	}
	r.checkpoint()
	const table = 2 // the one with parents
	all, _ := u.cohorts.sum(table)
	wanted := map[Key]bool{}
	u.Scan(table, func(parent uint64) bool { return parent%2 == 0 }, func(slot uint32, _ uint64) bool {
		wanted[u.KeyOf(slot)] = true
		return false
	})
	if len(wanted) == 0 || len(wanted) == int(all) {
		t.Fatalf("%d of %d keys wanted", len(wanted), all)
	}
	for _, inMemory := range []int64{0, u.Resident() * 3 / 4} {
		u.Evict(inMemory)
		before := u.index.keys
		n, kept := 0, 0
		u.Scan(table, func(parent uint64) bool { return parent%2 == 0 }, func(slot uint32, parent uint64) bool {
			k := u.KeyOf(slot)
			if !wanted[k] || testKey(table, int(parent)) != k || u.Parent(slot) != parent {
				t.Fatalf("key %x of parent %d was not wanted", k, parent)
			}
			cold := u.index.keys > before+kept
			n++
			keep := n%3 == 0
			if cold && keep {
				kept++
			}
			return keep
		})
		if n != len(wanted) || u.index.keys != before+kept {
			t.Errorf("%d of %d keys scanned, %d in memory, want %d and %d of them kept", n, len(wanted), u.index.keys, before, kept)
		}
		r.check()
	}
	// One that is changed stays.
	u.Evict(0)
	near := 0
	u.Scan(table, nil, func(slot uint32, _ uint64) bool {
		if near < 5 {
			u.Near(slot)
			near++
		}
		return false
	})
	if u.index.keys != 5 || u.Dirty() == 0 {
		t.Errorf("%d keys in memory, want the 5 that are near now", u.index.keys)
	}
	r.check()
	// A slot that is in the list of changes, and free, takes a key that is clean.
	flood(u, tick, 50_000, 100)
	u.Expire(tick + 100*86400)
	r.check()
	parts := st.tick(tick+101*86400, 40)
	u.Fold(tick+101*86400, rowsOf(parts), parts)
	r.checkpoint()
	flood(u, tick+101*86400, 60_000, 100)
	u.SetLimit(1)
	u.Shed(tick + 101*86400)
	r.check()
}

func TestATickIsNotFoldedAgainBehindItsShedding(t *testing.T) {
	u := NewUnit(testLayout(), 50_000)
	flood(u, 700_000, 0, 400)
	flood(u, 700_001, 1000, 300)
	u.Shed(700_001)
	if u.Len() > 0 {
		t.Fatalf("%d keys behind shedding all of a minute", u.Len())
	}
	flood(u, 700_001, 2000, 7)
	if u.Len() != 0 || u.Counters().OutOfTime != 7 {
		t.Errorf("%d keys of a tick that was shed at, %d out of time", u.Len(), u.Counters().OutOfTime)
	}
	flood(u, 700_002, 5000, 200)
	flood(u, 700_003, 5000, 200)
	if u.Len() != 200 || u.Counters().OutOfTime != 7 {
		t.Errorf("%d keys behind it, want 200; %d out of time", u.Len(), u.Counters().OutOfTime)
	}
}

func TestARefusedKeyIsAdmittedWhenItComesAgain(t *testing.T) {
	u := NewUnit(testLayout(), 50_000)
	flood(u, 700_000, 0, 1000)
	refused := int(u.Counters().Refused)
	if refused == 0 || int(u.Counters().Refused+u.Counters().Turned)+u.Len() != 1000 || !u.Degraded() {
		t.Fatalf("%d keys, counters %+v", u.Len(), u.Counters())
	}
	u.SetLimit(500_000)
	u = restored(t, u)
	flood(u, 700_001, 0, 1000)
	if u.Len() != 1000 {
		t.Errorf("%d keys, want 1000", u.Len())
	}
}
