package ingest

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/broker"
)

// handOver is how long a full queue may keep the client from being asked for
// more while others are read to their end: pausing a partition throws away
// what has been fetched of it, so it is worth a moment.
const handOver = 20 * time.Millisecond

// poll hands what comes to the queues until the source is closed.
func (t *Topic) poll() {
	for t.ctx.Err() == nil {
		t.hold()
		fetches := t.cl.PollFetches(t.ctx)
		if t.ctx.Err() != nil {
			return
		}
		came, failed := false, false
		fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
			if fp.Err != nil {
				failed = true
				t.fetchError(fp.Partition, fp.Err)
			}
			if parts := *t.parts.Load(); fp.Topic == t.cfg.Topic && int(fp.Partition) < len(parts) && fp.Partition >= 0 {
				came = came || len(fp.Records) > 0
				t.arrived(parts[fp.Partition], &fp.FetchPartition)
			}
		})
		if failed && !came {
			t.pauseFor(250 * time.Millisecond) // what fails at once would fail again at once
		}
	}
}

// arrived queues what came of a partition.
func (t *Topic) arrived(q *topicPartition, fp *kgo.FetchPartition) {
	if len(fp.Records) == 0 {
		return
	}
	if g, ok := q.push(fp.Records, fp.LogStartOffset); ok {
		t.gap(g)
	}
	if q.end < 1<<62 && q.ended() {
		t.cl.PauseFetchPartitions(map[string][]int32{t.cfg.Topic: {q.number}}) // for good
	}
}

// fetchError deals with what the client says about a partition.
func (t *Topic) fetchError(p int32, err error) {
	var loss *kgo.ErrDataLoss
	var large *kgo.ErrDecompressTooLarge
	switch {
	case errors.As(err, &loss):
		// The log was cut behind us, and others wrote what is there now. Offsets
		// that were returned are not returned again, so their new records are lost
		// to us: that is said, and counted.
		if g, ok := t.part(int(p)).lost(loss.ResetTo, loss.ConsumedTo); ok {
			t.gap(g)
		}
	case errors.As(err, &large):
		t.skip(t.part(int(p)), large)
	default:
		t.faults.add(broker.Explain(t.cl, err))
	}
}

// skip goes on behind a batch that nobody should unpack.
func (t *Topic) skip(q *topicPartition, large *kgo.ErrDecompressTooLarge) {
	if g, ok := q.skip(large.Offset, large.NextOffset, GapTooLarge); ok {
		t.gap(g)
	}
	t.cl.RemoveConsumePartitions(map[string][]int32{t.cfg.Topic: {q.number}})
	t.cl.AddConsumePartitions(map[string]map[int32]kgo.Offset{t.cfg.Topic: {q.number: kgo.NewOffset().At(large.NextOffset)}})
}

// hold waits while queues are full and their readers are at work, and pauses
// the full ones as soon as somebody else would have to wait for it.
func (t *Topic) hold() {
	var over <-chan time.Time
	for t.ctx.Err() == nil {
		full, starving, waiting := t.survey()
		if len(full) == 0 {
			return
		}
		if starving {
			t.pause(full)
			return
		}
		if waiting && over == nil {
			timer := time.NewTimer(handOver)
			defer timer.Stop()
			over = timer.C
		}
		select {
		case <-t.changed:
		case <-over:
			t.pause(full)
			return
		case <-t.ctx.Done():
		}
	}
}

// survey returns the queues that are full and not paused; whether a reader
// waits for what is known to be there; and whether any waits at all.
func (t *Topic) survey() (full []*topicPartition, starving, waiting bool) {
	limit := t.limit.Load()
	for _, q := range *t.parts.Load() {
		if q.bytes.Load() >= limit {
			q.mu.Lock()
			if !q.paused {
				full = append(full, q)
			}
			q.mu.Unlock()
			continue
		}
		if q.waiting.Load() && !q.gone.Load() && q.bytes.Load() == 0 {
			waiting = true
			if lag := t.Lag(int(q.number)); lag > 0 {
				starving = true
			}
		}
	}
	return full, starving, waiting
}

// pause stops fetching partitions until their queues are half empty.
func (t *Topic) pause(full []*topicPartition) {
	for _, q := range full {
		q.mu.Lock()
		if !q.paused && q.bytes.Load() >= t.limit.Load() {
			q.paused = true
			t.cl.PauseFetchPartitions(map[string][]int32{t.cfg.Topic: {q.number}})
		}
		q.mu.Unlock()
	}
}

// drained is called when a reader has taken records.
func (t *Topic) drained(q *topicPartition) {
	if q.bytes.Load() > t.limit.Load()/2 {
		return
	}
	q.mu.Lock()
	if q.paused {
		q.paused = false
		t.cl.ResumeFetchPartitions(map[string][]int32{t.cfg.Topic: {q.number}})
	}
	q.mu.Unlock()
	notify(t.changed)
}

// pauseFor waits, unless the source is closed.
func (t *Topic) pauseFor(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}
