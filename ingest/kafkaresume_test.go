package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// sequence reads partition p, a few records at a time, until it ends or so many
// records and gaps have come, and returns them as they follow from each other.
func sequence(t *testing.T, s Source, p, n int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var seq []string
	var r Records
	for max := 1; len(seq) < n; max++ {
		r.Reset()
		if err := s.Read(ctx, p, max, &r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("partition %d, behind %v: %v", p, seq, err)
		}
		i := 0
		for _, g := range r.Gaps {
			if int(g.Partition) != p {
				t.Errorf("a gap of partition %d says %d", p, g.Partition)
			}
			for ; i < r.Len() && r.Offsets[i] < g.To; i++ {
				seq = append(seq, fmt.Sprint(r.Offsets[i]))
			}
			seq = append(seq, fmt.Sprintf("(%d-%d %.21s)", g.From, g.To, g.Why))
		}
		for ; i < r.Len(); i++ {
			seq = append(seq, fmt.Sprint(r.Offsets[i]))
		}
	}
	return strings.Join(seq, " ")
}

// anew deletes the topic and makes it again.
func anew(t *testing.T, cl *kgo.Client, partitions int32) {
	t.Helper()
	admin := kadm.NewClient(cl)
	if _, err := admin.DeleteTopic(t.Context(), "t"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateTopic(t.Context(), partitions, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
}

func TestTwoLivesReadATopicAsOne(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(2, "t"))
	cl := producer(t, c, kgo.TransactionalID("shipper"))
	for i := range 20 {
		how := kgo.TryCommit
		if i%3 == 1 {
			how = kgo.TryAbort
		}
		transaction(t, cl, how, append(recordsOf(0, 10*i, 1+i%4), recordsOf(1, 10*i, 3)...)...)
	}
	cfg := topicConfig(t, c)
	cfg.UntilEnd = true
	one := openTopic(t, cfg)
	whole := [2][]line{collect(t, one, 0, all), collect(t, one, 1, all)}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		cfg.Starts = map[int32]int64{}
		var n [2]int
		for p := range n {
			n[p] = rnd.IntN(len(whole[p]) + 1)
			if n[p] > 0 {
				cfg.Starts[int32(p)] = whole[p][n[p]-1].offset + 1
			} else {
				cfg.Starts[int32(p)] = 0
			}
		}
		top := openTopic(t, cfg)
		for p := range n {
			if got := collect(t, top, p, all); fmt.Sprint(got) != fmt.Sprint(whole[p][n[p]:]) {
				t.Errorf("partition %d from %d: %v, want %v", p, cfg.Starts[int32(p)], got, whole[p][n[p]:])
			}
		}
		if err := top.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsGoneIsToldBeforeWhatComesBehindIt(t *testing.T) {
	for _, tc := range []struct {
		name   string
		before int64 // records are deleted before this offset
		starts map[int32]int64
		n      int // records and gaps
		want   string
	}{
		{"in front", 4, map[int32]int64{0: 1}, 7, "(1-4 the broker deleted th) 4 5 6 7 8 9"},
		{"nothing", 4, map[int32]int64{0: 4}, 6, "4 5 6 7 8 9"},
		{"all", 10, map[int32]int64{0: 3}, 1, "(3-10 the broker deleted th)"},
		{"all that was read", 10, map[int32]int64{0: 10}, 0, ""},
		{"of a partition that has come since", 4, map[int32]int64{1: 0}, 7, "(0-4 the broker deleted th) 4 5 6 7 8 9"},
		{"before anybody asked for it", 4, nil, 6, "4 5 6 7 8 9"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := kafka(t, kfake.SeedTopics(2, "t"))
			cl := producer(t, c)
			write(t, cl, recordsOf(0, 0, 10)...)
			deleteRecords(t, cl, tc.before)
			for untilEnd, n := range map[bool]int{true: all, false: tc.n} {
				cfg := topicConfig(t, c)
				cfg.Starts, cfg.UntilEnd = tc.starts, untilEnd
				top := openTopic(t, cfg)
				if got := sequence(t, top, 0, n); got != tc.want {
					t.Errorf("read to an end %v: %s, want %s", untilEnd, got, tc.want)
				}
				if was, ok := tc.starts[0]; ok && top.Start(0) != was {
					t.Errorf("begun at %d, want %d", top.Start(0), was)
				}
			}
		})
	}
}

func TestWhatIsDeletedWhileItIsReadIsToldInOrder(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	stall := stalled(c)
	cl := producer(t, c)
	write(t, cl, recordsOf(0, 0, 4)...)
	top := openTopic(t, topicConfig(t, c))
	eventually(t, "the records wait to be read", func() bool { return top.part(0).bytes.Load() > 0 })
	stall.Store(true)
	eventually(t, "the fetch that was under way is over", func() bool { return top.cl.BufferedFetchRecords() == 0 })
	time.Sleep(2 * fetchWait)
	write(t, cl, recordsOf(0, 4, 4)...)
	deleteRecords(t, cl, 6)
	stall.Store(false)
	if got, want := sequence(t, top, 0, 7), "0 1 2 3 (4-6 the broker deleted th) 6 7"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
}

func TestAGapWithNothingBehindItIsToldAtOnce(t *testing.T) {
	q := newTopicPartition(3, 10, 1<<62)
	if g, ok := q.skip(5, 20, GapTooLarge); !ok || g.From != 10 || g.To != 20 {
		t.Errorf("%+v, %v", g, ok)
	}
	select {
	case <-q.wake:
	default:
		t.Error("the reader is not woken")
	}
	var r Records
	if got, ended := q.take(10, &r); !got || ended || len(r.Gaps) != 1 || r.Len() != 0 || r.Gaps[0].Partition != 3 || q.position() != 20 {
		t.Errorf("%v, %v, %+v, at %d", got, ended, r, q.position())
	}
	if got, _ := q.take(10, &r); got || len(r.Gaps) != 1 {
		t.Errorf("told again: %+v", r)
	}
}

func TestGapsThatWaitAreNoMoreThanRecords(t *testing.T) {
	q := newTopicPartition(0, 0, 1<<62)
	for i := range int64(100_000) {
		q.skip(i, i+1, GapTooLarge)
	}
	q.push([]*kgo.Record{{Offset: 100_000}}, 0)
	for i := range int64(100_000) {
		q.skip(100_001+i, 100_002+i, GapTooLarge)
		q.lost(99_000, 100_000)
	}
	var r Records
	if len(q.runs) != 3 {
		t.Fatalf("%d runs wait, want a gap, a record and a gap", len(q.runs))
	}
	q.take(10, &r)
	if len(r.Gaps) != 2 || r.Gaps[0].From != 0 || r.Gaps[0].To != 100_000 || r.Gaps[1].From != 99_000 || r.Gaps[1].To != 200_001 {
		t.Errorf("gaps %+v", r.Gaps)
	}
	fell := newTopicPartition(0, 500, 1<<62)
	fell.fall(0, GapAnew)
	fell.skip(0, 7, GapDeleted)
	fell.take(10, &r)
	if g := r.Gaps[2]; g.From != 500 || g.To != 7 || g.Why != GapAnew {
		t.Errorf("a log that begins anew, and lost its beginning: %+v", g)
	}
}

func TestATopicThatWasCreatedAnewIsReadFromItsBeginning(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(3, "t"))
	cl := producer(t, c)
	for p := range 3 {
		write(t, cl, recordsOf(p, 0, 10)...)
	}
	cfg := topicConfig(t, c)
	first := openTopic(t, cfg)
	id := first.ID()
	if len(id) != 32 || id == strings.Repeat("0", 32) {
		t.Fatalf("the topic's id is %q", id)
	}
	anew(t, cl, 2)
	cl = producer(t, c)
	write(t, cl, recordsOf(0, 0, 3)...)
	write(t, cl, recordsOf(1, 0, 20)...)

	cfg.Starts, cfg.ID = map[int32]int64{0: 10, 1: 10, 2: 10}, id
	cfg.Checkpointed, cfg.Group = true, "mine"
	top := openTopic(t, cfg)
	if top.Partitions() != 3 || top.ID() == id || top.ID() == "" {
		t.Errorf("%d partitions, id %s, before %s", top.Partitions(), top.ID(), id)
	}
	for p, want := range []string{"(10-0 the topic was deleted) 0 1 2", "(10-0 the topic was deleted) 0 1 2", "(10-0 the topic was deleted)"} {
		if got := sequence(t, top, p, 1+strings.Count(want, ") ")*3); !strings.HasPrefix(got, want) {
			t.Errorf("partition %d: %s, want %s", p, got, want)
		}
	}
	if !top.CaughtUp(2) || top.Lag(2) != 0 {
		t.Errorf("a partition that is gone has a lag of %d", top.Lag(2))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := top.Read(ctx, 2, 10, &Records{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a partition that is gone gives %v", err)
	}
	top.Done(0, 2)
	addPartitions(t, cl, 4) // and it is back
	cl = producer(t, c)
	write(t, cl, recordsOf(2, 0, 2)...)
	write(t, cl, recordsOf(3, 0, 1)...)
	if got := sequence(t, top, 2, 2); got != "0 1" {
		t.Errorf("the partition that is back: %s", got)
	}
	eventually(t, "four partitions", func() bool { return top.Partitions() == 4 })
	if got := sequence(t, top, 3, 1); got != "0" {
		t.Errorf("the new partition: %s", got)
	}
	if err := top.Close(); err != nil {
		t.Error(err)
	}
	if got := committed(t, cl); fmt.Sprint(got) != "map[0:2 1:0 2:0 3:0]" {
		t.Errorf("committed %v, want what is done of the new topic: 2 and nothing else", got)
	}
	cfg.UntilEnd = true
	if _, err := OpenTopic(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "created anew") {
		t.Errorf("a replay of another topic: %v", err)
	}
}

// TestATopicThatIsShorterIsSaid cannot tell without an id whether the topic is
// another one; with one it is the same, and lost its end.
func TestATopicThatIsShorterIsSaid(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	cl := producer(t, c)
	write(t, cl, recordsOf(0, 0, 5)...)
	cfg := topicConfig(t, c)
	cfg.Starts = map[int32]int64{0: 8, 1: 4}
	unknown := openTopic(t, cfg)
	cfg.Starts, cfg.ID = map[int32]int64{0: 8}, unknown.ID()
	same := openTopic(t, cfg)
	write(t, cl, recordsOf(0, 5, 5)...)
	if got, want := sequence(t, unknown, 0, 6), "(8-5 the topic holds less ) 5 6 7 8 9"; got != want {
		t.Errorf("without an id: %s, want %s", got, want)
	}
	if got, want := sequence(t, unknown, 1, 1), "(4-0 the topic was deleted)"; got != want {
		t.Errorf("without an id, a partition that is gone: %s, want %s", got, want)
	}
	if got, want := sequence(t, same, 0, 3), "(5-8 the broker lost recor) 8 9"; got != want {
		t.Errorf("with its id: %s, want %s", got, want)
	}
	cfg.Starts = map[int32]int64{1: 0}
	if _, err := OpenTopic(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "there are only 1 partitions") {
		t.Errorf("a partition that a topic cannot have lost: %v", err)
	}
}

func TestALeaderThatDoesNotKnowYetIsAskedAgain(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(1, "t"))
	write(t, producer(t, c), recordsOf(0, 0, 5)...)
	var asked atomic.Int32
	c.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		ask := req.(*kmsg.ListOffsetsRequest)
		part := kmsg.NewListOffsetsResponseTopicPartition()
		switch n := asked.Add(1); {
		case n <= 2: // a leader that was just elected
			part.ErrorCode = kerr.OffsetNotAvailable.Code
		case n <= 6 && ask.Topics[0].Partitions[0].Timestamp == latest: // an older one, that says what it knows
			part.Offset = 2
		default:
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
		topic := kmsg.NewListOffsetsResponseTopic()
		topic.Topic, topic.Partitions = "t", append(topic.Partitions, part)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	cfg := topicConfig(t, c)
	cfg.Starts = map[int32]int64{0: 4}
	if got := sequence(t, openTopic(t, cfg), 0, 1); got != "4" || asked.Load() < 7 {
		t.Errorf("asked %d times, and read %s, want 4", asked.Load(), got)
	}
}

// committed returns the offsets of the group, by partition.
func committed(t *testing.T, cl *kgo.Client) map[int32]int64 {
	t.Helper()
	got, err := kadm.NewClient(cl).FetchOffsets(t.Context(), "mine")
	if err != nil {
		t.Fatal(err)
	}
	at := map[int32]int64{}
	got.Each(func(o kadm.OffsetResponse) { at[o.Partition] = o.At })
	return at
}

func TestOnlyWhatIsDoneIsCommittedWithCheckpoints(t *testing.T) {
	c := kafka(t, kfake.SeedTopics(2, "t"))
	cl := producer(t, c)
	write(t, cl, recordsOf(0, 0, 10)...)
	write(t, cl, recordsOf(1, 0, 10)...)
	cfg := topicConfig(t, c)
	cfg.Group, cfg.Checkpointed = "mine", true
	cfg.Starts = map[int32]int64{0: 3, 1: 0}
	top := openTopic(t, cfg)
	collect(t, top, 0, 7)
	collect(t, top, 1, 10)
	top.commit(t.Context())
	if got := committed(t, cl); got[0] != 3 || got[1] != 0 {
		t.Errorf("committed %v before a checkpoint, want the positions", got)
	}
	top.Done(0, 7)
	top.Done(0, 6)
	top.commit(t.Context())
	if got := committed(t, cl); got[0] != 7 || got[1] != 0 {
		t.Errorf("committed %v, want 7 and 0", got)
	}
	top.Done(1, 9)
	if err := top.Close(); err != nil {
		t.Fatal(err)
	}
	if got := committed(t, cl); got[0] != 7 || got[1] != 9 {
		t.Errorf("committed %v at the end, want 7 and 9", got)
	}
}
