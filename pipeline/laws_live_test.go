package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// arrival is a record on its way to a live run.
type arrival struct {
	after     time.Duration // since the one before
	source    int
	partition int
	record    ingest.MemoryRecord
	silence   bool // instead of a record: the partition's broker stops to answer, or does again
}

// liveWorld is a world whose records come as time passes.
type liveWorld struct {
	*world
	slow     []bool // sources
	arrivals []arrival
	grows    int // at this arrival the first source has its last partition
}

const livePartitions = 12

// randomLiveWorld returns a world of twelve partitions: of a source of ten, of
// which the last appears later, and of a slow one.
func randomLiveWorld(t testing.TB, seed uint64) *liveWorld {
	rng := rand.New(rand.NewPCG(seed, 78))
	opt := testkit.StreamOptions{
		Events: 700 + rng.IntN(500), Partitions: livePartitions, Calm: true,
		Jitter:  []time.Duration{0, time.Second, 5 * time.Second}[rng.IntN(3)],
		Refused: rng.IntN(3) > 0, Appended: rng.IntN(3) == 0, Late: 0.01, Garbage: 0.01,
	}
	records := testkit.Stream(seed, opt)
	disorder := []time.Duration{0, 2 * time.Second, 5 * time.Second}[rng.IntN(3)]
	w := &liveWorld{slow: []bool{false, true}, world: newWorld(t,
		worldSource{name: "log", records: records[:livePartitions-2], disorder: disorder, latest: time.Hour},
		worldSource{name: "cdn", records: records[livePartitions-2:], disorder: 2 * disorder, latest: time.Hour},
	)}
	w.schedule(rng)
	return w
}

// schedule makes the records arrive about as their times say: those of a slow
// source minutes late and many at once, those of the others mostly soon, with
// hours passed over in seconds.
func (w *liveWorld) schedule(rng *rand.Rand) {
	type due struct {
		at time.Duration // by the log's time
		arrival
	}
	var all []due
	for i, s := range w.sources {
		for p, records := range s.records {
			at, lag := time.Duration(0), time.Duration(0)
			for _, rec := range records {
				var ev event.Event
				if testkit.Decode(rec.Line, &ev, &event.Arena{}) == nil && ev.Time < 1<<61 {
					at = max(at, time.Duration(ev.Time))
				}
				if rng.IntN(40) == 0 { // it lags for a while, then comes up again
					lag = time.Duration(rng.IntN(200)) * time.Second
				} else if rng.IntN(8) == 0 {
					lag = 0
				}
				when := at + lag
				if w.slow[i] {
					when = at.Truncate(3*time.Minute) + 5*time.Minute
				}
				all = append(all, due{when, arrival{source: i, partition: p, record: rec}})
			}
		}
	}
	// The last partition of the first source is not there in the first half.
	isLast := func(a *arrival) bool { return a.source == 0 && a.partition == len(w.sources[0].records)-1 }
	slices.SortStableFunc(all, func(a, b due) int { return int(min(1, max(-1, a.at-b.at))) })
	half := all[len(all)/2].at
	for i := range all {
		if isLast(&all[i].arrival) {
			all[i].at = max(all[i].at, half)
		}
	}
	// Each partition keeps its own order.
	slices.SortStableFunc(all, func(a, b due) int { return int(min(1, max(-1, a.record.Offset-b.record.Offset))) })
	last := map[[2]int]time.Duration{}
	for i := range all {
		k := [2]int{all[i].source, all[i].partition}
		all[i].at = max(all[i].at, last[k])
		last[k] = all[i].at
	}
	slices.SortStableFunc(all, func(a, b due) int { return int(min(1, max(-1, a.at-b.at))) })
	w.grows = -1
	most := []time.Duration{2 * time.Second, 20 * time.Second, 45 * time.Second}[rng.IntN(3)]
	for i := range all {
		a := all[i].arrival
		if i > 0 {
			a.after = min(all[i].at-all[i-1].at, most)
		}
		if isLast(&a) && w.grows < 0 {
			w.grows = len(w.arrivals)
		}
		w.arrivals = append(w.arrivals, a)
		if rng.IntN(150) == 0 && w.grows >= 0 {
			w.arrivals = append(w.arrivals, arrival{source: 0, partition: rng.IntN(len(w.sources[0].records)), silence: true})
		}
	}
}

// lifetime is one life of a live run.
type lifetime struct {
	lines   []string // that left, in their order
	decided int64    // the tick of the last
	journal []pipeline.Mark
	summary pipeline.Summary
	arrived int    // how many arrivals there had been when it ended
	dir     string // where its state is on disk; empty: nowhere
	resumed bool   // it went on from a checkpoint
}

