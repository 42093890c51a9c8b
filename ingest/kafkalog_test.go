package ingest

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// addPartitions gives the topic more partitions.
func addPartitions(t *testing.T, cl *kgo.Client, to int) {
	t.Helper()
	got, err := kadm.NewClient(cl).UpdatePartitions(t.Context(), to, "t")
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// deleteRecords has the broker forget what is before an offset of partition 0.
func deleteRecords(t *testing.T, cl *kgo.Client, before int64) {
	t.Helper()
	var offsets kadm.Offsets
	offsets.AddOffset("t", 0, before, -1)
	got, err := kadm.NewClient(cl).DeleteRecords(t.Context(), offsets)
	if err == nil {
		err = got.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// transaction writes records and ends the transaction.
func transaction(t *testing.T, cl *kgo.Client, how kgo.TransactionEndTry, recs ...*kgo.Record) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	write(t, cl, recs...)
	if err := cl.EndTransaction(t.Context(), how); err != nil {
		t.Fatal(err)
	}
}

func TestTransactionsAreReadOnceTheyAreDecided(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	cl := producer(t, c, kgo.TransactionalID("shipper"))
	transaction(t, cl, kgo.TryCommit, recordsOf(0, 0, 10)...)
	transaction(t, cl, kgo.TryAbort, recordsOf(0, 900, 5)...)
	transaction(t, cl, kgo.TryCommit, recordsOf(0, 10, 3)...)
	transaction(t, cl, kgo.TryAbort, recordsOf(0, 950, 5)...) // the last of it are no records at all

	cfg := topicConfig(t, c)
	cfg.UntilEnd = true
	wantLines(t, collect(t, openTopic(t, cfg), 0, all), 0, 0, 13)

	live := openTopic(t, topicConfig(t, c))
	wantLines(t, collect(t, live, 0, 13), 0, 0, 13)
	eventually(t, "caught up behind an aborted transaction", func() bool { return live.CaughtUp(0) })

	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	write(t, cl, recordsOf(0, 13, 4)...)
	wantLines(t, collect(t, openTopic(t, cfg), 0, all), 0, 0, 13) // those are not decided
	if !live.CaughtUp(0) {
		t.Error("what is not decided keeps the source from being caught up")
	}
	if err := cl.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	wantLines(t, collect(t, live, 0, 4), 0, 13, 4)
	if _, n := live.Blind(); n != 0 {
		t.Errorf("blind to %d offsets, want none", n)
	}
}

func TestHolesOfCompactionAreNoGaps(t *testing.T) {
	c := kafka(t)
	cl := producer(t, c)
	if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, map[string]*string{"cleanup.policy": new("compact")}, "t"); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		recs := recordsOf(0, i, 1)
		recs[0].Key = []byte(fmt.Sprint(i % 3))
		if i == 0 {
			recs[0].Key = []byte("once") // stays, with a hole behind it
		}
		write(t, cl, recs...)
	}
	c.Compact()
	cfg := topicConfig(t, c)
	cfg.UntilEnd = true
	replay, live := openTopic(t, cfg), openTopic(t, topicConfig(t, c))
	lines := collect(t, replay, 0, all)
	if len(lines) >= 10 || lines[0].offset != 0 || lines[1].offset < 10 || lines[len(lines)-1].offset != 19 {
		t.Fatalf("got %v, want the last record of each key", lines)
	}
	if got := collect(t, live, 0, len(lines)); fmt.Sprint(got) != fmt.Sprint(lines) {
		t.Errorf("got %v live, %v in a replay", got, lines)
	}
	eventually(t, "caught up", func() bool { return live.CaughtUp(0) })
	cfg.Starts = map[int32]int64{0: 1} // in the hole
	inside := openTopic(t, cfg)
	if got := collect(t, inside, 0, all); fmt.Sprint(got) != fmt.Sprint(lines[1:]) {
		t.Errorf("got %v from within the hole, want %v", got, lines[1:])
	}
	for _, top := range []*Topic{live, replay, inside} {
		if _, n := top.Blind(); n != 0 {
			t.Errorf("blind to %d offsets, want none", n)
		}
	}
}

// TestAHoleAtTheEndIsPassed has the broker say that the partition ends two
// offsets behind its last record, as where a transaction's marker is compacted.
func TestAHoleAtTheEndIsPassed(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	write(t, producer(t, c), recordsOf(0, 0, 3)...)
	c.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked := req.(*kmsg.ListOffsetsRequest)
		if asked.Topics[0].Partitions[0].Timestamp != latest {
			return nil, nil, false
		}
		resp := asked.ResponseKind().(*kmsg.ListOffsetsResponse)
		part := kmsg.NewListOffsetsResponseTopicPartition()
		part.Offset = 5
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic, topic.Partitions = "t", append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	cfg := topicConfig(t, c)
	cfg.UntilEnd = true
	replay, live := openTopic(t, cfg), openTopic(t, topicConfig(t, c))
	wantLines(t, collect(t, replay, 0, all), 0, 0, 3)
	wantLines(t, collect(t, live, 0, 3), 0, 0, 3)
	eventually(t, "caught up", func() bool { return live.CaughtUp(0) })
}

