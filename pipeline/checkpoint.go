package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"weir/internal/failpoint"
	"weir/rules"
	"weir/state"
)

const (
	// retryCheckpoint is how long after a failure the next one is tried.
	retryCheckpoint = 2 * time.Second
	slowCommit      = 10 * time.Minute
	// lastCheckpoint is how long the one at the end may take.
	lastCheckpoint = 8 * time.Second
)

// ErrState is what an error of the state's own store wraps: the log can make
// the state anew.
var ErrState = errors.New("state")

// keeping is what a run does to outlive itself: its checkpoints, one at a time.
type keeping struct {
	store     *state.Store
	temporary bool // it only makes room
	cut       *cut
	due       atomic.Bool   // for want of room
	every     time.Duration // from one checkpoint to the next
	timer     *time.Timer
	turn      int64          // counts timers
	passed    atomic.Int64   // the last one that fired
	failures  int            // since the last that succeeded
	notBefore time.Time      // after a failure
	stored    map[int64]bool // hours whose standing facts are in the store
	at        int64          // the tick of the last one
	directory int64          // bytes that the store's directory of pages takes, as of the last one
	density   float64        // bytes that the last one encoded, for each that was dirty; 0: not known
	stays     int64          // bytes that changed while the last one was made: about as many always do
	sliced    time.Time      // when the last slice ended
	pressed   bool           // memory is short: nothing is put off
	tidying   *sweep         // keys are leaving memory
	alarm     *time.Timer    // has the coordinator look when a slice is due
	status    atomic.Pointer[CheckpointStatus]
	memory    atomic.Pointer[MemoryStatus]
	saved     atomic.Pointer[[]Position]

	limit   budget
	measure measure
	held    atomic.Bool // input waits
	looked  time.Time   // at the disk
	full    bool
	said    time.Time

	counted  time.Time // when Totals were looked at
	tidied   time.Time // when keys left memory without a checkpoint
	degraded bool
}

// cut is a checkpoint on its way to the store.
type cut struct {
	tick       int64
	began      time.Time
	checkpoint *state.Checkpoint
	units      [][]byte
	shared     []byte
	positions  []Position
	standing   map[int64]*rules.Standing
	unreviewed bool
	seals      []byte
	spread     *spread
	encoded    bool
	work       time.Duration // of all reducers, to encode it
	share      float64       // of the time, in which the store works at it
	result     chan error
	settling   *sweep // it has ended: the units are being told how
	err        error
	stall      time.Duration   // the longest that ticks were held up by it
	hurry      context.Context // ends when there is no more time
	late       context.CancelFunc
}

func (k *keeping) init(r *run) {
	k.store, k.every = r.cfg.Store, r.cfg.Checkpoint
	k.limit = r.cfg.budget()
	k.measure = newMeasure(&r.cfg)
	k.stored = map[int64]bool{}
	if r.cfg.Resume != nil {
		k.at = r.cfg.Resume.Tick
		was := r.cfg.Resume.Checkpoint
		was.Why = "" // whether one can be made is seen anew
		k.status.Store(&was)
		k.saved.Store(&r.cfg.Resume.Positions)
	}
	if k.store == nil {
		return
	}
	k.weigh()
	if last, ok := k.store.Last(); ok {
		if m, err := ReadMeta(last.Meta); err == nil {
			for _, h := range m.standing {
				k.stored[h] = true
			}
		}
	}
	if r.cfg.Resume == nil {
		r.state.Attach(k.store)
	}
	resident, dirty := r.weighKeys()
	k.memory.Store(&MemoryStatus{Limit: k.limit.resident, Resident: resident, Dirty: dirty})
	k.schedule(r, r.cfg.Checkpoint)
}

// kept reports whether anybody may go on where the run stops.
func (r *run) kept() bool {
	return r.cfg.Store != nil || r.cfg.Spill != nil || r.cfg.Left != nil
}

// schedule has a checkpoint made in a while, and not earlier by the clock.
func (k *keeping) schedule(r *run, in time.Duration) {
	k.due.Store(false)
	if k.timer != nil {
		k.timer.Stop()
	}
	if k.temporary {
		return
	}
	k.turn++
	turn := k.turn
	k.timer = time.AfterFunc(in, func() {
		k.passed.Store(turn)
		r.clock.nudge()
	})
}

