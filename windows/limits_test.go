package windows

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"weir/state"
)

// stored returns a unit with n keys, ten to a second, all of them clean.
func stored(t *testing.T, l *Layout, n int) (*resident, int64) {
	t.Helper()
	r := newResident(t, rand.New(rand.NewPCG(1, 1)), l, 0)
	r.u.Attach(r.store.Unit(0))
	tick := int64(1_700_000_000)
	for i := 0; i < n; i += 10 {
		tick++
		flood(r.u, tick, i, 10)
	}
	r.checkpoint()
	return r, tick
}

func (r *resident) checkpoint() {
	r.cut()
	r.encode(1 << 20)
	r.commit()
}

func TestAUnitHasNoMoreKeysThanItMay(t *testing.T) {
	u := NewUnit(testLayout(), 0)
	u.most = 100
	flood(u, 1000, 0, 60)
	flood(u, 1001, 50, 60)
	if u.Len() != 100 || u.Counters().Refused != 10 || len(u.Touched()) != 50 {
		t.Errorf("%d keys, %d refused, want 100 and 10", u.Len(), u.Counters().Refused)
	}
}

func TestTheLongestIdleLeaveFirst(t *testing.T) {
	r, tick := stored(t, testLayout(), 20_000)
	u := r.u
	flood(u, tick+1, 0, 10) // dirty, so they stay
	target := u.Resident() / 2
	before := u.Resident()
	freed := u.Evict(target)
	if freed != before-u.Resident() || u.Resident() > target || u.Resident() < target*8/10 {
		t.Fatalf("%d bytes resident, want about %d", u.Resident(), target)
	}
	oldest := tick
	for i := range 20_000 {
		if slot, ok := u.index.find(testKey(0, i)); ok && i >= 10 {
			oldest = min(oldest, int64(u.index.slot(slot).last))
		} else if !ok && i < 10 {
			t.Fatalf("key %d left although it had changed", i)
		}
	}
	for i := 10; i < 20_000; i++ {
		last := tick - 1999 + int64(i/10)
		if _, ok := u.index.find(testKey(0, i)); !ok && last > oldest {
			t.Fatalf("key %d, last touched at %d, left before one of %d", i, last, oldest)
		}
	}
	if loaded, left := u.Moved(); loaded != 0 || int(left)+u.index.keys != u.Len() {
		t.Errorf("%d loaded, %d left, %d in memory of %d", loaded, left, u.index.keys, u.Len())
	}
	u.Evict(0)
	if u.index.keys != 10 || u.Len() != 20_000 {
		t.Errorf("%d keys in memory of %d, want the 10 that changed", u.index.keys, u.Len())
	}
	if got := u.Resident(); got > 1<<20 {
		t.Errorf("%d bytes resident for 10 keys", got)
	}
	r.checkpoint()
	if u.Evict(0); u.index.keys != 0 {
		t.Errorf("%d keys in memory, want none", u.index.keys)
	}
	r.check()
}

func TestNoKeyLeavesMemoryWithoutAStoreOrBeforeItIsWritten(t *testing.T) {
	u := NewUnit(testLayout(), 0)
	flood(u, 1000, 0, 5000)
	u.Evict(0)
	if u.index.keys != 5000 {
		t.Fatalf("%d keys in memory without a store, want 5000", u.index.keys)
	}
	r := &resident{t: t, l: u.layout, u: u, store: openStore(t), rng: rand.New(rand.NewPCG(1, 1))}
	u.Attach(r.store.Unit(0))
	r.cut()
	r.encode(1 << 20)
	if u.Evict(0); u.index.keys != 5000 {
		t.Fatalf("%d keys in memory before a checkpoint was settled, want 5000", u.index.keys)
	}
	r.commit()
	if u.Evict(0); u.index.keys != 0 || u.Len() != 5000 {
		t.Fatalf("%d keys in memory, want none of %d", u.index.keys, u.Len())
	}
}

func TestLoadTakesTheLatestAsFarAsThereIsRoom(t *testing.T) {
	r, tick := stored(t, testLayout(), 20_000)
	all := r.u.Resident()
	last, _ := r.store.Last()
	for _, room := range []int64{0, all / 4, all / 2, 2 * all} {
		u, err := OpenUnit(r.l, 0, last.Units[0], r.store.Unit(0))
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Load(room); err != nil {
			t.Fatal(err)
		}
		got := u.index.keys
		switch {
		case room == 0 && got != 0, room > all && got != 20_000, u.Resident() > room+64<<10+blobRooms:
			t.Errorf("room %d: %d keys, %d bytes resident", room, got, u.Resident())
		case room == all/2 && (got < 5000 || got > 12_000):
			t.Errorf("room for half of the keys: %d of 20000 are in memory", got)
		}
		first := tick
		u.eachKey(func(_ uint32, s *slot) { first = min(first, int64(s.last)) })
		if want := tick - int64(got)/10; first < want-2 {
			t.Errorf("room %d: a key of %d is in memory, want the %d latest, from %d on", room, first, got, want)
		}
		u.eachKey(func(i uint32, s *slot) {
			if !u.clean(i, s) {
				t.Error("a key was loaded that is not clean")
			}
		})
	}
}