// stalled lets no fetch of a cluster through while it is set.
func stalled(c *kfake.Cluster) *atomic.Bool {
	var on atomic.Bool
	c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if on.Load() {
			return nil, fmt.Errorf("stalled"), true
		}
		return nil, nil, false
	})
	return &on
}

func TestWhatRetentionTookIsSaid(t *testing.T) {
	for _, tc := range []struct {
		name string
		upTo int64
		left int
	}{{"some of it", 15, 5}, {"all of it", 20, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			c := kafka(t, kfake.SeedTopics(1, "t"))
			stall := stalled(c)
			cl := producer(t, c)
			write(t, cl, recordsOf(0, 0, 10)...)
			var log said
			cfg := topicConfig(t, c)
			cfg.Log = log.logger()
			top := openTopic(t, cfg)
			wantLines(t, collect(t, top, 0, 10), 0, 0, 10)
			stall.Store(true)
			eventually(t, "the fetch that was under way is over", func() bool { return top.cl.BufferedFetchRecords() == 0 })
			time.Sleep(2 * fetchWait)
			write(t, cl, recordsOf(0, 10, 10)...)
			deleteRecords(t, cl, tc.upTo)
			stall.Store(false)
			wantLines(t, collect(t, top, 0, tc.left), 0, int(tc.upTo), tc.left)
			eventually(t, "the gap is seen", func() bool { _, n := top.Blind(); return n > 0 })
			eventually(t, "caught up", func() bool { return top.CaughtUp(0) })
			gaps, n := top.Blind()
			if len(gaps) != 1 || gaps[0].From != 10 || gaps[0].To != tc.upTo || gaps[0].Why != GapDeleted || n != tc.upTo-10 || gaps[0].Since.IsZero() {
				t.Errorf("blind to %+v, %d in all, want 10 to %d", gaps, n, tc.upTo)
			}
			eventually(t, "it is said", func() bool { return strings.Contains(log.String(), "blind to a part of the topic") })
			write(t, cl, recordsOf(0, 20, 1)...) // and it goes on
			wantLines(t, collect(t, top, 0, 1), 0, 20, 1)
		})
	}
}

func TestAStartThatTheLogNoLongerHoldsIsSaid(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	cl := producer(t, c)
	write(t, cl, recordsOf(0, 0, 10)...)
	deleteRecords(t, cl, 4)
	cfg := topicConfig(t, c)
	cfg.Starts = map[int32]int64{0: 1}
	top := openTopic(t, cfg)
	wantLines(t, collect(t, top, 0, 6), 0, 4, 6)
	if gaps, n := top.Blind(); len(gaps) != 1 || gaps[0].From != 1 || gaps[0].To != 4 || n != 3 || top.Start(0) != 1 {
		t.Errorf("blind to %+v, begun at %d, want 1 to 4, and 1", gaps, top.Start(0))
	}
}

func TestABatchThatIsABombIsPassedOver(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(2, "t"))
	cl := producer(t, c, kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.ProducerBatchMaxBytes(80<<20), kgo.BrokerMaxWriteBytes(200<<20), kgo.MaxBufferedBytes(200<<20))
	zeros := func(n int) *kgo.Record { return &kgo.Record{Value: make([]byte, n)} }
	write(t, cl, zeros(maxBatch+1)) // the first there is
	write(t, cl, recordsOf(0, 0, 10)...)
	write(t, cl, zeros(maxBatch-1024)) // too long a line, but read
	write(t, cl, zeros(maxBatch+1))
	write(t, cl, recordsOf(0, 10, 10)...)
	write(t, cl, recordsOf(1, 0, 10)...)
	top := openTopic(t, topicConfig(t, c))
	lines := collect(t, top, 0, 20)
	wantLines(t, lines, 0, 0, 20)
	if lines[0].offset != 1 || lines[19].offset != 22 {
		t.Errorf("read from %d to %d, want 1 to 22", lines[0].offset, lines[19].offset)
	}
	wantLines(t, collect(t, top, 1, 10), 1, 0, 10)
	gaps, n := top.Blind()
	if len(gaps) != 2 || n != 2 || gaps[0].From != 0 || gaps[1].From != 12 || gaps[1].Why != GapTooLarge {
		t.Errorf("blind to %+v, want 0 and 12", gaps)
	}
	eventually(t, "caught up", func() bool { return top.CaughtUp(0) })
}

