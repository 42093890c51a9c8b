package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"weir/pipeline"
	"weir/state"
)

// written runs a live run with many keys in memory until it has written a
// checkpoint, and returns how that was.
func written(t *testing.T, change func(*pipeline.Config)) pipeline.CheckpointStatus {
	t.Helper()
	const keys = 20_000
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), Units: 8, KeyID: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	f := newFeed("log", 1)
	a := startLive(t, func(c *pipeline.Config) {
		c.Store = store
		change(c)
	}, f)
	for i := range int64(keys) {
		a.put(f, 0, fmt.Sprint("item", i), i/1000)
	}
	a.put(f, 0, "last", keys/1000+100) // all ticks before it may run
	for began := time.Now(); ; {
		a.mu.Lock()
		status := a.status
		a.mu.Unlock()
		if status != nil && !status.Checkpoint.Last.IsZero() {
			if c := status.Checkpoint; c.Stall > 0 && c.Stall <= c.Took {
				return c
			}
			t.Fatalf("%+v: must say for how long ticks were held up by it", status.Checkpoint)
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("no checkpoint within a minute: %+v", status)
		}
		select {
		case err := <-a.done:
			t.Fatalf("the run ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestACheckpointTakesItsTime(t *testing.T) {
	const every = 2 * time.Second
	c := written(t, func(cfg *pipeline.Config) { cfg.Checkpoint = every })
	// What is guessed of the first one may be too much by some.
	if c.Took < every/8 {
		t.Errorf("it took %v, must be spread over about %v", c.Took, every/2)
	}
}

func TestWhereMemoryIsShortACheckpointComesAtOnce(t *testing.T) {
	const every = time.Hour
	c := written(t, func(cfg *pipeline.Config) { cfg.Checkpoint, cfg.Memory, cfg.Accounted = every, 8<<20, 64<<20 })
	if c.Took >= every/8 {
		t.Errorf("it took %v, must not wait for its time", c.Took)
	}
}
