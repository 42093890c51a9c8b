package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/testkit"
)

const (
	partitions = 12
	lastPath   = "/last"
	span       = 40 * time.Second // of a log
)

// began is the time of the first event. The next whole hour, at which what is
// known and seen is published, comes in the middle of the first log.
var began = time.Date(2026, 3, 6, 9, 59, 40, 0, time.UTC)

// load writes access logs of a shop to a topic.
type load struct {
	ctx    context.Context // of the test
	client *kgo.Client
	rate   float64 // records a second
	paced  bool    // each when its time has come; else as fast as it goes
	start  time.Time

	fate    atomic.Int32  // of what is dealt to the last partition
	held    []*kgo.Record // for it
	stopped atomic.Bool   // nothing is sent for a while

	rest         []byte // the beginning of a line
	made         atomic.Int64
	logs         int         // that have been written
	enough       atomic.Bool // the first one suffices
	acknowledged atomic.Int64
	refused      atomic.Pointer[error]
	deal         *rand.Rand
	requests     counts
}

// The fates of the lines that are dealt to the last partition.
const (
	sent     = iota
	diverted // to another partition: it falls silent
	delayed  // until they are sent again: it wakes with what is old by then
)

// counts are requests by address, as rules see addresses.
type counts map[string]int

// add counts the request of a line. It does not use weir's decoder.
func (c counts) add(line []byte) error {
	_, after, _ := bytes.Cut(line, []byte(`"remote_addr":"`))
	text, _, ok := bytes.Cut(after, []byte{'"'})
	addr, err := netip.ParseAddr(string(text))
	if !ok || err != nil {
		return fmt.Errorf("a line without an address: %s", line)
	}
	key := addr.String()
	if addr.Is6() {
		key = netip.PrefixFrom(addr, 64).Masked().String()
	}
	c[key]++
	return nil
}

// newLoad returns one whose producer never gives up.
func newLoad(t *testing.T, brokers []string, topic string, rate float64, paced bool) *load {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...),
		kgo.DefaultProduceTopic(topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.MaxBufferedRecords(100_000), // some outage's worth
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }),
		kgo.MetadataMinAge(100*time.Millisecond),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &load{
		ctx: t.Context(), client: client, rate: rate, paced: paced, start: time.Now(),
		deal: rand.New(rand.NewPCG(1, 2)), requests: counts{},
	}
}

// errEnough ends a log before its time.
var errEnough = errors.New("enough")

// run writes logs, the first one whole, until stop is called, which returns when
// that is done.
func (l *load) run(t *testing.T) (stop func()) {
	t.Helper()
	written := make(chan error, 1)
	go func() {
		for {
			err := l.log()
			if errors.Is(err, errEnough) || err == nil && l.enough.Load() {
				err = nil
			} else if err == nil {
				continue
			}
			written <- err
			return
		}
	}()
	stop = func() {
		l.enough.Store(true)
		if err := <-written; err != nil {
			t.Errorf("the load: %v", err)
		}
		close(written)
	}
	t.Cleanup(func() {
		if !l.enough.Load() {
			stop()
		}
	})
	return stop
}

// log writes the next log.
func (l *load) log() error {
	_, err := testkit.WriteLog(l, testkit.LogOptions{
		Seed: uint64(l.logs), Lines: int(l.rate * span.Seconds()), Density: l.rate,
		Start: began.Add(time.Duration(l.logs) * span), Format: testkit.NginxJSON, Attacks: testkit.Attacks,
	})
	l.logs++
	return err
}

// now returns the time of the next event.
func (l *load) now() time.Time {
	return began.Add(time.Duration(float64(l.made.Load()) / l.rate * float64(time.Second)))
}

// Write sends lines, of which the last may go on in the next call.
func (l *load) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte{'\n'})
		if !whole {
			l.rest = bytes.Clone(l.rest)
			return len(b), nil
		}
		l.rest = rest
		if l.logs > 0 && l.enough.Load() {
			return 0, errEnough
		}
		if err := l.send(line); err != nil {
			return 0, err
		}
	}
}

// send sends a line to any partition.
func (l *load) send(line []byte) error {
	if l.paced {
		if early := time.Until(l.start.Add(l.now().Sub(began))); early > 2*time.Millisecond {
			time.Sleep(early)
		}
	}
	for l.stopped.Load() && !l.enough.Load() {
		time.Sleep(5 * time.Millisecond)
	}
	l.made.Add(1)
	record := &kgo.Record{Partition: l.deal.Int32N(partitions), Value: bytes.Clone(line)}
	fate := l.fate.Load()
	if fate == sent {
		for _, r := range l.held {
			l.produce(r)
		}
		l.held = l.held[:0]
	}
	switch {
	case record.Partition < partitions-1 || fate == sent:
		l.produce(record)
	case fate == diverted:
		record.Partition = l.deal.Int32N(partitions - 1)
		l.produce(record)
	default:
		l.held = append(l.held, record)
	}
	return l.requests.add(line)
}

func (l *load) produce(r *kgo.Record) {
	l.client.Produce(l.ctx, r, func(_ *kgo.Record, err error) {
		if err != nil {
			l.refused.Store(&err)
			return
		}
		l.acknowledged.Add(1)
	})
}

// last sends a request for lastPath from each of these addresses, two seconds
// behind everything else, waits until all that was sent is acknowledged and
// returns the second of the last events.
func (l *load) last(ctx context.Context, addresses []string) (time.Time, error) {
	at := l.now().Add(2 * time.Second).Truncate(time.Second)
	for _, a := range addresses {
		if p, err := netip.ParsePrefix(a); err == nil {
			a = p.Addr().Next().String()
		}
		if err := l.send(fmt.Appendf(nil, `{"time_iso8601":%q,"remote_addr":%q,"host":"shop.example","request_method":"GET",`+
			`"request_uri":%q,"server_protocol":"HTTP/2.0","status":200,"body_bytes_sent":10,"request_time":0.001,"http_user_agent":"last"}`,
			at.Format(time.RFC3339), a, lastPath)); err != nil {
			return at, err
		}
	}
	if err := l.client.Flush(ctx); err != nil {
		return at, err
	}
	if err := l.refused.Load(); err != nil {
		return at, fmt.Errorf("a record was not acknowledged: %w", *err)
	}
	return at, nil
}

// some returns up to n addresses: the busy ones first.
func (c counts) some(n int) []string {
	all := slices.SortedFunc(maps.Keys(c), func(a, b string) int {
		return cmp.Or(cmp.Compare(c[b], c[a]), cmp.Compare(a, b))
	})
	busy := all[:min(len(all), n*4/5)]
	rare := all[max(len(busy), len(all)-n/5):]
	return append(slices.Clone(busy), rare...)
}

// truth reads a topic to its end and returns how many records it holds and how
// many of each address.
func truth(t *testing.T, brokers []string, topic string) (total int64, by counts) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), topic)
	if err := errors.Join(err, ends.Error()); err != nil {
		t.Fatal(err)
	}
	var want int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	by = counts{}
	for total < want {
		fetches := client.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			total++
			if err := by.add(r.Value); err != nil {
				t.Error(err)
			}
		})
	}
	return total, by
}
