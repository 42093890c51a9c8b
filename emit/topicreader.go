package emit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/broker"
)

// topicReader folds a topic of decisions by key, and goes on from where it was.
type topicReader struct {
	point string
	topic string
	limit int // of entries
	log   *slog.Logger

	client  *kgo.Client // nil: it begins anew
	next    map[int32]int64
	held    map[string]Entry
	foreign uint64 // records that are not of this point, seen since it began
	told    uint64 // of those, when it was last said
	over    bool   // there were more entries than limit
}

func newTopicReader(point, topic string, limit int, log *slog.Logger) topicReader {
	return topicReader{point: point, topic: topic, limit: limit, log: log}
}

// stop closes the client; the next catchUp begins at the topic's start.
func (r *topicReader) stop() {
	if r.client != nil {
		r.client.Close()
		r.client = nil
	}
}

// catchUp reads to where the topic ends now, without transactions still open.
func (r *topicReader) catchUp(ctx context.Context, cl *kgo.Client, opts []kgo.Opt) error {
	admin := kadm.NewClient(cl)
	listed, err := admin.ListCommittedOffsets(ctx, r.topic)
	ends, err := offsetsOf(listed, r.topic, err)
	if err != nil {
		return broker.Explain(cl, err)
	}
	for p, next := range r.next {
		if end, ok := ends[p]; !ok || end < next {
			r.log.Warn("the topic of decisions was made anew or cut; it is read from its start", "topic", r.topic)
			r.stop()
			break
		}
	}
	if r.client == nil || len(ends) != len(r.next) {
		listed, err := admin.ListStartOffsets(ctx, r.topic)
		starts, err := offsetsOf(listed, r.topic, err)
		if err != nil {
			return broker.Explain(cl, err)
		}
		if err := r.begin(starts, opts); err != nil {
			return err
		}
	}
	return r.poll(ctx, ends)
}

// offsetsOf returns the offset of each partition.
func offsetsOf(listed kadm.ListedOffsets, topic string, err error) (map[int32]int64, error) {
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, err
	}
	offsets := map[int32]int64{}
	for p, o := range listed[topic] {
		offsets[p] = o.Offset
	}
	if len(offsets) == 0 {
		return nil, errors.New("it has no partitions")
	}
	return offsets, nil
}

// begin reads partitions that it does not read yet from their starts.
func (r *topicReader) begin(starts map[int32]int64, opts []kgo.Opt) error {
	if r.client == nil {
		r.next, r.held, r.foreign, r.told, r.over = map[int32]int64{}, map[string]Entry{}, 0, 0, false
	}
	from := map[int32]kgo.Offset{}
	for p, start := range starts {
		if _, ok := r.next[p]; !ok {
			from[p], r.next[p] = kgo.NewOffset().At(start), start
		}
	}
	partitions := map[string]map[int32]kgo.Offset{r.topic: from}
	if r.client != nil {
		r.client.AddConsumePartitions(partitions)
		return nil
	}
	cl, err := kgo.NewClient(append(slices.Clone(opts),
		kgo.ConsumePartitions(partitions),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // the start moved on between asking and reading
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // the ends of transactions take up offsets too
		kgo.FetchMaxBytes(fetchBytes),
	)...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	r.client = cl
	return nil
}

// poll folds records until all ends are reached.
func (r *topicReader) poll(ctx context.Context, ends map[int32]int64) error {
	for r.behind(ends) {
		call, cancel := context.WithTimeout(ctx, quietFor)
		fetches := r.client.PollRecords(call, pollRecords)
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			err = broker.Explain(r.client, err)
			r.stop() // whatever it was, what is read from the start is whole
			return err
		}
		if fetches.NumRecords() == 0 {
			// The broker has just answered, and there is nothing: what is left are
			// offsets without records, of what was compacted or aborted. Were it
			// slow only, the records come with the next poll, and writing one of
			// them again does no harm.
			for p, end := range ends {
				r.next[p] = max(r.next[p], end)
			}
		}
		fetches.EachRecord(r.fold)
	}
	if r.foreign > r.told {
		r.log.Warn("records in the topic of decisions that are not of this point are left alone", "topic", r.topic, "count", r.foreign)
		r.told = r.foreign
	}
	if r.over {
		r.stop()
		return fmt.Errorf("it holds more than %d decisions of point %s, so it cannot be kept: raise capacity: of the point, or make the topic anew", r.limit, r.point)
	}
	return nil
}

func (r *topicReader) behind(ends map[int32]int64) bool {
	for p, end := range ends {
		if r.next[p] < end {
			return true
		}
	}
	return false
}

// fold takes one record.
func (r *topicReader) fold(rec *kgo.Record) {
	r.next[rec.Partition] = max(r.next[rec.Partition], rec.Offset+1)
	if rec.Attrs.IsControl() {
		return
	}
	key := string(rec.Key)
	if rec.Value == nil {
		delete(r.held, key)
		return
	}
	e, ok := readRecord(key, r.point, rec.Value)
	_, known := r.held[key]
	switch {
	case !ok:
		r.foreign++
		delete(r.held, key) // if it was of this point, it is not any more
	case !known && len(r.held) >= r.limit:
		r.over = true
	default:
		r.held[key] = e
	}
}

// list returns what is held.
func (r *topicReader) list() List {
	l := List{Entries: make([]Entry, 0, len(r.held))}
	for _, e := range r.held {
		l.Entries = append(l.Entries, e)
	}
	l.Sort()
	return l
}
