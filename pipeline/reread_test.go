package pipeline_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"weir/pipeline"
)

// A run that is told to stop does not close the seconds that are open: a line may
// still come that counts in them. The next one reads their lines again, for the
// first time as far as windows are concerned, and besides at most the batch that
// they came in; none where all is idle, since then no second is open.
func TestARunThatStopsHasOnlyOpenSecondsReadAgain(t *testing.T) {
	const disorder, n = 2, 30
	for _, c := range []struct {
		name  string
		burst int           // lines of one second that come at once, as when a run catches up
		idle  time.Duration // before it is told to stop
		again int64         // lines
	}{
		{"a line a second", 1, 0, disorder + 1},
		{"batches of a second", 7, 0, 7 * (disorder + 1)},
		{"idle for ten seconds", 1, 11 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFeed("log", 1)
			left := int64(-1)
			a := startLive(t, func(cfg *pipeline.Config) {
				cfg.Sources[0].Disorder = disorder * time.Second
				cfg.Left = func(r *pipeline.Resume) { left = r.Positions[0].Offset }
			}, f)
			for i := range n {
				for k := range c.burst {
					a.put(f, 0, fmt.Sprintf("i%d-%d", i, k), int64(i))
				}
				time.Sleep(time.Second)
			}
			time.Sleep(c.idle)
			a.stop()
			if again := int64(n*c.burst) - left; again != c.again {
				t.Errorf("%s: %d lines are read again, must be %d", c.name, again, c.again)
			}
		})
	}
}
