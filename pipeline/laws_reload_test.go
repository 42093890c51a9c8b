package pipeline_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

const strangers = `id: run.strangers
version: 1
title: Strangers
severity: info
key: ip
where: "true"
features: {n: 'count("10m", not known(ip))'}
when: n >= 1
then: {alert: ip, for: 10s}
stage: alert
`

// oneASecond makes records of one event a second.
func oneASecond(n int) (log []ingest.MemoryRecord) {
	for i := range n {
		log = append(log, ingest.MemoryRecord{Offset: int64(i), Line: fmt.Appendf(nil, "t=%d ip=203.0.113.%d outcome=success", base+i, i%250)})
	}
	return log
}

// reloading is a run of one log that stops and goes on by other rules.
type reloading struct {
	t     *testing.T
	log   []ingest.MemoryRecord
	store *state.Store
	left  *pipeline.Resume
	plan  *rules.Plan
	lines []string
}

func newReloading(t *testing.T, seconds int) *reloading {
	t.Helper()
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), Units: 8, KeyID: "reload", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return &reloading{t: t, log: oneASecond(seconds), store: store}
}

// run goes on by these rules, up to a tick (0: to the end of the log).
func (r *reloading) run(until int64, journal []pipeline.Mark, texts ...string) {
	r.t.Helper()
	var options rules.PlanOptions
	if r.left != nil {
		options.Inherit, options.Tick = &r.plan.Layout, r.left.Tick
	}
	plan, err := rules.NewPlan(parseRules(r.t, texts...), event.FixedKey(), options)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := pipeline.Config{
		Plan: plan, Ceiling: event.Enforce, Workers: 2, Units: 8, Journal: journal, Store: r.store, Checkpoint: time.Hour, Until: until,
		SourceNames: []string{"log"},
		Sources: []pipeline.Source{{
			Source: ingest.NewMemory("log", [][]ingest.MemoryRecord{r.log}), Decode: testkit.Decode, MaxLateness: time.Hour,
		}},
		Emit: func(ds []event.Decision) error {
			for i := range ds {
				r.lines = append(r.lines, string(ds[i].AppendJSON(nil)))
			}
			return nil
		},
		Left: func(left *pipeline.Resume) { r.left = left },
	}
	if r.left != nil {
		if !r.left.Saved {
			r.t.Fatal("what was left is not on disk")
		}
		if r.left.State, err = r.left.State.Reload(plan, cfg.Stage, r.left.Tick); err != nil {
			r.t.Fatal(err)
		}
		cfg.Resume = r.left
	}
	r.plan = plan
	ctx, cancel := context.WithTimeout(r.t.Context(), 20*time.Second)
	defer cancel()
	if _, err := pipeline.Run(ctx, cfg); err != nil {
		r.t.Fatal(err)
	}
}

// The facts of the hours before a reload were never published if nobody asked.
func TestAReloadMayBringTheFirstRuleThatAsksWhoIsKnown(t *testing.T) {
	r := newReloading(t, 200)
	r.run(base+100, nil, everyEvent)
	r.run(0, nil, everyEvent, strangers)
	if r.left.Tick < base+200 {
		t.Errorf("the run behind the reload stopped at second %d of 200", r.left.Tick-base)
	}
}

// Nor were those facts that only the new rules ask for, though other facts were.
func TestAReloadMayAskForOtherFacts(t *testing.T) {
	const hour, minute = 3600, 60
	r := newReloading(t, 0)
	for i := range 30 * 60 {
		r.log = append(r.log, ingest.MemoryRecord{Offset: int64(i), Line: fmt.Appendf(nil, "t=%d ip=203.0.113.%d outcome=failure", base+i*minute, i%3)})
	}
	asks := strings.NewReplacer("run.strangers", "run.denied", "not known(ip)", "denied(ip)").Replace(strangers)
	r.run(base+26*hour+10, nil, strangers)
	before := len(r.lines)
	r.run(base+26*hour+20*minute, nil, strangers, asks)
	found := 0
	for _, line := range r.lines[before:] {
		if strings.Contains(line, `"run.denied"`) && strings.Contains(line, `"event":"new"`) {
			found++
		}
	}
	if found < 3 {
		t.Errorf("%d decisions of the rule that asks who was denied in twenty minutes behind the reload, must be of each of three addresses: %s", found, r.lines[before:])
	}
}

// A run that stops and goes on by the same rules decides what one does that
// goes through; so it does where a gap of the log begins at that very tick.
func TestAReloadOfTheSameRulesChangesNothing(t *testing.T) {
	start := pipeline.Mark{Event: pipeline.MarkStart, Source: "log"}
	for name, journal := range map[string][]pipeline.Mark{
		"whole":    {start},
		"with gap": {start, {Event: pipeline.MarkGap, Source: "log", Offset: 1, Watermark: base + 150, Since: base + 100}},
	} {
		through := newReloading(t, 400)
		through.run(0, journal, everyEvent)
		parts := newReloading(t, 400)
		for _, until := range []int64{base + 100, base + 110, base + 250, 0} {
			parts.run(until, journal, everyEvent)
		}
		if len(through.lines) < 300 || !slices.Equal(through.lines, parts.lines) {
			compare(t, name, through.lines, parts.lines)
		}
		if incomplete := strings.Contains(strings.Join(parts.lines, ""), `"incomplete"`); incomplete != (name == "with gap") {
			t.Errorf("%s: decisions are marked incomplete: %v", name, incomplete)
		}
	}
}

// What the journal says of later gaps decides nothing now, however many there are.
func TestGapsThatAreStillAheadChangeNothing(t *testing.T) {
	decide := func(gaps int) []string {
		journal := []pipeline.Mark{{Event: pipeline.MarkStart, Source: "log"}}
		for i := range gaps {
			at := int64(base + 1_000_000 + i)
			journal = append(journal, pipeline.Mark{Event: pipeline.MarkGap, Source: "log", Offset: int64(i), Watermark: at, Since: at})
		}
		r := newReloading(t, 100)
		r.run(0, journal, everyEvent)
		return r.lines
	}
	if !slices.Equal(decide(0), decide(3000)) {
		t.Error("gaps in the future change what is decided now")
	}
}
