package ingest

import (
	"context"
	"errors"
	"fmt"
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

// openTimeout is how long finding out where to begin may take.
const openTimeout = 10 * time.Second

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
	n := len(parts)
	begins, err := t.offsets(ctx, n, earliest)
	if err != nil {
		return err
	}
	ends, err := t.offsets(ctx, n, latest)
	if err != nil {
		return err
	}
	starts := begins
	if len(t.cfg.Starts) == 0 {
		switch {
		case from.back > 0:
			starts, err = t.offsets(ctx, n, time.Now().Add(-from.back).UnixMilli())
		case from.at == latest:
			starts = ends
		}
		if err != nil {
			return err
		}
	}
	var qs []*topicPartition
	for p := range n {
		s := starts[p]
		if s < 0 {
			s = ends[p] // there is no record as late as asked for
		}
		if was, ok := t.cfg.Starts[int32(p)]; ok {
			s = was
		}
		if s > ends[p] {
			return fmt.Errorf("partition %d is to be read from offset %d, but ends at %d: the topic was created anew or has lost records; use a new state directory", p, s, ends[p])
		}
		end := int64(1<<63 - 1)
		if t.cfg.UntilEnd {
			end = ends[p]
		}
		q := newTopicPartition(int32(p), s, end)
		if s < begins[p] {
			to := min(begins[p], end)
			t.gap(Gap{Partition: q.number, From: s, To: to, Why: GapDeleted})
			q.polled = to
		}
		qs = append(qs, q)
	}
	for p, was := range t.cfg.Starts {
		if int(p) >= n || p < 0 {
			return fmt.Errorf("partition %d is to be read from offset %d, but there are only %d partitions: the topic was created anew; use a new state directory", p, was, n)
		}
	}
	t.watch.saw(ends, time.Now())
	t.read(qs)
	return nil
}

// read adds partitions to those that are read.
func (t *Topic) read(more []*topicPartition) {
	all := append(append([]*topicPartition{}, *t.parts.Load()...), more...)
	t.parts.Store(&all)
	t.limit.Store(min(maxQueue, max(minQueue, queueTotal/int64(len(all)))))
	offsets := make(map[int32]kgo.Offset)
	for _, q := range more {
		if q.polled < q.end {
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
