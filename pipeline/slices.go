package pipeline

import (
	"errors"
	"math"
	"sync/atomic"
	"time"

	"weir/windows"
)

// What a checkpoint has to do with the units it does in slices between ticks,
// and spread over time, so that ticks do not feel it. Where memory is short or
// the run ends it is done at once instead.
const (
	// A slice stops the units for so long at most, and for a share of the time
	// that passes meanwhile; a shorter one does while ticks wait.
	minSlice     = 2 * time.Millisecond
	maxSlice     = 30 * time.Millisecond
	waitingSlice = 4 * time.Millisecond
	sliceShare   = 8

	// Encoding is spread over this part of the time between two checkpoints,
	// about as many slices of at least so many bytes.
	spreadShare = 2
	spreadSteps = 64
	leastStep   = 128 << 10

	// guessedDensity is taken for the bytes to encode for each dirty one where no
	// checkpoint has shown it.
	guessedDensity = 0.7
)

// spread is how the bytes of a checkpoint are spread over time.
type spread struct {
	began  time.Time
	over   time.Duration
	dirty  int64 // bytes, at its cut
	volume int64 // about how many there are to encode
	handed atomic.Int64
}

// A checkpoint comes later than it is due where the one before took more than this
// part of what the processors can do from one to the next: by what was seen of it,
// the store's own goroutine and the slices. What Badger and the kernel do behind
// them, and what changes cost while a checkpoint is under way, was measured to be one
// and a half times as much again, so that it all comes to a twelfth. It is never
// later than four times as long.
const (
	workShare   = 32
	mostStretch = 4
)

// stretched returns how long after a checkpoint of which so much work was seen the
// next one begins.
func stretched(every, work time.Duration, processors int) time.Duration {
	return min(max(every, work*workShare/time.Duration(processors)), mostStretch*every)
}

// spread says how the encoding of what is dirty now shall be spread.
func (r *run) spread() *spread {
	s := &spread{began: time.Now(), over: r.keeping.every / spreadShare}
	for i := range r.state.Units() {
		s.dirty += r.state.Unit(i).Dirty()
	}
	density := r.keeping.density
	if density == 0 {
		density = guessedDensity
	}
	s.volume = int64(density * float64(s.dirty))
	return s
}

// density returns how many bytes were encoded for each that was dirty.
func (s *spread) density() float64 { return float64(s.handed.Load()) / float64(max(s.dirty, 1)) }

// step is how many bytes a slice has. What is less than that is encoded at once.
func (s *spread) step() int64 { return max(s.volume/spreadSteps, leastStep) }

// due returns how many bytes may have been encoded by now.
func (s *spread) due(now time.Time) int64 {
	passed := now.Sub(s.began)
	if passed >= s.over {
		return math.MaxInt64
	}
	return int64(float64(s.volume)*float64(passed)/float64(s.over)) + s.step()
}

// next returns in how long the next slice is due; 0: now.
func (s *spread) next(now time.Time) time.Duration {
	at := time.Duration(float64(s.over) * min(1, float64(s.handed.Load())/float64(max(s.volume, 1))))
	return max(0, s.began.Add(at).Sub(now))
}

// encode encodes what is due of a checkpoint.
func (r *run) encode(c *cut) (busy bool, err error) {
	k := &r.keeping
	now := time.Now()
	due := int64(math.MaxInt64)
	if !k.pressed {
		if wait := c.spread.next(now); wait > 0 {
			r.nudgeIn(wait)
			return false, nil
		}
		due = c.spread.due(now)
	}
	if !c.checkpoint.Room() {
		time.Sleep(300 * time.Microsecond) // the store is behind
	}
	r.encodeSlice(c, r.sliceLength(), due)
	return true, nil
}

// sliceLength returns for how long the units may stand still now.
func (r *run) sliceLength() time.Duration {
	d := min(maxSlice, max(minSlice, time.Since(r.keeping.sliced)/sliceShare))
	if !r.keeping.pressed && r.clock.beyond(r.current) {
		d = min(d, waitingSlice)
	}
	return d
}

