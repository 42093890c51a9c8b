package emit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/event"
	"weir/internal/broker"
)

// TopicConfig is a Kafka topic of decisions: compacted, a record for each
// decision in force under its id, a tombstone when it is over.
type TopicConfig struct {
	broker.Config `yaml:",inline"`

	Topic string `yaml:"topic"`
}

// The limits of a topic of decisions.
const (
	topicCapacity   = 200_000         // entries, unless the configuration says otherwise
	topicInterval   = time.Second / 4 // between two lists
	deliveryTimeout = 8 * time.Second // less than a call may take
	quietFor        = 2 * time.Second // nothing in so long, while the broker answers: there is nothing
	pollRecords     = 10_000          // at a time
	fetchBytes      = 8 << 20
)

// topicPoint is the point of a topic of decisions.
type topicPoint struct {
	name     string
	topic    string
	brokers  []string
	actions  []event.Action
	capacity int
	opts     []kgo.Opt
	log      *slog.Logger

	writer *kgo.Client // also asks about offsets; nil until it is needed
	reader topicReader
}

func newTopic(cfg TopicConfig, s Setting) (Point, error) {
	if cfg.Topic == "" || len(cfg.Topic) > 249 {
		return nil, errors.New("kafka: topic: must name the topic to write decisions to, at most 249 bytes")
	}
	opts, err := cfg.Options(s.Path, s.Log)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	t := &topicPoint{name: s.Name, topic: cfg.Topic, brokers: cfg.Brokers, actions: s.Actions, capacity: s.Capacity, opts: opts, log: s.Log}
	if t.capacity == 0 {
		t.capacity = topicCapacity
	}
	// A topic that was filled under a larger capacity is emptied to a smaller one.
	t.reader = newTopicReader(t.name, t.topic, 2*max(t.capacity, topicCapacity), s.Log)
	return t, nil
}

func (t *topicPoint) Name() string { return t.name }

func (t *topicPoint) Capabilities() Capabilities {
	return Capabilities{Any: true, Actions: t.actions, Capacity: t.capacity, Ends: true, MinInterval: topicInterval}
}

// client returns the one that writes; connecting is left to its first request.
func (t *topicPoint) client() (*kgo.Client, error) {
	if t.writer != nil {
		return t.writer, nil
	}
	cl, err := kgo.NewClient(append(slices.Clone(t.opts),
		kgo.DefaultProduceTopic(t.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()), // and idempotent, which is the default
		kgo.RecordDeliveryTimeout(deliveryTimeout),
		kgo.UnknownTopicRetries(1),
	)...)
	if err != nil {
		return nil, fmt.Errorf("kafka client: %w", err)
	}
	t.writer = cl
	return cl, nil
}

// Read returns what the topic holds: all of its records up to its end, folded by
// key. What was read before is remembered.
func (t *topicPoint) Read(ctx context.Context) (List, error) {
	cl, err := t.client()
	if err == nil {
		err = t.reader.catchUp(ctx, cl, t.opts)
	}
	if err != nil {
		return List{}, fmt.Errorf("%w: topic %s: %w", ErrUnreadable, t.topic, err)
	}
	return t.reader.list(), nil
}

// Apply writes a record for each entry that is new or different, and a tombstone
// for each that is to go.
func (t *topicPoint) Apply(ctx context.Context, have, want List) error {
	cl, err := t.client()
	if err != nil {
		return err
	}
	c := Diff(have.Entries, want.Entries, t.Capabilities(), time.Time{})
	var records []*kgo.Record
	stays := make(map[string]bool, len(c.Add))
	for i := range c.Add {
		e := &c.Add[i]
		if e.Decision == nil || !isDecisionID(e.ID) {
			return fmt.Errorf("%w: entry %q has no decision, or its id is not hexadecimal", ErrPermanent, e.ID)
		}
		stays[e.ID] = true
		records = append(records, &kgo.Record{Key: []byte(e.ID), Value: appendRecord(nil, t.name, e)})
	}
	for i := range c.Remove {
		if id := c.Remove[i].ID; !stays[id] { // else it only changed
			records = append(records, &kgo.Record{Key: []byte(id)})
		}
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		if errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.InvalidRecord) {
			return fmt.Errorf("%w: topic %s: %w", ErrPermanent, t.topic, broker.Explain(cl, err))
		}
		return fmt.Errorf("topic %s: %w", t.topic, broker.Explain(cl, err))
	}
	return nil
}

// Try finds out whether the topic is there, may be read and written, and keeps
// the latest record of each key.
func (t *topicPoint) Try(ctx context.Context) error {
	for _, access := range []broker.Access{broker.Read, broker.Write} {
		err := broker.TryTopic(ctx, t.opts, t.topic, access)
		if errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("topic %s does not exist; make it with:\n  %s", t.topic, t.createCommand())
		}
		if err != nil {
			return fmt.Errorf("topic %s: %w", t.topic, err)
		}
	}
	cl, err := t.client()
	if err != nil {
		return err
	}
	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(ctx, t.topic)
	if err == nil {
		_, err = configs.On(t.topic, nil)
	}
	if err != nil {
		return fmt.Errorf("topic %s: its settings cannot be seen: %w", t.topic, broker.Explain(cl, err))
	}
	policy := "delete" // Kafka's own default
	for _, c := range configs[0].Configs {
		if c.Key == "cleanup.policy" && c.Value != nil {
			policy = *c.Value
		}
	}
	if policy != "compact" {
		return fmt.Errorf("topic %s: cleanup.policy is %s, must be compact, else decisions in force are lost or pile up; set it with:\n"+
			"  kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config cleanup.policy=compact",
			t.topic, policy, strings.Join(t.brokers, ","), t.topic)
	}
	return nil
}

func (t *topicPoint) createCommand() string {
	return fmt.Sprintf("kafka-topics.sh --bootstrap-server %s --create --topic %s --partitions 1 --config cleanup.policy=compact",
		strings.Join(t.brokers, ","), t.topic)
}

// Setup says what is in the topic and how it is made.
func (t *topicPoint) Setup() string {
	return fmt.Sprintf(`# Topic %[1]s holds a record for each decision in force: its key is the decision's
# id, its value a line of JSON with action, target, exception and "until". When a
# decision is over, a tombstone (a record without a value) follows. Whoever reads
# it must hold until against its own clock, for weir may not be there to write
# the tombstone. Make it with:
#   %[2]s
`, t.topic, t.createCommand())
}

func (t *topicPoint) Close() error {
	t.reader.stop()
	if t.writer != nil {
		t.writer.Close()
		t.writer = nil
	}
	return nil
}