// live runs the world from the start, with what is left of the life before,
// and kills it once so many records have arrived. It must be called in a bubble.
func (w *liveWorld) live(t *testing.T, s shape, before lifetime, kill int) lifetime {
	t.Helper()
	plan, err := rules.NewPlan(w.rules, event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := lifetime{journal: slices.Clone(before.journal), dir: before.dir}
	already := before.arrived
	feeds := []*feed{newFeed("log", len(w.sources[0].records)-1), newFeed("cdn", len(w.sources[1].records))}
	cfg := pipeline.Config{
		Plan: plan, Lookups: lookups, Journal: before.journal, Decided: before.decided, Ceiling: w.ceiling, Workers: s.workers, Units: s.units, Batch: s.batch,
	}
	for i, src := range w.sources {
		cfg.Sources = append(cfg.Sources, pipeline.Source{
			Source: feeds[i], Decode: testkit.Decode, Disorder: src.disorder, MaxLateness: src.latest, Slow: w.slow[i],
		})
	}
	if s.recode {
		cfg.Recode = func(unit int, tick int64) bool { return (uint64(unit)*2654435761+uint64(tick))>>3%5 == 0 }
	}
	if l.dir != "" {
		defer w.keep(t, &cfg, l.dir)()
		l.resumed = cfg.Resume != nil
	}
	var mu sync.Mutex
	killed := false
	cfg.Record = func(ms []pipeline.Mark) error {
		mu.Lock()
		defer mu.Unlock()
		if killed {
			return errors.New("killed")
		}
		l.journal = append(l.journal, ms...)
		return nil
	}
	cfg.Emit = func(ds []event.Decision) error {
		mu.Lock()
		defer mu.Unlock()
		if killed {
			return errors.New("killed")
		}
		for i := range ds {
			l.lines = append(l.lines, string(ds[i].AppendJSON(nil)))
			l.decided = ds[i].Time.Unix()
		}
		return nil
	}
	silent := map[int]bool{}
	arrive := func(i int) {
		if i == w.grows {
			feeds[0].grow(len(w.sources[0].records))
		}
		a := &w.arrivals[i]
		if a.silence {
			feeds[a.source].answers(a.partition, silent[a.partition])
			silent[a.partition] = !silent[a.partition]
			return
		}
		feeds[a.source].put(a.partition, a.record)
	}
	for i := range already {
		if !w.arrivals[i].silence {
			arrive(i)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		var err error
		l.summary, err = pipeline.Run(ctx, cfg)
		done <- err
	}()
	for l.arrived = already; l.arrived < min(kill, len(w.arrivals)); l.arrived++ {
		time.Sleep(w.arrivals[l.arrived].after)
		arrive(l.arrived)
	}
	if kill > len(w.arrivals) {
		for p := range feeds[0].Partitions() {
			feeds[0].answers(p, true)
		}
		time.Sleep(10 * time.Minute) // all is silent
	}
	mu.Lock()
	killed = kill <= len(w.arrivals)
	mu.Unlock()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) && !killed {
		t.Errorf("the live run returned %v, want that it was cancelled", err)
	}
	return l
}

// keep gives a run the state in a directory, and where the lives before it came to.
func (w *liveWorld) keep(t *testing.T, cfg *pipeline.Config, dir string) (release func()) {
	t.Helper()
	store, err := state.Open(context.Background(), state.Config{Dir: dir, Units: cfg.Units, KeyID: "laws", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	if why := store.Broken(); why != "" {
		t.Fatalf("the store was put aside: %s", why)
	}
	cfg.Store, cfg.Checkpoint = store, time.Second
	for _, src := range w.sources {
		cfg.SourceNames = append(cfg.SourceNames, src.name)
	}
	if last, ok := store.Last(); ok {
		meta, err := pipeline.ReadMeta(last.Meta)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Plan, err = rules.NewPlan(w.rules, event.FixedKey(), rules.PlanOptions{Inherit: meta.Layout, Tick: meta.Tick}); err != nil {
			t.Fatal(err)
		}
		if cfg.Resume, err = pipeline.Restore(store, meta, last, cfg); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// replay returns what a replay with the journal decides, in the order of lines.
func (w *liveWorld) replay(t *testing.T, s shape, journal []pipeline.Mark) []string {
	w.journal = journal
	decisions, _ := w.decide(t, s)
	lines := make([]string, len(decisions))
	for i := range decisions {
		lines[i] = string(decisions[i].AppendJSON(nil))
	}
	return lines
}

const forGood = 1 << 30

// Live runs that are killed and go on from their checkpoints decide, all
// together, what a replay with the journal decides: nothing else, nothing less,
// and what they decide twice is the same.
func TestLiveRunsThatGoOnFromTheirCheckpointsDecideTheSame(t *testing.T) {
	lines, lives, resumed, again := 0, 0, 0, int64(0)
	for seed := range uint64(seeds(8)) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w := randomLiveWorld(t, 900+seed)
			rng := rand.New(rand.NewPCG(seed, 81))
			s := shape{workers: 1 + rng.IntN(4), units: 8, batch: 1 + rng.IntN(50), seed: seed}
			seen := map[string]bool{}
			l := lifetime{dir: dir}
			for ended := false; !ended; lives++ {
				kill := l.arrived + 1 + rng.IntN(len(w.arrivals)/3)
				if ended = kill > len(w.arrivals)*3/4; ended {
					kill = forGood
				}
				decided := l.decided
				l = w.live(t, s, l, kill)
				l.decided = max(l.decided, decided)
				for _, line := range l.lines {
					seen[line] = true
				}
				if l.resumed {
					resumed++
				}
				again += l.summary.Again
			}
			var got []string
			for line := range seen {
				got = append(got, line)
			}
			slices.Sort(got)
			lines += len(got)
			want := w.replay(t, shapes(seed)[0], l.journal)
			slices.Sort(want)
			compare(t, fmt.Sprintf("seed %d: a replay", seed), got, want)
		})
	}
	t.Logf("%d lines, %d lives, %d of them from a checkpoint, %d events read again and passed over", lines, lives, resumed, again)
	if resumed < 5 || again == 0 || lines < 300 {
		t.Error("this shows too little")
	}
}

func TestALiveRunDecidesWhatAReplayWithItsJournalDecides(t *testing.T) {
	marks := map[pipeline.MarkEvent]int{}
	lines := 0
	for seed := range uint64(seeds(8)) {
		synctest.Test(t, func(t *testing.T) {
			w := randomLiveWorld(t, seed)
			s := shape{workers: 1 + int(seed%4), units: []int{1, 8, 64}[seed%3], batch: []int{1, 7, 100}[seed%3], seed: seed, recode: seed%4 == 1}
			l := w.live(t, s, lifetime{}, forGood)
			for _, m := range l.journal {
				marks[m.Event]++
			}
			lines += len(l.lines)
			got := w.replay(t, shapes(seed)[seed%3], l.journal)
			if !compare(t, fmt.Sprintf("seed %d: a replay", seed), l.lines, got) {
				return
			}
			if !slices.Equal(l.lines, got) {
				t.Errorf("seed %d: a replay writes the same lines in another order", seed)
			}
			compare(t, fmt.Sprintf("seed %d: the oracle", seed), l.lines, linesOf(w.oracle().run()))
		})
	}
	t.Logf("%d lines; marks %v", lines, marks)
	for _, e := range []pipeline.MarkEvent{pipeline.MarkStart, pipeline.MarkIdle, pipeline.MarkWake, pipeline.MarkSlow} {
		if marks[e] < 20 {
			t.Errorf("%d marks of %s, want at least 20 for the comparison to mean something", marks[e], e)
		}
	}
	if lines < 500 {
		t.Errorf("%d lines, want at least 500", lines)
	}
}

func TestARunThatWasKilledDecidesTheSameAgainAndGoesOn(t *testing.T) {
	again := 0
	for seed := range uint64(seeds(8)) {
		synctest.Test(t, func(t *testing.T) {
			w := randomLiveWorld(t, 500+seed)
			rng := rand.New(rand.NewPCG(seed, 79))
			s := shape{workers: 1 + rng.IntN(4), units: 8, batch: 1 + rng.IntN(50), seed: seed}
			var l lifetime
			for range 1 + rng.IntN(3) {
				before := l
				l = w.live(t, s, before, before.arrived+1+rng.IntN(len(w.arrivals)/3))
				if n := min(len(l.lines), len(before.lines)); !slices.Equal(l.lines[:n], before.lines[:n]) {
					compare(t, fmt.Sprintf("seed %d: the next life", seed), before.lines[:n], l.lines[:n])
					t.Fatalf("seed %d: a life begins with other lines than the one before it", seed)
				}
				again += min(len(l.lines), len(before.lines))
				if len(l.lines) < len(before.lines) { // killed before it came so far
					l.lines, l.decided = before.lines, before.decided
				}
			}
			last := w.live(t, s, l, forGood)
			if n := len(l.lines); len(last.lines) < n || !slices.Equal(last.lines[:n], l.lines) {
				compare(t, fmt.Sprintf("seed %d: the last life", seed), l.lines, last.lines[:min(n, len(last.lines))])
				t.Fatalf("seed %d: of %d lines the last life does not make all", seed, n)
			}
			again += len(l.lines)
			got := w.replay(t, shapes(seed)[0], last.journal)
			if !compare(t, fmt.Sprintf("seed %d: a replay", seed), last.lines, got) || !slices.Equal(last.lines, got) {
				t.Errorf("seed %d: a replay with the final journal differs", seed)
			}
		})
	}
	t.Logf("%d lines made again", again)
	if again < 300 {
		t.Errorf("%d lines were made again, want at least 300 for the comparison to mean something", again)
	}
}