func TestGapsThatAreKeptAreBounded(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	top := openTopic(t, topicConfig(t, c))
	for i := range maxGaps + 1 {
		top.gap(Gap{From: int64(i), To: int64(i) + 2, Why: GapDeleted})
	}
	if gaps, n := top.Blind(); len(gaps) != maxGaps || gaps[0].From != 1 || n != 2*(maxGaps+1) {
		t.Errorf("got %d gaps from %d on, %d offsets", len(gaps), gaps[0].From, n)
	}
}

func TestAReaderThatStopsHoldsNobodyUp(t *testing.T) {
	const size, n = 1 << 10, 24 << 10 // 24 MiB
	c := kafka(t, kfake.SeedTopics(2, "t"))
	cl := producer(t, c, kgo.ProducerBatchCompression(kgo.NoCompression()))
	tail := strings.Repeat(".", size)
	padded := func(p, from, n int) []*kgo.Record {
		recs := recordsOf(p, from, n)
		for _, r := range recs {
			r.Value = append(r.Value, tail...)
		}
		return recs
	}
	for i := 0; i < n; i += 1024 {
		write(t, cl, padded(0, i, 1024)...)
	}
	top := openTopic(t, topicConfig(t, c))
	q := top.part(0)
	var most atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
				if b := q.bytes.Load(); b > most.Load() {
					most.Store(b)
				}
			}
		}
	})
	defer func() { close(stop); wg.Wait() }()
	paused := func() bool { q.mu.Lock(); defer q.mu.Unlock(); return q.paused }
	for i := range 200 { // partition 1 goes on while nobody reads partition 0
		write(t, cl, recordsOf(1, i, 1)...)
		wantLines(t, collect(t, top, 1, 1), 1, i, 1)
	}
	if !paused() {
		t.Errorf("partition 0 is not paused, with %d bytes", q.bytes.Load())
	}
	var r Records
	for got := 0; got < n; {
		r.Reset()
		if err := top.Read(t.Context(), 0, 1000, &r); err != nil {
			t.Fatal(err)
		}
		for i := range r.Len() {
			if want := fmt.Sprintf("0/%d.", got); !strings.HasPrefix(string(r.Line(i)), want) || r.Offsets[i] != int64(got) {
				t.Fatalf("line %d is %.20q", got, r.Line(i))
			}
			got++
		}
	}
	// A batch may be whole although it is larger than what was asked for.
	const weight = size + recordBytes + 16
	if bound := top.limit.Load() + (fetchPartitionBytes+1<<20)/size*weight; most.Load() < top.limit.Load() || most.Load() > bound {
		t.Errorf("up to %d bytes were queued, want %d to %d", most.Load(), top.limit.Load(), bound)
	}
}

func TestQueuesShareWhatMemoryThereIs(t *testing.T) {
	for n, want := range map[int]int64{1: maxQueue, 24: maxQueue, 48: 1 << 20, 384: minQueue} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			c := kafka(t, kfake.SeedTopics(int32(n), "t"))
			if got := openTopic(t, topicConfig(t, c)).limit.Load(); got != want {
				t.Errorf("got %d bytes for each of %d, want %d", got, n, want)
			}
		})
	}
}

func TestOffsetsAreCommittedForOthersToSee(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(2, "t"))
	cl := producer(t, c)
	write(t, cl, recordsOf(0, 0, 10)...)
	write(t, cl, recordsOf(1, 0, 10)...)
	committed := func(group string) [2]int64 {
		got, err := kadm.NewClient(cl).FetchOffsets(t.Context(), group)
		if err != nil {
			t.Fatal(err)
		}
		at := [2]int64{-1, -1}
		got.Each(func(o kadm.OffsetResponse) { at[o.Partition] = o.At })
		return at
	}
	cfg := topicConfig(t, c)
	cfg.UntilEnd = true
	collect(t, openTopic(t, cfg), 0, all)
	top := openTopic(t, topicConfig(t, c))
	collect(t, top, 0, 10)
	top.Close()
	if got := committed("weir-nginx"); got != [2]int64{10, 0} {
		t.Errorf("committed %v, want what was read: 10 and 0", got)
	}

	cfg = topicConfig(t, c)
	cfg.Group, cfg.Starts = "mine", map[int32]int64{0: 2, 1: 0}
	top = openTopic(t, cfg)
	wantLines(t, collect(t, top, 0, 8), 0, 2, 8) // nobody asks the group where to go on
	top.Done(0, 7)
	top.Done(0, 5)
	top.Close()
	if got := committed("mine"); got != [2]int64{7, 0} {
		t.Errorf("committed %v, want what is done: 7 and 0", got)
	}
}
