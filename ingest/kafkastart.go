package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/broker"
)

// The times for which ListOffsets has a meaning of its own.
const (
	latest   = -1
	earliest = -2
)

const (
	// openTimeout is how long finding out where to begin may take.
	openTimeout = 10 * time.Second
	// settleTime is how long a partition may seem to end before its position.
	settleTime = 3 * time.Second
)

// start is where to begin.
type start struct {
	at   int64         // latest or earliest, where back is 0
	back time.Duration // by the records' timestamps
}

// CheckStart reports whether s is a start: end, begin, or a duration back.
func CheckStart(s string) error {
	_, err := parseStart(s)
	return err
}

func parseStart(s string) (start, error) {
	switch s {
	case "end":
		return start{at: latest}, nil
	case "begin":
		return start{at: earliest}, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d >= 0 {
		return start{}, fmt.Errorf("start: %q, must be end, begin, or a duration back such as -1h", s)
	}
	return start{back: -d}, nil
}

// begin finds out where each partition begins, and ends, and has the client
// read them.
func (t *Topic) begin(ctx context.Context, from start) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	first, stop := context.WithTimeout(ctx, openTimeout/2-100*time.Millisecond)
	defer stop()
	if err := broker.Answers(first, t.cl); err != nil {
		return err
	}
	parts, id, err := t.partitions(ctx)
	if err != nil {
		return err
	}
	if err := t.watch.learn(parts, id); err != nil {
		return err
	}
	begins, ends, err := t.bounds(ctx, len(parts))
	if err != nil {
		return err
	}
	starts := begins
	if len(t.cfg.Starts) == 0 {
		if starts, err = t.configured(ctx, from, begins, ends); err != nil {
			return err
		}
	}
	var qs []*topicPartition
	for p := range len(parts) {
		q, err := t.resume(int32(p), starts[p], begins[p], ends[p])
		if err != nil {
			return err
		}
		qs = append(qs, q)
	}
	missing, err := t.missing(len(parts))
	if err != nil {
		return err
	}
	t.watch.saw(ends, time.Now())
	t.read(append(qs, missing...))
	return nil
}

// bounds returns where n partitions begin and end. A leader that was elected a
// moment ago may not know yet how far its partition goes: it is asked again
// where it says so, and where a partition seems to end before its position.
func (t *Topic) bounds(ctx context.Context, n int) (begins, ends []int64, err error) {
	for until := time.Now().Add(settleTime); ; t.pauseFor(settleTime / 10) {
		begins, err = t.offsets(ctx, n, earliest)
		if err == nil {
			ends, err = t.offsets(ctx, n, latest)
		}
		again := err != nil && kerr.IsRetriable(err) || err == nil && t.short(ends)
		if !again || time.Now().After(until) {
			return begins, ends, err
		}
		t.cl.ForceMetadataRefresh()
	}
}

// short reports whether a partition of the same topic ends before its position.
func (t *Topic) short(ends []int64) bool {
	for p, was := range t.cfg.Starts {
		if p >= 0 && int(p) < len(ends) && was > ends[p] {
			return !t.anew()
		}
	}
	return false
}

// configured returns where partitions begin that nobody has read before.
func (t *Topic) configured(ctx context.Context, from start, begins, ends []int64) (starts []int64, err error) {
	switch {
	case from.back > 0:
		if starts, err = t.offsets(ctx, len(begins), time.Now().Add(-from.back).UnixMilli()); err != nil {
			return nil, err
		}
		for p := range starts {
			if starts[p] < 0 {
				starts[p] = ends[p] // there is no record as late as asked for
			}
		}
		return starts, nil
	case from.at == latest:
		return ends, nil
	}
	return begins, nil
}

// Anew reports whether the topic holds another log than the positions that it was
// opened with are of, as far as that can be told: it is read from its beginning, or
// from its end, and its offsets mean something else.
func (t *Topic) Anew() bool { return t.fell }

// fall has a partition begin where nobody has read it before.
func (t *Topic) fall(q *topicPartition, to int64, why GapReason) {
	t.fell = true
	t.gap(q.fall(to, why))
}

// anew reports whether the positions are of another topic of this name.
func (t *Topic) anew() bool { return t.cfg.ID != "" && t.ID() != "" && t.ID() != t.cfg.ID }

