package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/broker"
)

// kafka starts a broker in this process.
func kafka(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// said collects what is said.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *said) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *said) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *said) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

func clientOpts(t *testing.T, cfg broker.Config) []kgo.Opt {
	t.Helper()
	opts, err := cfg.Options(func(p string) string { return p }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

// topicConfig reads topic t of a cluster from its beginning.
func topicConfig(t *testing.T, c *kfake.Cluster) TopicConfig {
	t.Helper()
	return TopicConfig{Name: "nginx", Client: clientOpts(t, broker.Config{Brokers: c.ListenAddrs()}), Topic: "t", Start: "begin"}
}

func openTopic(t *testing.T, cfg TopicConfig) *Topic {
	t.Helper()
	top, err := OpenTopic(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { top.Close() })
	return top
}

// producer is a client that writes where it is told to.
func producer(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopicAlways(), kgo.DefaultProduceTopic("t")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// write produces records and waits for them.
func write(t *testing.T, cl *kgo.Client, recs ...*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// recordsOf makes n records of a partition, whose values say partition and number.
func recordsOf(p, from, n int) (recs []*kgo.Record) {
	for i := from; i < from+n; i++ {
		recs = append(recs, &kgo.Record{Partition: int32(p), Value: fmt.Appendf(nil, "%d/%d", p, i)})
	}
	return recs
}

// line is one that was read.
type line struct {
	offset int64
	text   string
}

// collect reads partition p until it ends, or until n lines have come.
func collect(t *testing.T, top *Topic, p, n int) (lines []line) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var r Records
	for len(lines) < n {
		r.Reset()
		err := top.Read(ctx, p, 1000, &r)
		if errors.Is(err, io.EOF) {
			return lines
		}
		if err != nil {
			t.Fatalf("partition %d, after %d lines: %v", p, len(lines), err)
		}
		if int(r.Partition) != p {
			t.Fatalf("records of partition %d say %d", p, r.Partition)
		}
		for i := range r.Len() {
			lines = append(lines, line{r.Offsets[i], string(r.Line(i))})
		}
	}
	return lines
}

const all = 1 << 30

// wantLines checks that lines are those of recordsOf, each once and in order.
func wantLines(t *testing.T, lines []line, p, from, n int) {
	t.Helper()
	if len(lines) != n {
		t.Fatalf("partition %d: got %d lines, want %d", p, len(lines), n)
	}
	last := int64(-1)
	for i, l := range lines {
		if want := fmt.Sprintf("%d/%d", p, from+i); l.text != want || l.offset <= last {
			t.Fatalf("partition %d: line %d is %q at offset %d behind %d, want %q", p, i, l.text, l.offset, last, want)
		}
		last = l.offset
	}
}

// eventually waits for something that takes a moment.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(40 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestATopicIsReadOnceAndInOrder(t *testing.T) {
	const parts, each = 12, 3000
	c := kafka(t, kfake.NumBrokers(3), kfake.SeedTopics(parts, "t"))
	cl := producer(t, c)
	for i := 0; i < each; i += 500 {
		for p := range parts {
			write(t, cl, recordsOf(p, i, 500)...)
		}
	}
	top := openTopic(t, topicConfig(t, c))
	if top.Name() != "nginx" || top.Partitions() != parts {
		t.Fatalf("%s has %d partitions", top.Name(), top.Partitions())
	}
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() {
			lines := collect(t, top, p, each)
			wantLines(t, lines, p, 0, each)
		})
	}
	wg.Wait()
	for p := range parts {
		eventually(t, "caught up", func() bool { return top.CaughtUp(p) && top.Lag(p) == 0 })
	}
	write(t, cl, recordsOf(7, each, 1)...)
	wantLines(t, collect(t, top, 7, 1), 7, each, 1)
	if n := top.Errors(); n != 0 {
		t.Errorf("%d errors", n)
	}
}

func TestAReadWaitsForNothingMoreThanItHas(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	write(t, producer(t, c), recordsOf(0, 0, 10)...)
	top := openTopic(t, topicConfig(t, c))
	wantLines(t, collect(t, top, 0, 4), 0, 0, 10) // all that is there, of 1,000 asked for
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var r Records
	if err := top.Read(ctx, 0, 1000, &r); !errors.Is(err, context.DeadlineExceeded) || r.Len() != 0 {
		t.Errorf("got %d records and %v from the end", r.Len(), err)
	}
	top.Close()
	if err := top.Read(t.Context(), 0, 1000, &r); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("got %v from a closed source", err)
	}
}

