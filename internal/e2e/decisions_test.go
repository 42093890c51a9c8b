package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/emit"
	"weir/event"
	"weir/internal/broker"
	"weir/internal/kafkatest"
)

// decided is a decision against an address, as it stands in a list.
func decided(n int, until time.Time) emit.Entry {
	text := fmt.Sprintf("203.0.113.%d", n)
	d := &event.Decision{
		Step: event.New, ID: fmt.Sprintf("%032x", n), Time: until.Add(-time.Hour), Until: until, Mode: event.Enforce, Would: event.Block,
		Target: event.Target{{Field: "ip", Text: text}}, Key: event.Target{{Field: "ip", Text: text}}, Rule: "a.rule", Version: 1,
	}
	return emit.Entry{Prefix: netip.MustParsePrefix(text + "/32"), Action: event.Block, Until: until, ID: d.ID, Decision: d}
}

// A topic of decisions is kept on a real broker: what is in force is there,
// what is over has its tombstone, and whoever comes new reads the same.
func TestATopicOfDecisionsIsKeptOnARealBroker(t *testing.T) {
	cluster := kafkatest.Start(t, kafkatest.Options{})
	cl, err := kgo.NewClient(kgo.SeedBrokers(cluster.Addr()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	compact := "compact"
	made, err := kadm.NewClient(cl).CreateTopic(ctx, 3, 1, map[string]*string{"cleanup.policy": &compact}, "decisions")
	if err != nil || made.Err != nil {
		t.Fatal(err, made.Err)
	}
	open := func() emit.Point {
		t.Helper()
		points, err := emit.OpenPoints([]emit.PointConfig{{
			Name: "decisions", Kafka: &emit.TopicConfig{Config: broker.Config{Brokers: cluster.Addr()}, Topic: "decisions"},
		}}, nil, samePath, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return points[0]
	}
	p := open()
	if err := p.Try(ctx); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour).Truncate(time.Second).UTC()
	have := emit.List{}
	for _, want := range [][]emit.Entry{
		{decided(1, until), decided(2, until), decided(3, until)},
		{decided(1, until), decided(3, until.Add(time.Hour)), decided(4, until)}, // one ends, one is renewed, one is new
		{decided(4, until)},
	} {
		list := emit.List{Entries: want, Meant: true}
		list.Sort()
		if err := p.Apply(ctx, have, list); err != nil {
			t.Fatal(err)
		}
		fresh := open()
		for who, point := range map[string]emit.Point{"the one that wrote": p, "a new one": fresh} {
			got, err := point.Read(ctx)
			if err != nil {
				t.Fatal(err)
			}
			same := func(a, b emit.Entry) bool { return a.ID == b.ID && a.Until.Equal(b.Until) && a.Prefix == b.Prefix }
			if !slices.EqualFunc(got.Entries, list.Entries, same) {
				t.Errorf("%s reads %+v, want %+v", who, got.Entries, list.Entries)
			}
			have = got
		}
		if err := fresh.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
