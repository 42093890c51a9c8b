package pipeline_test

import (
	"strconv"
	"testing"
	"time"

	"weir/event"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// What a checkpoint knows of the files beside it is as of its tick: with all
// that was decided up to there, and nothing behind it.
func TestACheckpointSealsWhatLeftBeforeIt(t *testing.T) {
	w := randomWorld(t, 3)
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), Units: 8, KeyID: "laws", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var left []time.Time
	asked := 0
	cfg := pipeline.Config{
		Lookups: lookups, Journal: w.journal, Ceiling: w.ceiling, Workers: 2, Units: 8, Batch: 50,
		Store: store, Checkpoint: time.Millisecond,
		Emit: func(ds []event.Decision) error {
			for i := range ds {
				left = append(left, ds[i].Time)
			}
			return nil
		},
		Seals: func() []byte {
			asked++
			return []byte(strconv.Itoa(len(left)))
		},
	}
	w.into(t, &cfg)
	if _, err := pipeline.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	last, ok := store.Last()
	if !ok || asked == 0 || len(left) == 0 {
		t.Fatalf("%v, asked %d times, %d decisions: this shows nothing", ok, asked, len(left))
	}
	m, err := pipeline.ReadMeta(last.Meta)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(string(m.Seals))
	if err != nil || n > len(left) {
		t.Fatalf("of the files it knows %q, %v", m.Seals, err)
	}
	for i, at := range left {
		if (at.Unix() <= m.Tick) != (i < n) {
			t.Fatalf("decision %d of %d is of tick %d; the checkpoint of tick %d says that %d had left", i, len(left), at.Unix(), m.Tick, n)
		}
	}
}

// into has a run read the world's sources with its rules.
func (w *world) into(t *testing.T, cfg *pipeline.Config) {
	t.Helper()
	for _, src := range w.sources {
		cfg.SourceNames = append(cfg.SourceNames, src.name)
		cfg.Sources = append(cfg.Sources, pipeline.Source{
			Source: newShuffled(src.name, src.records, 1), Decode: testkit.Decode, Disorder: src.disorder, MaxLateness: src.latest, Only: src.only,
		})
	}
	plan, err := rules.NewPlan(w.rules, event.FixedKey(), w.options)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Plan = plan
}
