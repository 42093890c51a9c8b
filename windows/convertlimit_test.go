package windows

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// wide returns the layout of one table with nine sums and nine sketches in all
// rings, and in each ring some counters more.
func wide(variant, more int) *Layout {
	var ss []Series
	for c := range conds {
		for o := range observed {
			ss = append(ss, series(variant, Sum, c, o, W1m, W10m, W1h, W6h, W7d), series(variant, Distinct, c, o, W24h))
		}
	}
	for i := range more {
		s := series(variant, Count, 0, 0, W1m, W10m, W1h, W6h, W7d)
		s.Name += fmt.Sprintf(" more %d", i)
		ss = append(ss, s)
	}
	return layoutOf(ipTable(ss...))
}

// full returns a unit with one key whose blob is about as large as can be, and
// the tick of its last touch.
func full(t *testing.T, l *Layout) (u *Unit, k Key, tick int64) {
	t.Helper()
	u = NewUnit(l, 0)
	rng := rand.New(rand.NewPCG(1, 1))
	tick = 1_700_000_000
	for _, r := range []struct{ steps, length int64 }{{168, 3600}, {36, 600}, {60, 60}, {60, 10}, {60, 1}} {
		for range r.steps {
			tick += r.length
			var events []sample
			for range 12 {
				events = append(events, sample{mask: 7, obs: [observed]uint64{rng.Uint64(), rng.Uint64(), rng.Uint64()}})
			}
			fold(u, l, tick, events)
		}
	}
	return u, namedKey(&l.Tables[0], 0), tick
}

