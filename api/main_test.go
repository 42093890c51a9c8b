package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/emit"
	"weir/event"
	"weir/pipeline"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testTime = time.Date(2026, 3, 6, 4, 49, 10, 0, time.UTC)

// memoryPoint is a point that is a list in memory.
type memoryPoint struct {
	mu   sync.Mutex
	name string
	caps emit.Capabilities
	list emit.List
	fail error
}

func (p *memoryPoint) Name() string                    { return p.name }
func (p *memoryPoint) Capabilities() emit.Capabilities { return p.caps }
func (p *memoryPoint) Try(context.Context) error       { return nil }
func (p *memoryPoint) Setup() string                   { return "" }
func (p *memoryPoint) Close() error                    { return nil }

func (p *memoryPoint) Read(context.Context) (emit.List, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.list, p.fail
}

func (p *memoryPoint) Apply(_ context.Context, _, want emit.List) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.list = want
	return p.fail
}

// monitor is an allow entry of a site file.
var monitor = emit.Allow{Match: ip("192.0.2.250"), Actions: []event.Action{event.Block}, Rules: []string{"ops.*"}, Owner: "ops", Reason: "uptime monitor"}

// rig is a server with all that it answers from.
type rig struct {
	t      *testing.T
	ledger *emit.Ledger
	status *pipeline.Status
	point  *memoryPoint
	cfg    Config
	srv    *Server
	path   string // of the ledger's file
	tcp    string // the server's address
	socket string
	log    bytes.Buffer
}

func newRig(t *testing.T, change func(*rig)) *rig {
	t.Helper()
	r := &rig{t: t, socket: filepath.Join(t.TempDir(), "weir.sock")}
	dir := t.TempDir()
	r.path = filepath.Join(dir, "ledger.jsonl")
	l, err := emit.OpenLedger(emit.LedgerConfig{Path: r.path, Key: event.FixedKey(), Guards: &emit.Guards{Allow: []emit.Allow{monitor}}, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	r.ledger = l
	r.point = &memoryPoint{name: "proxy", caps: emit.Capabilities{Actions: []event.Action{event.Block}, Ends: true}}
	now := time.Now()
	r.status = &pipeline.Status{At: now, Tick: now.Unix() - 3, Partitions: []pipeline.PartitionStatus{
		{Source: "nginx", Watermark: now.Unix() - 2}, {Source: "nginx", Partition: 1, Idle: true, Watermark: now.Unix() - 900},
	}}
	r.cfg = Config{
		Listen: "127.0.0.1:0", Socket: r.socket, Ledger: l, Status: func() *pipeline.Status { return r.status },
		Points: []*emit.Reconciler{emit.NewReconciler(l, r.point, nil, slog.New(slog.DiscardHandler))},
		Kept:   []emit.Point{r.point}, Allow: []string{monitor.String()},
		Version: "1.2.3", Started: now.Add(-time.Hour), Log: slog.New(slog.NewTextHandler(&r.log, nil)),
	}
	if change != nil {
		change(r)
	}
	if r.srv, err = New(r.cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// run starts the server on both listeners and stops it when the test ends.
func (r *rig) run() *rig {
	r.t.Helper()
	tcp, err := listenTCP(r.cfg.Listen, &r.srv.refused)
	if err != nil {
		r.t.Fatal(err)
	}
	socket, err := listenSocket(r.socket, &r.srv.refused)
	if err != nil {
		r.t.Fatal(err)
	}
	r.tcp = tcp.name
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.srv.serve(ctx, []*listener{tcp, socket}) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("serve: %v", err)
		}
		if _, err := os.Lstat(r.socket); err == nil {
			r.t.Error("the socket is left behind")
		}
	})
	return r
}

// overTCP and overSocket are how a request comes.
const (
	overTCP    = "tcp"
	overSocket = "unix"
)

// ask sends a request and returns the answer.
func (r *rig) ask(over, method, path, body string) (code int, text string, h http.Header) {
	r.t.Helper()
	return r.askAs(over, method, path, body, "127.0.0.1:8480")
}

func (r *rig) askAs(over, method, path, body, host string) (code int, text string, h http.Header) {
	r.t.Helper()
	at := r.tcp
	if over == overSocket {
		at = r.socket
	}
	c := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, over, at)
		},
	}}
	req, err := http.NewRequest(method, "http://weir"+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Host = host
	resp, err := c.Do(req)
	if err != nil {
		r.t.Fatalf("%s %s over %s: %v", method, path, over, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

// decode decodes an answer.
func decode[T any](t *testing.T, text string) (doc T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return doc
}

// decided is a decision of a rule that is to be enforced for an hour.
func decided(rule string, target event.Target) event.Decision {
	at := time.Now().Truncate(time.Second)
	d := event.Decision{
		Step: event.New, Time: at, Until: at.Add(time.Hour), Mode: event.Enforce, Would: event.Block, Target: target, Key: target,
		Rule: rule, Version: 1, Severity: event.High, Tried: 39, Clean: true,
		Evidence: []event.Measure{{Name: "tries", Value: 41}, {Name: "failed", Value: 0.98}, {Name: "accounts", Value: 39}},
		Sources:  []event.Span{{Source: "nginx", Partition: 3, First: 812, Last: 9120}},
	}
	d.ID = event.DecisionID(d.Step, d.Rule, d.Version, d.Would, d.Target, "", d.Time)
	return d
}

func (r *rig) add(ds ...event.Decision) {
	r.t.Helper()
	if err := r.ledger.Add(ds); err != nil {
		r.t.Fatal(err)
	}
}

func ip(text string) event.Target { return event.Target{{Field: "ip", Text: text}} }
