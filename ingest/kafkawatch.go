package ingest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/broker"
	"weir/internal/failpoint"
)

// How often the brokers are asked about more than records.
const (
	watchEvery   = 2 * time.Second // where the partitions end, and whether there are new ones
	watchTimeout = 4 * time.Second
	answerHolds  = 10 * time.Second // so long an answer holds
	commitEvery  = 10 * time.Second
	lastCommit   = time.Second
)

// topicWatch is what is known about the topic beside its records.
type topicWatch struct {
	marked    atomic.Bool // Done is used
	committed map[int32]int64

	mu      sync.Mutex
	ends    []int64 // up to where all transactions are decided
	at      time.Time
	leaders []int32
	id      [16]byte
}

// learn notes who leads the partitions. A topic that was created anew under
// its old name is another one: what was read has nothing to do with it.
func (w *topicWatch) learn(parts []kmsg.MetadataResponseTopicPartition, id [16]byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.id != id && w.id != [16]byte{} {
		return errAnew
	}
	w.id = id
	w.leaders = make([]int32, len(parts))
	for i := range parts {
		w.leaders[parts[i].Partition] = parts[i].Leader
	}
	return nil
}

var errAnew = errors.New("the topic was deleted and created anew, and is not read any more: start weir again")

func (w *topicWatch) topic() [16]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.id
}

func (w *topicWatch) saw(ends []int64, asked time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends, w.at = ends, asked
}

// end returns where a partition ended a moment ago; below 0: not known.
func (w *topicWatch) end(p int) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p >= len(w.ends) || time.Since(w.at) > answerHolds {
		return -1
	}
	return w.ends[p]
}

// CaughtUp reports whether partition p has been read to where it ended a few
// seconds ago. While the brokers do not answer, it has not.
func (t *Topic) CaughtUp(p int) bool { return t.Lag(p) == 0 }

// Lag returns how many records of partition p are still to be read, those that
// compaction or an aborted transaction took out included; below 0 while the
// brokers do not answer.
func (t *Topic) Lag(p int) int64 {
	end := t.watch.end(p)
	switch q := t.part(p); {
	case q.gone.Load():
		return 0
	case end < 0:
		return -1
	default:
		return max(0, end-q.position())
	}
}

// keepWatch asks the brokers until the source is closed.
func (t *Topic) keepWatch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	commit := time.NewTicker(commitEvery)
	defer commit.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return
		case <-commit.C:
			t.commit(t.ctx)
		case <-tick.C:
			err := t.look()
			if t.ctx.Err() != nil {
				return
			}
			if err != nil {
				t.watch.saw(nil, time.Time{})
				t.faults.add(err)
			}
			t.faults.answers(err == nil)
		}
	}
}

// look finds out about new partitions and ends, and about positions that stand
// still before the end.
func (t *Topic) look() error {
	ctx, cancel := context.WithTimeout(t.ctx, watchTimeout)
	defer cancel()
	parts, id, err := t.partitions(ctx)
	if err != nil {
		return err
	}
	if err := t.watch.learn(parts, id); err != nil {
		return err
	}
	if !t.cfg.UntilEnd {
		if err := t.grow(ctx, len(parts)); err != nil {
			return err
		}
	}
	asked := time.Now()
	ends, err := t.offsets(ctx, min(len(parts), t.Partitions()), latest)
	if err != nil {
		return err
	}
	t.watch.saw(ends, asked)
	for i, q := range (*t.parts.Load())[:len(ends)] {
		if err := t.probe(ctx, q, min(ends[i], q.end)); err != nil {
			return broker.Explain(t.cl, err)
		}
	}
	return nil
}

// grow has new partitions read from their first record, and those that have
// come back.
func (t *Topic) grow(ctx context.Context, n int) error {
	have := *t.parts.Load()
	var back, more []*topicPartition
	for _, q := range have[:min(n, len(have))] {
		if q.gone.Load() {
			back = append(back, q)
		}
	}
	for p := len(have); p < n; p++ {
		more = append(more, newTopicPartition(int32(p), 0, math.MaxInt64))
	}
	if len(back)+len(more) == 0 {
		return nil
	}
	begins, err := t.offsets(ctx, n, earliest)
	if err != nil {
		return err
	}
	for _, q := range slices.Concat(back, more) {
		if g, ok := q.skip(0, begins[q.number], GapDeleted); ok {
			t.gap(g)
		}
		q.gone.Store(false)
	}
	t.log.Info("the topic has more partitions", "before", len(have)-len(back), "now", n)
	t.read(more)
	t.consume(back)
	return nil
}

