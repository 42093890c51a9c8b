package ingest

import (
	"context"
	"errors"
	"math"
	"time"

	"weir/event"
)

// The limits on what is read. A line over MaxLine is rejected; a field over
// MaxField is cut at a rune and marked, with a hash of the whole so that it
// still identifies (see clip); JSON deeper than MaxDepth is rejected.
const (
	MaxLine  = 64 << 10
	MaxField = 2 << 10
	MaxDepth = 8
)

// Records is a run of consecutive records of one partition.
type Records struct {
	Partition int32
	Data      []byte   // the records, one behind the other
	Ends      []uint32 // where each ends in Data, its newline not included in it
	Starts    []uint32 // where each begins
	Offsets   []int64  // each one's position in its partition, rising
	Appended  []int64  // each one's append time, Unix nanoseconds, or NoAppend; nil where the source has none
	TooLong   int      // records longer than MaxLine that were passed over in this run
	Gaps      []Gap    // what is missing, in the order in which it would have come
}

// Gap is a range of offsets of a partition that cannot be read any more or
// never could. It stands in the Records in front of what comes behind it: of
// the records that the same Read returns, those from To on. Nothing behind a
// gap is returned before the gap is.
type Gap struct {
	Partition int32
	// From is the first offset that is missing, To the first behind it. Both are
	// the same where lines are missing that never got offsets. Where the log was
	// begun anew, offsets fall: To is below From. Where it lost records that had
	// been returned already, and others took their place, From is an offset that
	// has been returned.
	From, To int64
	Since    time.Time // the append time of the last record before it, where there was one
	Why      GapReason
}

// GapReason is why a range of offsets is missing: a few words.
type GapReason string

// GapGone is of files of which none is left: how much there was in them behind
// what was read of it nobody knows. The offsets of such a gap only keep those
// behind it apart from those before.
const GapGone GapReason = "the files that were read before are gone"

// NoAppend is the append time of a record that has none, in a source whose
// records have: so late that nothing is ahead of it, with room for a minute and
// more behind it.
const NoAppend = math.MaxInt64 - int64(time.Hour)

// Reset empties r; its memory is used again.
func (r *Records) Reset() {
	r.Data, r.Ends, r.Starts = r.Data[:0], r.Ends[:0], r.Starts[:0]
	r.Offsets, r.Appended, r.TooLong, r.Gaps = r.Offsets[:0], r.Appended[:0], 0, r.Gaps[:0]
}

// Len returns how many records r holds.
func (r *Records) Len() int { return len(r.Ends) }

// Line returns record i without its newline.
func (r *Records) Line(i int) []byte { return r.Data[r.Starts[i]:r.Ends[i]:r.Ends[i]] }

// Source is where records come from: files, a topic, a script.
type Source interface {
	// Name is the source's name in the configuration; decisions show it.
	Name() string
	// Partitions returns how many partitions there are, at least 1.
	Partitions() int
	// Read appends the next records of partition p to r, about max of them at
	// most, and returns io.EOF when there are none left. Partitions are read
	// concurrently, one call at a time for each.
	Read(ctx context.Context, p int, max int, r *Records) error
	// Close frees what the source holds.
	Close() error
}

// Seeker is a Source that can be begun in the middle, where an earlier life got to.
type Seeker interface {
	Source
	// Seek has partition p go on with its first record at or behind an offset,
	// which is at least that behind what Read returned last. A partition that ends
	// before it is an error, of Seek or of the next Read.
	Seek(p int, offset int64) error
}

// Events is a Source of records that are events already, such as an archive's:
// ReadEvents takes the place of Read and of a Decoder, and Read is an error. As
// with Read, partitions are read concurrently, one call at a time for each.
type Events interface {
	Source
	// ReadEvents appends the next events of partition p to b, about max of them at
	// most, and returns io.EOF when there are none left. Event.Offset is each one's
	// position in its partition, rising; strings live in b's arena or as long as
	// the source. The batch's Source and Partition are the caller's.
	//
	// To appended it appends each event's append time, Unix nanoseconds or
	// NoAppend, and returns it; from a source without any it returns it as it was.
	ReadEvents(ctx context.Context, p, max int, b *event.Batch, appended []int64) ([]int64, error)
}

// Tail is a Source that goes on: Read waits for records as long as ctx lasts
// and never returns io.EOF. Partitions may rise while it is read; numbers stay.
// A Read that had to wait returns with what came first, however little; that
// may be a gap and no record.
type Tail interface {
	Source
	// Start returns the offset at which partition p is or was begun to be read: the
	// position that was asked for, also where the records there are gone (a Gap
	// then comes first), or what the configuration means.
	Start(p int) int64
	// CaughtUp reports whether it is known that partition p has been read to its
	// end, as of the last few seconds. While the source cannot tell, it is not.
	CaughtUp(p int) bool
	// Lag returns how many records (of a topic) or bytes (of a file) of partition
	// p are still to be read, as far as is known; below 0 where nothing is known.
	Lag(p int) int64
}

// Decoder reads one line into ev, which is Reset, and may keep what it makes
// in mem. Strings of ev may point into line. It is called by several
// goroutines at once. The only errors are Malformed ones.
type Decoder func(line []byte, ev *event.Event, mem *event.Arena) error

// ErrMalformed is what every decoding error wraps.
var ErrMalformed = errors.New("malformed")

// Malformed says why a line was rejected. The reasons are a small fixed set of
// each format, so that they can be counted.
type Malformed struct{ Reason string }

func (m *Malformed) Error() string { return "malformed: " + m.Reason }

// Unwrap makes every Malformed an ErrMalformed.
func (m *Malformed) Unwrap() error { return ErrMalformed }

// The reasons that several formats share. Values, so that rejecting a line
// does not allocate.
var (
	ErrTooLong = &Malformed{"line longer than 64 KiB"}
	errEmpty   = &Malformed{"empty line"}
	errTime    = &Malformed{"time"}
	errAddress = &Malformed{"client address"}
	errRequest = &Malformed{"request line"}
	errFields  = &Malformed{"too few fields"}
	errQuote   = &Malformed{"unbalanced quote"}
	errNumber  = &Malformed{"number"}
)