// encodeSlice encodes what is pending for a while, in all units at once, until
// so many bytes were handed over since the cut.
func (r *run) encodeSlice(c *cut, d time.Duration, due int64) {
	began := time.Now()
	until := began.Add(d)
	handed := &c.spread.handed
	room := func() bool { return handed.Load() < due && c.checkpoint.Room() }
	var pending atomic.Bool
	errs := make([]error, len(r.reducers))
	r.each(func(rd *reducer) {
		for u := rd.first; u < rd.end; u++ {
			to := windows.Sink{
				Whole: func(table uint16, pages int) error { return c.checkpoint.Whole(u, table, pages) },
				Put: func(table uint16, page uint32, changes []byte) error {
					handed.Add(int64(len(changes)))
					return c.checkpoint.Put(u, table, page, changes)
				},
				Room: room,
			}
			for {
				if !room() || time.Now().After(until) {
					pending.Store(true)
					return
				}
				done, err := r.state.Unit(u).Encode(to)
				if err != nil {
					errs[rd.index()] = err
					return
				}
				if done {
					break
				}
			}
		}
	})
	r.keeping.sliced = time.Now()
	c.work += r.keeping.sliced.Sub(began) * time.Duration(len(r.reducers))
	switch err := errors.Join(errs...); {
	case err != nil:
		c.checkpoint.Abort()
		c.encoded = true
		c.result <- err
	case !pending.Load():
		c.encoded = true
		go r.commit(c)
	}
}

// storeShares say for which share of the time the store works at a checkpoint
// until so many tenths of the time between two have passed; then it takes all
// that it needs.
var storeShares = []struct {
	tenths int64
	share  float64
}{{5, 1. / 8}, {7, 1. / 4}, {10, 1. / 2}}

// storeShare returns that share, and how long it holds; 0: from now on.
func storeShare(passed, every time.Duration) (share float64, holds time.Duration) {
	for _, s := range storeShares {
		if end := every * time.Duration(s.tenths) / 10; passed < end {
			return s.share, end - passed
		}
	}
	return 1, 0
}

// paceStore has the store write a checkpoint as fast as it has to.
func (r *run) paceStore(c *cut) {
	share, holds := 1., time.Duration(0)
	if !r.keeping.pressed {
		share, holds = storeShare(time.Since(c.began), r.keeping.every)
	}
	if c.encoded && holds > 0 {
		r.nudgeIn(holds)
	}
	if share != c.share {
		c.share = share
		c.checkpoint.Pace(share)
	}
}

// sweep is something that is done once with each unit.
type sweep struct {
	do   func(unit int)
	next []int // by reducer, the unit that comes next
	ends []int
}

func (r *run) sweep(do func(unit int)) *sweep {
	s := &sweep{do: do}
	for _, rd := range r.reducers {
		s.next, s.ends = append(s.next, rd.first), append(s.ends, rd.end)
	}
	return s
}

func (s *sweep) done() bool {
	for i := range s.next {
		if s.next[i] < s.ends[i] {
			return false
		}
	}
	return true
}

// slice goes on with a sweep for a while, a unit at least.
func (r *run) slice(s *sweep, d time.Duration) {
	began := time.Now()
	r.each(func(rd *reducer) {
		for at := &s.next[rd.index()]; *at < rd.end; *at++ {
			if s.do(*at); time.Since(began) > d {
				*at++
				return
			}
		}
	})
	r.keeping.sliced = time.Now()
}

// nudgeIn has the coordinator look again in a while.
func (r *run) nudgeIn(d time.Duration) {
	k := &r.keeping
	if k.alarm == nil {
		k.alarm = time.AfterFunc(d, r.clock.nudge)
		return
	}
	k.alarm.Reset(d)
}

// beyond reports whether a tick behind this one could run.
func (c *clock) beyond(current int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.low > current && c.open
}