func conversion(t *testing.T, tick int64, from, to *Layout) *Conversion {
	t.Helper()
	if err := to.Inherit(from, tick); err != nil {
		t.Fatal(err)
	}
	c, err := NewConversion(from, to)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestABlobThatGrowsTooLargeLosesItsOldestPanes(t *testing.T) {
	from := wide(0, 0)
	u, k, tick := full(t, from)
	slot, _ := u.Find(k)
	blob := u.blob(u.index.slot(slot))
	base, panes := 0, 0 // with the first counters more, and a byte more in each pane for each eight
	cut := 0
	for more := 7; more < maxColumns-9; more += 8 {
		to := wide(1, more)
		c := conversion(t, tick, from, to)
		v := converted(t, u, c, to)
		at, _ := v.Find(k)
		got := v.blob(v.index.slot(at))
		if base == 0 {
			base = len(got)
			for i := range NumRings {
				panes += entries(&v.shapes[0].sections[i], v.shapes[0].payload(got, i))
			}
		}
		grown := base + panes*(more-7)/8
		if (grown > maxBlob) != (c.Cut == 1) || c.Cut == 0 && len(got) != grown || len(got) > maxBlob {
			t.Fatalf("%d counters more: %d bytes became %d, and uncut %d; %d were cut", more, len(blob), len(got), grown, c.Cut)
		}
		cut += int(c.Cut)
		for i := range from.Tables[0].Series {
			s := &from.Tables[0].Series[i]
			w := s.Windows[0]
			if got, want := answer(v, k, s.Kind, i, w, tick), answer(u, k, s.Kind, i, w, tick); got != want {
				t.Fatalf("%d counters more: %s in %d s: %s, want %s", more, s.Name, w, got, want)
			}
		}
		if c.Cut > 0 && len(got) < maxBlob-400 {
			t.Errorf("%d counters more: cut to %d bytes, must not lose more than a pane below %d", more, len(got), maxBlob)
		}
	}
	if cut < 2 || cut > 30 {
		t.Errorf("%d conversions cut a blob of %d bytes: the limit was not tried from both sides", cut, len(blob))
	}
}

// entries returns how many panes a list has.
func entries(s *section, p []byte) (n int) {
	for i := 0; i < len(p); n++ {
		_, i = uvarint(p, i)
		i = s.entryEnd(p, i)
	}
	return n
}

func TestOnlyTheOldestPanesOfTheLargestCountersGo(t *testing.T) {
	l := wide(0, 0)
	shapes, err := l.shapes()
	if err != nil {
		t.Fatal(err)
	}
	sh := &shapes[0]
	rng := rand.New(rand.NewPCG(9, 9))
	cuts, gone := 0, 0
	for range 300 {
		blob := []byte("head")
		var lists []counterList
		var before [NumRings][]byte
		most := []int{400, 1500}[rng.IntN(2)]
		for id := range NumRings {
			s := &sh.sections[id]
			var p []byte
			for n := range 1 + rng.IntN(most) {
				p = append(p, byte(1+399*rng.IntN(2)*n%100), 0x55, 0)
				for range 4 {
					p = append(p, bytes.Repeat([]byte{0xff}, rng.IntN(9))...)
					p = append(p, 1)
				}
			}
			if id == NumRings-1 { // near the limit, on both sides of it
				target := maxBlob - 60 + rng.IntN(120) + 30_000*rng.IntN(2)
				for len(blob)+len(p) < target {
					p = append(p, 1, 0, 0)
				}
			}
			lists = append(lists, counterList{at: len(blob), size: len(p), s: s})
			before[id] = p
			blob = append(append(blob, byte(id), 0, 0), p...)
		}
		blob = append(blob, "tail"...)
		size := len(blob)
		out, cut := fit(bytes.Clone(blob), 0, lists)
		if cut != (size > maxBlob) || len(out) > maxBlob || !cut && len(out) != size {
			t.Fatalf("%d bytes became %d, cut %v", size, len(out), cut)
		}
		if cut {
			cuts++
		}
		at, whole, shortened := len("head"), 0, 0 // the largest section that is whole, and that is not
		for id := range NumRings {
			n, ok := sectionLen(out, at, id)
			if !ok {
				shortened = max(shortened, len(before[id]))
				gone++
				continue
			}
			p := out[at+sectionHeader : at+sectionHeader+n]
			if !bytes.HasPrefix(before[id], p) || entries(&sh.sections[id], p) == 0 {
				t.Fatalf("section %d is not what it was, from the newest pane on", id)
			}
			if n < len(before[id]) {
				shortened = max(shortened, len(before[id]))
			} else {
				whole = max(whole, n)
			}
			at += sectionHeader + n
		}
		if string(out[at:]) != "tail" {
			t.Fatalf("%q behind the counters, want tail", out[at:])
		}
		if cut && shortened < whole {
			t.Fatalf("counters of %d bytes were cut, those of %d were not", shortened, whole)
		}
	}
	if cuts < 50 || cuts > 280 || gone < 5 {
		t.Errorf("%d of 300 were cut, %d sections went: too few of some", cuts, gone)
	}
}

func TestASketchIsTheSameInOtherQuanta(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	const epoch = 1_699_999_200 // of all quanta
	build := func(pane uint32, seconds []uint32, hashes []uint64) []byte {
		e := edit{b: append(make([]byte, 0, maxBlob), appendEmptySketch(nil, epoch/pane)...), limit: maxBlob, scratch: make([]byte, maxBlob)}
		k := sketch{e: &e, size: len(e.b), quantum: pane}
		for i, h := range hashes {
			k.insert(h, seconds[i])
		}
		return e.b[:k.size]
	}
	for range 20 {
		var seconds []uint32
		var hashes []uint64
		at := uint32(epoch)
		for range 3000 {
			at += rng.Uint32N(20)
			seconds, hashes = append(seconds, at), append(hashes, rng.Uint64()>>16)
		}
		for _, p := range [][2]uint32{{1, 60}, {10, 600}, {60, 3600}, {1, 3600}} {
			fine, coarse := build(p[0], seconds, hashes), build(p[1], seconds, hashes)
			if got := appendRequantized(nil, fine, p[0], p[1], epoch/p[0], epoch/p[1]); !bytes.Equal(got, coarse) {
				t.Fatalf("%d s to %d s is not what it would be from the beginning", p[0], p[1])
			}
			back := appendRequantized(nil, coarse, p[1], p[0], epoch/p[1], epoch/p[0])
			for start := uint32(epoch); start < at; start += 3600 {
				if got, want := estimate(back, start/p[0]), estimate(fine, start/p[0]); got != want {
					t.Fatalf("%d s to %d s and back: %v since %d, want %v", p[0], p[1], got, start, want)
				}
			}
		}
	}
	far := appendEmptySketch(nil, 0)
	far[4]++
	far = binary.LittleEndian.AppendUint32(far, 1<<20<<6|5)
	if got := appendRequantized(nil, far, 3600, 1, 0, 0); got[4] != 0 || len(got) != sketchHead {
		t.Error("an entry too far from its epoch is kept")
	}
	if got := appendRequantized(nil, far, 60, 1, 0, 0); got[4] != 1 {
		t.Error("an entry that is not too far from its epoch is gone")
	}
}