func TestAReadReturnsAtMostWhatIsAskedFor(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	write(t, producer(t, c), recordsOf(0, 0, 100)...)
	cfg := topicConfig(t, c)
	cfg.UntilEnd = true
	top := openTopic(t, cfg)
	var r Records
	var lines []line
	for {
		r.Reset()
		if err := top.Read(t.Context(), 0, 7, &r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if r.Len() > 7 {
			t.Fatalf("got %d records, asked for 7", r.Len())
		}
		for i := range r.Len() {
			lines = append(lines, line{r.Offsets[i], string(r.Line(i))})
		}
	}
	wantLines(t, lines, 0, 0, 100)
}

func TestWhereATopicIsBegun(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(2, "t"))
	cl := producer(t, c)
	recs := recordsOf(0, 0, 10)
	now := time.Now()
	for i, r := range recs {
		r.Timestamp = now.Add(time.Duration(i-9) * 20 * time.Minute) // 3 h ago to now
	}
	write(t, cl, recs...)
	old := recordsOf(1, 0, 3)
	for _, r := range old {
		r.Timestamp = now.Add(-5 * time.Hour)
	}
	write(t, cl, old...)
	for _, tc := range []struct {
		name   string
		start  string
		starts map[int32]int64
		want   [2]int64
	}{
		{"begin", "begin", nil, [2]int64{0, 0}},
		{"end", "end", nil, [2]int64{10, 3}},
		{"an hour back", "-61m", nil, [2]int64{6, 3}},
		{"as before", "end", map[int32]int64{0: 4, 1: 2}, [2]int64{4, 2}},
		{"as before, and a partition that has come since", "end", map[int32]int64{0: 4}, [2]int64{4, 0}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := topicConfig(t, c)
			cfg.Start, cfg.Starts, cfg.UntilEnd = tc.start, tc.starts, true
			top := openTopic(t, cfg)
			for p, have := range []int{10, 3} {
				if got := top.Start(p); got != tc.want[p] {
					t.Errorf("partition %d begins at %d, want %d", p, got, tc.want[p])
				}
				wantLines(t, collect(t, top, p, all), p, int(tc.want[p]), have-int(tc.want[p]))
			}
		})
	}
	for _, tc := range []struct {
		start  string
		topic  string
		starts map[int32]int64
		want   string
	}{
		{"", "t", nil, `start: "", must be end, begin, or a duration back`},
		{"1h", "t", nil, `start: "1h"`},
		{"begin", "missing", nil, "topic missing: the topic does not exist"},
		{"begin", "", nil, "topic: empty"},
		{"begin", "t", map[int32]int64{0: 11}, "partition 0 is to be read from offset 11, but ends at 10: the topic was created anew or has lost records"},
		{"begin", "t", map[int32]int64{2: 0}, "there are only 2 partitions"},
		{"begin", "t", map[int32]int64{MaxPartitions: 0}, "partitions are numbered from 0 to 4095"},
		{"begin", "t", map[int32]int64{1: -1}, "partition 1 is to be read from offset -1, must not be negative"},
	} {
		cfg := topicConfig(t, c)
		cfg.Start, cfg.Starts, cfg.Topic, cfg.UntilEnd = tc.start, tc.starts, tc.topic, true
		if _, err := OpenTopic(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("start %q, topic %q: got %v, want %q", tc.start, tc.topic, err, tc.want)
		}
	}
	if c.TopicInfo("missing") != nil {
		t.Error("a topic was created")
	}
}

