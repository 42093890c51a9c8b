package emit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/event"
	"weir/internal/broker"
)

// kafka starts a broker with a topic of decisions, and returns a client of
// somebody else.
func kafka(t *testing.T, partitions int32, policy string) (*kfake.Cluster, *kgo.Client) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if partitions > 0 {
		if err := c.CreateTopic("decisions", partitions, map[string]string{"cleanup.policy": policy}); err != nil {
			t.Fatal(err)
		}
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("decisions"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return c, cl
}

// topicPointOf opens a point on the broker.
func topicPointOf(t *testing.T, c *kfake.Cluster, name string, capacity int, log *slog.Logger) Point {
	t.Helper()
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	p, err := newTopic(TopicConfig{Config: broker.Config{Brokers: c.ListenAddrs()}, Topic: "decisions"},
		Setting{Name: name, Actions: enforceable, Capacity: capacity, Path: func(p string) string { return p }, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// records reads a partition's records from the start.
func records(t *testing.T, c *kfake.Cluster, n int) (rs []*kgo.Record) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("decisions"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(rs) < n {
		f := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d records, want %d", len(rs), n)
		}
		f.EachRecord(func(r *kgo.Record) { rs = append(rs, r) })
	}
	return rs
}

func inForceFor(n int, target string, a event.Action, left time.Duration) *InForce {
	in := forced(n, target, a, 0)
	in.Until = time.Now().Add(left).Truncate(time.Second)
	return in
}

// once reconciles a point with what is in force.
func once(t *testing.T, p Point, es ...*InForce) *Reconciler {
	t.Helper()
	l := newLaw(es...)
	r := newReconciler(l.InForce, l.Changed, p, &Guards{}, slog.New(slog.DiscardHandler))
	if err := r.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestATopicHoldsARecordForEachDecisionInForce(t *testing.T) {
	c, _ := kafka(t, 1, "compact")
	p := topicPointOf(t, c, "out", 0, nil)
	if err := p.Try(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := inForceFor(1, "agent=evil\"\n\u202eagent;endpoint=POST /login", event.Challenge, time.Hour)
	first.Decision.Except, first.Reason = "known(ip)", "shared: 7 of 20 are good"
	second := inForceFor(2, "ip=192.0.2.7", event.Limit, time.Hour)
	second.Decision.To = "10/1d"
	once(t, p, first, second)
	rs := records(t, c, 2)
	var got map[string]any
	if err := json.Unmarshal(rs[1].Value, &got); err != nil {
		t.Fatalf("%v: %q", err, rs[1].Value)
	}
	want := fmt.Sprintf(`{"v":1,"point":"out","id":"%032x","action":"challenge","target":{"agent":"evil\"\u000a\u202eagent","endpoint":"POST /login"},`+
		`"except":"known(ip)","until":%q,"rule":"ato.test","version":1,"severity":"medium","reason":"shared: 7 of 20 are good"}`, 1, first.Until.UTC().Format(time.RFC3339))
	if string(rs[1].Key) != first.Decision.ID || string(rs[1].Value) != want {
		t.Errorf("%q: %s\nwant %s", rs[1].Key, rs[1].Value, want)
	}
	// A renewal, a milder action and an end.
	renewed := inForceFor(1, "agent=evil\"\n\u202eagent;endpoint=POST /login", event.Challenge, 2*time.Hour)
	renewed.Decision.Except = "known(ip)"
	milder := inForceFor(2, "ip=192.0.2.7", event.Challenge, time.Hour)
	milder.Until = second.Until
	once(t, p, renewed, milder)
	rs = records(t, c, 4)
	for _, r := range rs[2:] {
		if r.Value == nil {
			t.Errorf("a tombstone of %s, which only changed", r.Key)
		}
	}
	once(t, p, milder)
	rs = records(t, c, 5)
	if last := rs[4]; string(last.Key) != first.Decision.ID || last.Value != nil {
		t.Errorf("%q: %q, must be a tombstone", last.Key, last.Value)
	}
	r := once(t, p, milder)
	if s := r.Status(); s.Held != 1 || s.Applied != 0 || s.Drift != 0 {
		t.Errorf("%+v: nothing differs", s)
	}
}

func TestATopicIsTakenUpWhereItIs(t *testing.T) {
	c, _ := kafka(t, 3, "compact")
	var es []*InForce
	for i := range 500 {
		es = append(es, inForceFor(i, fmt.Sprintf("ip=198.18.%d.%d", i/250, i%250), event.Block, time.Hour))
	}
	before := topicPointOf(t, c, "out", 0, nil)
	once(t, before, es...)
	once(t, before, es[:400]...)
	// Another process, which finds what the first one left.
	after := topicPointOf(t, c, "out", 0, nil)
	l, err := after.Read(t.Context())
	if err != nil || len(l.Entries) != 400 {
		t.Fatalf("%v, %d entries", err, len(l.Entries))
	}
	if s := once(t, after, es[:400]...).Status(); s.Applied != 0 || s.Held != 400 {
		t.Errorf("%+v", s)
	}
	once(t, after, es[300:]...)
	if l, err := before.Read(t.Context()); err != nil || len(l.Entries) != 200 {
		t.Errorf("%v, %d entries: the first one follows", err, len(l.Entries))
	}
}

func TestForeignRecordsAreLeftAlone(t *testing.T) {
	var log bytes.Buffer
	c, other := kafka(t, 1, "compact")
	out := topicPointOf(t, c, "out", 0, logTo(&log))
	theirs := topicPointOf(t, c, "theirs", 0, nil)
	in := inForceFor(1, "ip=192.0.2.7", event.Block, time.Hour)
	once(t, theirs, inForceFor(2, "ip=192.0.2.8", event.Block, time.Hour))
	for _, r := range []*kgo.Record{
		{Key: []byte("user-7"), Value: []byte(`{"name":"x"}`)}, {Value: []byte("no key")}, {Key: []byte("abc"), Value: []byte("{")},
		{Key: []byte("abd"), Value: []byte(`{"v":1,"point":"out","id":"other","action":"block","target":{}}`)},
		{Key: []byte("abe"), Value: []byte(`{"v":1,"point":"out","id":"abe","action":"explode","target":{}}`)},
		{Key: []byte("user-8")},
	} {
		if err := other.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if s := once(t, out, in).Status(); s.Held != 1 || s.Drift != 0 {
		t.Errorf("%+v", s)
	}
	once(t, out)
	rs := records(t, c, 9)
	if last := rs[8]; string(last.Key) != in.Decision.ID || last.Value != nil || len(rs) != 9 {
		t.Errorf("%d records, the last %q: %q", len(rs), last.Key, last.Value)
	}
	if !strings.Contains(log.String(), "left alone") || !strings.Contains(log.String(), "count=6") {
		t.Errorf("%s", &log)
	}
	if l, err := theirs.Read(t.Context()); err != nil || len(l.Entries) != 1 {
		t.Errorf("%v, the other point holds %d", err, len(l.Entries))
	}
}

func TestARecordThatSomebodyOverwroteIsWrittenAgain(t *testing.T) {
	c, other := kafka(t, 1, "compact")
	p := topicPointOf(t, c, "out", 0, nil)
	in := inForceFor(1, "ip=192.0.2.7", event.Block, time.Hour)
	once(t, p, in)
	for _, value := range [][]byte{[]byte("mine now"), nil} {
		if err := other.ProduceSync(t.Context(), &kgo.Record{Key: []byte(in.Decision.ID), Value: value}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if s := once(t, p, in).Status(); s.Applied != 1 || s.Held != 1 {
			t.Errorf("%q: %+v", value, s)
		}
	}
}

func TestOffsetsWithoutRecordsDoNotHoldTheReaderUp(t *testing.T) {
	c, _ := kafka(t, 1, "compact")
	p := topicPointOf(t, c, "out", 0, nil)
	in := inForceFor(1, "ip=192.0.2.7", event.Block, time.Hour)
	once(t, p, in)
	tx, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("decisions"), kgo.TransactionalID("theirs"))
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Close()
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := tx.ProduceSync(t.Context(), &kgo.Record{Key: []byte(in.Decision.ID)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	// Neither what is not decided nor what was taken back counts.
	for _, end := range []func() error{
		func() error { return nil },
		func() error { return tx.EndTransaction(t.Context(), kgo.TryAbort) },
	} {
		if err := end(); err != nil {
			t.Fatal(err)
		}
		l, err := p.Read(t.Context())
		if err != nil || len(l.Entries) != 1 {
			t.Errorf("%v, %d entries", err, len(l.Entries))
		}
	}
}

func TestATopicThatWasMadeAnewIsReadFromItsStart(t *testing.T) {
	c, other := kafka(t, 1, "compact")
	p := topicPointOf(t, c, "out", 0, nil)
	var es []*InForce
	for i := range 20 {
		es = append(es, inForceFor(i, fmt.Sprintf("ip=192.0.2.%d", i), event.Block, time.Hour))
	}
	once(t, p, es...)
	if err := c.DeleteTopic("decisions"); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(t.Context()); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "topic decisions") {
		t.Errorf("%v", err)
	}
	if err := c.CreateTopic("decisions", 2, map[string]string{"cleanup.policy": "compact"}); err != nil {
		t.Fatal(err)
	}
	if err := other.ProduceSync(t.Context(), &kgo.Record{Key: []byte("x"), Value: []byte("y")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var l List
	var err error
	for {
		if l, err = p.Read(ctx); err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(100 * time.Millisecond) // the client learns of the new topic
	}
	if err != nil || len(l.Entries) != 0 {
		t.Errorf("%v, %d entries of the old topic", err, len(l.Entries))
	}
}

func TestATopicsEntriesAreBounded(t *testing.T) {
	c, _ := kafka(t, 1, "compact")
	big := topicPointOf(t, c, "out", 100, nil)
	var es []*InForce
	for i := range 50 {
		es = append(es, inForceFor(i, fmt.Sprintf("ip=192.0.2.%d", i), event.Block, time.Hour))
	}
	once(t, big, es...)
	small := topicPointOf(t, c, "out", 10, nil)
	if s := once(t, small, es...).Status(); s.Held != 10 || s.Shed != 40 {
		t.Errorf("%+v: the topic is emptied to the smaller capacity", s)
	}
	once(t, big, es...)
	for limit, why := range map[int]string{49: "more than 49 decisions of point out", 50: ""} {
		p := topicPointOf(t, c, "out", 10, nil).(*topicPoint)
		p.reader.limit = limit
		for range 2 {
			l, err := p.Read(t.Context())
			if why == "" && (err != nil || len(l.Entries) != 50) || why != "" && (!errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), why)) {
				t.Errorf("limit %d: %v, %d entries", limit, err, len(l.Entries))
			}
			if n := len(p.reader.held); n > limit {
				t.Errorf("%d are kept, limit %d", n, limit)
			}
		}
	}
}

func TestATopicMustKeepTheLatestOfEachKey(t *testing.T) {
	for _, policy := range []string{"delete", "compact,delete"} {
		c, _ := kafka(t, 1, policy)
		err := topicPointOf(t, c, "out", 0, nil).Try(t.Context())
		want := "--alter --entity-type topics --entity-name decisions --add-config cleanup.policy=compact"
		if err == nil || !strings.Contains(err.Error(), "cleanup.policy is "+policy+", must be compact") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v", err)
		}
	}
	c, _ := kafka(t, 0, "")
	p := topicPointOf(t, c, "out", 0, nil)
	want := "kafka-topics.sh --bootstrap-server " + c.ListenAddrs()[0] + " --create --topic decisions --partitions 1 --config cleanup.policy=compact"
	if err := p.Try(t.Context()); err == nil || !strings.Contains(err.Error(), "topic decisions does not exist; make it with:\n  "+want) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(p.Setup(), want) {
		t.Errorf("%s", p.Setup())
	}
}

func TestABrokerThatIsDownIsASentence(t *testing.T) {
	c, _ := kafka(t, 1, "compact")
	p, addr := topicPointOf(t, c, "out", 0, nil), c.ListenAddrs()[0]
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := p.Read(ctx); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), addr) {
		t.Errorf("%v", err)
	}
	in := compileOne(t, inForceFor(1, "ip=192.0.2.7", event.Block, time.Hour), p.Capabilities())
	if err := p.Apply(ctx, List{}, in); err == nil || errors.Is(err, ErrPermanent) {
		t.Errorf("%v", err)
	}
}

// compileOne compiles one entry.
func compileOne(t *testing.T, in *InForce, caps Capabilities) List {
	t.Helper()
	l, _ := Compile(well(in), caps, nil, time.Now())
	if len(l.Entries) != 1 {
		t.Fatalf("%d entries", len(l.Entries))
	}
	return l
}

func TestOnlyADecisionIsWritten(t *testing.T) {
	c, _ := kafka(t, 1, "compact")
	p := topicPointOf(t, c, "out", 0, nil)
	for _, e := range []Entry{{ID: "ab", Action: event.Block}, {ID: "x y", Decision: &event.Decision{}}} {
		if err := p.Apply(t.Context(), List{}, List{Entries: []Entry{e}}); !errors.Is(err, ErrPermanent) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// FuzzTopicRecord reads what anybody may have written.
func FuzzTopicRecord(f *testing.F) {
	e := Entry{ID: "ab", Action: event.Block, Until: listNow, Decision: &event.Decision{Target: event.Target{{Field: "ip", Text: "192.0.2.7"}}, Rule: "r"}}
	f.Add("ab", appendRecord(nil, "out", &e))
	f.Add("ab", []byte(`{"v":1,"point":"out","id":"ab","action":"block","target":{"ip":"x","net":"::/0"},"until":"9999-12-31T23:59:59Z"}`))
	f.Add("ab", []byte(`{"v":1,"point":"out","id":"ab","target":{"ip":"192.0.2.7"},"until":"2026-03-06T12:00:00Z"}`))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		e, ok := readRecord(key, "out", value)
		if ok && (e.ID != key || !isDecisionID(key) || !slices.Contains(enforceable, e.Action)) {
			t.Errorf("%q %q: %+v", key, value, e)
		}
	})
}

func TestABrokerThatAnswersWithNothingIsReadToItsEnd(t *testing.T) {
	c, _ := kafka(t, 1, "compact")
	p := topicPointOf(t, c, "out", 0, nil).(*topicPoint)
	once(t, p, inForceFor(1, "ip=192.0.2.7", event.Block, time.Hour))
	// Compaction can leave offsets at the end of which no record is left.
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	if err := p.reader.poll(ctx, map[int32]int64{0: 5}); err != nil || p.reader.next[0] != 5 || len(p.reader.held) != 1 {
		t.Errorf("%v, next %v, %d entries", err, p.reader.next, len(p.reader.held))
	}
}
