package pipeline_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// world is what law 1 calls the inputs of a run.
type world struct {
	rules      []*rules.Rule
	sources    []worldSource
	journal    []pipeline.Mark
	ceiling    event.Stage
	partitions int
	options    rules.PlanOptions
	review     func(tick int64, figures figuresOf) error
	enforce    func() *pipeline.Enforcement // nil: what is decided is not applied
}

type worldSource struct {
	name             string
	records          [][]ingest.MemoryRecord
	disorder, latest time.Duration
	only             *rules.EventCond
	partitionsBefore int
}

// shape is all that must not matter.
type shape struct {
	workers, units, batch int
	seed                  uint64 // of the interleaving
	recode                bool   // encode and decode units at random ticks
}

func (s shape) String() string {
	return fmt.Sprintf("%d workers, %d units, batches of %d, interleaving %d, recode %v", s.workers, s.units, s.batch, s.seed, s.recode)
}

// lookups are the sets that the rules of the laws name.
var lookups = map[string]func(string) bool{
	"agents": func(v string) bool { return v == "agent1" || v == "agent3" },
}

var lawOptions = rules.Options{Lookups: []string{"agents"}}

// lawRules reads testdata/laws, once.
var lawRules = sync.OnceValues(func() ([]*rules.Rule, error) {
	rs, err := rules.LoadFS(os.DirFS("testdata"), ".", lawOptions)
	if err != nil {
		return nil, err
	}
	return rs, rules.Check(rs)
})

func rulesOfTheLaws(t testing.TB) []*rules.Rule {
	t.Helper()
	rs, err := lawRules()
	if err != nil {
		t.Fatal(err)
	}
	if len(rs) < 20 {
		t.Fatalf("%d rules in testdata/laws, want at least 20", len(rs))
	}
	return rs
}

// newWorld returns a world of the rules of the laws.
func newWorld(t testing.TB, sources ...worldSource) *world {
	w := &world{rules: rulesOfTheLaws(t), ceiling: event.Enforce}
	for _, s := range sources {
		s.partitionsBefore = w.partitions
		w.partitions += len(s.records)
		w.sources = append(w.sources, s)
	}
	return w
}

// oracle returns what the oracle makes of the world.
func (w *world) oracle() *oracle { return w.oracleWith(nil) }

// oracleWith returns what it makes of it where points answer events so.
func (w *world) oracleWith(answer func(ev *event.Event) event.Action) *oracle {
	var parts []*oraclePartition
	for _, s := range w.sources {
		for i, records := range s.records {
			p := &oraclePartition{
				source: s.name, number: int32(i), order: s.partitionsBefore + i, records: records,
				decode:   func(line []byte, ev *event.Event) error { return testkit.Decode(line, ev, &event.Arena{}) },
				disorder: s.disorder, maxLateness: s.latest, answer: answer,
			}
			if s.only != nil {
				p.only = func(ev *event.Event) bool { return s.only.Match(ev, &rules.Facts{Lookups: lookups}) }
			}
			for _, m := range w.journal {
				if m.Source == s.name && m.Partition == int32(i) {
					p.marks = append(p.marks, oracleMark{m.Offset, m.Watermark})
				}
			}
			parts = append(parts, p)
		}
	}
	return newOracle(w.rules, w.ceiling, lookups, parts)
}

// run puts the world through the pipeline and returns its sorted lines.
func (w *world) run(t testing.TB, s shape) ([]string, pipeline.Summary) {
	t.Helper()
	decisions, sum := w.decide(t, s)
	return linesOf(decisions), sum
}

