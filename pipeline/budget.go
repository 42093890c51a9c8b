package pipeline

import (
	"fmt"
	"math"
	"time"

	"weir/rules"
	"weir/state"
)

// budget is how state.memory is shared out. What is not in it is for the
// store's own memory, batches under way and the collector.
type budget struct {
	resident int64 // keys leave memory above it
	evictTo  int64 // until so much is left
	dirty    int64 // above it a checkpoint comes at once
	hard     int64 // above it input waits for one
}

// fixedMemory is what a run takes however little it may: tables of the store that
// are being made, caches of workers, batches.
const fixedMemory = 64 << 20

// publishedShare is the part of the memory that what is published by the hour may
// take: keys in memory make room for it, but it must not take all of theirs.
const publishedShare = 4

// pending returns how many rows may wait for a tick that could run already
// before nothing more is read: with what they carry, some 140 bytes each.
func (c *Config) pending() int64 {
	const most, least = 1 << 20, 1 << 16
	if c.Memory == 0 {
		return most
	}
	return min(most, max(least, c.Memory>>12))
}

// caches returns how many bytes what a worker remembers of one source may take;
// 0: there is no limit.
func (c *Config) caches() int64 {
	const part = 16 // of the memory, for those of all workers
	return c.Memory / part / int64(c.Workers*len(c.Sources))
}

// batch returns how many records a batch has where nobody says it: a dozen for
// each worker are under way, with all that their events become.
func (c *Config) batch() int {
	const usual, few, much = 1000, 250, 1 << 29
	if c.Memory > 0 && c.Memory < much {
		return few
	}
	return usual
}

// unlimited is a budget that is never reached.
const unlimited = int64(1) << 60

func (c *Config) budget() budget {
	if c.Memory == 0 {
		return budget{unlimited, unlimited, unlimited, unlimited}
	}
	m := c.Memory - min(fixedMemory, c.Memory/8)
	return budgetOf(m * 40 / 100)
}

// budgetOf is the budget of a run that may have so much resident.
func budgetOf(resident int64) budget {
	return budget{resident: resident, evictTo: resident / 4 * 3, dirty: resident / 8 * 3, hard: resident / 4 * 5}
}

// limits are what decisions may depend on: what is given up for lack of room
// follows from the configuration and the log.
func (c *Config) limits() rules.Limits {
	return rules.Limits{Accounted: c.Accounted, Resident: c.budget().resident, Published: c.Memory / publishedShare}
}

// lookAtDisk is how often it is asked how much room the disk has.
const lookAtDisk = 200 * time.Millisecond

// tidyEvery is how often keys leave memory without a checkpoint, at most.
const tidyEvery = time.Second

// weighKeys returns how many bytes keys take in memory, and how many of them
// changed since they were saved. Keys make room for the directory of what left.
func (r *run) weighKeys() (resident, dirty int64) {
	resident = r.keeping.directory
	for i := range r.state.Units() {
		u := r.state.Unit(i)
		resident += u.Resident()
		dirty += u.Dirty()
	}
	return resident, dirty
}

