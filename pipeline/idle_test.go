package pipeline

import (
	"slices"
	"testing"

	"weir/ingest"
)

// A partition may be idle for days, with decisions every second.
func TestTheMarksOfAnIdlePartitionTakeNoRoom(t *testing.T) {
	r := &run{cfg: Config{
		Record:  func([]Mark) error { return nil },
		Sources: []Source{{Source: ingest.NewMemory("log", nil)}},
	}}
	p := &partition{run: r, live: true, next: 7, w: 90, marked: -1}
	p.wait.idle = true
	c := newClock(false, 1)
	c.partitions = []*partition{p}
	for tick := range int64(1000) {
		made := c.absent(tick)
		if want := tick > 90; want != (len(made) == 1) || want && made[0] != (Mark{Event: MarkIdle, Source: "log", Offset: 7, Watermark: tick}) {
			t.Fatalf("tick %d: marks %v", tick, made)
		}
		if again := c.absent(tick); len(again) > 0 {
			t.Fatalf("tick %d is marked twice: %v", tick, again)
		}
	}
	if want := []Mark{{Event: MarkIdle, Source: "log", Offset: 7, Watermark: 999}}; !slices.Equal(p.marks, want) {
		t.Errorf("it keeps %v, want %v", p.marks, want)
	}
}
