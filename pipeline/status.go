package pipeline

import (
	"time"

	"weir/state"
)

// Status is how a live run stands, once a second.
type Status struct {
	At         time.Time
	Summary    Summary // so far; keys and bytes as of the last tick, and the tally with what earlier runs counted
	Tick       int64   // the one that was run last; below 0 before the first
	Partitions []PartitionStatus
	OnRules    int // on-states that are shown
	Pending    int64

	Checkpoint CheckpointStatus
	Memory     MemoryStatus
	Store      state.Stats
	Archive    ArchiveStatus
	Resumed    int64 // the tick at which this pipeline went on; 0: it began without a state
	Blind      int64 // the tick from which on the log is whole, while windows reach back behind it; 0: none does
	// Incomplete is, of rules with windows that do not reach back far enough yet,
	// the tick from which on they do: after a reload, or in a new state.
	Incomplete map[string]int64
	Degraded   int   // units that turn new keys away, since what they account is at its limit
	TurnedAway int64 // keys that a degraded unit did not admit when they came for the first time

	// What follows is not the pipeline's to know: who runs it fills it in.

	DegradedSince time.Time // when a unit began to; zero: none does
	FailingSince  time.Time // since when no checkpoint can be made; zero: they can
	Decided       int64     // the tick up to which earlier lives had decided; 0: there was none
	Aside         []AsideStatus
}

// AsideStatus is a store that could not be used and was put aside.
type AsideStatus struct {
	Where string    // the directory
	Why   string    // as a person may read it
	At    time.Time // when
	Now   bool      // by this run: what it decides follows from the log, read again
}

// CheckpointStatus is how the state comes to disk.
type CheckpointStatus struct {
	Last   time.Time     // when the last one was on disk, by the wall clock; zero: there is none
	Tick   int64         // all seconds before it are in it
	Took   time.Duration // from its cut until it was on disk
	Stall  time.Duration // the longest that ticks were held up by it: its cut, a slice of it, or keys that left memory behind it
	Failed int64         // that could not be made, in this run
	Why    string        // why none can be made now, as a person may read it; empty: nothing is wrong
}

// MemoryStatus is what the state takes, in bytes.
type MemoryStatus struct {
	Limit          int64 // on all that is in memory: state.memory
	Resident       int64 // keys in memory, with their index
	Dirty          int64 // of them, those that changed since the last checkpoint
	Store          int64 // what the store holds in memory: its directory of pages
	StoreLimit     int64 // what its own tables and caches may take besides; 0: not known
	Accounted      int64 // all keys, wherever they are
	AccountedLimit int64 // on that: state.disk
}

// ArchiveStatus is how the archive of events stands.
type ArchiveStatus struct {
	On      bool
	Queue   int64         // bytes of events that wait to be written
	Bytes   int64         // of its files
	Open    int64         // bytes of events of hours that are no file yet
	Lag     time.Duration // for how long the oldest event has waited
	Why     string        // why it cannot be written now, as a person may read it; empty: nothing is wrong
	Deleted int64         // files that went for want of room since the start
	Pending int           // hours that are over and wait to become files
}

// PartitionStatus is how one partition stands.
type PartitionStatus struct {
	Source    string
	Partition int32
	Offset    int64 // of the next record
	Saved     int64 // from which a restart would read on, by the last checkpoint
	Watermark int64 // Unix seconds; below 0 before the first event
	Tally     Tally // of what passed since it was read first, in any run
	Began     Tally // what of it had passed where this run went on
	Lag       int64 // see ingest.Tail; below 0: not known
	Idle      bool
	Lost      bool // its source cannot tell whether there is more
	Topic     bool // offsets count records; else bytes
}