// budget holds input back while there is no room, and has keys written where
// they are too many for memory.
func (r *run) budget() error {
	k := &r.keeping
	resident, dirty := r.weighKeys()
	if most, ok := k.measure.look(time.Now(), resident, k.store != nil); ok {
		k.limit = budgetOf(most)
	}
	if k.store == nil && resident > k.limit.resident && r.cfg.Spill != nil {
		if err := r.spill(); err != nil {
			return err
		}
	}
	if k.store == nil {
		return nil
	}
	now := time.Now()
	if now.Sub(k.looked) >= lookAtDisk {
		k.looked = now
		full, free := k.store.Full()
		if full && r.cfg.Record == nil {
			return spillFull(free)
		}
		if full && (!k.full || now.Sub(k.said) > 10*time.Second) {
			r.cfg.Log.Error("the disk of the state is nearly full; input waits and nothing is written until it has room", "free", free)
			k.said = now
		}
		if k.full && !full {
			r.cfg.Log.Info("the disk has room again", "free", free)
		}
		if k.full != full {
			why := ""
			if full {
				why = fmt.Sprintf("the disk is nearly full (%d MiB free): nothing is written, and input waits until it has room", free>>20)
				if err := k.store.Room(); err != nil {
					why = err.Error()
				}
			}
			st := CheckpointStatus{}
			if was := k.status.Load(); was != nil {
				st = *was
			}
			st.Why = why
			k.status.Store(&st)
		}
		if k.full = full; full { // no tick may come that has it looked at again
			time.AfterFunc(2*lookAtDisk, r.clock.nudge)
		}
	}
	w := weights{resident, k.directory, dirty, k.stays}
	// Before the first tick nothing is written and nothing leaves, so that there is
	// nothing to wait for: that tick needs input.
	ticked := r.current >= math.MinInt64/4
	if ticked && k.cut == nil && k.tidying == nil {
		switch {
		case k.limit.idle(w) && now.Sub(k.tidied) > tidyEvery:
			k.tidied = now
			r.makeRoom()
		case k.limit.short(w):
			k.due.Store(true)
		}
	}
	// Waiting must have an end: there is a checkpoint, or one is going to be.
	hold := k.full || ticked && k.limit.beyond(w) && (k.limit.short(w) && r.current != k.at || k.cut != nil || k.tidying != nil)
	k.pressed = hold || k.limit.over(w) || k.limit.short(w)
	if k.held.Swap(hold) && !hold {
		r.clock.nudge()
	}
	r.tellOfDegraded()
	k.memory.Store(&MemoryStatus{Limit: k.limit.resident, Resident: resident, Dirty: dirty})
	return nil
}

// weigh takes note of how much the store's directory takes of what may be
// resident. It grows with the keys on disk, so that keys in memory have to make
// room for it, but never so much that none are left.
func (k *keeping) weigh() {
	k.directory = min(k.store.Stats().Memory, k.limit.resident/2)
}

// tellOfDegraded logs when units begin to turn new keys away, and when none does
// any more.
func (r *run) tellOfDegraded() {
	k := &r.keeping
	if time.Since(k.counted) < time.Second {
		return
	}
	k.counted = time.Now()
	t := r.state.Totals()
	switch {
	case t.Degraded > 0 && !k.degraded:
		r.cfg.Log.Warn("degraded: new keys come faster than state: disk: has room for; one is looked at when it comes a second time, and where there is no room those that matter least are given up",
			"units", t.Degraded, "keys", t.Keys, "bytes", t.Bytes, "tick", time.Unix(r.current, 0).UTC().Format(time.RFC3339))
	case t.Degraded == 0 && k.degraded:
		r.cfg.Log.Info("not degraded any more: new keys are looked at when they come first",
			"turned_away", t.Shed.TurnedAway, "given_up", t.Shed.Keys, "tick", time.Unix(r.current, 0).UTC().Format(time.RFC3339))
	}
	k.degraded = t.Degraded > 0
}

// spill makes a temporary store for keys that memory has no room for.
func (r *run) spill() (err error) {
	k := &r.keeping
	if k.store, err = r.cfg.Spill(); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	k.temporary = true
	r.state.Attach(k.store)
	r.cfg.Log.Info("memory is short: keys that are idle go to a temporary store")
	k.due.Store(true)
	return nil
}

// makeRoom has keys leave memory, each unit its share, in slices.
func (r *run) makeRoom() {
	k := &r.keeping
	resident := k.directory
	for i := range r.state.Units() {
		resident += r.state.Unit(i).Resident()
	}
	if resident <= k.limit.resident*9/10 {
		return
	}
	each := max(k.limit.evictTo/2, k.limit.evictTo-k.directory) / int64(r.state.Units())
	k.tidying = r.sweep(func(u int) { r.state.Unit(u).Evict(each) })
}

// tidy goes on with it.
func (r *run) tidy() {
	k := &r.keeping
	began := time.Now()
	if r.slice(k.tidying, r.sliceLength()); k.tidying.done() {
		k.tidying = nil
	}
	// It belongs to the checkpoint before it.
	if was := k.status.Load(); was != nil && time.Since(began) > was.Stall {
		st := *was
		st.Stall = time.Since(began)
		k.status.Store(&st)
	}
}

// StoreMemory is what the store of a run may have of its memory for itself.
func StoreMemory(memory int64) int64 { return memory / 8 }

// SpillConfig is how the temporary store of a run with so much memory is opened in a
// directory.
func SpillConfig(dir string, units int, memory int64) state.Config {
	return state.Config{Dir: dir, Units: units, Memory: StoreMemory(memory), Temporary: true}
}
