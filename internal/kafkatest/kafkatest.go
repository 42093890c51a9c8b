package kafkatest

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// User and Password are who may use the SASL listener, by each of PLAIN,
// SCRAM-SHA-256 and SCRAM-SHA-512.
const (
	User     = "weir"
	Password = "correct-horse"
)

// patience is how long a broker may take to serve. It takes three seconds on an
// idle machine; the tests of other packages may want the same processors.
const patience = 2 * time.Minute

//go:embed log4j2.properties
var logging []byte

// Options says what cluster to start. All of them have plain listeners.
type Options struct {
	Nodes int  // 1 or 3; 0: 1. Topics have a replica on each, and of three, two must have a record
	TLS   bool // also listeners with TLS
	SASL  bool // also listeners with SASL over TLS
}

// Cluster is a running Kafka. Its methods are for one goroutine at a time and
// fail the test of Start; node numbers begin at 1.
type Cluster struct {
	t     testing.TB
	nodes []*node
	jvm   []string // the command that runs a main class
	ca    string
	store string
}

// Start starts a cluster and returns when it takes records. It ends with the
// test, also if that is killed.
func Start(t testing.TB, opt Options) *Cluster {
	t.Helper()
	begin := time.Now()
	c, err := prepare(t, opt)
	if err != nil {
		t.Fatalf("kafka: %v", err)
	}
	t.Cleanup(c.Stop)
	formatted := time.Now()
	for _, n := range c.nodes {
		c.start(n)
	}
	c.await()
	t.Logf("kafka %s: %d node(s) formatted in %.1f s, ready %.1f s later",
		Version(), len(c.nodes), formatted.Sub(begin).Seconds(), time.Since(formatted).Seconds())
	return c
}

// Addr returns the addresses of the plain listeners.
func (c *Cluster) Addr() []string { return c.each(func(n *node) string { return n.plain }) }

// TLSAddr returns the addresses of the listeners with TLS.
func (c *Cluster) TLSAddr() []string { return c.each(func(n *node) string { return n.tls }) }

// SASLAddr returns the addresses of the listeners with SASL over TLS.
func (c *Cluster) SASLAddr() []string { return c.each(func(n *node) string { return n.sasl }) }

func (c *Cluster) each(addr func(*node) string) (all []string) {
	for _, n := range c.nodes {
		if a := addr(n); a != "" {
			all = append(all, a)
		}
	}
	return all
}

// CAFile returns the file with the certificate of the authority that signed the
// brokers' ones.
func (c *Cluster) CAFile() string { return c.ca }

// Log returns all that a node has logged, over its restarts.
func (c *Cluster) Log(n int) string {
	c.t.Helper()
	b, err := os.ReadFile(c.node(n).log())
	if err != nil {
		c.t.Fatalf("kafka: %v", err)
	}
	return string(b)
}

// RefusedLogins returns how many log-ins the cluster has refused, as it logs
// them.
func (c *Cluster) RefusedLogins() (n int) {
	c.t.Helper()
	for _, node := range c.nodes {
		for line := range strings.Lines(c.Log(node.id)) {
			if strings.Contains(line, "Failed authentication with") && !strings.Contains(line, "SSL handshake failed") {
				n++
			}
		}
	}
	return n
}

// Kill ends a node as kill -9 does.
func (c *Cluster) Kill(n int) {
	c.t.Helper()
	if c.node(n).process == nil {
		c.t.Fatalf("kafka: node %d does not run", n)
	}
	c.node(n).kill()
}

// Await returns when the nodes that run are a cluster that takes records: of a
// node that was killed the others know, and what it led others lead.
func (c *Cluster) Await() {
	c.t.Helper()
	c.await()
}

// Restart starts a node that was killed, at the same addresses and with the same
// data, and returns when the cluster takes records with it.
func (c *Cluster) Restart(n int) {
	c.t.Helper()
	if c.node(n).process != nil {
		c.t.Fatalf("kafka: node %d runs", n)
	}
	c.start(c.node(n))
	c.await()
}

// Stop ends all nodes. Their data goes with the test, so they need not tidy up.
func (c *Cluster) Stop() {
	for _, n := range c.nodes {
		n.kill()
	}
	if c.t.Failed() {
		for _, n := range c.nodes {
			c.t.Log(n.complaints())
		}
	}
}

// Create makes a topic.
func (c *Cluster) Create(topic string, partitions int) {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addr()...))
	if err != nil {
		c.t.Fatalf("kafka: %v", err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := create(ctx, client, topic, partitions); err != nil {
		c.t.Fatalf("kafka: %v", err)
	}
}

func create(ctx context.Context, client *kgo.Client, topic string, partitions int) error {
	resp, err := kadm.NewClient(client).CreateTopic(ctx, int32(partitions), -1, nil, topic)
	if err == nil {
		err = resp.Err
	}
	if err != nil {
		return fmt.Errorf("creating topic %s: %w", topic, err)
	}
	return nil
}

func (c *Cluster) node(n int) *node {
	c.t.Helper()
	if n < 1 || n > len(c.nodes) {
		c.t.Fatalf("kafka: there is no node %d, they are 1 to %d", n, len(c.nodes))
	}
	return c.nodes[n-1]
}

func (c *Cluster) start(n *node) {
	c.t.Helper()
	if err := n.start(c.jvm); err != nil {
		c.t.Fatalf("kafka: node %d: %v", n.id, err)
	}
}