// wanted reports whether a checkpoint is to be begun. Where there is no timer,
// with a store that only makes room, none has fired.
func (k *keeping) wanted() bool {
	return (k.due.Load() || k.turn > 0 && k.passed.Load() == k.turn) && !time.Now().Before(k.notBefore)
}

// keep goes on with the checkpoint that is under way, or begins one. The units
// are at rest. busy says that there is more to do at once.
func (r *run) keep() (busy bool, err error) {
	k := &r.keeping
	began := time.Now()
	if err := r.sound(); err != nil {
		return false, err
	}
	if err := r.budget(); err != nil {
		return false, err
	}
	if k.store == nil || r.current < math.MinInt64/4 {
		return false, nil
	}
	if k.tidying != nil {
		r.tidy()
		return true, nil // there may be room again
	}
	if k.cut == nil {
		if !k.wanted() || k.full {
			return false, nil
		}
		if r.current == k.at { // nothing was folded since
			k.schedule(r, r.cfg.Checkpoint)
			return false, nil
		}
		if err := r.beginCut(); err != nil {
			return false, err
		}
	}
	c := k.cut
	busy, err = r.goOnWith(c)
	c.stall = max(c.stall, time.Since(began))
	if c.settling != nil && c.settling.done() {
		r.settled(c)
		if err == nil {
			err = r.spillFailed(c.err)
		}
	}
	return busy, err
}

// goOnWith does what is due of a checkpoint.
func (r *run) goOnWith(c *cut) (busy bool, err error) {
	if c.settling == nil {
		r.paceStore(c)
	}
	switch {
	case !c.encoded:
		return r.encode(c)
	case c.settling == nil:
		select {
		case c.err = <-c.result:
			c.settling = r.settling(c)
		default:
			return false, nil
		}
	}
	r.slice(c.settling, r.sliceLength())
	return true, nil // there may be room again
}

// sound reports whether all that the state answered can be trusted.
func (r *run) sound() error {
	if err := r.state.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// beginCut makes the state of all units at the current tick the one that is
// going to be written.
func (r *run) beginCut() error {
	k := &r.keeping
	began := time.Now()
	// What comes of partitions that the clock went on without must not count
	// before this tick after a restart: its seconds were folded.
	if err := r.record(r.clock.absent(r.current)); err != nil {
		return err
	}
	c := &cut{tick: r.current, began: began, result: make(chan error, 1), unreviewed: r.unreviewed}
	c.hurry, c.late = context.WithCancel(context.Background())
	if r.cfg.Seals != nil {
		c.seals = r.cfg.Seals()
	}
	c.positions = r.positions(r.current)
	c.shared, c.units = r.state.Shared(), make([][]byte, r.state.Units())
	resident, _ := r.weighKeys()
	all := resident <= k.limit.dirty
	r.each(func(rd *reducer) {
		for u := rd.first; u < rd.end; u++ {
			if k.temporary {
				r.state.Unit(u).CutKeys(all)
			} else {
				c.units[u] = r.state.Unit(u).Cut(all)
			}
		}
	})
	c.spread = r.spread() // also of keys that did not change, where all are written
	c.standing = r.clock.facts()
	c.checkpoint = k.store.Begin(r.state.Alive())
	failpoint.Hit("pipeline.cut.after")
	k.cut, k.sliced = c, time.Now()
	return nil
}

// commit writes what is left of a checkpoint and puts it into force.
func (r *run) commit(c *cut) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), slowCommit)
	defer cancel()
	stop := context.AfterFunc(c.hurry, cancel)
	defer stop()
	c.result <- r.tryCommit(ctx, c)
	r.clock.nudge()
}

