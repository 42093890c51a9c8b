package windows

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"weir/event"
)

// What moves a few values in one walk leaves the very bytes that taking the
// whole list apart leaves, whatever the list and whatever stands behind it.
func TestAFewValuesAreFoldedAsAnyAre(t *testing.T) {
	rng := rand.New(rand.NewPCG(17, 4))
	l := &Layout{
		Fields: []event.Field{event.FieldIP}, Obs: 1,
		Tables: []Table{{
			Fields: []event.Field{event.FieldIP}, Retain: int64(W7d) + 3600,
			Series: []Series{
				{Kind: Distinct, Windows: []Window{W10m, W24h}},
				{Kind: Distinct, Windows: []Window{W7d}},
				{Kind: Distinct, Windows: []Window{W10s, W1m}},
			},
		}},
	}
	few, whole := NewUnit(l, 0), NewUnit(l, 0)
	fast, full, behind, left, cut := 0, 0, 0, 0, 0
	const base = 1_700_000_000
	for round := range 30_000 {
		id := rng.IntN(3)
		s := &few.shapes[0].sections[id]
		longest := int64(s.longest)
		// The list: gaps of nothing to more than what is kept.
		most := []int64{1, 3, 100, 128, 129, 300, 20_000, longest}[rng.IntN(8)]
		count := []int{1 + rng.IntN(maxPairs), 1 + rng.IntN(9), maxPairs - rng.IntN(9), maxPairs}[rng.IntN(4)]
		values := rng.Perm(400)[:count]
		first := uint32(rng.IntN(2) * rng.IntN(3))
		seconds := make([]uint32, count)
		for i, at := 0, first; i < count; i++ {
			seconds[i] = at
			at += uint32(rng.Int64N(most) * int64(rng.IntN(4)+1) / 4)
		}
		pairs := make([]pair, count)
		for i := range pairs {
			pairs[i] = pair{hashAt(values[i]), seconds[i]}
		}
		slices.SortFunc(pairs, func(a, b pair) int {
			if a.last != b.last {
				return int(b.last) - int(a.last)
			}
			if a.hash < b.hash {
				return -1
			}
			return 1
		})
		now := pairs[0].last + uint32(rng.IntN(2)*rng.IntN(int(2*most)))
		if rng.IntN(4) > 0 {
			now++
		}
		payload := encodePairs(nil, pairs)
		if count == maxPairs {
			payload = appendEmptySketch(payload, uint32(max(0, base+int64(pairs[0].last)-longest)/int64(s.pane)))
		}
		lead := make([]byte, rng.IntN(3))
		rest := make([]byte, rng.IntN(3)*rng.IntN(12))
		for i := range rest {
			rest[i] = byte(rng.Uint32())
		}
		blob := append(slices.Clone(lead), byte(id), 0, 0)
		binary.LittleEndian.PutUint16(blob[len(lead)+1:], uint16(len(payload)))
		blob = append(append(blob, payload...), rest...)
		hs := make([]uint64, 1+rng.IntN(fewPairs))
		for i := range hs {
			switch rng.IntN(3) {
			case 0: // one that is there
				hs[i] = pairs[rng.IntN(count)].hash
			case 1:
				hs[i] = hashAt(rng.IntN(420))
			default: // one that ends as one that is there
				hs[i] = pairs[rng.IntN(count)].hash&63 | rng.Uint64()>>16&^63
			}
		}
		slices.Sort(hs)
		hs = slices.Compact(hs)
		room := []int{len(blob), len(blob) + rng.IntN(80), maxBlob}[rng.IntN(3)]
		limit := maxWithPairs
		if rng.IntN(8) == 0 {
			limit = len(blob) + rng.IntN(8)
		}
		few.now, few.counters = base+now, Counters{}
		whole.now, whole.counters = few.now, few.counters
		edits := func(u *Unit) *edit {
			b := make([]byte, len(blob), max(room, len(blob)))
			copy(b, blob)
			return &edit{b: b, scratch: u.blobRoom, limit: limit}
		}
		at := len(lead)
		if count == maxPairs { // what the sketch holds before
			e := edits(whole)
			e.limit = maxWithPairs
			k := sketchIn(e, at, sectionHeader+len(payload), s)
			for _, p := range slices.Backward(pairs) {
				k.insert(p.hash, p.last+base)
			}
			e.resize(at, k.at+k.size-at-sectionHeader)
			blob = slices.Clone(e.b)
			if limit < maxWithPairs {
				limit = len(blob) + rng.IntN(8)
			}
		}
		a, b := edits(few), edits(whole)
		n, _ := sectionLen(a.b, at, id)
		was := slices.Clone(a.b)
		size, ok := few.foldFew(a, at, n, s, base, hs)
		if !ok {
			left++
			if !bytes.Equal(a.b, was) || few.counters != (Counters{}) {
				t.Fatalf("round %d: it was left to the other, but changed", round)
			}
			continue
		}
		fast++
		if len(rest) > 0 {
			behind++
		}
		if count == maxPairs {
			full++
		}
		if limit < maxWithPairs {
			cut++
		}
		want := whole.foldAny(b, at, id, s, base, hs)
		if size != want || !bytes.Equal(a.b, b.b) || few.counters != whole.counters {
			t.Fatalf("round %d: %d pairs, gaps below %d, %d seconds later %x:\n%x\nleaves %d %+v\n%x\nmust be %d %+v\n%x",
				round, count, most, now-pairs[0].last, hs, was, size, few.counters, a.b, want, whole.counters, b.b)
		}
	}
	t.Logf("%d in one walk, %d with a sketch, %d before others, %d close to the limit, %d were left", fast, full, behind, cut, left)
	if fast < 10_000 || full < 2500 || behind < 2500 || cut < 300 || left < 2500 {
		t.Error("not much was tried")
	}
}

// hashAt is the hash of value i, of which many end alike.
func hashAt(i int) uint64 {
	h := mix(uint64(i)) >> 16
	if i%3 == 0 {
		h = h&^63 | uint64(i%5)
	}
	return h
}