// resume returns a partition that holds the offsets from first up to end. It
// begins where an earlier life was or, where there was none, as configured.
func (t *Topic) resume(p int32, configured, first, end int64) (*topicPartition, error) {
	was, known := t.cfg.Starts[p]
	if !known {
		was = configured
		if len(t.cfg.Starts) > 0 {
			was = 0 // it has come since
		}
	}
	until := int64(math.MaxInt64)
	if t.cfg.UntilEnd {
		until = end
	}
	q := newTopicPartition(p, was, until)
	switch {
	case was < 0:
		return nil, fmt.Errorf("partition %d is to be read from offset %d, must not be negative", p, was)
	case t.cfg.UntilEnd && known && (was > end || t.anew()):
		return nil, fmt.Errorf("partition %d is to be read from offset %d, but ends at %d: the topic was created anew or has lost records", p, was, end)
	case known && t.anew():
		t.fall(q, first, GapAnew)
	case was > end && t.cfg.ID != "" && t.cfg.ID == t.ID():
		// What others write up to there was counted already as far as offsets tell.
		q.polled = end
		if g, ok := q.skip(end, was, GapReplaced); ok {
			t.gap(g)
		}
	case was > end:
		t.fall(q, end, GapShorter)
	case was < first:
		if g, ok := q.skip(was, min(first, until), GapDeleted); ok {
			t.gap(g)
		}
	}
	return q, nil
}

// missing returns the partitions with positions that the topic, which has n,
// does not have.
func (t *Topic) missing(n int) (qs []*topicPartition, err error) {
	last := int32(n - 1)
	for p, was := range t.cfg.Starts {
		switch {
		case p < 0 || p >= MaxPartitions:
			return nil, fmt.Errorf("partition %d is to be read from offset %d, but partitions are numbered from 0 to %d", p, was, MaxPartitions-1)
		case int(p) >= n && (t.cfg.UntilEnd || t.cfg.ID != "" && t.cfg.ID == t.ID()):
			return nil, fmt.Errorf("partition %d is to be read from offset %d, but there are only %d partitions: the topic was created anew", p, was, n)
		}
		last = max(last, p)
	}
	for p := int32(n); p <= last; p++ {
		q := newTopicPartition(p, t.cfg.Starts[p], math.MaxInt64)
		q.gone.Store(true)
		if q.start > 0 {
			t.fall(q, 0, GapAnew)
		}
		qs = append(qs, q)
	}
	return qs, nil
}

// read adds partitions to those that are read.
func (t *Topic) read(more []*topicPartition) {
	all := append(append([]*topicPartition{}, *t.parts.Load()...), more...)
	t.parts.Store(&all)
	t.limit.Store(min(maxQueue, max(minQueue, queueTotal/int64(len(all)))))
	t.consume(more)
}

// consume has the client fetch partitions.
func (t *Topic) consume(qs []*topicPartition) {
	offsets := make(map[int32]kgo.Offset)
	for _, q := range qs {
		if q.polled < q.end && !q.gone.Load() {
			offsets[q.number] = kgo.NewOffset().At(q.polled)
		}
	}
	t.cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.cfg.Topic: offsets})
}

// offsets returns for n partitions the offset of the first record that is not
// before a time in Unix milliseconds, below 0 where there is none; or earliest;
// or latest, up to which all transactions are decided.
func (t *Topic) offsets(ctx context.Context, n int, at int64) ([]int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.IsolationLevel = 1
	topic := kmsg.NewListOffsetsRequestTopic()
	topic.Topic = t.cfg.Topic
	for p := range n {
		part := kmsg.NewListOffsetsRequestTopicPartition()
		part.Partition, part.Timestamp, part.MaxNumOffsets = int32(p), at, 1
		topic.Partitions = append(topic.Partitions, part)
	}
	req.Topics = append(req.Topics, topic)
	found := make([]int64, n)
	got := 0
	for _, shard := range t.cl.RequestSharded(ctx, req) { // each leader is asked for its own
		if shard.Err != nil {
			return nil, broker.Explain(t.cl, shard.Err)
		}
		for _, topic := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for i := range topic.Partitions {
				p := &topic.Partitions[i]
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return nil, fmt.Errorf("partition %d: %w", p.Partition, broker.Explain(t.cl, err))
				}
				if int(p.Partition) < n && p.Partition >= 0 {
					found[p.Partition] = p.Offset
					got++
				}
			}
		}
	}
	if got < n {
		return nil, errors.New("the brokers do not know the offsets of all partitions")
	}
	return found, nil
}
