package pipeline_test

import (
	"testing"
	"time"

	"weir/pipeline"
	"weir/state"
)

// A run that has not decided anything yet, after a start or a reload, says what
// its keys take, and not that they take nothing.
func TestWhatKeysTakeIsToldBeforeTheFirstTick(t *testing.T) {
	store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), Units: 8, KeyID: "live", Memory: 32 << 20, Reserve: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	told := make(chan pipeline.MemoryStatus, 1)
	a := startLive(t, func(c *pipeline.Config) {
		c.Store, c.Checkpoint = store, time.Hour
		c.Observe = func(s *pipeline.Status) {
			select {
			case told <- s.Memory:
			default:
			}
		}
	}, newFeed("log", 1))
	if m := <-told; m.Resident <= 0 {
		t.Errorf("keys take %d bytes", m.Resident)
	}
	a.stop()
}
