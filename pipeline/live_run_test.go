package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/pipeline"
)

func TestManyPartitionsThatWaitLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 300)
		a := startLive(t, nil, f)
		time.Sleep(11 * time.Second)
		for i := range int64(50) {
			a.put(f, 299, fmt.Sprint("i", i), i)
			time.Sleep(time.Second)
		}
		news := 0
		for _, line := range a.told() {
			if strings.HasPrefix(line, "new") {
				news++
			}
		}
		if news != 49 {
			t.Errorf("%d items decided, want 49", news)
		}
		a.stop()
	})
}

func TestALiveRunEndsAtOnceAndClosesNoUnfinishedSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		a := startLive(t, nil, f)
		a.put(f, 0, "a", 0)
		a.put(f, 1, "b", 1)
		time.Sleep(5 * time.Second)
		before := time.Now()
		a.stop()
		if took := time.Since(before); took > time.Second {
			t.Errorf("it took %v to end", took)
		}
		a.want("second 0 was not finished")
	})
}

// failing is a source of which one read fails.
type failing struct {
	*feed
	err error
}

func (f *failing) Read(ctx context.Context, p, most int, r *ingest.Records) error {
	if p == 1 {
		time.Sleep(3 * time.Second)
		return f.err
	}
	return f.feed.Read(ctx, p, most, r)
}

func TestALiveRunFailsWithItsSourceItsJournalAndItsSink(t *testing.T) {
	broken := errors.New("broken")
	for name, change := range map[string]func(*pipeline.Config){
		"read":   func(c *pipeline.Config) { c.Sources[0].Source = &failing{c.Sources[0].Source.(*feed), broken} },
		"record": func(c *pipeline.Config) { c.Record = func([]pipeline.Mark) error { return broken } },
		"later": func(c *pipeline.Config) {
			c.Record = func(ms []pipeline.Mark) error {
				if ms[0].Event != pipeline.MarkStart {
					return broken
				}
				return nil
			}
		},
		"emit":   func(c *pipeline.Config) { c.Emit = func([]event.Decision) error { return broken } },
		"review": func(c *pipeline.Config) { c.Review = func(int64, figuresOf) error { return broken } },
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFeed("log", 2)
			a := startLive(t, change, f)
			a.put(f, 0, "a", 0)
			a.put(f, 0, "b", 30)
			time.Sleep(30 * time.Second)
			select {
			case err := <-a.done:
				a.stopped = true
				if !errors.Is(err, broken) {
					t.Errorf("%s: the run failed with %v", name, err)
				}
			default:
				t.Errorf("%s: the run goes on", name)
				a.stop()
			}
		})
	}
}

func TestALiveRunTellsHowItStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		told := 0
		a := startLive(t, func(c *pipeline.Config) {
			observe := c.Observe
			c.Observe = func(s *pipeline.Status) { told++; observe(s) }
		}, f, ingest.NewMemory("old", [][]ingest.MemoryRecord{{{Line: []byte("what is this")}}}))
		a.put(f, 0, "a", 0)
		a.put(f, 0, "b", 20)
		time.Sleep(20 * time.Second)
		a.put(f, 1, "c", 40)
		time.Sleep(100 * time.Millisecond)
		f.answers(1, false)
		a.put(f, 1, "d", 60)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s := a.status
		if told < 20 || told > 23 {
			t.Errorf("told %d times in 22 s", told)
		}
		if s.Tick != base+40 || s.Summary.LastTick != s.Tick || s.Summary.Events < 2 || s.Summary.Keys == 0 || s.Summary.Bytes == 0 ||
			s.Summary.Decisions["probe"].New != 2 || len(s.Summary.Rejected) != 1 || s.At.IsZero() {
			t.Errorf("%+v", s)
		}
		want := []pipeline.PartitionStatus{
			{Source: "log", Partition: 0, Offset: 2, Watermark: base + 40, Lag: 0, Idle: true, Tally: pipeline.Tally{Events: 2}},
			{Source: "log", Partition: 1, Offset: 1, Watermark: base + 40, Lag: 1, Tally: pipeline.Tally{Events: 1}},
			{Source: "old", Partition: 0, Offset: 1, Watermark: -1, Lag: -1},
		}
		if !slices.Equal(s.Partitions, want) {
			t.Errorf("partitions\n%+v, want\n%+v", s.Partitions, want)
		}
		a.stop()
	})
}

// A run that has nowhere to write marks decides nothing by a clock.
func TestWithoutAJournalNobodyIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		a := startLive(t, func(c *pipeline.Config) { c.Record = nil }, f)
		a.put(f, 1, "a", 0)
		a.put(f, 1, "b", 20)
		time.Sleep(time.Hour)
		f.grow(3)
		time.Sleep(time.Minute)
		a.want("nothing is decided")
		if a.status != nil {
			t.Error("a run that is not live is observed")
		}
		a.stop()
	})
}
