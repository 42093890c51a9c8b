package ingest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// topicPartition is one partition of a topic and the queue between the client
// and its reader.
type topicPartition struct {
	number int32
	start  int64
	end    int64 // where reading ends; math.MaxInt64 where it does not

	wake    chan struct{} // something came, or the end
	waiting atomic.Bool   // a reader waits for it
	gone    atomic.Bool   // the topic has no such partition any more
	done    atomic.Int64  // the caller has dealt with all before; see Topic.Done
	bytes   atomic.Int64  // of the records that came and were not returned

	mu     sync.Mutex
	runs   []run     // what came and the reader has not taken
	polled int64     // the next offset to come
	last   time.Time // the timestamp of the record before it
	paused bool
	probed int64 // where the last probe found nothing, below 0: none did

	read atomic.Int64 // the next offset to return, while anything is queued

	// The reader's own:
	taken []run
	next  int // in taken[0]
}

// run is what came at once: records, or a gap in front of those that follow.
type run struct {
	records []*kgo.Record
	gap     *Gap
}

func newTopicPartition(number int32, start, end int64) *topicPartition {
	q := &topicPartition{number: number, start: start, end: end, wake: make(chan struct{}, 1), polled: start, probed: -1}
	q.read.Store(start)
	q.done.Store(start)
	return q
}

// recordBytes is about what a record takes beside its value.
const recordBytes = 256

func weigh(r *kgo.Record) int64 { return int64(len(r.Value)) + recordBytes }

// push queues records that came, of a log that begins at first now. Those that
// were returned already, because the log behind the client's back is another
// one, are not returned again: an offset counts once. A hole below the log's
// first record was deleted before it was read, and is queued as the gap that it
// returns; other holes are what compaction or an aborted transaction leaves.
func (q *topicPartition) push(records []*kgo.Record, first int64) (g Gap, gap bool) {
	if len(records) == 0 {
		return g, false
	}
	q.mu.Lock()
	if to := min(records[0].Offset, first, q.end); to > q.polled {
		g, gap = q.miss(q.polled, to, GapDeleted), true
	}
	kept := records
	if records[0].Offset < q.polled || records[len(records)-1].Offset >= q.end {
		kept = kept[:0]
		for _, r := range records {
			if r.Offset < q.polled || r.Offset >= q.end {
				if r.Offset >= q.end {
					q.polled = max(q.polled, q.end) // nothing before the end is still to come
				}
				r.Recycle()
				continue
			}
			kept = append(kept, r)
		}
	}
	var bytes int64
	for _, r := range kept {
		bytes += weigh(r)
	}
	if n := len(kept); n > 0 {
		q.polled = max(q.polled, kept[n-1].Offset+1)
		q.last = kept[n-1].Timestamp
		q.bytes.Add(bytes)
		q.runs = append(q.runs, run{records: kept})
	}
	q.mu.Unlock()
	notify(q.wake)
	return g, gap
}

// miss queues a gap behind what has come. The caller holds the mutex. Gaps with
// nothing between them become one, so there are no more of them than records.
func (q *topicPartition) miss(from, to int64, why GapReason) Gap {
	g := Gap{Partition: q.number, From: from, To: to, Since: q.last, Why: why}
	q.polled = max(q.polled, to)
	if n := len(q.runs); n > 0 && q.runs[n-1].gap != nil {
		was := q.runs[n-1].gap
		if was.To >= was.From {
			was.From = min(was.From, from)
		}
		was.To = max(was.To, to)
		return g
	}
	q.runs = append(q.runs, run{gap: new(g)})
	return g
}

// skip queues the gap that is left of a range that will not be read.
func (q *topicPartition) skip(from, to int64, why GapReason) (g Gap, ok bool) {
	q.mu.Lock()
	if from = max(from, q.polled); to > from {
		g, ok = q.miss(from, to, why), true
	}
	q.mu.Unlock()
	notify(q.wake)
	return g, ok
}

// fall has the partition, of which nothing has come yet, begin at an offset that
// has nothing to do with where it was read before, and queues the gap.
func (q *topicPartition) fall(to int64, why GapReason) Gap {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.polled = to
	q.done.Store(to)
	return q.miss(q.start, to, why)
}

// lost queues the gap where the log lost records that were read already.
func (q *topicPartition) lost(from, to int64) (g Gap, ok bool) {
	q.mu.Lock()
	if to > from {
		g, ok = q.miss(from, to, GapReplaced), true
	}
	q.mu.Unlock()
	notify(q.wake)
	return g, ok
}