func (r *run) tryCommit(ctx context.Context, c *cut) (err error) {
	k := &r.keeping
	defer func() {
		if err != nil {
			c.checkpoint.Abort()
		}
	}()
	if k.temporary { // nobody goes on from it: it has to have the keys
		return c.checkpoint.Commit(ctx, state.Flip{Tick: c.tick})
	}
	hours := make([]int64, 0, len(c.standing))
	for h, st := range c.standing {
		hours = append(hours, h)
		if !k.stored[h] && st != nil { // the map changes only when no checkpoint is under way
			if err := c.checkpoint.Blob(standingName(h), st.Append(nil)); err != nil {
				return err
			}
		}
	}
	for h := range k.stored {
		if c.standing[h] == nil {
			if err := c.checkpoint.Blob(standingName(h), nil); err != nil {
				return err
			}
		}
	}
	if err := r.syncArchive(ctx, c.positions); err != nil {
		return err
	}
	failpoint.Hit("pipeline.commit.before")
	err = c.checkpoint.Commit(ctx, state.Flip{Tick: c.tick, Units: c.units, Meta: r.meta(c, hours)})
	if err == nil {
		failpoint.Hit("pipeline.commit.after")
	}
	return err
}

func standingName(hour int64) string { return fmt.Sprintf("standing/%d", hour) }

// settling has all units told how a checkpoint ended.
func (r *run) settling(c *cut) *sweep {
	c.late()
	return r.sweep(func(u int) { r.state.Unit(u).Settle(c.err == nil) })
}

// settled takes note of how a checkpoint ended.
func (r *run) settled(c *cut) {
	k := &r.keeping
	k.cut = nil
	now := time.Now()
	st := CheckpointStatus{}
	if was := k.status.Load(); was != nil {
		st = *was
	}
	st.Took, st.Stall = now.Sub(c.began), c.stall
	if c.err != nil {
		st.Failed++
		st.Why = c.err.Error()
		k.status.Store(&st)
		pause := min(retryCheckpoint<<min(k.failures, 5), time.Minute)
		k.failures++
		k.notBefore = now.Add(pause)
		r.cfg.Log.Error("a checkpoint failed; the one before it stays in force", "error", c.err, "next", pause)
		k.schedule(r, pause)
		return
	}
	k.failures = 0
	st.Last, st.Tick, st.Why = now, c.tick, ""
	k.status.Store(&st)
	k.at, k.density = c.tick, c.spread.density()
	_, k.stays = r.weighKeys()
	k.weigh()
	k.saved.Store(&c.positions)
	clear(k.stored)
	for h := range c.standing {
		k.stored[h] = true
	}
	if !k.temporary {
		r.passed(c.positions)
	}
	k.every = stretched(r.cfg.Checkpoint, c.work+c.checkpoint.Worked(), runtime.GOMAXPROCS(0))
	k.schedule(r, max(time.Until(c.began.Add(k.every)), k.every/4))
	r.makeRoom()
}

// passed tells who waits for it that a checkpoint goes beyond these positions.
func (r *run) passed(positions []Position) {
	r.archivePassed(positions)
	for i := range r.cfg.Sources {
		s, ok := r.cfg.Sources[i].Source.(interface{ Done(p int, next int64) })
		if !ok {
			continue
		}
		for _, at := range positions {
			if at.Source == r.cfg.Sources[i].Name() {
				s.Done(int(at.Partition), at.Offset)
			}
		}
	}
}

// goOn begins where an earlier run stopped.
func (r *run) goOn(from *Resume) {
	r.state = from.State
	r.current, r.from, r.unreviewed = from.Tick, from.Tick, from.Unreviewed
	r.ran.Store(from.Tick)
	r.clock.granted = from.Tick
	maps.Copy(r.clock.published, from.Standing)
	for _, h := range slices.Sorted(maps.Keys(from.Standing)) {
		r.state.Published(h, from.Standing[h])
	}
	if !r.clock.needsStanding {
		return
	}
	// Rules that are new may be the first to ask for the facts of these hours,
	// which nobody is going to publish again.
	for _, h := range []int64{hourOf(from.Tick) - 3600, hourOf(from.Tick)} {
		if r.clock.published[h] == nil || r.state.AsksMore() {
			r.clock.published[h] = r.state.Publish(h, nil)
		}
	}
}

// facts returns what was published for the hours that mappers may still need.
func (c *clock) facts() map[int64]*rules.Standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.published)
}

// nudge has the coordinator look at what it does besides ticks.
func (c *clock) nudge() {
	c.mu.Lock()
	c.attention = true
	c.mu.Unlock()
	c.changed.Broadcast()
}
