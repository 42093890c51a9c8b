package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// tryTimeout is how long Try may take.
const tryTimeout = 5 * time.Second

// Try connects and returns within five seconds whether the cluster answers,
// with a sentence that says what is wrong and what to do.
func Try(ctx context.Context, opts []kgo.Opt) error {
	return tryWith(ctx, opts, func(context.Context, *kgo.Client) error { return nil })
}

// Access is what is to be done with a topic.
type Access int

// What TryTopic asks for.
const (
	Read Access = iota
	Write
)

// TryTopic is Try, and whether the topic is there and may be used. It never
// creates a topic.
func TryTopic(ctx context.Context, opts []kgo.Opt, topic string, access Access) error {
	return tryWith(ctx, opts, func(ctx context.Context, cl *kgo.Client) error {
		if _, err := Topic(ctx, cl, topic, access); err != nil {
			return fmt.Errorf("topic %s: %w", topic, err)
		}
		return nil
	})
}

func tryWith(ctx context.Context, opts []kgo.Opt, then func(context.Context, *kgo.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout-100*time.Millisecond)
	defer cancel()
	dials := &dialHook{}
	cl, err := kgo.NewClient(append(slices.Clip(opts), kgo.WithHooks(dials))...)
	if err != nil {
		return fmt.Errorf("kafka client: %w", err)
	}
	defer cl.Close()
	if err = Answers(ctx, cl); err == nil {
		err = then(ctx, cl)
	}
	if failed := dials.last.Load(); failed != nil && errors.Is(err, context.DeadlineExceeded) {
		return Explain(cl, *failed) // what the client was trying again when the time was over
	}
	return err
}

// dialHook remembers why the last connection failed.
type dialHook struct{ last atomic.Pointer[error] }

// OnBrokerConnect is told of every connection.
func (h *dialHook) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	if err != nil {
		h.last.Store(&err)
	}
}

// Answers returns, for a client, what Try does. All seeds are asked at once, and
// one that answers is enough. The brokers that it names must be reachable too:
// those are the ones that hold the data.
func Answers(ctx context.Context, cl *kgo.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := first(ctx, cl, cl.SeedBrokers(), true); err != nil {
		return err
	}
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	if _, err := req.RequestWith(ctx, cl); err != nil { // only this way the client remembers them
		return Explain(cl, err)
	}
	return first(ctx, cl, cl.DiscoveredBrokers(), false)
}

// first asks brokers for the cluster's metadata. With any, one answer is
// enough; else one is, unless another's host does not even exist.
func first(ctx context.Context, cl *kgo.Client, brokers []*kgo.Broker, any bool) error {
	results := make(chan error, len(brokers))
	for _, b := range brokers {
		go func() {
			req := kmsg.NewPtrMetadataRequest()
			req.Topics = []kmsg.MetadataRequestTopic{}
			_, err := b.Request(ctx, req)
			results <- err
		}()
	}
	var failed error
	answered := false
	for range brokers {
		err := <-results
		var dns *net.DNSError
		switch {
		case err == nil && any:
			return nil
		case err == nil:
			answered = true
		case Refused(Explain(cl, err)):
			return Explain(cl, err) // the others would say the same, and one attempt is enough
		case failed == nil, errors.As(err, &dns) && dns.IsNotFound:
			failed = err
		}
	}
	var dns *net.DNSError
	if answered && !(errors.As(failed, &dns) && dns.IsNotFound) {
		return nil
	}
	return Explain(cl, failed)
}

// Topic returns the topic as the cluster has it now, or a
// sentence why it cannot be used. It never creates a topic.
func Topic(ctx context.Context, cl *kgo.Client, topic string, access Access) (*kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics = append(req.Topics, t)
	req.AllowAutoTopicCreation = false
	req.IncludeTopicAuthorizedOperations = true
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, Explain(cl, err)
	}
	if len(resp.Topics) != 1 {
		return nil, fmt.Errorf("the broker answers about %d topics, must be 1", len(resp.Topics))
	}
	got := &resp.Topics[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return nil, Sentence(err)
	}
	// A broker too old to say what is allowed, or without any access control,
	// leaves the smallest number there is.
	op, name := kmsg.ACLOperationRead, "Read"
	if access == Write {
		op, name = kmsg.ACLOperationWrite, "Write"
	}
	if ops := got.AuthorizedOperations; ops != -1<<31 && ops&(1<<op) == 0 {
		return nil, &fault{fmt.Sprintf("the user may see the topic, but not use it: grant it %s", name), kerr.TopicAuthorizationFailed}
	}
	return got, nil
}
