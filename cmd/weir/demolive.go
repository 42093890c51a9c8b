package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/internal/testkit"
)

// liveAttack is the attack that begins while weir runs.
type liveAttack struct {
	address string
	begun   time.Time // its first request
	tries   int       // until it was on the list
	listed  time.Time // when it was on the list
}

// liveAddress is whose attack that is.
const liveAddress = "203.0.113.77"

// demoConfig is the configuration of a demo: what a user would write.
const demoConfig = `# The configuration of the demo. The broker at this address is inside the
# demo's process and ends with it.
stage: enforce
sources:
  - name: shop
    kafka: {brokers: [%q], topic: access, start: begin}
    format: nginx-json
    fields: {credential: username}
    disorder: 1s
key_file: key
enrich: {crawlers: ["%s=crawlers.txt"]}
state: {dir: state, memory: 512MiB, reserve: 64MiB}
points:
  - name: nginx
    # Here nginx -t and nginx -s reload would follow; the demo has no nginx.
    nginx: {conf: lists/weir.conf, test: ["true"], reload: ["true"]}
  - name: addresses
    file: {path: lists/block.txt}
`

// runLive puts the log into a topic, runs weir on it, and has one more attack
// begin while it runs.
func (d *demo) runLive(ctx context.Context, e *environment) error {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(demoPartitions, "access"))
	if err != nil {
		return fmt.Errorf("the embedded broker: %w", err)
	}
	defer cluster.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("access"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(demoLines))
	if err != nil {
		return fmt.Errorf("the embedded broker: %w", err)
	}
	defer client.Close()
	if err := d.configure(cluster.ListenAddrs()[0]); err != nil {
		return err
	}
	fmt.Fprintln(e.errOut, "writing them into a topic …")
	if err := d.produce(ctx, client); err != nil {
		return err
	}
	fmt.Fprintln(e.errOut, "running weir on it …")
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	begun := time.Now()
	l, err := e.openLiveRun(ctx, d.config)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	err = d.watch(ctx, e, l, client, begun)
	stop()
	return errors.Join(err, <-done, l.close())
}

// configure writes what the run needs into the folder.
func (d *demo) configure(broker string) error {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(d.dir, "lists"), 0o755); err != nil {
		return err
	}
	for name, text := range map[string][]byte{
		"key": key, "crawlers.txt": []byte(testkit.CrawlerNet + "\n"),
		"weir.yaml": fmt.Appendf(nil, demoConfig, broker, testkit.CrawlerName),
	} {
		if err := os.WriteFile(filepath.Join(d.dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// produce writes the log into the topic, as a log shipper would.
func (d *demo) produce(ctx context.Context, client *kgo.Client) error {
	f, err := os.Open(d.log)
	if err != nil {
		return err
	}
	defer f.Close()
	var failed error
	lines := bufio.NewScanner(f)
	for n := int32(0); lines.Scan(); n++ {
		var head struct {
			Time time.Time `json:"time_iso8601"`
		}
		if err := json.Unmarshal(lines.Bytes(), &head); err != nil {
			return fmt.Errorf("access.log: %w", err)
		}
		client.Produce(ctx, &kgo.Record{Value: bytes.Clone(lines.Bytes()), Partition: n % demoPartitions, Timestamp: head.Time}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed = err // promises are called one after the other
			}
		})
	}
	return errors.Join(lines.Err(), client.Flush(ctx), failed)
}

// demoPatience is how long the live attack may go on.
const demoPatience = 30 * time.Second

// watch waits until the day is read, lets the live attack begin, and waits until
// it is on the list of nginx.
func (d *demo) watch(ctx context.Context, e *environment, l *liveRun, client *kgo.Client, begun time.Time) error {
	every := time.NewTicker(50 * time.Millisecond)
	defer every.Stop()
	tick := func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-every.C:
			return nil
		}
	}
	for {
		if s := l.status.Load(); s != nil && s.Summary.Events >= demoLines {
			d.read = s.At.Sub(begun)
			break
		}
		if err := tick(); err != nil {
			return err
		}
	}
	fmt.Fprintf(e.errOut, "%s begins to try stolen passwords, now …\n", liveAddress)
	d.live = liveAttack{address: liveAddress, begun: time.Now()}
	conf := filepath.Join(d.dir, "lists", "weir.conf")
	for n := 0; time.Since(d.live.begun) < demoPatience; n++ {
		if err := d.sendLive(ctx, client, n); err != nil {
			return err
		}
		b, err := os.ReadFile(conf)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if strings.Contains(string(b), liveAddress) {
			d.live.listed, d.live.tries = time.Now(), n/demoEvery
			d.events = l.status.Load().Summary.Events
			d.list = listed(b)
			d.held = len(l.ledger.InForce().Entries)
			return d.ask(ctx, e)
		}
		if err := tick(); err != nil {
			return err
		}
	}
	return fmt.Errorf("the live attack was not on the list after %v", demoPatience)
}

// demoEvery is of how many live requests one is the attack's.
const demoEvery = 4

// sendLive writes one request with the time of now: mostly honest ones.
func (d *demo) sendLive(ctx context.Context, client *kgo.Client, n int) error {
	now := time.Now().UTC()
	line := map[string]any{
		"time_iso8601": now.Format("2006-01-02T15:04:05.000Z07:00"), "remote_addr": fmt.Sprintf("198.18.0.%d", n%200),
		"host": "shop.example", "request_method": "GET", "request_uri": fmt.Sprintf("/products/%d", n), "status": 200,
		"http_user_agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
	}
	if n%demoEvery == 0 {
		line["remote_addr"], line["request_method"], line["request_uri"], line["status"] = liveAddress, "POST", "/login", 401
		line["username"] = fmt.Sprintf("victim%d@mail.example", n)
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	return client.ProduceSync(ctx, &kgo.Record{Value: b, Partition: int32(n % demoPartitions), Timestamp: now}).FirstErr()
}

// ask keeps what weir why says about the live attack.
func (d *demo) ask(ctx context.Context, e *environment) error {
	var text bytes.Buffer
	asking := *e
	asking.out = &text
	if err := asking.why(ctx, &whyOptions{config: d.config, target: liveAddress}); err != nil {
		return err
	}
	d.why = text.String()
	return nil
}

// listed returns the lines of an nginx list that name an address.
func listed(conf []byte) (lines []string) {
	for line := range strings.Lines(string(conf)) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(line, ";") && strings.ContainsAny(line, ".:") && line[0] >= '0' && line[0] <= '9' {
			lines = append(lines, line)
		}
	}
	return lines
}
