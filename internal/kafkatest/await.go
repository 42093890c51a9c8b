package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// probe is the topic of the records that show that a cluster takes records.
const probe = "kafkatest.probe"

// await waits until the cluster is whole and takes a record, or ends the test.
func (c *Cluster) await() {
	c.t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(c.Addr()...),
		kgo.MetadataMinAge(50*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }),
	)
	if err != nil {
		c.t.Fatalf("kafka: %v", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeoutCause(c.t.Context(), patience, fmt.Errorf("not ready after %v", patience))
	defer cancel()
	for {
		attempt, done := context.WithTimeout(ctx, 5*time.Second)
		err := c.ready(attempt, client)
		done()
		if err == nil {
			return
		}
		for _, n := range c.nodes {
			if n.process == nil {
				continue // it was killed
			}
			select {
			case <-n.process.done:
				c.t.Fatalf("kafka: node %d ended: %v", n.id, n.process.err)
			default:
			}
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("kafka: %v: %v", context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ready returns an error until all nodes that run are members, all replicas on
// them are in sync, and a record has been taken by all of them.
func (c *Cluster) ready(ctx context.Context, client *kgo.Client) error {
	running := 0
	for i, seed := range client.SeedBrokers() {
		if c.nodes[i].process == nil {
			continue
		}
		running++
		// For some seconds the others take a node that was killed for a member;
		// one that answers has been registered anew.
		if _, err := seed.Request(ctx, kmsg.NewPtrApiVersionsRequest()); err != nil {
			return fmt.Errorf("node %d does not answer: %w", c.nodes[i].id, err)
		}
	}
	meta, err := kadm.NewClient(client).Metadata(ctx)
	if err != nil {
		return err
	}
	if len(meta.Brokers) != running {
		return fmt.Errorf("%d brokers are members, want %d", len(meta.Brokers), running)
	}
	if !meta.Topics.Has(probe) {
		if err := create(ctx, client, probe, 1); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return err
		}
	}
	for _, topic := range meta.Topics {
		for _, p := range topic.Partitions {
			if want := min(running, len(p.Replicas)); p.Err != nil || len(p.ISR) < want {
				return fmt.Errorf("%s[%d] has %d of %d replicas in sync (%w)", topic.Topic, p.Partition, len(p.ISR), want, p.Err)
			}
		}
	}
	return client.ProduceSync(ctx, &kgo.Record{Topic: probe}).FirstErr()
}
