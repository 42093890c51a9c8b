package windows

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/state"
)

// story is what happens to a unit at one tick, as the log determines it.
type story struct {
	tick  int64
	rows  []Row
	parts []*Deltas
}

// tell does to a unit what the pipeline does at a tick.
func (s *story) tell(u *Unit) {
	u.Expire((s.tick - 1) / 3600 * 3600)
	u.Fold(s.tick, s.rows, s.parts)
	if u.Pressed() {
		for _, t := range u.Touched() {
			if mix(t.Key.Lo+uint64(s.tick))%16 == 0 {
				u.Near(t.Slot)
			}
		}
	}
	u.Shed(s.tick)
}

// resident is a unit whose keys come and go between memory and a store.
type resident struct {
	t     *testing.T
	rng   *rand.Rand
	l     *Layout
	limit int64
	facts [][]Fact // that are kept
	store *state.Store
	u     *Unit

	// The checkpoint that is going on, if any.
	going *state.Checkpoint
	flip  state.Flip

	since []*story // what happened since the last cut that was committed
	cutAt int      // how much of it had happened at the cut that is going on

	commits, aborts, opened, evicted, loaded, early, whole int
}

func openStore(t *testing.T) *state.Store {
	t.Helper()
	s, err := state.Open(context.Background(), state.Config{Dir: t.TempDir(), Units: 1, Temporary: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func newResident(t *testing.T, rng *rand.Rand, l *Layout, limit int64) *resident {
	r := &resident{t: t, rng: rng, l: l, limit: limit, store: openStore(t), u: NewUnit(l, limit)}
	if rng.IntN(2) == 0 {
		r.u.Attach(r.store.Unit(0))
	}
	return r
}

// stir moves keys about: nothing that it does may be seen from outside.
func (r *resident) stir() {
	r.t.Helper()
	if r.u.outside.store == nil {
		if r.rng.IntN(20) == 0 {
			r.u.Attach(r.store.Unit(0))
		}
		return
	}
	switch n := r.rng.IntN(100); {
	case n < 12 && r.going == nil:
		r.cut()
	case n < 40 && r.going != nil:
		r.encode(1)
	case n < 50 && r.going != nil:
		r.encode(1 << 20)
		r.commit()
	case n < 53 && r.going != nil:
		r.abort()
	case n < 80:
		before := r.u.Resident()
		freed := r.u.Evict(r.rng.Int64N(before + 1))
		if freed != before-r.u.Resident() {
			r.t.Fatalf("%d bytes freed, resident were %d and are %d", freed, before, r.u.Resident())
		}
		if !r.u.changes.cut && r.u.Tick() > 0 && len(r.u.touches) == 0 && n%2 == 0 {
			r.u.pack() // which Evict does when many slots are free
		}
	case n < 82:
		if err := r.u.Load(r.rng.Int64N(4 << 20)); err != nil {
			r.t.Fatal(err)
		}
	case n < 85:
		r.u.Scan(r.rng.IntN(len(r.l.Tables)), func(parent uint64) bool { return parent%3 != 1 }, func(uint32, uint64) bool {
			return r.rng.IntN(2) == 0
		})
	case n < 87:
		r.open()
	}
	r.check()
}

func (r *resident) cut() {
	r.u.Cut(r.rng == nil || r.rng.IntN(2) == 0)
	if r.u.changes.wholly() {
		r.whole++
	}
	alive := r.u.Alive()
	r.going = r.store.Begin(func(_ int, table uint16, value []byte) bool { return alive(table, value) })
	r.flip = state.Flip{Tick: r.u.Tick(), Units: [][]byte{r.u.AppendHead(nil)}}
	r.cutAt = len(r.since)
}

// sinkOf hands what a unit has to a checkpoint of a store of one.
func sinkOf(c *state.Checkpoint, room func() bool) Sink {
	return Sink{
		Whole: func(table uint16, pages int) error { return c.Whole(0, table, pages) },
		Put:   func(table uint16, page uint32, changes []byte) error { return c.Put(0, table, page, changes) },
		Room:  room,
	}
}

// encode hands over up to so many pages.
func (r *resident) encode(pages int) {
	to := sinkOf(r.going, func() bool { return pages > 0 })
	put := to.Put
	to.Put = func(table uint16, page uint32, changes []byte) error {
		pages--
		return put(table, page, changes)
	}
	for pages > 0 {
		done, err := r.u.Encode(to)
		if err != nil {
			r.t.Fatal(err)
		}
		if done {
			return
		}
	}
}

func (r *resident) commit() {
	r.early += len(r.u.changes.encoder.saved)
	if err := r.going.Commit(context.Background(), r.flip); err != nil {
		r.t.Fatal(err)
	}
	r.going = nil
	r.u.Settle(true)
	r.since = r.since[r.cutAt:]
	r.commits++
}

func (r *resident) abort() {
	r.going.Abort()
	r.going = nil
	if r.rng.IntN(2) == 0 { // else the next cut says so
		r.u.Settle(false)
	}
	r.aborts++
}

// open is a restart: from the last checkpoint, and what came after it again.
func (r *resident) open() {
	if r.going != nil {
		r.going.Abort()
		r.going = nil
	}
	last, ok := r.store.Last()
	if !ok {
		return
	}
	r.count()
	u, err := OpenUnit(r.l, r.limit, last.Units[0], r.store.Unit(0))
	if err != nil {
		r.t.Fatal(err)
	}
	if !bytes.Equal(u.AppendHead(nil), last.Units[0]) || u.Len() > 0 && u.outside.keys != u.keys {
		r.t.Fatal("an opened unit is not what its head says")
	}
	r.u = u
	if r.facts != nil {
		u.Keep(r.facts)
	}
	if r.rng.IntN(3) > 0 {
		if err := u.Load(r.rng.Int64N(2 * (u.Resident() + u.Bytes()))); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, s := range r.since {
		s.tell(u)
	}
	r.opened++
}

func (r *resident) count() {
	loaded, left := r.u.Moved()
	r.loaded += int(loaded)
	r.evicted += int(left)
}

// check holds the unit to what it says of itself.
func (r *resident) check() {
	r.t.Helper()
	u := r.u
	if err := u.Err(); err != nil {
		r.t.Fatal(err)
	}
	if int64(u.index.keys)+u.outside.keys != u.keys {
		r.t.Fatalf("%d keys in memory, %d outside, %d accounted", u.index.keys, u.outside.keys, u.keys)
	}
	dirty, inList := int64(0), 0
	listed := map[uint32]bool{}
	for _, i := range u.changes.list {
		if listed[i] {
			r.t.Fatalf("slot %d is twice in the list", i)
		}
		listed[i] = true
	}
	for i := range u.index.slots {
		s := u.index.slot(i)
		if s.flags&u.index.listed != 0 != listed[i] {
			r.t.Fatalf("slot %d: in the list %v, flags %b", i, listed[i], s.flags)
		}
		if s.used() && !u.clean(i, s) {
			dirty += s.cost()
			inList++
		}
		if !s.used() && s.flags&^(u.index.listed|u.changes.flag) != 0 {
			r.t.Fatalf("a free slot has flags %b", s.flags)
		}
	}
	if u.Dirty() != dirty {
		r.t.Fatalf("%d bytes dirty, must be %d of %d keys", u.Dirty(), dirty, inList)
	}
}

// same holds the unit to one that never left memory.
func (r *resident) same(want *Unit, st *stream, tick int64) {
	r.t.Helper()
	u := r.u
	if got, want := u.AppendHead(nil), want.AppendHead(nil); !bytes.Equal(got, want) {
		r.t.Fatalf("tick %d: another head:\n%x\nwant\n%x", tick, got, want)
	}
	if u.Len() != want.Len() || u.Bytes() != want.Bytes() || u.Degraded() != want.Degraded() || u.Pressed() != want.Pressed() {
		r.t.Fatalf("tick %d: %d keys of %d bytes, want %d of %d", tick, u.Len(), u.Bytes(), want.Len(), want.Bytes())
	}
	if u.Tick() == tick {
		a, b := u.Touched(), want.Touched()
		if len(a) != len(b) && len(a) > 0 { // Evict forgets them
			r.t.Fatalf("tick %d: %d keys touched, want %d", tick, len(a), len(b))
		}
		for i := range a {
			if a[i].Key != b[i].Key || a[i].Mask != b[i].Mask || a[i].Table != b[i].Table {
				r.t.Fatalf("tick %d: touched %v, want %v", tick, a[i], b[i])
			}
		}
	}
	for range 6 {
		table := r.rng.IntN(len(r.l.Tables))
		k := testKey(int(u.stores[table]), r.rng.IntN(st.keys))
		want.forgetReads()
		if got, want := readAll(u, table, k, tick), readAll(want, table, k, tick); got != want {
			r.t.Fatalf("tick %d: key %x of table %d reads\n%s\nwant\n%s", tick, k, table, got, want)
		}
	}
}

// readAll is everything that can be read of a key.
func readAll(u *Unit, table int, k Key, tick int64) string {
	slot, ok := u.FindIn(table, k)
	if again, found := u.Find(k); found != ok || again != slot {
		return "Find and FindIn disagree"
	}
	if !ok {
		return "none"
	}
	out := fmt.Sprintf("%v %d %d %q\n", u.KeyOf(slot) == k, u.TableOf(slot), u.Parent(slot), u.AppendValues(slot, nil))
	for i, s := range u.layout.Tables[table].Series {
		for _, w := range s.Windows {
			switch s.Kind {
			case MinMax:
				lo, hi, ok := u.MinMax(slot, i, w, tick)
				out += fmt.Sprintln(i, w, lo, hi, ok)
			case Distinct:
				out += fmt.Sprintln(i, w, u.Distinct(slot, i, w, tick))
			case Buckets:
				top, _ := u.Top(slot, i, w, tick)
				bits, ok := u.Entropy(slot, i, w, tick)
				out += fmt.Sprintln(i, w, top, bits, ok)
			case Active:
				cv, ok := u.Cadence(slot, i, w, tick)
				out += fmt.Sprintln(i, w, cv, ok)
			case Span:
				first, last, ok := u.Span(slot, i, w, tick)
				out += fmt.Sprintln(i, w, first, last, ok)
			default:
				out += fmt.Sprintln(i, w, u.Total(slot, i, w, tick))
			}
		}
	}
	return out
}

func TestWhereKeysAreChangesNothing(t *testing.T) {
	whole := 0 // of all cuts, those that had all keys
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			limit := []int64{0, 9_000, 30_000, 60_000}[seed%4]
			keys := []int{40, 200, 800, 300}[seed%4]
			l := testLayout()
			withFaint := seed >= 8
			if withFaint { // rows that begin no key
				l.Tables[0].Faint, l.Tables[1].Faint = 1<<1, 1<<2
			}
			st := newStream(seed+500, l, keys)
			rng := rand.New(rand.NewPCG(seed, 9))
			want := NewUnit(st.l, limit)
			r := newResident(t, rng, st.l, limit)
			tick := int64(1_700_000_000)
			for n := range 500 {
				tick += min(st.gap(), 40*86400)
				st.keys = 1 + rng.IntN(keys)
				parts := st.tick(tick, rng.IntN(1+rng.IntN(120)))
				s := &story{tick, rowsOf(parts), parts}
				for i := range s.rows {
					if row := &s.rows[i]; withFaint && rng.IntN(4) > 0 && row.Table < 2 {
						row.Mask = l.Tables[row.Table].Faint
					}
				}
				s.tell(want)
				s.tell(r.u)
				r.since = append(r.since, s)
				for range rng.IntN(4) {
					r.stir()
				}
				r.same(want, st, tick)
				if n%25 == 0 {
					if !bytes.Equal(r.u.AppendSnapshot(nil), want.AppendSnapshot(nil)) {
						t.Fatalf("tick %d: another snapshot", tick)
					}
				}
			}
			r.count()
			t.Logf("%d committed, %d aborted, %d opened, %d keys left, %d loaded, %d encoded early, %d whole, %+v",
				r.commits, r.aborts, r.opened, r.evicted, r.loaded, r.early, r.whole, want.Counters())
			if r.commits < 5 || r.aborts < 2 || r.opened == 0 || r.evicted == 0 || r.loaded == 0 || r.early == 0 {
				t.Error("not much was tried")
			}
			if c := want.Counters(); limit > 0 && (c.Evicted == 0 || c.Turned == 0) || c.Expired == 0 {
				t.Errorf("counters %+v: not much was tried", c)
			}
			whole += r.whole
		})
	}
	if whole < 12 {
		t.Errorf("%d cuts had all keys: not much was tried", whole)
	}
}

func TestEachPageComesOnceInACut(t *testing.T) {
	st := newStream(77, testLayout(), 3000)
	r := newResident(t, rand.New(rand.NewPCG(1, 1)), st.l, 0)
	r.u.Attach(r.store.Unit(0))
	for round := range 3 {
		tick := int64(1_700_000_000 + 100*round)
		parts := st.tick(tick, 9000)
		r.u.Fold(tick, rowsOf(parts), parts)
		r.cut()
		type page struct {
			table uint16
			page  uint32
		}
		var seen []page
		calls := 0
		for {
			handed := 0
			to := sinkOf(r.going, func() bool { return true })
			put := to.Put
			to.Put = func(table uint16, p uint32, changes []byte) error {
				seen = append(seen, page{table, p})
				if handed >= sliceBytes {
					t.Error("a slice went on after it was full")
				}
				handed += len(changes)
				return put(table, p, changes)
			}
			done, err := r.u.Encode(to)
			if err != nil {
				t.Fatal(err)
			}
			calls++
			if done {
				break
			}
		}
		all := len(seen)
		slices.SortFunc(seen, func(a, b page) int { return int(a.table)<<32 + int(a.page) - int(b.table)<<32 - int(b.page) })
		if seen = slices.Compact(seen); len(seen) != all || all == 0 {
			t.Fatalf("%d pages, %d of them different", all, len(seen))
		}
		if round > 0 && (all < 10 || calls < 3) {
			t.Errorf("%d pages in %d slices: not much was tried", all, calls)
		}
		r.commit()
		if r.u.Dirty() != 0 {
			t.Fatalf("%d bytes are dirty behind a checkpoint", r.u.Dirty())
		}
	}
}
