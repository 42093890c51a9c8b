package pipeline

import "time"

// Status is how a live run stands, once a second.
type Status struct {
	At         time.Time
	Summary    Summary // so far; keys and bytes as of the last tick
	Tick       int64   // the one that was run last; below 0 before the first
	Partitions []PartitionStatus
	OnRules    int // on-states that are shown
	Pending    int64
}

// PartitionStatus is how one partition stands.
type PartitionStatus struct {
	Source    string
	Partition int32
	Offset    int64 // of the next record
	Watermark int64 // Unix seconds; below 0 before the first event
	Lag       int64 // see ingest.Tail; below 0: not known
	Idle      bool
	Lost      bool // its source cannot tell whether there is more
}
