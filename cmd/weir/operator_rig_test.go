package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/api"
	"weir/emit"
	"weir/event"
	"weir/pipeline"
)

// operatorRig is a state's directory, its configuration with one plain file as
// a point, and, once run, what answers on its socket.
type operatorRig struct {
	t      *testing.T
	dir    string
	config string
	list   string // the point's file
	key    *event.Key
	ledger *emit.Ledger
}

func newOperatorRig(t *testing.T) *operatorRig {
	t.Helper()
	base, err := os.MkdirTemp("", "weir") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	r := &operatorRig{t: t, dir: filepath.Join(base, "state"), config: filepath.Join(base, "weir.yaml"), list: filepath.Join(base, "blocked.txt")}
	for path, content := range map[string]string{
		"key": "0123456789abcdef0123456789abcdef",
		"weir.yaml": "stage: enforce\nkey_file: key\nstate: {dir: state}\n" +
			"sources: [{name: nginx, file: {path: access.log, follow: true}, format: combined}]\n" +
			"points: [{name: proxy, file: {path: blocked.txt}}]\n",
	} {
		if err := os.WriteFile(filepath.Join(base, path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r.key, err = event.LoadKey(filepath.Join(base, "key")); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *operatorRig) open() *emit.Ledger {
	r.t.Helper()
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	l, err := emit.OpenLedger(emit.LedgerConfig{Path: filepath.Join(r.dir, ledgerFile), Key: r.key, Guards: &emit.Guards{}, Now: time.Now})
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

// run serves the state's directory as a live run does, until the test ends or
// stop is called. Silent, it holds the directory and answers nobody.
func (r *operatorRig) run(silent bool) (stop func()) {
	r.t.Helper()
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		r.t.Fatal(err)
	}
	state, err := openState(r.dir)
	if err != nil {
		r.t.Fatal(err)
	}
	r.ledger = r.open()
	points, err := emit.OpenPoints([]emit.PointConfig{{Name: "proxy", File: &emit.FileConfig{Path: r.list}}}, nil, func(p string) string { return p }, slog.New(slog.DiscardHandler))
	if err != nil {
		r.t.Fatal(err)
	}
	keeper := emit.NewReconciler(r.ledger, points[0], nil, slog.New(slog.DiscardHandler))
	started := time.Now()
	srv, err := api.New(api.Config{
		Socket: filepath.Join(r.dir, socketFile), Ledger: r.ledger, Points: []*emit.Reconciler{keeper}, Kept: points, Version: "1.2.3", Started: started,
		Status: func() *pipeline.Status {
			now := time.Now()
			return &pipeline.Status{At: now, Tick: now.Unix(), Partitions: []pipeline.PartitionStatus{{Source: "nginx", Watermark: now.Unix()}}}
		},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	go func() { ended <- keeper.Run(ctx) }()
	go func() {
		if silent {
			<-ctx.Done()
			ended <- nil
			return
		}
		ended <- srv.Run(ctx)
	}()
	go func() { // as a run does each second
		for ctx.Err() == nil {
			if err := r.ledger.Advance(); err != nil {
				r.t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
		ended <- nil
	}()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		for range 3 {
			if err := <-ended; err != nil {
				r.t.Error(err)
			}
		}
		for _, err := range []error{points[0].Close(), r.ledger.Close(), state.close()} {
			if err != nil {
				r.t.Error(err)
			}
		}
	}
	r.t.Cleanup(stop)
	for try := 0; !silent; try++ {
		c, err := net.Dial("unix", filepath.Join(r.dir, socketFile))
		if err == nil {
			c.Close()
			break
		}
		if try == 1000 {
			r.t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return stop
}

// weir runs a command with the rig's configuration.
func (r *operatorRig) weir(args ...string) (string, error) {
	return weir(append(args, "-c", r.config)...)
}

// says runs a command that must work and returns what it says, with one space
// between words.
func (r *operatorRig) says(args ...string) string {
	r.t.Helper()
	out, err := r.weir(args...)
	if err != nil {
		r.t.Fatalf("weir %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.Join(strings.Fields(out), " ")
}

// must complains about texts that are not in what a command says.
func must(t *testing.T, out string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("no %q in: %s", text, out)
		}
	}
}

// held returns the addresses that the point's file holds.
func (r *operatorRig) held() (addresses []string) {
	r.t.Helper()
	b, err := os.ReadFile(r.list)
	if err != nil && !os.IsNotExist(err) {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			addresses = append(addresses, strings.Fields(line)[0])
		}
	}
	return addresses
}

// stuffing is a decision of a rule that ships.
func stuffing(i int, at time.Time, life time.Duration) event.Decision {
	target := event.Target{{Field: "ip", Text: fmt.Sprintf("192.0.2.%d", i)}}
	d := event.Decision{
		Step: event.New, Time: at, Until: at.Add(life), Mode: event.Enforce, Would: event.Block, Target: target, Key: target,
		Rule: "ato.stuffing_source", Version: 1, Severity: event.High, Tried: 39, Clean: true,
		Evidence: []event.Measure{{Name: "tries", Value: 41}, {Name: "failed", Value: 0.98}, {Name: "accounts", Value: 39}},
		Sources:  []event.Span{{Source: "nginx", Partition: 3, First: 812, Last: 9120}},
	}
	d.ID = event.DecisionID(d.Step, d.Rule, d.Version, d.Would, d.Target, "", d.Time)
	return d
}
