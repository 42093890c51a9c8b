package pipeline

import "cmp"

// Mark is one line of the journal: what a clock decided. From Offset on, the
// watermark of the partition is at least Watermark. See docs/adr/0005.
type Mark struct {
	Event     MarkEvent `json:"event"`
	Source    string    `json:"source"`
	Partition int32     `json:"partition"` // the source's own number
	Offset    int64     `json:"offset"`
	Watermark int64     `json:"watermark,omitempty"` // Unix seconds; 0: none
	First     string    `json:"first,omitempty"`     // of a file: the keyed hash of its first line; of a configuration: of all of it; of a topic's start: its id
	Log       string    `json:"log,omitempty"`       // of a file: the path of the log whose rotation it is
	Since     int64     `json:"since,omitempty"`     // of a gap: decisions at later ticks miss what stood there
}

// MarkEvent is why a mark was made.
type MarkEvent string

// Why marks are made.
const (
	MarkStart MarkEvent = "start" // reading began here
	MarkIdle  MarkEvent = "idle"  // decisions left while the partition did not hold the clock
	MarkWake  MarkEvent = "wake"  // an idle partition had a record again
	MarkSlow  MarkEvent = "slow"  // a run of a slow source's records
	MarkFile  MarkEvent = "file"  // a followed file begins here
	// MarkGap is of a stretch that cannot be read any more: it ends at Offset, whose
	// second is Watermark. It does not move the partition's own watermark.
	MarkGap MarkEvent = "gap"
	// MarkConfig is of no partition: from the tick Watermark on, decisions follow
	// from another configuration or other rules. Offset counts these marks.
	MarkConfig MarkEvent = "config"
)

var markEvents = []MarkEvent{MarkStart, MarkIdle, MarkWake, MarkSlow, MarkFile, MarkGap, MarkConfig}

// maxLocal is how many partitions a source may have.
const maxLocal = 1 << 20

// byOffset is the order in which the marks of a partition are applied.
func byOffset(a, b Mark) int { return cmp.Compare(a.Offset, b.Offset) }
