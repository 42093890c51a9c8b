package ingest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"weir/internal/broker"
)

// TopicConfig is how a topic is read.
type TopicConfig struct {
	Name   string    // of the source
	Client []kgo.Opt // how to reach the cluster, see broker.Config.Options
	Topic  string
	// Start is where a partition begins to be read that Starts does not name:
	// end, begin, or a duration back by the records' timestamps, such as -1h.
	Start string
	// Starts are the positions at which to go on, of the partitions that an earlier
	// life knew: each the offset behind what it had dealt with. With any, a
	// partition that is missing has come since, and is read from its first record.
	// What the broker does not have any more between a position and where reading
	// begins is a Gap.
	Starts map[int32]int64
	// ID is what Topic.ID was when the positions were taken; empty: not known.
	// Positions in a topic of another id, which was created anew, mean nothing.
	ID    string
	Group string // whose offsets are committed, for others to see the lag; empty: weir-NAME
	// Checkpointed commits only what Done said; else, until Done was called, what
	// Read returned is committed.
	Checkpointed bool
	// UntilEnd reads to where the partitions end when the topic is opened; Read
	// then returns io.EOF, and nothing is committed.
	UntilEnd bool
	Log      *slog.Logger // nil: silent
}

// The limits on a topic and its partitions.
const (
	// MaxPartitions is how many partitions a topic may have.
	MaxPartitions = 4096
	// queueTotal is about how many bytes of records wait in all queues together,
	// shared by the partitions within the other two limits.
	queueTotal = 48 << 20
	maxQueue   = 2 << 20
	minQueue   = 128 << 10
)

// What is asked of a broker at once, as it is on the wire. Shippers' batches
// grow five- to tenfold when they are unpacked. Of a partition at least one
// whole batch comes, however large, so that reading goes on.
const (
	fetchBytes          = 3 << 20
	fetchPartitionBytes = 256 << 10
	fetchesAtOnce       = 8 // to as many brokers
	fetchWait           = 100 * time.Millisecond
	// maxBatch is how large a batch may be unpacked: beyond it is not a log, but
	// an attempt on our memory.
	maxBatch = 64 << 20
)

// Topic is a Kafka topic as a source: all of its partitions, under the numbers
// that Kafka gives them. It is no member of a group; who asks where to go on
// gets no answer from Kafka. A partition that a topic has no more, because it was
// created anew, stays and has no records until the topic has it again.
type Topic struct {
	cfg    TopicConfig
	log    *slog.Logger
	cl     *kgo.Client
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	parts   atomic.Pointer[[]*topicPartition]
	changed chan struct{} // a queue was drained, or a reader began to wait
	limit   atomic.Int64  // of bytes in one queue

	watch  topicWatch
	gaps   gaps
	faults faults
	once   sync.Once
	fell   bool // a partition begins where nobody has read it before, its positions being another log's
}

// OpenTopic finds out where to begin and starts to read. A topic that does not
// exist is an error, and is never created.
func OpenTopic(ctx context.Context, cfg TopicConfig) (*Topic, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Group == "" {
		cfg.Group = "weir-" + cfg.Name
	}
	if cfg.Topic == "" {
		return nil, errors.New("topic: empty")
	}
	start, err := parseStart(cfg.Start)
	if err != nil {
		return nil, err
	}
	t := &Topic{cfg: cfg, log: cfg.Log.With("source", cfg.Name, "topic", cfg.Topic), changed: make(chan struct{}, 1)}
	t.faults.log = t.log
	t.watch.marked.Store(cfg.Checkpointed)
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.parts.Store(new([]*topicPartition))
	if t.cl, err = kgo.NewClient(append(append([]kgo.Opt{}, cfg.Client...), topicOpts()...)...); err != nil {
		t.cancel()
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	if err := t.begin(ctx, start); err != nil {
		t.cancel()
		t.cl.Close()
		return nil, fmt.Errorf("topic %s: %w", cfg.Topic, err)
	}
	t.wg.Go(t.poll)
	t.wg.Go(t.keepWatch)
	return t, nil
}

// topicOpts is what the client of a topic needs beside how to reach the cluster.
func topicOpts() []kgo.Opt {
	return []kgo.Opt{
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), // they move the position; without them the end of a transaction would never be reached
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{}),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchPartitionBytes),
		kgo.FetchMaxWait(fetchWait),
		kgo.MaxConcurrentFetches(fetchesAtOnce),
		kgo.MaxDecompressBatchBytes(maxBatch),
		kgo.WithPools(&recordPool{}),
	}
}

// Name is the source's name in the configuration.
func (t *Topic) Name() string { return t.cfg.Name }

// Partitions returns how many partitions there are now.
func (t *Topic) Partitions() int { return len(*t.parts.Load()) }

func (t *Topic) part(p int) *topicPartition { return (*t.parts.Load())[p] }

// ID identifies the topic: one that is created anew under its name has another.
// It is empty where the brokers are too old to say.
func (t *Topic) ID() string {
	id := t.watch.topic()
	if id == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// Start returns the offset at which partition p was begun to be read.
func (t *Topic) Start(p int) int64 { return t.part(p).start }

// Read appends to r what has come of partition p, up to max records and the gaps
// in front of them, and waits only if there is nothing.
func (t *Topic) Read(ctx context.Context, p int, max int, r *Records) error {
	q := t.part(p)
	r.Partition = int32(p)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if got, ended := q.take(max, r); got {
			t.drained(q)
			return nil
		} else if ended {
			return io.EOF
		}
		q.waiting.Store(true)
		notify(t.changed)
		select {
		case <-q.wake:
		case <-ctx.Done():
		case <-t.ctx.Done():
			q.waiting.Store(false)
			return fmt.Errorf("topic %s: %w", t.cfg.Topic, errClosed)
		}
		q.waiting.Store(false)
	}
}

var errClosed = errors.New("the source is closed")

// Done says that all records of partition p before next have been dealt with:
// so far is committed, for others to see.
func (t *Topic) Done(p int, next int64) {
	t.watch.marked.Store(true)
	q := t.part(p)
	for {
		old := q.done.Load()
		if next <= old || q.done.CompareAndSwap(old, next) {
			return
		}
	}
}

// Errors returns how many times something went wrong while reading. What it was
// is logged, once in a while for each kind.
func (t *Topic) Errors() int64 { return t.faults.count.Load() }

// Close ends reading within two seconds, whether the brokers answer or not.
func (t *Topic) Close() error {
	t.once.Do(func() {
		t.cancel()
		t.wg.Wait()
		t.commitLast()
		t.cl.Close()
	})
	return nil
}

// notify wakes whoever waits on c, now or soon.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

var _ Tail = (*Topic)(nil)

// partitions returns the topic's partitions as the cluster has them.
func (t *Topic) partitions(ctx context.Context) ([]kmsg.MetadataResponseTopicPartition, [16]byte, error) {
	got, err := broker.Topic(ctx, t.cl, t.cfg.Topic, broker.Read)
	if err != nil {
		return nil, [16]byte{}, err
	}
	n := len(got.Partitions)
	if n == 0 || n > MaxPartitions {
		return nil, [16]byte{}, fmt.Errorf("%d partitions, must be 1 to %d", n, MaxPartitions)
	}
	for i := range got.Partitions {
		if p := got.Partitions[i].Partition; p < 0 || int(p) >= n {
			return nil, [16]byte{}, fmt.Errorf("partition %d of %d: the broker does not number them from 0", p, n)
		}
	}
	return got.Partitions, got.TopicID, nil
}
