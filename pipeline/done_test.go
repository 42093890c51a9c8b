package pipeline_test

import (
	"sync/atomic"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// committing is a source that tells a broker how far its records were dealt with.
type committing struct {
	ingest.Source
	done func(p int, next int64)
}

func (c *committing) Done(p int, next int64) { c.done(p, next) }

// A broker is told of no record before a checkpoint that has it is in force: what
// it was told of it need not hand out again.
func TestABrokerIsToldOfOffsetsBehindTheCheckpointThatHasThem(t *testing.T) {
	const worlds = 8 // on a busy machine a run may be over before its second checkpoint is
	for seed := range uint64(worlds) {
		if toldFurther(t, seed+3) >= 2 || t.Failed() {
			return
		}
	}
	t.Fatal("no run told two offsets, the second further than the first: this shows nothing")
}

// toldFurther runs a world with checkpoints as often as they can be, checks each offset that
// a broker is told, and returns how many were further than the one before.
func toldFurther(t *testing.T, seed uint64) int64 {
	t.Helper()
	w := randomWorld(t, seed)
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), Units: 8, KeyID: "laws", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var ahead, further atomic.Int64
	cfg := pipeline.Config{
		Lookups: lookups, Journal: w.journal, Ceiling: w.ceiling, Workers: 2, Units: 8, Batch: 50, Store: store, Checkpoint: time.Millisecond,
	}
	for _, src := range w.sources {
		name := src.name
		was := map[int]int64{}
		done := func(p int, next int64) { // called by one goroutine
			if next > was[p] {
				was[p] = next
				further.Add(1)
			}
			last, ok := store.Last()
			if !ok {
				ahead.Add(1)
				t.Errorf("source %s, partition %d: %d is told without any checkpoint", name, p, next)
				return
			}
			m, err := pipeline.ReadMeta(last.Meta)
			if err != nil {
				t.Error(err)
				return
			}
			for _, at := range m.Positions {
				if at.Source == name && int(at.Partition) == p && at.Offset < next && ahead.Add(1) == 1 {
					t.Errorf("source %s, partition %d: %d is told, and the checkpoint in force is of %d", name, p, next, at.Offset)
				}
			}
		}
		cfg.SourceNames = append(cfg.SourceNames, name)
		cfg.Sources = append(cfg.Sources, pipeline.Source{
			Source: &committing{newShuffled(name, src.records, 1), done}, Decode: testkit.Decode, Disorder: src.disorder, MaxLateness: src.latest, Only: src.only,
		})
	}
	if cfg.Plan, err = rules.NewPlan(w.rules, event.FixedKey(), w.options); err != nil {
		t.Fatal(err)
	}
	if _, err := pipeline.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return further.Load()
}

// A checkpoint that cannot be written tells a broker nothing.
func TestABrokerIsToldNothingWhereNoCheckpointIsWritten(t *testing.T) {
	w := randomWorld(t, 3)
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), Units: 8, KeyID: "laws", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil { // whatever is begun on it fails
		t.Fatal(err)
	}
	var told atomic.Int64
	cfg := pipeline.Config{
		Lookups: lookups, Journal: w.journal, Ceiling: w.ceiling, Workers: 2, Units: 8, Batch: 50, Store: store, Checkpoint: time.Millisecond,
	}
	for _, src := range w.sources {
		cfg.SourceNames = append(cfg.SourceNames, src.name)
		cfg.Sources = append(cfg.Sources, pipeline.Source{
			Source: &committing{newShuffled(src.name, src.records, 1), func(int, int64) { told.Add(1) }},
			Decode: testkit.Decode, Disorder: src.disorder, MaxLateness: src.latest, Only: src.only,
		})
	}
	if cfg.Plan, err = rules.NewPlan(w.rules, event.FixedKey(), w.options); err != nil {
		t.Fatal(err)
	}
	_, err = pipeline.Run(t.Context(), cfg)
	if told.Load() > 0 {
		t.Errorf("%d offsets were told, and nothing is on disk (%v)", told.Load(), err)
	}
}