// decide puts the world through the pipeline.
func (w *world) decide(t testing.TB, s shape) ([]event.Decision, pipeline.Summary) {
	t.Helper()
	plan, err := rules.NewPlan(w.rules, event.FixedKey(), w.options)
	if err != nil {
		t.Fatal(err)
	}
	cfg := pipeline.Config{
		Plan: plan, Lookups: lookups, Journal: w.journal, Ceiling: w.ceiling,
		Workers: s.workers, Units: s.units, Batch: s.batch, Review: w.review,
	}
	for i, src := range w.sources {
		cfg.Sources = append(cfg.Sources, pipeline.Source{
			Source: newShuffled(src.name, src.records, s.seed+uint64(i)),
			Decode: testkit.Decode, Disorder: src.disorder, MaxLateness: src.latest, Only: src.only,
		})
	}
	if w.enforce != nil {
		cfg.Enforce = w.enforce()
	}
	if s.recode {
		cfg.Recode = func(unit int, tick int64) bool {
			return (uint64(unit)*2654435761+uint64(tick)*0x9e3779b97f4a7c15+s.seed)>>7%5 == 0
		}
	}
	var decisions []event.Decision
	cfg.Emit = func(ds []event.Decision) error {
		decisions = append(decisions, ds...)
		return nil
	}
	sum, err := pipeline.Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return decisions, sum
}

// shuffled is a source whose partitions hand over records in runs of random
// length and let others go first, so that every run interleaves them anew.
type shuffled struct {
	*ingest.Memory
	rngs []*rand.Rand // of each partition
}

func newShuffled(name string, records [][]ingest.MemoryRecord, seed uint64) *shuffled {
	s := &shuffled{Memory: ingest.NewMemory(name, records)}
	for p := range records {
		s.rngs = append(s.rngs, rand.New(rand.NewPCG(seed, uint64(p))))
	}
	return s
}

func (s *shuffled) Read(ctx context.Context, p, most int, r *ingest.Records) error {
	for range s.rngs[p].IntN(20) {
		runtime.Gosched()
	}
	return s.Memory.Read(ctx, p, 1+s.rngs[p].IntN(most), r)
}

// linesOf returns decisions as sorted lines.
func linesOf(ds []event.Decision) []string {
	lines := make([]string, len(ds))
	for i := range ds {
		lines[i] = string(ds[i].AppendJSON(nil))
	}
	sort.Strings(lines)
	return lines
}

// compare fails if two sets of lines differ, and shows where they first do.
func compare(t testing.TB, what string, want, got []string) bool {
	t.Helper()
	inWant, inGot := map[string]int{}, map[string]int{}
	for _, l := range want {
		inWant[l]++
	}
	for _, l := range got {
		inGot[l]++
	}
	var missing, extra []string
	for _, l := range want {
		if inWant[l] > inGot[l] {
			missing = append(missing, l)
		}
	}
	for _, l := range got {
		if inGot[l] > inWant[l] {
			extra = append(extra, l)
		}
	}
	if len(missing)+len(extra) == 0 {
		return true
	}
	byTime := func(ls []string) {
		sort.Slice(ls, func(i, j int) bool { return timeIn(ls[i]) < timeIn(ls[j]) })
	}
	byTime(missing)
	byTime(extra)
	t.Errorf("%s: %d lines expected, %d got; %d missing, %d not expected\nfirst missing:\n%s\nfirst not expected:\n%s",
		what, len(want), len(got), len(missing), len(extra), head(missing), head(extra))
	return false
}

var timeField = regexp.MustCompile(`"time":"([^"]+)"`)

func timeIn(line string) string {
	if m := timeField.FindStringSubmatch(line); m != nil {
		return m[1]
	}
	return ""
}

func head(lines []string) string { return strings.Join(lines[:min(len(lines), 2)], "\n") }

var sourcesField = regexp.MustCompile(`,"sources":\[.*\]`)

// withoutSources leaves out what differs between different partitionings.
func withoutSources(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = sourcesField.ReplaceAllString(l, "")
	}
	sort.Strings(out)
	return out
}

// seeds returns how many random streams a test tries; a campaign sets more.
func seeds(n int) int {
	if s, err := strconv.Atoi(os.Getenv("WEIR_SEEDS")); err == nil && s > 0 {
		return s
	}
	return n
}
