package pipeline

import (
	"context"
	"strings"
	"testing"

	"weir/ingest"
)

// growingLog is a log that has more partitions than at first.
type growingLog struct {
	ingest.Source
	partitions int
}

func (g *growingLog) Partitions() int   { return g.partitions }
func (g *growingLog) Start(int) int64   { return 0 }
func (g *growingLog) CaughtUp(int) bool { return true }
func (g *growingLog) Lag(int) int64     { return 0 }

// The events of a partition that an earlier life has read were counted up to a
// tick; where it is there again when the clock has gone on, they could not count
// where they should. And no source has more partitions than have numbers.
func TestAPartitionThatWasReadAndIsThereAgainTooLateEndsTheRun(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	source := &growingLog{ingest.NewMemory("access", nil), 2}
	at := (&partitionClock{next: 7, started: true, w: 90}).appendPosition(nil)
	r := &run{
		ctx: ctx, cancel: cancel, begun: []int{1}, starts: newStarts(nil, nil), clock: newClock(false, 1),
		cfg: Config{
			Sources: []Source{{Source: source}}, SourceNames: []string{"access"}, Record: func([]Mark) error { return nil },
			Resume: &Resume{Tick: 100, Positions: []Position{{Source: "access", Partition: 1, Clock: at}}},
		},
	}
	want := "source access: partition 1, which an earlier life has read, appeared when the clock had gone on without it: start again"
	if err := r.lookForNew(); err == nil || err.Error() != want {
		t.Errorf("%v, must be %s", err, want)
	}
	if len(r.clock.partitions) > 0 {
		t.Error("it counts already")
	}
	source.partitions, r.begun[0] = maxLocal+1, maxLocal
	if err := r.lookForNew(); err == nil || !strings.Contains(err.Error(), "partitions, must be at most ") {
		t.Errorf("more than there may be: %v", err)
	}
}
