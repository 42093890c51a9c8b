package torture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topic is the topic that logs are written to.
const topic = "access"

// partitioned is a log in a partition of a topic.
type partitioned struct {
	client    *kgo.Client
	partition int32

	mu     sync.Mutex
	failed error
}

func (l *partitioned) name() (string, int32) { return "shop", l.partition }

// write sends requests. What a broker cannot take waits, in its order.
func (l *partitioned) write(rs []*request) error {
	for _, r := range rs {
		record := &kgo.Record{Topic: topic, Partition: l.partition, Value: r.line(nil), Timestamp: time.UnixMilli(r.at)}
		l.client.Produce(context.Background(), record, func(_ *kgo.Record, err error) {
			if err != nil {
				l.mu.Lock()
				l.failed = errors.Join(l.failed, err)
				l.mu.Unlock()
			}
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failed
}

func (l *partitioned) flush() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	err := l.client.Flush(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(err, l.failed)
}

// topicSources is a topic with some partitions at brokers.
func topicSources(t *testing.T, brokers []string, partitions int) sources {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(1_000_000), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	list := ""
	for _, b := range brokers {
		list += fmt.Sprintf("%q, ", b)
	}
	s := sources{yaml: fmt.Sprintf("  - name: shop\n    kafka: {brokers: [%s], topic: %s, start: begin}\n    format: nginx-json\n    fields: {credential: username}\n    disorder: 2s\n", list, topic)}
	s.recount = func(sent []*request) ([]*request, error) { return held(brokers, sent) }
	for p := range partitions {
		s.logs = append(s.logs, &partitioned{client: client, partition: int32(p)})
	}
	return s
}

// held reads the topic and returns the requests that it holds, in the order of
// each partition: a broker that is killed may have taken some twice.
func held(brokers []string, sent []*request) (all []*request, err error) {
	by := make(map[string]*request, len(sent))
	for _, r := range sent {
		by[strconv.Itoa(r.id)] = r
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		return nil, err
	}
	want := 0
	ends.Each(func(o kadm.ListedOffset) { want += int(o.Offset) })
	there := map[*request]bool{}
	for len(all) < want {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(record *kgo.Record) {
			_, id, _ := bytes.Cut(record.Value, []byte(idName))
			id, _, _ = bytes.Cut(id, []byte{'"'})
			r := by[string(id)]
			if r == nil {
				err = fmt.Errorf("a record that nobody sent: %s", record.Value)
				return
			}
			there[r] = true
			again := *r
			again.offset = record.Offset
			all = append(all, &again)
		})
		if err != nil {
			return nil, err
		}
	}
	if len(there) != len(sent) {
		return nil, fmt.Errorf("the topic holds %d of %d requests that were acknowledged", len(there), len(sent))
	}
	return all, nil
}

// embedded starts a broker within the test, which outlives weir.
func embedded(t *testing.T, partitions int32) (brokers []string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()
}
