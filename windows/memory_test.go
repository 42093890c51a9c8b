package windows

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestBlobsStayWholeWhileOthersComeAndGo(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var a arena
	type held struct {
		class int
		ref   uint32
		want  []byte
	}
	owners := map[uint32]*held{}
	for n := range uint32(20_000) {
		if len(owners) < 400 && rng.IntN(5) < 3 {
			size := 1 + rng.IntN(1+rng.IntN(3000))
			h := &held{class: classOf(size), want: bytes.Repeat([]byte{byte(n)}, size)}
			h.ref = a.alloc(h.class, n)
			copy(a.blob(h.class, h.ref), h.want)
			owners[n] = h
			continue
		}
		for o, h := range owners {
			if got := a.blob(h.class, h.ref)[:len(h.want)]; !bytes.Equal(got, h.want) {
				t.Fatalf("blob of owner %d changed", o)
			}
			if moved, ok := a.free(h.class, h.ref); ok {
				owners[moved].ref = h.ref
			}
			delete(owners, o)
			break
		}
	}
	for c := range a.classes {
		if n, pages := int(a.classes[c].n), len(a.classes[c].pages); pages > n>>pageShifts[c]+2 {
			t.Errorf("class %d: %d pages for %d blobs", c, pages, n)
		}
	}
}

func TestTheClassOfABlobIsTheSmallestThatHoldsIt(t *testing.T) {
	for n := 1; n <= maxBlob; n++ {
		c := classOf(n)
		if classBytes[c] < n+ownerBytes || c > 0 && classBytes[c-1] >= n+ownerBytes {
			t.Fatalf("a blob of %d bytes is in class %d of %d", n, c, classBytes[c])
		}
	}
	if last := classBytes[numClasses-1]; last < maxBlob+ownerBytes || classBytes[numClasses-2] >= maxBlob+ownerBytes {
		t.Errorf("the largest class has %d bytes", last)
	}
}

func TestAnIndexFindsWhatIsThereAndNothingElse(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	x := newIndex()
	want := map[Key]uint32{}
	for range 60_000 {
		// Few places and few tags, so that probes are long.
		k := Key{Hi: uint64(rng.IntN(40)), Lo: uint64(rng.IntN(60))}
		i, found := x.find(k)
		if at, ok := want[k]; ok != found || ok && at != i {
			t.Fatalf("key %v: found %v in %d, want %v in %d", k, found, i, ok, at)
		}
		if found {
			x.remove(i)
			delete(want, k)
		} else {
			want[k], _ = x.insert(k, 0)
		}
		if x.keys != len(want) || x.keys > len(x.entries)/4*3 {
			t.Fatalf("%d keys in %d entries, want %d", x.keys, len(x.entries), len(want))
		}
	}
}

func TestFoldingDoesNotAllocateInSteadyState(t *testing.T) {
	tr := newTraffic(500, false)
	u := NewUnit(benchLayout(), 0)
	tick := int64(1_700_000_000)
	for range 3000 {
		tick += 40
		u.Fold(tick, tr.tick(50, tick-1), tr.from)
	}
	rows := tr.tick(50, tick)
	allocs := testing.AllocsPerRun(300, func() {
		tick += 40
		u.Fold(tick, rows, tr.from)
		for _, touch := range u.Touched() {
			u.Total(touch.Slot, 0, W10m, tick)
		}
		u.Expire(tick)
	})
	if allocs > 0.5 {
		t.Errorf("%v allocations a fold of %d rows, want none", allocs, len(rows))
	}
}

func TestSparseKeysAreSmall(t *testing.T) {
	tr := newTraffic(5000, false)
	u := NewUnit(benchLayout(), 0)
	tr.fill(u)
	var st Stats
	u.Stats(&st)
	keys, total := 0, int64(0)
	for i := range st.Tables {
		p50, p99 := st.Tables[i].Quantile(0.5), st.Tables[i].Quantile(0.99)
		t.Logf("table %d: %d keys, %d bytes p50, %d p99", i, st.Tables[i].Keys, p50, p99)
		if p99 > 130 || p50 > p99 || st.Tables[i].Keys != 5000 {
			t.Errorf("table %d: %d keys of %d bytes, want 5000 of at most 130", i, st.Tables[i].Keys, p99)
		}
		keys, total = keys+st.Tables[i].Keys, total+st.Tables[i].Bytes
	}
	if keys != u.Len() || total != u.Bytes() {
		t.Errorf("%d keys of %d bytes, want %d of %d", keys, total, u.Len(), u.Bytes())
	}
}

type keyedSlot struct {
	key  Key
	slot uint32
}

// sorted returns the keys in memory, ascending.
func (u *Unit) sorted() (keys []keyedSlot) {
	u.eachKey(func(i uint32, s *slot) { keys = append(keys, keyedSlot{s.key, i}) })
	slices.SortFunc(keys, func(a, b keyedSlot) int { return compareKeys(a.key, b.key) })
	return keys
}
