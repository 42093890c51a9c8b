package pipeline_test

import (
	"fmt"
	"testing"
	"time"

	"weir/pipeline"
	"weir/state"
)

// written runs a live run with many keys in memory until it has written a
// checkpoint of which that is so, and returns it; of tries, the last one. A
// checkpoint that comes before the keys do has little to write, so the keys are
// touched again and again.
func written(t *testing.T, tries int, wanted func(pipeline.CheckpointStatus) bool, change func(*pipeline.Config)) pipeline.CheckpointStatus {
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
	var last pipeline.CheckpointStatus
	began := time.Now()
	for second := int64(0); ; second += keys/1000 + 100 {
		for i := range int64(keys) {
			a.put(f, 0, fmt.Sprint("item", i), second+i/1000)
		}
		a.put(f, 0, "last", second+keys/1000+99) // all ticks before it may run
		for range 10 {
			a.mu.Lock()
			status := a.status
			a.mu.Unlock()
			if status != nil && status.Checkpoint.Last.After(last.Last) {
				last = status.Checkpoint
				if last.Stall <= 0 {
					t.Fatalf("%+v: must say for how long ticks were held up by it", last)
				}
				if tries--; tries == 0 || wanted(last) {
					return last
				}
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("no such checkpoint within a minute: %+v", status)
			}
			select {
			case err := <-a.done:
				t.Fatalf("the run ended: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
}

func TestACheckpointTakesItsTime(t *testing.T) {
	const every = 2 * time.Second
	spread := func(c pipeline.CheckpointStatus) bool { return c.Took >= every/8 }
	c := written(t, 6, spread, func(cfg *pipeline.Config) { cfg.Checkpoint = every })
	if !spread(c) {
		t.Errorf("the sixth took %v, one must be spread over about %v", c.Took, every/2)
	}
	if c.Stall > c.Took { // where memory is short, keys that leave it behind a checkpoint count, too
		t.Errorf("%+v: it held ticks up for longer than it took", c)
	}
}

func TestWhereMemoryIsShortACheckpointComesAtOnce(t *testing.T) {
	const every = time.Hour
	soon := func(c pipeline.CheckpointStatus) bool { return c.Took < every/8 }
	if c := written(t, 1, soon, func(cfg *pipeline.Config) { cfg.Checkpoint, cfg.Memory, cfg.Accounted = every, 8<<20, 64<<20 }); !soon(c) {
		t.Errorf("it took %v, must not wait for its time", c.Took)
	}
}
