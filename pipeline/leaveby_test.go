package pipeline_test

import (
	"testing"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/state"
)

// Who stops a run says until when its last checkpoint may take: what is not
// written by then is given up.
func TestTheLastCheckpointIsGivenUpWhenItsTimeIsOver(t *testing.T) {
	for what, tt := range map[string]struct {
		by    func() time.Time
		saved bool
	}{
		"nobody says":  {nil, true},
		"no limit":     {func() time.Time { return time.Time{} }, true},
		"long enough":  {func() time.Time { return time.Now().Add(time.Minute) }, true},
		"over already": {func() time.Time { return time.Now().Add(-time.Second) }, false},
	} {
		w := randomWorld(t, 3)
		store, err := state.Open(t.Context(), state.Config{Dir: t.TempDir(), Units: 8, KeyID: "laws", Memory: 32 << 20, Reserve: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		cfg := pipeline.Config{
			Lookups: lookups, Journal: w.journal, Ceiling: w.ceiling, Workers: 2, Units: 8, Batch: 50,
			Store: store, Checkpoint: time.Hour, LeaveBy: tt.by, Emit: func([]event.Decision) error { return nil },
		}
		w.into(t, &cfg)
		if _, err := pipeline.Run(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		if _, saved := store.Last(); saved != tt.saved {
			t.Errorf("%s: the last checkpoint was saved: %v, must be %v", what, saved, tt.saved)
		}
	}
}
