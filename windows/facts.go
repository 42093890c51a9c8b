package windows

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// Fact is something that is so of a key as of a whole hour, by what series add
// up to in the seven days before it: More to more than Than does (-1: than
// nothing), and Of (-1: any) to at least Least. They are Counts that have W7d.
type Fact struct {
	More, Than, Of int
	Least          uint64
}

const (
	// MaxFacts is how many facts of the keys of a table can be told apart.
	MaxFacts = 4
	week     = uint32(W7d) / secondsOfHour // in hours
)

// judge tells the facts of a table's keys: from the panes of an hour, which all
// of their series share.
type judge struct {
	facts   []Fact // of the table, as they were asked for
	asked   []Fact // the same, by places in sums instead of series
	section int
	place   []int8 // of each column the place in sums, -1: none
}

// sums is what the series of a table's facts add up to.
type sums [3 * MaxFacts]uint64

// newJudge makes a judge; nil where a table has no facts.
func (sh *shape) newJudge(facts []Fact) *judge {
	if len(facts) == 0 {
		return nil
	}
	if len(facts) > MaxFacts {
		panic(fmt.Sprintf("windows: %d facts of a table, must be at most %d", len(facts), MaxFacts))
	}
	j := &judge{facts: facts, asked: slices.Clone(facts), section: -1}
	places := int8(0)
	for i := range j.asked {
		f := &j.asked[i]
		for _, series := range []*int{&f.More, &f.Than, &f.Of} {
			if *series < 0 {
				continue
			}
			at := sh.places[*series][Ring1h]
			if at.section < 0 || sh.sections[at.section].longest != W7d {
				panic(fmt.Sprintf("windows: a fact rests on series %d, which is not counted for a week", *series))
			}
			if j.section < 0 {
				j.section, j.place = int(at.section), slices.Repeat([]int8{-1}, len(sh.sections[at.section].columns))
			}
			if j.place[at.column] < 0 {
				j.place[at.column] = places
				places++
			}
			*series = int(j.place[at.column])
		}
	}
	return j
}

// holds returns which facts are so, as bits.
func (j *judge) holds(n *sums) (facts uint8) {
	for i := range j.asked {
		f := &j.asked[i]
		if n[f.More] == 0 || f.Than >= 0 && n[f.More] <= n[f.Than] || f.Of >= 0 && n[f.Of] < f.Least {
			continue
		}
		facts |= 1 << i
	}
	return facts
}

// add adds the entry of a pane, which begins at i, and returns where it ends.
func (j *judge) add(n *sums, p []byte, i, width int) (end int) {
	end = i + width
	for c, has := range p[i : i+width] {
		for ; has != 0; has &= has - 1 {
			var v uint64
			v, end = uvarint(p, end)
			if at := j.place[c<<3+bits.TrailingZeros8(has)]; at >= 0 {
				n[at] = addSaturating(n[at], v)
			}
		}
	}
	return end
}

// panes returns the reader of a blob's panes from an hour on; ok is false where
// it has none.
func (sh *shape) panes(j *judge, blob []byte, from uint32) (r reader, ok bool) {
	if r.p = sh.payload(blob, j.section); r.p == nil {
		return r, false
	}
	r.s, r.base = &sh.sections[j.section], binary.LittleEndian.Uint32(blob)
	r.cut = int64(from) - int64(r.base/secondsOfHour)
	return r, r.first()
}

// asOf returns the facts of a key as of an hour.
func (sh *shape) asOf(j *judge, blob []byte, hour uint32) uint8 {
	var n sums
	r, ok := sh.panes(j, blob, hour-min(week, hour))
	for ok {
		ok = r.next(j.add(&n, r.p, r.i, r.s.width))
	}
	return j.holds(&n)
}

// eachSpan calls yield with the hours [from, until), the last ones first, in
// which facts are so of a key that is not touched again. Hours before begin are
// left out.
func (sh *shape) eachSpan(j *judge, blob []byte, begin uint32, yield func(from, until uint32, facts uint8)) {
	var n sums
	var from, until uint32
	facts := uint8(0)
	r, ok := sh.panes(j, blob, begin-min(week, begin))
	for ok {
		out := r.leaves()
		ok = r.next(j.add(&n, r.p, r.i, r.s.width))
		if now := j.holds(&n); now != facts {
			if facts != 0 {
				yield(from, until, facts)
			}
			until, facts = out, now
		}
		if from = begin; ok {
			from = r.leaves() // until then the week has the next older pane too
		}
	}
	if facts != 0 {
		yield(from, until, facts)
	}
}

// leaves returns the first hour whose week does not have the current pane.
func (r *reader) leaves() uint32 { return uint32(r.second()/secondsOfHour) + week + 1 }