// blobRooms is how much the pages of size classes may be too large.
const blobRooms = 8 * 2 * pageBytes

func TestTheLargestKeyGoesToTheStoreAndBack(t *testing.T) {
	l := testLayout()
	var series []Series
	for i := range 60 {
		series = append(series, Series{Kind: Sum, Bit: 0, Obs: uint8(i % 3), Windows: Windows})
	}
	l.Tables[0].Series = series
	r := newResident(t, rand.New(rand.NewPCG(1, 1)), l, 0)
	u := r.u
	u.Attach(r.store.Unit(0))
	k := testKey(0, 1)
	tick := int64(1_700_000_000)
	for end := tick + int64(W7d); u.Counters().Full == 0; tick += 1800 {
		if tick > end {
			t.Fatal("the key never was full")
		}
		d := Deltas{Events: []Origin{{Second: tick - 1}}, Obs: []uint64{1 << 60, 1 << 61, 1 << 62}, Rows: []Row{{Key: k, Mask: 1}}}
		d.Values = append(d.Values, 1, 'a', 1, 'b', 1, 'c')
		u.Fold(tick, d.Rows, []*Deltas{&d})
	}
	slot, _ := u.Find(k)
	if size := int(u.index.slot(slot).size); size < maxBlob-1000 || size > maxBlob {
		t.Fatalf("a full key of %d bytes, want about %d", size, maxBlob)
	}
	want := u.AppendSnapshot(nil)
	r.checkpoint()
	if u.Evict(0); u.index.keys != 0 {
		t.Fatal("the key did not leave")
	}
	if string(u.AppendSnapshot(nil)) != string(want) || u.Err() != nil {
		t.Errorf("the largest key came back another one, error %v", u.Err())
	}
}

func TestEncodeStopsWhereThereIsNoRoomAndAtAnError(t *testing.T) {
	r, tick := stored(t, testLayout(), 2000)
	u := r.u
	flood(u, tick+1, 0, 2000)
	dirty := u.Dirty()
	u.Cut(false)
	none := Sink{
		Put:  func(uint16, uint32, []byte) error { t.Error("handed over without room"); return nil },
		Room: func() bool { return false },
	}
	for range 5 {
		if done, err := u.Encode(none); done || err != nil {
			t.Fatalf("done %v, error %v, want neither", done, err)
		}
	}
	broken := errors.New("broken")
	if done, err := u.Encode(Sink{
		Put:  func(uint16, uint32, []byte) error { return broken },
		Room: func() bool { return true },
	}); done || !errors.Is(err, broken) {
		t.Fatalf("done %v, error %v", done, err)
	}
	u.Settle(false)
	if u.Dirty() != dirty {
		t.Errorf("%d bytes dirty behind a failed checkpoint, want %d", u.Dirty(), dirty)
	}
	if done, err := u.Encode(none); !done || err != nil {
		t.Errorf("without a cut: done %v, error %v", done, err)
	}
	r.checkpoint()
	if u.Dirty() != 0 {
		t.Errorf("%d bytes dirty", u.Dirty())
	}
	v := NewUnit(testLayout(), 0)
	flood(v, 1000, 0, 1)
	v.Cut(false)
	if _, err := v.Encode(none); !errors.Is(err, errNoStore) {
		t.Errorf("without a store: error %v", err)
	}
}

func TestMisuseIsLoud(t *testing.T) {
	r, tick := stored(t, testLayout(), 100)
	for _, c := range []struct {
		name string
		do   func()
	}{
		{"settled too early", func() { flood(r.u, tick+1, 0, 10); r.u.Cut(false); r.u.Settle(true) }},
		{"looked up from within a scan", func() {
			r.u.Scan(0, nil, func(uint32, uint64) bool { r.u.Find(Key{}); return false })
		}},
		{"another store", func() { r.checkpoint(); r.u.Evict(0); r.u.Attach(openStore(t).Unit(0)) }},
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", c.name)
				}
			}()
			c.do()
		}()
	}
}

func TestAStoreThatCannotBeReadIsAnError(t *testing.T) {
	for name, read := range map[string]func(u *Unit){
		"find": func(u *Unit) { u.Find(testKey(0, 7)) },
		"fold": func(u *Unit) { flood(u, u.Tick()+1, 7, 1) },
		"scan": func(u *Unit) { u.Scan(0, nil, func(uint32, uint64) bool { return false }) },
		"load": func(u *Unit) {
			if u.Load(1<<30) == nil {
				t.Error("loaded without an error")
			}
		},
	} {
		r, _ := stored(t, testLayout(), 100)
		r.u.Evict(0)
		if r.u.Find(testKey(0, 7)); r.u.Err() != nil {
			t.Fatal(r.u.Err())
		}
		r.u.Evict(0)
		if err := r.store.Close(); err != nil {
			t.Fatal(err)
		}
		if read(r.u); r.u.Err() == nil {
			t.Errorf("%s: no error from a store that is closed", name)
		}
	}
}

