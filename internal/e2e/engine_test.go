package e2e

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/rulesets"
)

// counting makes rules that show in their evidence how many events the windows
// hold of a key, as soon as one has the path lastPath.
func counting(key string) string {
	return strings.NewReplacer("KEY", key, "PATH", lastPath).Replace(`id: e2e.KEY
version: 1
title: Every KEY with its events
severity: info
key: KEY
where: "true"
features:
  events: count("1h")
  marked: count("1h", path == "PATH")
when: marked >= 1
then: {alert: KEY, for: 1h}
stage: alert
`)
}

// engine is what a live run and its replay have in common: the rules that ship
// and counting ones.
type engine struct {
	plan    *rules.Plan
	tables  *enrich.Tables
	decode  ingest.Decoder
	decoded atomic.Int64 // lines, over all runs
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	all, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("%d rules ship, want at least 10", len(all))
	}
	for _, key := range []string{"ip", "site"} {
		rule, err := rules.Parse("e2e.yaml", []byte(counting(key)), rules.Options{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rule)
	}
	if err := rules.Check(all); err != nil {
		t.Fatal(err)
	}
	e := &engine{}
	if e.plan, err = rules.NewPlan(all, event.FixedKey(), rules.PlanOptions{}); err != nil {
		t.Fatal(err)
	}
	if e.tables, err = enrich.New(enrich.Config{Key: event.FixedKey()}); err != nil {
		t.Fatal(err)
	}
	if e.decode, err = ingest.New(ingest.Config{Format: testkit.NginxJSON}); err != nil {
		t.Fatal(err)
	}
	return e
}

// openTopic opens a topic from its beginning or from where a journal says that it
// was begun, to be closed by who runs it.
func openTopic(t *testing.T, client []kgo.Opt, topic string, marks []pipeline.Mark, untilEnd bool) *ingest.Topic {
	t.Helper()
	starts := map[int32]int64{}
	for _, m := range marks {
		if m.Event == pipeline.MarkStart {
			starts[m.Partition] = m.Offset
		}
	}
	src, err := ingest.OpenTopic(t.Context(), ingest.TopicConfig{
		Name: topic, Client: client, Topic: "access", Start: "begin", Starts: starts, UntilEnd: untilEnd,
	})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// config returns what a run of the engine over a topic needs. Lines of
// decisions go to out.
func (e *engine) config(src *ingest.Topic, marks []pipeline.Mark, out *lines) pipeline.Config {
	return pipeline.Config{
		Sources: []pipeline.Source{{
			Source: src, Disorder: 2 * time.Second, MaxLateness: time.Hour,
			Decode: func(line []byte, ev *event.Event, mem *event.Arena) error {
				e.decoded.Add(1)
				return e.decode(line, ev, mem)
			},
		}},
		Enrich: e.tables, Plan: e.plan, Ceiling: event.Enforce, Journal: marks, Emit: out.add,
	}
}

// replay runs the engine over a topic up to its end.
func (e *engine) replay(t *testing.T, client []kgo.Opt, marks []pipeline.Mark) (*lines, pipeline.Summary) {
	t.Helper()
	src := openTopic(t, client, "access", marks, true)
	out := &lines{}
	sum, err := pipeline.Run(t.Context(), e.config(src, marks, out))
	if err := errors.Join(err, src.Close()); err != nil {
		t.Fatal(err)
	}
	return out, sum
}

// live is a live run.
type live struct {
	lines
	cancel context.CancelFunc
	ended  chan struct{}
	path   string       // of the journal
	tick   atomic.Int64 // that was run last
	idle   atomic.Bool  // the last partition is
	sum    pipeline.Summary
	err    error
}

// start begins a live run over a topic, with its journal in a directory of the
// test.
func (e *engine) start(t *testing.T, client []kgo.Opt, topic string) *live {
	t.Helper()
	l := &live{path: filepath.Join(t.TempDir(), "journal.jsonl"), ended: make(chan struct{})}
	journal, err := pipeline.OpenJournal(l.path)
	if err != nil {
		t.Fatal(err)
	}
	src := openTopic(t, client, topic, nil, false)
	cfg := e.config(src, nil, &l.lines)
	cfg.Record = journal.Append
	cfg.Observe = func(s *pipeline.Status) {
		l.tick.Store(s.Tick)
		l.idle.Store(s.Partitions[partitions-1].Idle)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel = cancel
	go func() {
		defer close(l.ended)
		l.sum, l.err = pipeline.Run(ctx, cfg)
		if errors.Is(l.err, context.Canceled) {
			l.err = nil
		}
		l.err = errors.Join(l.err, src.Close())
	}()
	t.Cleanup(func() {
		l.stop()
		journal.Close()
	})
	return l
}

// marks returns what the journal holds, by event too.
func (l *live) marks(t *testing.T) (marks []pipeline.Mark, by map[pipeline.MarkEvent]int) {
	t.Helper()
	marks, repaired, err := pipeline.ReadJournal(l.path)
	if err != nil || repaired != "" {
		t.Fatalf("the journal: %v, repaired %q", err, repaired)
	}
	by = map[pipeline.MarkEvent]int{}
	for _, m := range marks {
		by[m.Event]++
	}
	return marks, by
}

// stop ends the run as an operator does.
func (l *live) stop() {
	l.cancel()
	<-l.ended
}

// running fails the test if the run has ended by itself.
func (l *live) running(t *testing.T) {
	t.Helper()
	select {
	case <-l.ended:
		t.Fatalf("the live run ended: %v", l.err)
	default:
	}
}

// lines are decisions as they are written.
type lines struct {
	mu   sync.Mutex
	all  []string
	seen map[string]map[string]float64 // of new decisions: the count of events, by rule and the key's value
}

func (l *lines) add(ds []event.Decision) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = map[string]map[string]float64{}
	}
	for i := range ds {
		d := &ds[i]
		l.all = append(l.all, string(d.AppendJSON(nil)))
		if d.Step != event.New {
			continue
		}
		if l.seen[d.Rule] == nil {
			l.seen[d.Rule] = map[string]float64{}
		}
		for _, m := range d.Evidence {
			if m.Name == "events" {
				l.seen[d.Rule][strings.Clone(d.Key[0].Text)] = m.Value
			}
		}
	}
	return nil
}

// counted returns what a counting rule counted, by the key's value.
func (l *lines) counted(rule string) map[string]float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[rule]
}
