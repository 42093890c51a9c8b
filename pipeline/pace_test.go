package pipeline

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
)

// From wherever a clock goes on, it judges by the pace that counts at its
// watermark, so that all of them judge the same.
func TestAClockChangesItsPaceAtAWatermark(t *testing.T) {
	const base = 1_772_791_200
	var events []event.Event
	for i := range int64(400) {
		at := base + i
		if i%7 == 3 {
			at -= 5
		}
		events = append(events, event.Event{Time: at * nanos, Offset: i})
	}
	clock := func() *partitionClock {
		c := newPartitionClock(20*time.Second, time.Hour, nil, 1)
		c.follow([]Pace{{Until: base + 100, MaxLateness: time.Hour}, {Until: base + 250, Disorder: 10 * time.Second, MaxLateness: time.Second}})
		return c
	}
	judged := func(c *partitionClock, from int) (seconds []string) {
		for i := from; i < len(events); i++ {
			batch := []event.Event{events[i]}
			got, _, _ := c.pass(batch, nil, nil)
			for _, ev := range got {
				seconds = append(seconds, fmt.Sprint(ev.Offset, ev.Second-base))
			}
			c.next = events[i].Offset + 1
		}
		return seconds
	}
	want := judged(clock(), 0)
	text := strings.Join(want, ",")
	// Without disorder a late line counts at the watermark; with it in its own second.
	if !strings.Contains(text, "94 93,") || !strings.Contains(text, "157 152,") {
		t.Fatalf("the paces make no difference: %s", text)
	}
	for _, cut := range []int{5, 90, 99, 101, 115, 240, 255, 300} {
		c := clock()
		first := judgedUpTo(c, events[:cut])
		at := c.appendPosition(nil)
		again := clock()
		if c.holding {
			t.Fatal("a line is held")
		}
		if err := again.restorePosition(at); err != nil {
			t.Fatal(err)
		}
		if got := judged(again, cut); strings.Join(want[len(first):], ",") != strings.Join(got, ",") {
			t.Errorf("cut at %d: %v, want %v", cut, got[:10], want[len(first):][:10])
		}
	}
}

func judgedUpTo(c *partitionClock, events []event.Event) (seconds []int64) {
	for i := range events {
		got, _, _ := c.pass([]event.Event{events[i]}, nil, nil)
		for _, ev := range got {
			seconds = append(seconds, ev.Second)
		}
		c.next = events[i].Offset + 1
	}
	return seconds
}

func TestAGapIsToldInWords(t *testing.T) {
	for _, c := range []struct {
		gap   ingest.Gap
		topic bool
		want  string
	}{
		{ingest.Gap{From: 10, To: 8318}, true, "8308 records"},
		{ingest.Gap{From: 0, To: 512}, false, "512 bytes"},
		{ingest.Gap{From: 7, To: 7}, false, "nobody knows how much"},
		{ingest.Gap{From: 7, To: 0}, true, "nobody knows how much"},
	} {
		if got := amount(c.gap, c.topic); got != c.want {
			t.Errorf("%+v: %q, want %q", c.gap, got, c.want)
		}
	}
	if got := lasting(-time.Hour) + ", " + lasting(90*time.Minute+time.Millisecond); got != "less than a second, 1h30m0s" {
		t.Error(got)
	}
}

// A partition of which a state has no position is new, or nobody knows how far
// it was counted.
func TestAPartitionThatWasReadMustHaveAPosition(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	source := func(name string) Source {
		return Source{Source: ingest.NewMemory(name, [][]ingest.MemoryRecord{nil})}
	}
	r := &run{ctx: ctx, cancel: cancel, cfg: Config{Sources: []Source{source("b"), source("a")}, SourceNames: []string{"a", "gone", "b"}}}
	for i, want := range []int32{numberOf(2, 0), numberOf(0, 0)} {
		if got := r.cfg.number(i, 0); got != want {
			t.Errorf("source %d has the number %d, want %d", i, got, want)
		}
		if name, _ := r.cfg.sourceName(want); name != r.cfg.Sources[i].Name() {
			t.Errorf("number %d is of %q", want, name)
		}
	}
	r.starts = newStarts([]Mark{{Event: MarkStart, Source: "a", Watermark: 90}, {Event: MarkStart, Source: "b", Watermark: 100}}, nil)
	if err := (&partition{run: r, source: 0}).appearedBehind(100); err != nil {
		t.Errorf("one that appeared behind the checkpoint: %v", err)
	}
	if err := (&partition{run: r, source: 1}).appearedBehind(100); err == nil || !strings.Contains(err.Error(), "source a, partition 0: it was read before") {
		t.Errorf("one that was read before it: %v", err)
	}
	r.partitions = []*partition{{run: r, source: 1}}
	if err := r.linedUp(&Resume{Positions: []Position{{Source: "a"}, {Source: "gone", Partition: 3}}}); err != nil {
		t.Error(err)
	}
	if err := r.linedUp(&Resume{Positions: []Position{{Source: "a", Partition: 1}}}); err == nil || !strings.Contains(err.Error(), "source a: partition 1 is not there") {
		t.Errorf("a partition that is away: %v", err)
	}
}