func TestAStoreOfAnotherMomentIsFound(t *testing.T) {
	r, tick := stored(t, testLayout(), 200)
	for name, change := range map[string]func(){
		"a key too many":        func() { flood(r.u, tick+1, 1000, 1) },
		"a key of a later tick": func() { flood(r.u, tick+7200, 5, 1) },
	} {
		head := r.u.AppendHead(nil)
		change()
		r.checkpoint()
		for _, room := range []int64{0, 1 << 30} {
			u, err := OpenUnit(r.l, 0, head, r.store.Unit(0))
			if err != nil {
				t.Fatal(err)
			}
			if err := u.Load(room); !errors.Is(err, state.ErrCorrupt) {
				t.Errorf("%s, room %d: error %v, want ErrCorrupt", name, room, err)
			}
		}
	}
	if _, err := OpenUnit(r.l, 0, r.u.AppendHead(nil), nil); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), "no store") {
		t.Errorf("keys without a store: error %v", err)
	}
}

func TestAliveIsAsOfTheCut(t *testing.T) {
	r, tick := stored(t, testLayout(), 1000)
	u := r.u
	value := u.appendValue(nil, u.index.slot(0))
	number := u.stores[u.index.slot(0).table]
	u.Cut(false)
	before := u.Alive()
	u.SetLimit(u.Bytes() / 2)
	u.Shed(tick)
	asCut := u.Alive()
	u.Settle(false)
	now := u.Alive()
	if !before(number, value) || !asCut(number, value) || now(number, value) {
		t.Errorf("alive before %v, as of the cut %v, now %v; want true, true, false", before(number, value), asCut(number, value), now(number, value))
	}
	if !now(number, nil) || !now(number, []byte("unreadable")) {
		t.Error("what cannot be read does not pass for alive")
	}
	later := NewUnit(r.l, 0)
	later.Expire(tick + 100*86400)
	if later.Alive()(number, value) || !later.Alive()(999, value) {
		t.Error("a value of a table that nobody keeps does not pass for alive, or an idle one does")
	}
}

func TestBinsAreBounded(t *testing.T) {
	l := testLayout()
	u := NewUnit(l, 0)
	tick := int64(1_700_000_000)
	rng := rand.New(rand.NewPCG(1, 2))
	longest := 0
	for range 4000 {
		tick += 1 + rng.Int64N(600)
		flood(u, tick, rng.IntN(3000), 1+rng.IntN(3))
		u.Expire(tick / 3600 * 3600)
		for _, r := range u.cohorts.rows {
			longest = max(longest, len(r))
		}
	}
	if most := 2*60 + int(l.Tables[0].Retain/3600) + 2; longest > most || longest < 150 {
		t.Errorf("%d bins in a row, must be at most %d", longest, most)
	}
	held := int64(0)
	for _, r := range u.cohorts.rows {
		held += int64(cap(r)) * binBytes
	}
	if held != u.cohorts.held {
		t.Errorf("%d bytes held by bins, accounted are %d", held, u.cohorts.held)
	}
}

func TestResidentIsWhatMemoryHolds(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	u := NewUnit(benchLayout(), 0)
	tr := newTraffic(60_000, false)
	tick := tr.fill(u)
	for range 100 {
		tick++
		u.Fold(tick, tr.tick(500, tick-1), tr.from)
	}
	held := heap() - before
	if got := u.Resident(); got < held*85/100 || got > held*115/100 {
		t.Errorf("%d bytes resident, the heap has grown by %d", got, held)
	}
	runtime.KeepAlive(u)
	runtime.KeepAlive(tr)
}

func TestAUnitComesBackFromDisk(t *testing.T) {
	cfg := state.Config{Dir: t.TempDir(), Units: 1, KeyID: "a key"}
	ctx := context.Background()
	l := testLayout()
	st := newStream(5, l, 100)
	u := NewUnit(l, 30_000)
	tick := int64(1_700_000_000)
	for round := range 3 {
		s, err := state.Open(ctx, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if round > 0 {
			last, _ := s.Last()
			v, err := OpenUnit(l, 30_000, last.Units[0], s.Unit(0))
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Load(int64(round-1) << 30); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(v.AppendSnapshot(nil), u.AppendSnapshot(nil)) {
				t.Fatal("what came back is something else")
			}
			u = v
		} else {
			u.Attach(s.Unit(0))
		}
		for range 40 {
			tick += 20
			parts := st.tick(tick, st.rng.IntN(50))
			(&story{tick, rowsOf(parts), parts}).tell(u)
		}
		r := &resident{t: t, l: l, u: u, store: s}
		r.checkpoint()
		want := u.AppendSnapshot(nil)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if u, err = RestoreUnit(l, 30_000, want); err != nil {
			t.Fatal(err)
		}
	}
}
