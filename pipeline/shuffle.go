package pipeline

import (
	"sync"
	"sync/atomic"

	"weir/windows"
)

// frame is a batch's deltas on their way to the units: in process what a
// record of a deltas topic is past one machine. It goes back to its pool when
// the last second in it has been folded everywhere.
type frame struct {
	deltas windows.Deltas
	rows   [][]uint32 // per reducer, the indices of its rows
	uses   atomic.Int32
}

// deliver hands a frame to the reducers.
func (r *run) deliver(f *frame) {
	if len(f.deltas.Rows) == 0 {
		r.pool.frames.Put(f)
		return
	}
	if r.cfg.Recode != nil {
		again := r.pool.frame()
		if err := again.deltas.Read(&r.cfg.Plan.Layout, f.deltas.Append(nil)); err != nil {
			r.fail(err)
		}
		r.pool.frames.Put(f)
		f = again
	}
	n := len(r.reducers)
	if len(f.rows) != n {
		f.rows = make([][]uint32, n)
	}
	for i := range f.rows {
		f.rows[i] = f.rows[i][:0]
	}
	for i := range f.deltas.Rows {
		to := int(f.deltas.Rows[i].Unit) * n / r.cfg.Units
		f.rows[to] = append(f.rows[to], uint32(i))
	}
	r.count.pending.Add(int64(len(f.deltas.Rows)))
	f.uses.Store(int32(n))
	for _, rd := range r.reducers {
		rd.inbox.put(f)
	}
}

// release drops one use of a frame.
func (r *run) release(f *frame) {
	if f.uses.Add(-1) == 0 {
		r.pool.frames.Put(f)
	}
}

// inbox holds frames for a reducer until it looks.
type inbox struct {
	mu     sync.Mutex
	frames []*frame
}

func (b *inbox) put(f *frame) {
	b.mu.Lock()
	b.frames = append(b.frames, f)
	b.mu.Unlock()
}

func (b *inbox) take(into []*frame) []*frame {
	b.mu.Lock()
	into = append(into, b.frames...)
	clear(b.frames)
	b.frames = b.frames[:0]
	b.mu.Unlock()
	return into
}
