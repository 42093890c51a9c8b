package api

import (
	"cmp"
	"slices"
	"time"

	"weir/pipeline"
)

// Keeping is how the engine keeps what it knows: in memory, on disk, in the
// archive, and what of it is not whole.
type Keeping struct {
	Checkpoint Checkpoint `json:"checkpoint"`
	Memory     Memory     `json:"memory"`
	Store      Store      `json:"store"`
	Archive    *Archive   `json:"archive"` // null: there is none

	Resumed    time.Time    `json:"resumed"`    // the second of the log that this run went on from; zero: it began without a state
	Gap        time.Time    `json:"gap"`        // from here on the log is whole, and windows reach back behind it; zero: there is no gap
	Incomplete []Incomplete `json:"incomplete"` // at most maxPartitions
	Units      int          `json:"degraded_units"`
	Degraded   time.Time    `json:"degraded_since"` // zero: it is not
	TurnedAway int64        `json:"turned_away"`
	Aside      []Aside      `json:"put_aside"` // the newest first
	Rebuild    *Rebuild     `json:"rebuild"`   // null: nothing is decided again
}

// Aside is a store that could not be used and was put aside.
type Aside struct {
	Where string    `json:"where"`
	Why   string    `json:"why"`
	At    time.Time `json:"at"`
	Now   bool      `json:"by_this_run"`
}

// Rebuild is how far the state is that is derived from the log again.
type Rebuild struct {
	Tick time.Time `json:"tick"` // of the log; zero: nothing was read yet
	To   time.Time `json:"to"`   // up to where decisions had left before
}

// Checkpoint is how the state comes to disk.
type Checkpoint struct {
	At      time.Time `json:"at"`   // when the last one was on disk; zero: there is none
	Tick    time.Time `json:"tick"` // the second of the log that it is of
	Seconds float64   `json:"seconds"`
	Stall   float64   `json:"stall_seconds"` // for which events waited for it
	Failed  int64     `json:"failed"`
	Why     string    `json:"why,omitempty"` // why none can be made now
	Since   time.Time `json:"failing_since"` // zero: they can be made
}

// Memory is what the state takes, in bytes.
type Memory struct {
	Limit          int64 `json:"limit"`
	Resident       int64 `json:"resident"`
	Dirty          int64 `json:"dirty"`
	Store          int64 `json:"store"`
	StoreLimit     int64 `json:"store_limit"` // what its tables and caches may take besides; 0: not known
	Accounted      int64 `json:"accounted"`
	AccountedLimit int64 `json:"accounted_limit"`
}

// Store is what stands on disk.
type Store struct {
	Keys    int64 `json:"keys"`
	Bytes   int64 `json:"bytes"`   // of what counts
	Garbage int64 `json:"garbage"` // of what was superseded and is not given back yet
	Disk    int64 `json:"disk"`    // of the files
	Written int64 `json:"written"`
}

// Archive is how the archive of events stands.
type Archive struct {
	Queue   int64   `json:"queue"` // bytes that wait to be written
	Bytes   int64   `json:"bytes"` // of its files
	Lag     float64 `json:"lag_seconds"`
	Why     string  `json:"why,omitempty"` // why it cannot be written now
	Deleted int64   `json:"deleted"`       // files that went for want of room since the start
	Pending int     `json:"pending"`       // hours that are over and wait to become files
	Open    int64   `json:"open"`          // bytes of events of hours that are no file yet
}

// Incomplete is a rule whose windows do not reach back far enough yet.
type Incomplete struct {
	Rule  string    `json:"rule"`
	Until time.Time `json:"until"`
}

// positive returns a tick as a time; 0 stands for none.
func positive(tick int64) time.Time {
	if tick <= 0 {
		return time.Time{}
	}
	return second(tick)
}

func keeping(st *pipeline.Status) Keeping {
	c, m, s := &st.Checkpoint, &st.Memory, &st.Store
	k := Keeping{
		Checkpoint: Checkpoint{Tick: positive(c.Tick), Seconds: c.Took.Seconds(), Stall: c.Stall.Seconds(), Failed: c.Failed, Why: c.Why, Since: st.FailingSince.UTC()},
		Memory: Memory{
			Limit: m.Limit, Resident: m.Resident, Dirty: m.Dirty, Store: m.Store, StoreLimit: m.StoreLimit,
			Accounted: accounted(st), AccountedLimit: m.AccountedLimit,
		},
		Store:   Store{s.Keys, s.Bytes, s.Garbage, s.Disk, s.Written},
		Resumed: positive(st.Resumed), Gap: positive(st.Blind), Incomplete: []Incomplete{},
		Units: st.Degraded, Degraded: st.DegradedSince.UTC(), TurnedAway: st.TurnedAway, Aside: []Aside{}, Rebuild: rebuild(st),
	}
	for _, a := range st.Aside {
		k.Aside = append(k.Aside, Aside{a.Where, a.Why, a.At.UTC(), a.Now})
	}
	if !c.Last.IsZero() {
		k.Checkpoint.At = c.Last.UTC()
	}
	if a := &st.Archive; a.On {
		k.Archive = &Archive{a.Queue, a.Bytes, a.Lag.Seconds(), a.Why, a.Deleted, a.Pending, a.Open}
	}
	for rule, tick := range st.Incomplete {
		k.Incomplete = append(k.Incomplete, Incomplete{rule, positive(tick)})
	}
	// The one that has to wait longest comes first.
	slices.SortFunc(k.Incomplete, func(a, b Incomplete) int { return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Rule, b.Rule)) })
	k.Incomplete = k.Incomplete[:min(len(k.Incomplete), maxPartitions)]
	return k
}