// probe asks for what comes next in a partition at which nothing came since
// the last look, although it goes on to end. The client passes over what
// compaction and aborted transactions leave without a word, and what was
// deleted too; so the position would stay before the end for ever.
func (t *Topic) probe(ctx context.Context, q *topicPartition, end int64) error {
	q.mu.Lock()
	at, still := q.polled, q.polled == q.probed
	q.probed = q.polled
	idle := !q.paused && q.bytes.Load() == 0
	q.mu.Unlock()
	if q.gone.Load() || !still || !idle || at >= end {
		return nil
	}
	t.watch.mu.Lock()
	id, leader := t.watch.id, t.watch.leaders[q.number]
	t.watch.mu.Unlock()
	if leader < 0 {
		return kerr.LeaderNotAvailable
	}
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID, req.MaxBytes, req.IsolationLevel, req.SessionEpoch = -1, fetchBytes, 1, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = t.cfg.Topic, id
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = q.number, at, fetchPartitionBytes
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	raw, err := t.cl.Broker(int(leader)).RetriableRequest(ctx, req)
	if err != nil {
		return err
	}
	resp := raw.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return err
	}
	if resp.ThrottleMillis > 0 || len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil // a client that is throttled is shown nothing; that says nothing
	}
	got := &resp.Topics[0].Partitions[0]
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		KeepControlRecords: true, Offset: at, IsolationLevel: kgo.ReadCommitted(), Topic: t.cfg.Topic, Partition: q.number,
	}, got, kgo.DefaultDecompressor(), nil)
	switch {
	case errors.Is(fp.Err, kerr.OffsetOutOfRange):
		begins, err := t.offsets(ctx, int(q.number)+1, earliest)
		if err != nil {
			return err
		}
		if g, ok := q.advance(at, min(begins[q.number], q.end), true); ok {
			t.gap(g)
		}
	case fp.Err != nil:
		return fp.Err
	case len(fp.Records) > 0: // the client will bring them
	case len(got.RecordBatches) == 0:
		q.advance(at, end, false) // nothing is left there up to the end that was seen before
	default:
		q.advance(at, min(next, q.end), false)
	}
	return nil
}

// commit says to Kafka how far reading has come, for others to see. Nobody
// here ever asks for it.
func (t *Topic) commit(ctx context.Context) {
	if t.cfg.UntilEnd {
		return
	}
	offsets := make(kadm.Offsets)
	for _, q := range *t.parts.Load() {
		if q.gone.Load() {
			continue
		}
		at := q.position()
		if t.watch.marked.Load() {
			at = q.done.Load()
		}
		if was, ok := t.watch.committed[q.number]; !ok || was != at {
			offsets.AddOffset(t.cfg.Topic, q.number, at, -1)
		}
	}
	if len(offsets) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	failpoint.Hit("ingest.commit.before")
	got, err := kadm.NewClient(t.cl).CommitOffsets(ctx, t.cfg.Group, offsets)
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		if t.ctx.Err() == nil {
			t.faults.add(fmt.Errorf("offsets are not committed: %w", broker.Explain(t.cl, err)))
		}
		return
	}
	failpoint.Hit("ingest.commit.after")
	if t.watch.committed == nil {
		t.watch.committed = make(map[int32]int64)
	}
	for _, o := range offsets[t.cfg.Topic] {
		t.watch.committed[o.Partition] = o.At
	}
}

// commitLast commits when all is over, if the brokers answer at once.
func (t *Topic) commitLast() {
	t.watch.mu.Lock()
	answering := time.Since(t.watch.at) < answerHolds
	t.watch.mu.Unlock()
	if !answering {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastCommit)
	defer cancel()
	t.commit(ctx)
}