func TestReplayEndsWhereTheTopicEndedWhenItWasOpened(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(3, "t"))
	cl := producer(t, c)
	write(t, cl, recordsOf(0, 0, 100)...)
	write(t, cl, recordsOf(1, 0, 1)...)
	cfg := topicConfig(t, c)
	cfg.UntilEnd = true
	stall := stalled(c)
	stall.Store(true) // so that what comes later comes with what was there
	top := openTopic(t, cfg)
	for p := range 3 {
		write(t, cl, recordsOf(p, 1000, 50)...)
	}
	stall.Store(false)
	for p, n := range []int{100, 1, 0} { // the last one is empty
		wantLines(t, collect(t, top, p, all), p, 0, n)
	}
}

func TestWhatARecordMayHold(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	long := strings.Repeat("x", MaxLine)
	at := time.UnixMilli(1_772_787_600_123)
	cl := producer(t, c, kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	write(t, cl,
		&kgo.Record{Value: []byte("a"), Timestamp: at},
		&kgo.Record{Key: []byte("k")}, // a tombstone
		&kgo.Record{Value: []byte{}},
		&kgo.Record{Value: []byte("newline\r\n")},
		&kgo.Record{Value: []byte(long + "\n")},
		&kgo.Record{Value: []byte(long + "y")},
		&kgo.Record{Value: bytes.Repeat([]byte("z"), 700<<10)})
	write(t, cl, &kgo.Record{Value: []byte("timeless"), Timestamp: time.UnixMilli(-1)})
	write(t, cl, &kgo.Record{Value: []byte("b")})
	cfg := topicConfig(t, c)
	cfg.UntilEnd = true
	top := openTopic(t, cfg)
	var r Records
	for {
		if err := top.Read(t.Context(), 0, 1000, &r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for i := range r.Len() {
		got = append(got, fmt.Sprintf("%d:%.8s", r.Offsets[i], r.Line(i)))
	}
	if want := "0:a 1: 2: 3:newline 4:xxxxxxxx 7:timeless 8:b"; strings.Join(got, " ") != want || r.TooLong != 2 {
		t.Errorf("got %q and %d too long, want %q and 2", got, r.TooLong, want)
	}
	if len(r.Appended) != r.Len() || r.Appended[0] != at.UnixNano() {
		t.Errorf("got append times %v, want one a record, the first %d", r.Appended, at.UnixNano())
	}
	if a := r.Appended[5]; a+int64(time.Minute) < a || a < 1<<62 {
		t.Errorf("a timestamp that is none became %d", a)
	}
}

func TestNewPartitionsAreReadFromTheirStart(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	cfg := topicConfig(t, c)
	cfg.Start = "end"
	top := openTopic(t, cfg)
	cl := producer(t, c, kgo.MetadataMinAge(20*time.Millisecond), kgo.MetadataMaxAge(100*time.Millisecond))
	addPartitions(t, cl, 4)
	eventually(t, "the producer sees the new partitions", func() bool {
		return cl.ProduceSync(t.Context(), recordsOf(3, 0, 1)[0]).FirstErr() == nil
	})
	write(t, cl, recordsOf(3, 1, 9)...)
	eventually(t, "four partitions", func() bool { return top.Partitions() == 4 })
	if top.Start(3) != 0 {
		t.Errorf("the new partition begins at %d", top.Start(3))
	}
	wantLines(t, collect(t, top, 3, 10), 3, 0, 10)
	write(t, cl, recordsOf(0, 0, 5)...)
	wantLines(t, collect(t, top, 0, 5), 0, 0, 5)
}

func TestCloseDoesNotWaitForBrokers(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(12, "t"))
	top := openTopic(t, topicConfig(t, c))
	c.Close()
	begin := time.Now()
	if err := top.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 5*time.Second { // two, and what a busy machine adds
		t.Errorf("took %v", took)
	}
}
