package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client returns one that ends with the test.
func client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(opts, kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// acknowledged produces 300 records and waits for each to be acknowledged.
func acknowledged(t *testing.T, c *kgo.Client) {
	t.Helper()
	var rs []*kgo.Record
	for i := range 300 {
		rs = append(rs, &kgo.Record{Topic: "kept", Value: fmt.Appendf(nil, "record %d", i)})
	}
	if err := c.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// held returns how many records the topic holds.
func held(t *testing.T, c *kgo.Client) (n int64) {
	t.Helper()
	ends, err := kadm.NewClient(c).ListEndOffsets(t.Context(), "kept")
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		t.Fatal(err)
	}
	ends.Each(func(o kadm.ListedOffset) { n += o.Offset })
	return n
}

func TestABrokerThatIsKilledComesBackWithItsRecordsAndUsers(t *testing.T) {
	c := Start(t, Options{TLS: true, SASL: true})
	c.Create("kept", 3)
	plain := client(t, kgo.SeedBrokers(c.Addr()...))
	acknowledged(t, plain)

	c.Kill(1)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	if err := client(t, kgo.SeedBrokers(c.Addr()...)).Ping(ctx); err == nil {
		t.Error("a broker that was killed answers")
	}
	cancel()
	begin := time.Now()
	c.Restart(1)
	t.Logf("killed, and ready again in %.1f s", time.Since(begin).Seconds())
	if n := held(t, plain); n != 300 {
		t.Errorf("the topic holds %d records, want 300", n)
	}

	config, err := c.ClientTLS()
	if err != nil {
		t.Fatal(err)
	}
	auth := scram.Auth{User: User, Pass: Password}
	for _, m := range []kgo.Opt{kgo.SASL(auth.AsSha256Mechanism()), kgo.SASL(auth.AsSha512Mechanism())} {
		if n := held(t, client(t, kgo.SeedBrokers(c.SASLAddr()...), kgo.DialTLSConfig(config), m)); n != 300 {
			t.Errorf("over SASL the topic holds %d records, want 300", n)
		}
	}
	if n := held(t, client(t, kgo.SeedBrokers(c.TLSAddr()...), kgo.DialTLSConfig(config))); n != 300 {
		t.Errorf("over TLS the topic holds %d records, want 300", n)
	}
	auth.Pass = "wrong"
	ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	err = client(t, kgo.SeedBrokers(c.SASLAddr()...), kgo.DialTLSConfig(config), kgo.SASL(auth.AsSha512Mechanism())).Ping(ctx)
	if !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("with a wrong password: %v, want that it is refused", err)
	}
	for begin := time.Now(); c.RefusedLogins() == 0 && time.Since(begin) < 10*time.Second; {
		time.Sleep(50 * time.Millisecond) // the broker logs when it likes
	}
	if n := c.RefusedLogins(); n < 1 || n > 10 {
		t.Errorf("the broker has refused %d log-ins, want one or a few", n)
	}
}

// consumed reads the topic to its end and returns how many records it gave, and
// how many different ones.
func consumed(t *testing.T, c *Cluster, want int) (n, different int) {
	t.Helper()
	cl := client(t, kgo.SeedBrokers(c.Addr()...), kgo.ConsumeTopics("kept"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	seen := make(map[string]bool)
	for n < want && ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			n++
			seen[fmt.Sprint(r.Partition, " ", r.Offset)] = true
		})
	}
	return n, len(seen)
}

func TestThreeNodesGoOnWithoutOne(t *testing.T) {
	c := Start(t, Options{Nodes: 3})
	if n := len(c.Addr()); n != 3 {
		t.Fatalf("%d addresses, want 3", n)
	}
	c.Create("kept", 6)
	plain := client(t, kgo.SeedBrokers(c.Addr()...), kgo.RequiredAcks(kgo.AllISRAcks()))
	meta, err := kadm.NewClient(plain).Metadata(t.Context(), "kept")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range meta.Topics["kept"].Partitions.Sorted() {
		if len(p.Replicas) != 3 {
			t.Errorf("partition %d has %d replicas, want 3", p.Partition, len(p.Replicas))
		}
	}
	acknowledged(t, plain)
	c.Kill(2)
	begin := time.Now()
	acknowledged(t, plain)
	t.Logf("records are taken %.1f s after a node was killed", time.Since(begin).Seconds())
	c.Await()
	t.Logf("the others know of it after %.1f s", time.Since(begin).Seconds())
	if n, different := consumed(t, c, 600); n != 600 || different != 600 {
		t.Errorf("%d records, %d different ones, come of two nodes, want 600", n, different)
	}
	begin = time.Now()
	c.Restart(2)
	t.Logf("whole again in %.1f s", time.Since(begin).Seconds())
	c.Kill(3)
	acknowledged(t, plain)
	if n, different := consumed(t, c, 900); n != 900 || different != 900 {
		t.Errorf("%d records, %d different ones, want 900", n, different)
	}
	if !strings.Contains(c.Log(2), "Kafka Server started") {
		t.Error("the log of node 2 does not say that it started")
	}
}

func TestARecordThatOnlyOneNodeCanHoldIsNotAcknowledged(t *testing.T) {
	c := Start(t, Options{Nodes: 3})
	c.Create("kept", 1)
	plain := client(t, kgo.SeedBrokers(c.Addr()...), kgo.RequiredAcks(kgo.AllISRAcks()))
	acknowledged(t, plain)
	c.Kill(1)
	c.Kill(2)
	hasty := client(t, kgo.SeedBrokers(c.Addr()...), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DisableIdempotentWrite(),
		kgo.ProduceRequestTimeout(time.Second), kgo.RecordDeliveryTimeout(3*time.Second))
	if err := hasty.ProduceSync(t.Context(), &kgo.Record{Topic: "kept", Value: []byte("one replica")}).FirstErr(); err == nil {
		t.Error("a record was acknowledged that only one node has")
	}
	c.Restart(1)
	acknowledged(t, plain)
}
