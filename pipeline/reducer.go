package pipeline

import (
	"cmp"
	"math"
	"slices"

	"weir/rules"
	"weir/windows"
)

// reducer owns some of the units and runs their ticks.
type reducer struct {
	run   *run
	first int // its units are [first, end)
	end   int
	inbox inbox

	frames  []*frame
	pending map[int64]*bin // by second, not yet folded
	seconds []int64        // the keys of pending, latest first
	bins    []*bin         // empty ones
	rows    []windows.Row  // of one tick, by unit
	starts  []int          // where each unit's begin

	orders chan func() // ticks to run to, parts of a checkpoint to write
	done   chan struct{}
}

// bin is what counts in one second, as places in frames.
type bin struct {
	frames []*frame
	deltas []*windows.Deltas
	places []place
}

type place struct{ frame, row uint32 }

func newReducer(r *run, i, n int) *reducer {
	rd := &reducer{
		run: r, pending: map[int64]*bin{}, orders: make(chan func()), done: make(chan struct{}),
	}
	// Unit u belongs to reducer u*n/units: the same division as in deliver.
	for u := range r.cfg.Units {
		if u*n/r.cfg.Units == i {
			if rd.end == 0 {
				rd.first = u
			}
			rd.end = u + 1
		}
	}
	rd.starts = make([]int, rd.end-rd.first+1)
	go func() {
		for order := range rd.orders {
			order()
			rd.done <- struct{}{}
		}
	}()
	return rd
}

// each has every reducer do something with its units, all at once.
func (r *run) each(do func(rd *reducer)) {
	for _, rd := range r.reducers {
		rd.orders <- func() { do(rd) }
	}
	for _, rd := range r.reducers {
		<-rd.done
	}
}

// eachUnit does something with every unit, several at once.
func (r *run) eachUnit(do func(u *rules.Unit)) {
	r.each(func(rd *reducer) {
		for u := rd.first; u < rd.end; u++ {
			do(r.state.Unit(u))
		}
	})
}

// drain sorts what came in by second.
func (rd *reducer) drain() {
	rd.frames = rd.inbox.take(rd.frames[:0])
	for _, f := range rd.frames {
		f.sort(rd)
	}
	clear(rd.frames)
}

// sort puts the frame's rows for rd into rd's bins.
func (f *frame) sort(rd *reducer) {
	at := int64(math.MinInt64)
	var b *bin
	var number uint32
	for _, i := range f.rows[rd.index()] {
		if s := f.deltas.Events[f.deltas.Rows[i].Event].Second; s != at || b == nil {
			at = s
			b = rd.bin(s)
			if n := len(b.frames); n == 0 || b.frames[n-1] != f {
				f.uses.Add(1)
				b.frames = append(b.frames, f)
				b.deltas = append(b.deltas, &f.deltas)
			}
			number = uint32(len(b.frames) - 1)
		}
		b.places = append(b.places, place{number, i})
	}
	rd.run.release(f)
}

// index is the reducer's number.
func (rd *reducer) index() int {
	return rd.first * len(rd.run.reducers) / rd.run.cfg.Units
}

func (rd *reducer) bin(second int64) *bin {
	if b := rd.pending[second]; b != nil {
		return b
	}
	var b *bin
	if n := len(rd.bins); n > 0 {
		b, rd.bins = rd.bins[n-1], rd.bins[:n-1]
	} else {
		b = &bin{}
	}
	rd.pending[second] = b
	at, _ := slices.BinarySearchFunc(rd.seconds, second, func(a, b int64) int { return cmp.Compare(b, a) })
	rd.seconds = slices.Insert(rd.seconds, at, second)
	return b
}

// next returns the earliest second that is pending.
func (rd *reducer) next() (second int64, ok bool) {
	if len(rd.seconds) == 0 {
		return 0, false
	}
	return rd.seconds[len(rd.seconds)-1], true
}

// runTo runs all ticks up to one.
func (rd *reducer) runTo(tick int64) {
	for {
		s, ok := rd.next()
		if !ok || s >= tick {
			break
		}
		b := rd.pending[s]
		delete(rd.pending, s)
		rd.seconds = rd.seconds[:len(rd.seconds)-1]
		rd.tick(s+1, b)
		rd.run.count.pending.Add(-int64(len(b.places)))
		for _, f := range b.frames {
			rd.run.release(f)
		}
		clear(b.frames)
		clear(b.deltas)
		b.frames, b.deltas, b.places = b.frames[:0], b.deltas[:0], b.places[:0]
		rd.bins = append(rd.bins, b)
	}
	for u := rd.first; u < rd.end; u++ {
		rd.run.state.Unit(u).End(tick)
	}
}

// tick runs one tick of the units that have rows in it.
func (rd *reducer) tick(tick int64, b *bin) {
	clear(rd.starts)
	for _, p := range b.places {
		rd.starts[int(b.deltas[p.frame].Rows[p.row].Unit)-rd.first+1]++
	}
	for i := 1; i < len(rd.starts); i++ {
		rd.starts[i] += rd.starts[i-1]
	}
	rd.rows = slices.Grow(rd.rows[:0], len(b.places))[:len(b.places)]
	for _, p := range b.places {
		row := &b.deltas[p.frame].Rows[p.row]
		at := &rd.starts[int(row.Unit)-rd.first]
		rd.rows[*at] = *row
		rd.rows[*at].From = p.frame
		*at++
	}
	// Every start has moved to its unit's end, which is where the next begins.
	begin := 0
	for u := rd.first; u < rd.end; u++ {
		end := rd.starts[u-rd.first]
		if end == begin {
			continue
		}
		rd.run.state.Unit(u).Tick(tick, rd.rows[begin:end], b.deltas)
		begin = end
		if rd.run.cfg.Recode != nil && rd.run.cfg.Recode(u, tick) {
			if err := rd.run.state.Recode(u); err != nil {
				rd.run.fail(err)
			}
		}
	}
}
