package main

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"weir/pipeline"
)

// What a run counts begins at 0 in each process, whatever earlier ones counted,
// and neither falls nor jumps where a reload begins another pipeline.
func TestCountersBeginWithTheProcessAndOutliveAReload(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	first, said, stop := s.start()
	for read := int64(80); read <= 160; read += 80 { // in two steps, so that a place between them is kept
		s.log("a.log", "203.0.113")
		for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			if st := first.status.Load(); st != nil && st.Summary.Events == read && st.Tick > s.begin().Unix() {
				break
			}
			if time.Since(begun) > time.Minute {
				t.Fatalf("%d lines are not read: %+v\n%s", read, first.status.Load(), said)
			}
		}
		s.life++
	}
	stop()
	l, said, stop := s.start()
	defer stop()
	var seen []pipeline.Summary
	var began int64 // what earlier processes had counted
	until := func(what string, holds func(*pipeline.Status) bool) {
		t.Helper()
		for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			st := l.status.Load()
			if st != nil && len(st.Partitions) == 1 {
				if seen = append(seen, st.Summary); len(seen) == 1 {
					began = st.Partitions[0].Began.Events
				}
				if holds(st) {
					return
				}
			}
			if time.Since(begun) > time.Minute {
				t.Fatalf("%s: not so: %+v\n%s", what, st, said)
			}
		}
	}
	until("what earlier processes read is not counted", func(st *pipeline.Status) bool {
		return st.Summary.Events == 160-began
	})
	if began < 80 {
		t.Fatalf("the process went on behind %d events of 160", began)
	}
	s.append("a.log", "no line\n")
	s.log("a.log", "203.0.113")
	until("all is read", func(st *pipeline.Status) bool {
		return st.Summary.Events == 240-began && len(st.Summary.Rejected) == 1
	})
	s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, 3))
	if text, err := l.reload(t.Context()); err != nil {
		t.Fatalf("%v: %s\n%s", err, text, said)
	}
	until("the pipeline behind the reload says how it stands", func(st *pipeline.Status) bool {
		return st.Partitions[0].Began.Events != began
	})
	s.life++
	s.append("a.log", s.requests("203.0.113"))
	until("and counts on", func(st *pipeline.Status) bool { return st.Summary.Events == 320-began })
	for i := range seen[1:] {
		was, is := &seen[i], &seen[i+1]
		if is.Events < was.Events || is.Events > 320-began || is.Late < was.Late || is.Dropped < was.Dropped {
			t.Fatalf("status %d: %+v behind %+v", i+1, is.Tally, was.Tally)
		}
		for reason, n := range was.Rejected {
			if is.Rejected[reason] < n {
				t.Fatalf("status %d: %v rejected behind %v", i+1, is.Rejected, was.Rejected)
			}
		}
	}
}

// A partition that is read once more from an earlier place, one that appears and
// one that is gone; and what only the ended pipeline had counted.
func TestCountsAreTheProcesss(t *testing.T) {
	var c counts
	at := func(source string, began, now int64) pipeline.PartitionStatus {
		return pipeline.PartitionStatus{Source: source, Began: pipeline.Tally{Events: began, Late: began}, Tally: pipeline.Tally{Events: now, Late: now, Dropped: 1, Future: 2, Clamped: 3}}
	}
	complete := func(filtered int64, ps ...pipeline.PartitionStatus) pipeline.Summary {
		s := pipeline.Status{Partitions: ps, Summary: pipeline.Summary{Tally: pipeline.Tally{Events: 1 << 40}, Filtered: filtered, Again: 5, Refused: 6, Rejected: map[string]int64{"time": 2}}}
		c.complete(&s)
		return s.Summary
	}
	if got := complete(4, at("a", 1000, 1000)); got.Events != 0 || got.Late != 0 || got.Dropped != 1 || got.Future != 2 || got.Clamped != 3 || got.Filtered != 4 {
		t.Errorf("%+v", got)
	}
	complete(4, at("a", 1000, 1100))
	ended := pipeline.Summary{Filtered: 10, Again: 20, Refused: 30, Rejected: map[string]int64{"time": 3, "json": 1}}
	c.ended(&ended)
	for _, step := range []struct {
		a, want int64
	}{{1060, 107}, {1100, 107}, {1101, 108}} {
		got := complete(4, at("a", 1060, step.a), at("b", 0, 7))
		if got.Events != step.want || got.Filtered != 14 || got.Again != 25 || got.Refused != 36 || !maps.Equal(got.Rejected, map[string]int64{"time": 5, "json": 1}) {
			t.Errorf("at %d: %+v, must have %d events", step.a, got, step.want)
		}
	}
	if got := complete(0, at("b", 0, 7)); got.Events != 108 {
		t.Errorf("without a source that is gone: %+v", got)
	}
	if len(ended.Rejected) != 2 || !slices.Equal(slices.Sorted(maps.Keys(c.before.Rejected)), []string{"json", "time"}) || c.before.Rejected["time"] != 3 {
		t.Errorf("%v", c.before.Rejected)
	}
}