// rebuild says how far what earlier lives had decided is decided again; nil where
// nothing is.
func rebuild(st *pipeline.Status) *Rebuild {
	if st.Decided <= 0 || st.Tick >= st.Decided {
		return nil
	}
	return &Rebuild{positive(st.Tick), positive(st.Decided)}
}

// accounted returns what all keys take as the engine accounts for them.
func accounted(st *pipeline.Status) int64 {
	return max(st.Memory.Accounted, st.Summary.Bytes)
}

// unkept returns why what the engine knows cannot be kept, and input waits.
func unkept(st *pipeline.Status) (reasons []string) {
	if why := st.Checkpoint.Why; why != "" {
		reasons = append(reasons, "the state cannot be written to disk: "+why)
	}
	if why := st.Archive.Why; why != "" {
		reasons = append(reasons, "the archive cannot be written: "+why)
	}
	return reasons
}

// putKeeping writes the figures of state, store and archive.
func putKeeping(put put, st *pipeline.Status, now time.Time) {
	c, m, s := &st.Checkpoint, &st.Memory, &st.Store
	if !c.Last.IsZero() {
		put("weir_checkpoint_age_seconds", max(0, now.Sub(c.Last).Seconds()))
		put("weir_checkpoint_tick_timestamp_seconds", float64(c.Tick))
		put("weir_checkpoint_duration_seconds", c.Took.Seconds())
		put("weir_checkpoint_stall_seconds", c.Stall.Seconds())
	}
	put("weir_checkpoint_failures_total", float64(c.Failed))
	put("weir_checkpoint_failing", one(c.Why != ""))
	put("weir_state_bytes", float64(accounted(st)))
	put("weir_state_limit_bytes", float64(m.AccountedLimit))
	put("weir_memory_limit_bytes", float64(m.Limit))
	put("weir_resident_bytes", float64(m.Resident))
	put("weir_dirty_bytes", float64(m.Dirty))
	put("weir_store_memory_bytes", float64(m.Store))
	put("weir_store_memory_limit_bytes", float64(m.StoreLimit))
	put("weir_store_keys", float64(s.Keys))
	put("weir_store_bytes", float64(s.Bytes))
	put("weir_store_garbage_bytes", float64(s.Garbage))
	put("weir_store_disk_bytes", float64(s.Disk))
	put("weir_store_written_bytes_total", float64(s.Written))
	put("weir_degraded", one(st.Degraded > 0))
	put("weir_degraded_units", float64(st.Degraded))
	put("weir_turned_away_keys_total", float64(st.TurnedAway))
	if !st.DegradedSince.IsZero() {
		put("weir_degraded_since_timestamp_seconds", unix(st.DegradedSince))
	}
	put("weir_stores_put_aside", float64(len(st.Aside)))
	if len(st.Aside) > 0 {
		put("weir_store_put_aside_timestamp_seconds", unix(st.Aside[0].At))
	}
	behind := 0.0
	if r := rebuild(st); r != nil {
		behind = float64(st.Decided - max(st.Tick, 0))
		if st.Tick <= 0 {
			behind = -1
		}
	}
	put("weir_rebuild_remaining_seconds", behind)
	if t := positive(st.Resumed); !t.IsZero() {
		put("weir_resumed_timestamp_seconds", unix(t))
	}
	if t := positive(st.Blind); !t.IsZero() {
		put("weir_log_gap_timestamp_seconds", unix(t))
	}
	for rule, tick := range st.Incomplete {
		put("weir_rule_complete_timestamp_seconds", float64(tick), rule)
	}
	if a := &st.Archive; a.On {
		put("weir_archive_queue_bytes", float64(a.Queue))
		put("weir_archive_bytes", float64(a.Bytes))
		put("weir_archive_open_bytes", float64(a.Open))
		put("weir_archive_lag_seconds", a.Lag.Seconds())
		put("weir_archive_failing", one(a.Why != ""))
		put("weir_archive_pending_files", float64(a.Pending))
		put("weir_archive_deleted_files_total", float64(a.Deleted))
	}
}