// advance moves the position over what holds no records, if nothing has come
// meanwhile. Where records were deleted there, it queues the gap.
func (q *topicPartition) advance(from, to int64, deleted bool) (g Gap, ok bool) {
	q.mu.Lock()
	if ok = q.polled == from && to > from; ok {
		if deleted {
			g = q.miss(from, to, GapDeleted)
		}
		q.polled = to
	}
	q.mu.Unlock()
	if ok {
		notify(q.wake)
	}
	return g, ok
}

// position returns the next offset that Read will come to.
func (q *topicPartition) position() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bytes.Load() == 0 {
		return q.polled
	}
	return q.read.Load()
}

// ended reports whether all up to the end has come.
func (q *topicPartition) ended() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.polled >= q.end
}

// appendTime returns a record's timestamp in Unix nanoseconds. Kafka's own has
// milliseconds, and may be anything that a producer thought.
func appendTime(r *kgo.Record) int64 {
	ms := r.Timestamp.UnixMilli()
	if ms < 0 || ms > NoAppend/1e6 {
		return NoAppend
	}
	return ms * 1e6
}

// take appends what is there, up to max records and about batchBytes, and
// reports whether it got any, and whether nothing will ever come again.
func (q *topicPartition) take(max int, r *Records) (got, ended bool) {
	var freed int64
	for n, size := 0, len(r.Data); n < max && len(r.Data)-size < batchBytes; {
		if len(q.taken) == 0 {
			q.mu.Lock()
			q.taken, q.runs = q.runs, q.taken
			ended = q.polled >= q.end
			q.mu.Unlock()
			if len(q.taken) == 0 {
				break
			}
		}
		if gap := q.taken[0].gap; gap != nil {
			r.Gaps = append(r.Gaps, *gap)
			got = true
			q.read.Store(gap.To)
		}
		run := q.taken[0].records
		for q.next < len(run) && n < max && len(r.Data)-size < batchBytes {
			rec := run[q.next]
			run[q.next] = nil
			q.next++
			freed += weigh(rec)
			if !rec.Attrs.IsControl() {
				got = true
				n++
				q.append(rec, r)
			}
			q.read.Store(rec.Offset + 1)
			rec.Recycle()
		}
		if q.next == len(run) {
			q.taken[0].records, q.taken[0].gap = nil, nil
			q.taken, q.next = q.taken[1:], 0
		}
	}
	if len(q.taken) == 0 {
		q.taken = nil
	}
	q.bytes.Add(-freed)
	return got, ended && !got
}

// append copies a record's line. One newline at its end is the line's, not the
// log's.
func (q *topicPartition) append(rec *kgo.Record, r *Records) {
	line := rec.Value
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
		if n > 1 && line[n-2] == '\r' {
			line = line[:n-2]
		}
	}
	if len(line) > MaxLine {
		r.TooLong++
		return
	}
	r.Starts = append(r.Starts, uint32(len(r.Data)))
	r.Data = append(r.Data, line...)
	r.Ends = append(r.Ends, uint32(len(r.Data)))
	r.Offsets = append(r.Offsets, rec.Offset)
	r.Appended = append(r.Appended, appendTime(rec))
}

// recordPool keeps what records are made of for use again: the client fills
// slices of it, and Recycle puts them back.
type recordPool struct {
	records, bytes sync.Pool
}

// The most that is kept; what is larger is rare and left to the collector.
const (
	maxPooledRecords = 16 << 10
	maxPooledBytes   = 8 << 20
)

// GetRecords returns a slice with capacity n if there is one.
func (p *recordPool) GetRecords(n int) []kgo.Record {
	if s, ok := p.records.Get().(*[]kgo.Record); ok && cap(*s) >= n {
		return (*s)[:0]
	}
	return make([]kgo.Record, 0, n)
}

// PutRecords takes a slice back.
func (p *recordPool) PutRecords(s []kgo.Record) {
	if cap(s) <= maxPooledRecords {
		p.records.Put(&s)
	}
}

// GetDecompressBytes returns a slice to unpack a batch into.
func (p *recordPool) GetDecompressBytes(packed []byte, _ kgo.CompressionCodecType) []byte {
	if s, ok := p.bytes.Get().(*[]byte); ok {
		return (*s)[:0]
	}
	return make([]byte, 0, 8*len(packed))
}

// PutDecompressBytes takes a slice back.
func (p *recordPool) PutDecompressBytes(s []byte) {
	if cap(s) <= maxPooledBytes {
		p.bytes.Put(&s)
	}
}
