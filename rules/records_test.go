package rules

import (
	"context"
	"slices"
	"testing"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// shelf is a thing for each place, and the records of them.
type shelf struct {
	things  map[windows.Key]string
	records records
}

func newShelf(cold *state.Unit) *shelf {
	s := &shelf{things: map[windows.Key]string{}}
	s.records = records{table: grantTable, value: func(dst []byte, place windows.Key) []byte {
		if v, ok := s.things[place]; ok {
			return append(dst, v...)
		}
		return nil
	}}
	s.records.open(cold)
	return s
}

func (s *shelf) put(place uint64, v string) {
	k := windows.Key{Hi: place, Lo: place}
	s.records.change(k)
	if v == "" {
		delete(s.things, k)
	} else {
		s.things[k] = v
	}
}

// write writes a checkpoint of a cut; during is called before each page.
func (s *shelf) write(t *testing.T, store *state.Store, commit bool, during func()) {
	t.Helper()
	cp := store.Begin(nil)
	for done := false; !done; {
		var err error
		done, err = s.records.encode(func(table uint16, page uint32, changes []byte) error {
			during()
			return cp.Put(0, table, page, changes)
		}, cp.Room)
		if err != nil {
			t.Fatal(err)
		}
	}
	if !commit {
		cp.Abort()
	} else if err := cp.Commit(context.Background(), state.Flip{Tick: 1, Units: [][]byte{nil}}); err != nil {
		t.Fatal(err)
	}
	s.records.settle(commit)
}

func stored(t *testing.T, store *state.Store) map[uint64]string {
	t.Helper()
	m := map[uint64]string{}
	if err := store.Unit(0).Scan(grantTable, func(k windows.Key, v []byte) error { m[k.Hi] = string(v); return nil }); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestACheckpointHasWhatWasAtItsCut(t *testing.T) {
	store := openStore(t, t.TempDir(), 1)
	defer store.Close()
	s := newShelf(store.Unit(0))
	check := func(what string, want map[uint64]string) {
		t.Helper()
		got := stored(t, store)
		if len(got) != len(want) {
			t.Errorf("%s: stored are %v, want %v", what, got, want)
		}
		for k, v := range want {
			if got[k] != v {
				t.Errorf("%s: stored are %v, want %v", what, got, want)
			}
		}
	}
	s.put(1, "a")
	s.put(2, "b")
	s.put(3, "c")
	s.records.begin()
	s.put(1, "a later") // changes behind the cut
	s.put(2, "")        // goes behind it
	s.put(4, "d")       // comes behind it
	if s.records.froze != 2 {
		t.Errorf("%d bytes are frozen, want those of a and b", s.records.froze)
	}
	s.write(t, store, true, func() {})
	if s.records.froze != 0 || s.records.unsettled() == 0 {
		t.Errorf("%d bytes are frozen behind it, %d not on disk", s.records.froze, s.records.unsettled())
	}
	check("first", map[uint64]string{1: "a", 2: "b", 3: "c"})

	s.records.begin()
	s.write(t, store, false, func() {})
	check("aborted", map[uint64]string{1: "a", 2: "b", 3: "c"})
	s.records.begin()
	s.put(3, "c later")
	s.records.begin() // a cut before the one before was settled takes its part over
	s.write(t, store, true, func() {})
	check("second", map[uint64]string{1: "a later", 3: "c later", 4: "d"})
	if n := s.records.resident() + s.records.unsettled(); n != 0 {
		t.Errorf("%d bytes are noted of what is all on disk", n)
	}
}

// What has been written needs no copy when it changes again.
func TestOnlyWhatIsNotWrittenYetIsFrozen(t *testing.T) {
	store := openStore(t, t.TempDir(), 1)
	defer store.Close()
	s := newShelf(store.Unit(0))
	for i := range uint64(2000) {
		s.put(i<<40+i, string(make([]byte, 100)))
	}
	s.records.begin()
	s.write(t, store, true, func() {})
	for i := range uint64(2000) {
		s.put(i<<40+i, "new")
	}
	s.records.begin()
	pages, frozen := 0, []int64{}
	written := windows.Key{Hi: 1, Lo: 1}
	s.write(t, store, true, func() {
		if pages++; pages > 1 {
			s.records.change(written)
			frozen = append(frozen, s.records.froze)
		}
		written = s.records.pages[0].key
	})
	if pages < 3 || slices.Max(frozen) > 0 {
		t.Errorf("%d pages, %v bytes were frozen of what had been written", pages, frozen)
	}
}

// Encoding stops where there is no room, and goes on from there.
func TestEncodingWaitsForRoom(t *testing.T) {
	store := openStore(t, t.TempDir(), 1)
	defer store.Close()
	s := newShelf(store.Unit(0))
	for i := range uint64(300) {
		s.put(i, string(make([]byte, 4000)))
	}
	s.records.begin()
	calls, puts := 0, 0
	put := func(uint16, uint32, []byte) error { puts++; return nil }
	if done, err := s.records.encode(put, func() bool { return false }); done || err != nil || puts != 0 {
		t.Fatalf("done %v, %v, %d pages without room", done, err, puts)
	}
	for done := false; !done; calls++ {
		var err error
		if done, err = s.records.encode(put, func() bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	if calls < 2 && puts > 1 {
		t.Errorf("%d calls for %d pages of 1.2 MB", calls, puts)
	}
}

// What is forgotten is taken off the disk.
func TestAForgottenGrantLeavesTheStore(t *testing.T) {
	rule := "id: forget.rule\nversion: 1\nkey: ip\nwhere: \"true\"\nfeatures: {n: count(\"1m\")}\nwhen: n >= 1\nthen: {block: ip, for: [10s, 20s]}\n"
	store := openStore(t, t.TempDir(), 1)
	defer store.Close()
	st := NewState(storyPlan(t, PlanOptions{}, rule), 1, Limits{}, func(string) event.Stage { return event.Enforce }, named)
	st.Attach(store)
	m := NewMapper(st.plan, 1, nil)
	const begin = 1_780_000_000
	visit(st, m, begin, 0, 3)
	st.Drain(nil)
	checkpoint(t, st, store, begin)
	if n := len(stored(t, store)); n != 3 {
		t.Fatalf("%d grants are stored, want 3", n)
	}
	st.Unit(0).End(begin + 60)
	checkpoint(t, st, store, begin+60)
	if n := len(stored(t, store)); n != 3 {
		t.Fatalf("%d grants are stored of 3 that ended", n)
	}
	visit(st, m, begin+week+2*3600, 9, 1)
	st.Drain(nil)
	checkpoint(t, st, store, begin+week+2*3600)
	if n := len(stored(t, store)); n != 1 || len(st.Unit(0).grants) != 1 {
		t.Errorf("%d grants are stored and %d there a week later, want the last one", n, len(st.Unit(0).grants))
	}
}

// So does what is no longer shown; nothing else of it is dropped on the way.
func TestWhatIsNoLongerShownLeavesTheStore(t *testing.T) {
	store := openStore(t, t.TempDir(), 1)
	defer store.Close()
	st := NewState(storyPlan(t, PlanOptions{}, gapRules...), 1, Limits{}, enforced, named)
	st.Attach(store)
	m := NewMapper(st.plan, 1, nil)
	const begin = 1_780_000_000
	kept := func() (n int) {
		alive := st.Alive()
		for _, table := range []uint16{onStateTable, grantTable} {
			err := store.Unit(0).Scan(table, func(_ windows.Key, v []byte) error {
				if table == onStateTable {
					n++
				}
				if !alive(0, table, v) {
					t.Errorf("a value of table %x passes for dead", table)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		return n
	}
	visit(st, m, begin, 0, 3)
	st.Boundary(begin)
	st.Drain(nil)
	checkpoint(t, st, store, begin)
	if n := kept(); n != 3 || len(st.board.on) != 3 {
		t.Fatalf("%d on-states are stored and %d shown, want 3", n, len(st.board.on))
	}
	st.Boundary(begin + 3600)
	checkpoint(t, st, store, begin+3600)
	if n := kept(); n != 0 || len(st.board.on) != 0 {
		t.Errorf("%d on-states are stored and %d shown an hour later, want none", n, len(st.board.on))
	}
}
