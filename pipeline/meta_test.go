package pipeline_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"weir/event"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// writtenMeta returns what a checkpoint of a small run says besides its keys.
func writtenMeta(t testing.TB) []byte {
	t.Helper()
	w := randomWorld(t, 3)
	store, err := state.Open(context.Background(), state.Config{Dir: t.TempDir(), Units: 4, KeyID: "meta", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	plan, err := rules.NewPlan(w.rules, event.FixedKey(), w.options)
	if err != nil {
		t.Fatal(err)
	}
	cfg := pipeline.Config{
		Plan: plan, Lookups: lookups, Ceiling: w.ceiling, Units: 4, Store: store, Checkpoint: time.Hour,
		Kept: pipeline.Kept{Era: 7, Config: "abc", Extras: event.Extras{"team"}},
	}
	for _, src := range w.sources {
		cfg.Sources = append(cfg.Sources, pipeline.Source{
			Source: newShuffled(src.name, src.records, 1), Decode: testkit.Decode, Disorder: src.disorder, MaxLateness: src.latest,
		})
	}
	if _, err := pipeline.Run(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	last, ok := store.Last()
	if !ok {
		t.Fatal("a run that ended left no checkpoint")
	}
	return last.Meta
}

func TestWhatACheckpointSaysIsReadBackOrRefused(t *testing.T) {
	b := writtenMeta(t)
	m, err := pipeline.ReadMeta(b)
	if err != nil {
		t.Fatal(err)
	}
	if m.Era != 7 || m.Config != "abc" || len(m.Extras) != 1 || m.Tick == 0 || len(m.Positions) == 0 || len(m.Tables) < 3 || m.Positions[0].Offset == 0 {
		t.Errorf("read back: %+v", m)
	}
	for i := range b {
		damaged := append([]byte(nil), b...)
		damaged[i] ^= 1
		if _, err := pipeline.ReadMeta(damaged); !errors.Is(err, state.ErrCorrupt) {
			t.Fatalf("byte %d flipped: error %v", i, err)
		}
		if _, err := pipeline.ReadMeta(b[:i]); !errors.Is(err, state.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: error %v", i, err)
		}
	}
}

// A checksum keeps nobody off who can write: what is sealed may still be anything.
func FuzzReadMeta(f *testing.F) {
	body, _, err := state.ReadRecord(writtenMeta(f), 1)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, start := state.BeginRecord(nil)
		b = append(b, body...)
		state.EndRecord(b, start, 1)
		if m, err := pipeline.ReadMeta(b); err == nil && len(m.Positions) > len(body) {
			t.Errorf("%d positions out of %d bytes", len(m.Positions), len(body))
		}
	})
}
