package state

import (
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

// randomPage makes one as a store may have it, or one of which there is nothing.
func randomPage(rng *rand.Rand) (p page) {
	if rng.IntN(4) == 0 {
		return p
	}
	segment := uint32(rng.Uint64()) >> rng.IntN(32)
	for range 1 + rng.IntN(maxDeltas+1) {
		s := spot{segment: segment, number: uint16(rng.Uint64()), among: uint16(rng.Uint64()), bytes: uint32(rng.Uint64()) >> rng.IntN(32)}
		segment += uint32(rng.IntN(3))
		p.spots = append(p.spots, s)
		p.records++
		p.bytes += int64(s.bytes)
	}
	for range rng.IntN(400) {
		p.prints = append(p.prints, uint16(rng.Uint64()))
	}
	slices.Sort(p.prints)
	p.prints = slices.Compact(p.prints)
	p.sum = rng.Uint64()
	p.base, p.live = rng.Int64N(1+p.bytes), rng.Int64N(math.MaxInt32)
	p.deltas, p.keys = int32(len(p.spots)-1), int32(len(p.prints))
	return p
}

// same compares pages, whatever room they have.
func same(a, b page) bool {
	spots, prints := slices.Equal(a.spots, b.spots), slices.Equal(a.prints, b.prints)
	a.spots, b.spots, a.prints, b.prints = nil, nil, nil, nil
	return spots && prints && reflect.DeepEqual(a, b)
}

func TestALeafHasWhatWasPutIntoIt(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var tmp []byte
	var got page
	for range 2000 {
		pages := make([]page, 1+rng.IntN(leafPages))
		some := false
		for i := range pages {
			pages[i] = randomPage(rng)
			some = some || pages[i].there()
		}
		l := makeLeaf(pages, &tmp)
		if (l != nil) != some {
			t.Fatalf("a leaf of %d bytes; something in it: %v", len(l), some)
		}
		for at := range leafPages {
			want := page{}
			if at < len(pages) {
				want = pages[at]
			}
			if l.read(at, &got); !same(got, want) {
				t.Fatalf("page %d is %+v, must be %+v", at, got, want)
			}
			for range 50 {
				print := uint16(rng.Uint64())
				if len(want.prints) > 0 && rng.IntN(2) == 0 {
					print = want.prints[rng.IntN(len(want.prints))]
				}
				if l.mayHave(at, print) != slices.Contains(want.prints, print) {
					t.Fatalf("page %d may have %d: %v, of %d", at, print, l.mayHave(at, print), want.prints)
				}
			}
		}
	}
}

func TestADraftLeavesTheViewBeforeAsItIs(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	want, next := map[uint32]page{}, map[uint32]page{}
	before := newTable(1, 100)
	draft := &tableDraft{tableView: before}
	draft.leaves = slices.Clone(before.leaves)
	var open openLeaves
	put := func(pages map[uint32]page) {
		for range 300 {
			i, p := uint32(rng.IntN(100)), randomPage(rng)
			out, in := open.set(draft, i, &p)
			if old := pages[i]; out != old.tally || in != p.tally {
				t.Fatalf("page %d: %+v goes and %+v comes, must be %+v and %+v", i, out, in, old.tally, p.tally)
			}
			pages[i] = p
		}
		open.close()
	}
	check := func(table *tableView, pages map[uint32]page) {
		t.Helper()
		var got page
		sum := tableView{}
		there := 0
		for i := range uint32(100) {
			p := pages[i]
			if table.read(i, &got); !same(got, p) {
				t.Fatalf("page %d is %+v, must be %+v", i, got, p)
			}
			if p.there() {
				there++
			}
			sum.bytes, sum.keys, sum.live = sum.bytes+p.bytes, sum.keys+int64(p.keys), sum.live+p.live
		}
		for i, p := range table.each() {
			if !p.there() || !same(*p, pages[i]) {
				t.Fatalf("page %d is %+v, must be %+v", i, *p, pages[i])
			}
			there--
		}
		if there != 0 || table.bytes != sum.bytes || table.keys != sum.keys || table.live != sum.live {
			t.Fatalf("%d pages were not there; %+v, must be %+v", there, table, sum)
		}
	}
	put(want)
	before = draft.tableView
	held := int64(0)
	for _, l := range before.leaves {
		held += int64(len(l))
	}
	if got := before.memory(); got < held || got > held*5/4 {
		t.Errorf("%d bytes of memory for leaves of %d", got, held)
	}
	check(&before, want)
	draft.leaves = slices.Clone(before.leaves)
	maps.Copy(next, want)
	put(next)
	check(&draft.tableView, next)
	check(&before, want)
}
