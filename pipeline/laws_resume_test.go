package pipeline_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"weir/event"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// errKilled ends a run where a kill would: nothing is written any more.
var errKilled = errors.New("killed")

// lives puts the world through runs that are killed or stopped, each of which
// goes on where the last checkpoint of those before it was. It returns the
// sorted lines, each once, and how many lives there were.
func (w *world) lives(t *testing.T, s shape, memory int64, rng *rand.Rand) (lines []string, lives, again int) {
	t.Helper()
	dir := t.TempDir()
	seen := map[string]bool{}
	for ; ; lives++ {
		if lives > 400 {
			t.Fatalf("not at the end after %d lives", lives)
		}
		done, passed := w.life(t, s, dir, memory, rng, seen)
		again += passed
		if done {
			break
		}
	}
	for l := range seen {
		lines = append(lines, l)
	}
	sort.Strings(lines)
	return lines, lives, again
}

// life is one of them; done reports whether it came to the end of input.
func (w *world) life(t *testing.T, s shape, dir string, memory int64, rng *rand.Rand, seen map[string]bool) (done bool, again int) {
	t.Helper()
	store, err := state.Open(t.Context(), state.Config{Dir: dir, Units: s.units, KeyID: "laws", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if why := store.Broken(); why != "" {
		t.Fatalf("the store was put aside: %s", why)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cfg := pipeline.Config{
		Lookups: lookups, Journal: w.journal, Ceiling: w.ceiling, Workers: s.workers, Units: s.units, Batch: s.batch,
		Memory: memory, Store: store, Checkpoint: time.Millisecond,
	}
	for i, src := range w.sources {
		cfg.SourceNames = append(cfg.SourceNames, src.name)
		cfg.Sources = append(cfg.Sources, pipeline.Source{
			Source: newShuffled(src.name, src.records, rng.Uint64()+uint64(i)),
			Decode: testkit.Decode, Disorder: src.disorder, MaxLateness: src.latest, Only: src.only,
		})
	}
	// How much may be resident moves about meanwhile.
	taken := pipeline.Usage{}
	moves := rand.New(rand.NewPCG(rng.Uint64(), 1))
	cfg.Usage = func() pipeline.Usage {
		taken.Collections++
		taken.Live = moves.Int64N(2*memory + 1)
		return taken
	}
	options := w.options
	last, ok := store.Last()
	var meta pipeline.Meta
	if ok {
		if meta, err = pipeline.ReadMeta(last.Meta); err != nil {
			t.Fatal(err)
		}
		options.Inherit, options.Tick = meta.Layout, meta.Tick
	}
	if cfg.Plan, err = rules.NewPlan(w.rules, event.FixedKey(), options); err != nil {
		t.Fatal(err)
	}
	if ok {
		if cfg.Resume, err = pipeline.Restore(store, meta, last, &cfg); err != nil {
			t.Fatal(err)
		}
	}
	// It ends after some decisions: by a stop, or by a kill before or after they left.
	left, how := 1+rng.IntN(60), rng.IntN(3)
	cfg.Emit = func(ds []event.Decision) error {
		left--
		if left == 0 && how == 0 {
			return errKilled
		}
		for i := range ds {
			seen[string(ds[i].AppendJSON(nil))] = true
		}
		if left == 0 && how == 1 {
			return errKilled
		}
		if left <= 0 {
			cancel()
		}
		time.Sleep(time.Duration(rng.IntN(3)) * time.Millisecond) // checkpoints get somewhere
		return nil
	}
	sum, err := pipeline.Run(ctx, cfg)
	switch {
	case err == nil:
		return true, int(sum.Again)
	case errors.Is(err, errKilled), errors.Is(err, context.Canceled):
		return false, int(sum.Again)
	}
	t.Fatal(err)
	return
}

// Runs that are killed and stopped at any moment decide what one does that never ends.
func TestRunsThatGoOnWhereOthersEndedDecideTheSame(t *testing.T) {
	lines, lives, again := 0, 0, 0
	for seed := range uint64(seeds(4)) {
		w := randomWorld(t, seed)
		rng := rand.New(rand.NewPCG(seed, 99))
		want, _ := w.run(t, shape{workers: 2, units: 8, batch: 100, seed: seed})
		s := shape{workers: 1 + rng.IntN(4), units: 1 << rng.IntN(4), batch: 1 + rng.IntN(300), seed: seed}
		memory := int64(0)
		if seed%2 == 1 {
			memory = 300 << 10 // so little that keys live on disk
		}
		got, n, passed := w.lives(t, s, memory, rng)
		if !compare(t, "lives", want, got) {
			t.Fatalf("seed %d, %v, memory %d, %d lives", seed, s, memory, n)
		}
		lines, lives, again = lines+len(got), lives+n, again+passed
	}
	if lives < 20 || again == 0 {
		t.Errorf("%d lives, %d events passed over: this shows too little", lives, again)
	}
	t.Logf("%d lines, %d lives, %d events read again and passed over", lines, lives, again)
}
