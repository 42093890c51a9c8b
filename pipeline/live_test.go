package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// alive is a live run that a test feeds by hand, in a bubble.
type alive struct {
	t       *testing.T
	began   time.Time
	cancel  context.CancelFunc
	done    chan error
	stopped bool

	mu      sync.Mutex
	log     []string // what was recorded and emitted, in order, with the wall clock's second
	status  *pipeline.Status
	offsets map[*feedPart]int64
}

// startLive runs the rule probe over sources without disorder.
func startLive(t *testing.T, change func(*pipeline.Config), sources ...ingest.Source) *alive {
	t.Helper()
	plan, err := rules.NewPlan(parseRules(t, probe), event.FixedKey(), rules.PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a := &alive{t: t, began: time.Now(), done: make(chan error, 1), offsets: map[*feedPart]int64{}}
	cfg := pipeline.Config{Plan: plan, Ceiling: event.Enforce, Workers: 2, Units: 8}
	for _, s := range sources {
		cfg.Sources = append(cfg.Sources, pipeline.Source{Source: s, Decode: testkit.Decode, MaxLateness: time.Hour})
	}
	cfg.Record = func(ms []pipeline.Mark) error {
		time.Sleep(10 * time.Millisecond) // a disk
		for _, m := range ms {
			at := "-"
			if m.Watermark > 0 {
				at = fmt.Sprint(m.Watermark - base)
			}
			a.note(fmt.Sprintf("%s %s/%d %d %s", m.Event, m.Source, m.Partition, m.Offset, at))
		}
		return nil
	}
	cfg.Emit = func(ds []event.Decision) error {
		for _, d := range ds {
			a.note(fmt.Sprintf("%s %s %d", d.Step, d.Target[0].Text, d.Time.Unix()-base))
		}
		return nil
	}
	cfg.Observe = func(s *pipeline.Status) {
		a.mu.Lock()
		a.status = s
		a.mu.Unlock()
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel = cancel
	go func() {
		_, err := pipeline.Run(ctx, cfg)
		a.done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if !a.stopped {
			<-a.done
		}
	})
	return a
}

func (a *alive) note(what string) {
	a.mu.Lock()
	a.log = append(a.log, fmt.Sprintf("%s @%d", what, int(time.Since(a.began).Seconds())))
	a.mu.Unlock()
}

// put has a record of an item, at a second from base, come to a partition; its
// append time is its own, so that it is never held.
func (a *alive) put(f *feed, p int, item string, at int64) {
	part := f.at(p)
	f.put(p, ingest.MemoryRecord{
		Line: fmt.Appendf(nil, "t=%d item=%s", base+at, item), Offset: a.offsets[part], Appended: (base + at) * 1e9,
	})
	a.offsets[part]++
}

// told returns what was noted since the last time but starts.
func (a *alive) told() []string {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	log := slices.DeleteFunc(a.log, func(s string) bool { return strings.HasPrefix(s, "start") && strings.Contains(s, " - ") })
	a.log = nil
	return log
}

func (a *alive) want(what string, want ...string) {
	a.t.Helper()
	if got := a.told(); !slices.Equal(got, want) {
		a.t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func (a *alive) stop() {
	a.t.Helper()
	a.cancel()
	a.stopped = true
	if err := <-a.done; !errors.Is(err, context.Canceled) {
		a.t.Errorf("the run returned %v, want that it was cancelled", err)
	}
}

func TestAPartitionThatIsReadToItsEndHoldsTheClockForTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		a := startLive(t, nil, f)
		a.put(f, 0, "a", 0)
		a.put(f, 1, "b", 3)
		a.put(f, 1, "c", 5)
		a.want("partition 0 holds the clock at 0")
		time.Sleep(9 * time.Second)
		a.want("and for nine seconds")
		a.put(f, 1, "d", 7) // only partition 0 is silent for ten
		time.Sleep(2 * time.Second)
		a.want("then it is idle; its mark is safe before the decisions leave",
			"idle log/0 1 7 @10", "new a 1 @10", "new b 4 @10", "new c 6 @10")
		time.Sleep(9 * time.Second)
		a.want("when all are, the clock runs on to the whole ten seconds",
			"idle log/0 1 10 @19", "idle log/1 3 10 @19", "new d 8 @19")
		a.put(f, 0, "e", 4)
		time.Sleep(time.Second)
		a.want("of one that wakes the journal knows already where it counts")
		a.put(f, 0, "", 20)
		a.put(f, 1, "", 21)
		time.Sleep(time.Second)
		a.want("and there it does", "end a 11 @21", "new e 11 @21", "end b 14 @21", "end c 16 @21", "end d 18 @21")
		a.stop()
	})
}

func TestAPartitionThatWakesTakesTheGrantedTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		a := startLive(t, nil, f)
		a.put(f, 0, "a", 0)
		for i := range int64(15) {
			a.put(f, 1, "", i) // events without an item: nothing is decided
			time.Sleep(time.Second)
		}
		a.put(f, 1, "", 40)
		time.Sleep(time.Second)
		a.want("it fell idle", "idle log/0 1 10 @10", "new a 1 @10", "idle log/0 1 11 @11", "end a 11 @11")
		a.put(f, 0, "late", 2)
		time.Sleep(time.Second)
		a.want("it takes the tick", "wake log/0 1 40 @16")
		a.put(f, 1, "", 50)
		a.put(f, 0, "", 50)
		time.Sleep(time.Second)
		a.want("and what comes late counts there", "new late 41 @17")
		a.stop()
	})
}

func TestNobodyIsIdleWhoseSourceCannotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 3)
		var logged strings.Builder
		a := startLive(t, func(c *pipeline.Config) {
			c.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError}))
		}, f)
		f.answers(0, false)
		a.put(f, 0, "a", 0)
		a.put(f, 1, "b", 10)
		time.Sleep(time.Second)
		a.put(f, 1, "c", 30) // then it is too far ahead to be read on
		time.Sleep(5 * time.Minute)
		a.want("it holds the clock for five minutes")
		time.Sleep(15 * time.Second)
		a.want("then it gives way", "idle log/0 0 20 @310", "idle log/2 0 20 @310", "new b 11 @310",
			"idle log/0 0 30 @310", "idle log/2 0 30 @310", "end b 21 @310")
		if s := a.status; s == nil || !s.Partitions[0].Lost || !s.Partitions[0].Idle || s.Partitions[1].Lost || s.Partitions[1].Idle {
			t.Errorf("the status is %+v, want partition 0 lost", s)
		}
		if !strings.Contains(logged.String(), "gives way") || strings.Count(logged.String(), "\n") != 1 {
			t.Errorf("the log says %q, want one line of who gives way", &logged)
		}
		f.answers(0, true)
		time.Sleep(time.Second)
		a.put(f, 0, "", 40)
		a.put(f, 1, "", 40)
		time.Sleep(time.Second)
		a.want("and counts late when it comes back", "idle log/2 0 40 @317", "new a 31 @317", "new c 31 @317")
		a.stop()
	})
}

// What left in an earlier life may rest on what a broker does not give now.
func TestBeforeTheEarlierLifesEndNobodyGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		var logged strings.Builder
		a := startLive(t, func(c *pipeline.Config) {
			c.Decided = base + 20
			c.Journal = []pipeline.Mark{{Event: pipeline.MarkStart, Source: "log"}, {Event: pipeline.MarkStart, Source: "log", Partition: 1}}
			c.Log = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelError}))
		}, f)
		f.answers(0, false)
		a.put(f, 0, "a", 19)
		a.put(f, 0, "b", 30)
		a.put(f, 1, "c", 10)
		time.Sleep(time.Second)
		a.put(f, 1, "d", 30)
		time.Sleep(time.Hour)
		a.want("all wait for it")
		if !strings.Contains(logged.String(), "nothing goes on") || strings.Count(logged.String(), "\n") != 1 {
			t.Errorf("the log says %q, want one line of who is waited for", &logged)
		}
		f.answers(0, true)
		time.Sleep(time.Second)
		a.want("and go on with it", "new c 11 @3601", "new a 20 @3601", "end c 21 @3601", "end a 30 @3601")
		a.stop()
	})
}

// A broker that is away is not silence: when it comes back, nothing is late.
func TestAnOutageMakesNothingLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		a := startLive(t, nil, f)
		a.put(f, 0, "a", 0)
		a.put(f, 1, "b", 0)
		time.Sleep(time.Minute) // a quiet night
		a.told()
		f.answers(0, false)
		f.answers(1, false)
		for i := range int64(20) {
			a.put(f, 0, fmt.Sprint("p", i), 100+60*i)
			a.put(f, 1, fmt.Sprint("q", i), 101+60*i)
		}
		time.Sleep(20 * time.Minute)
		a.want("an outage of all is not silence")
		f.answers(0, true)
		time.Sleep(time.Second)
		f.answers(1, true)
		time.Sleep(time.Minute)
		got := a.told()
		for i := range int64(20) {
			for _, want := range []string{fmt.Sprintf("new p%d %d ", i, 101+60*i), fmt.Sprintf("new q%d %d ", i, 102+60*i)} {
				if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, want) }) {
					t.Fatalf("%q, want %s", got, want)
				}
			}
		}
		a.stop()
	})
}

func TestAPartitionThatIsHeldBackIsNotIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		a := startLive(t, func(c *pipeline.Config) { c.Batch = 1 }, f)
		for i := range int64(40) {
			a.put(f, 1, "", 100*i) // a minute ahead of the other: it is not read on
		}
		for i := range int64(20) {
			a.put(f, 0, fmt.Sprint("i", i), 3*i)
			time.Sleep(6 * time.Second)
		}
		for _, line := range a.told() {
			if strings.HasPrefix(line, "idle") || strings.HasPrefix(line, "wake") {
				t.Errorf("%s: nobody was idle", line)
			}
		}
		if n := f.Lag(1); n < 30 {
			t.Errorf("of 40 records %d are left, want that the partition was not read on", n)
		}
		a.stop()
	})
}

func TestAPartitionThatAppearsTakesTheGrantedTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 1)
		a := startLive(t, nil, f)
		a.put(f, 0, "a", 0)
		a.put(f, 0, "b", 30)
		time.Sleep(time.Second)
		a.told()
		f.grow(2)
		a.put(f, 1, "c", 10)
		time.Sleep(3 * time.Second)
		a.want("it begins at the granted tick", "start log/1 0 30 @2")
		a.put(f, 0, "d", 40)
		a.put(f, 1, "e", 40)
		time.Sleep(time.Second)
		a.want("and its records count there", "new b 31 @4", "new c 31 @4")
		a.stop()
	})
}

func TestAPartitionThatCameBetweenTwoLivesCountsBehindTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		a := startLive(t, func(c *pipeline.Config) {
			c.Journal = []pipeline.Mark{{Event: pipeline.MarkStart, Source: "log"}, {Event: pipeline.MarkWake, Source: "log", Offset: 1, Watermark: base + 5}}
			c.Decided = base + 20
		}, f)
		a.put(f, 0, "a", 0)
		a.put(f, 0, "b", 3) // woke at 5
		a.put(f, 1, "c", 10)
		a.put(f, 1, "d", 40)
		a.put(f, 0, "e", 40)
		time.Sleep(time.Second)
		a.want("", "start log/1 0 20 @0", "new a 1 @0", "new b 6 @0", "end a 11 @0", "end b 16 @0", "new c 21 @0", "end c 31 @0")
		a.stop()
	})
}

func TestASlowSourceNeverHoldsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFeed("log", 1), newFeed("cdn", 1)
		slow := func(c *pipeline.Config) { c.Sources[1].Slow = true }
		a := startLive(t, slow, f, s)
		a.put(f, 0, "a", 100)
		time.Sleep(10 * time.Millisecond)
		a.put(f, 0, "b", 110)
		time.Sleep(time.Second)
		a.want("nobody waits for it", "idle cdn/0 0 110 @0", "new a 101 @0")
		a.put(s, 0, "x", 50)
		a.put(s, 0, "y", 51)
		time.Sleep(time.Second)
		a.want("the journal knows already where its records count")
		a.put(f, 0, "c", 200)
		time.Sleep(time.Second)
		got := a.told()
		if len(got) == 0 || got[0] != "idle cdn/0 2 120 @2" && got[0] != "idle cdn/0 1 120 @2" || !slices.Contains(got, "new y 111 @2") || !slices.Contains(got, "new x 111 @2") {
			t.Errorf("%q, want x and y to count at 110", got)
		}
		time.Sleep(time.Second)
		a.put(f, 0, "", 300)
		a.put(f, 0, "", 301)
		time.Sleep(time.Second)
		a.told()
		a.put(f, 0, "", 330)
		time.Sleep(time.Second)
		a.told()
		a.put(s, 0, "z", 60)
		time.Sleep(time.Second)
		a.want("a run of its records is marked where the clock is ahead", "slow cdn/0 2 330 @6")
		a.stop()

		plan, err := rules.NewPlan(parseRules(t, probe), event.FixedKey(), rules.PlanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = pipeline.Run(t.Context(), pipeline.Config{
			Plan: plan, Sources: []pipeline.Source{{Source: s, Decode: testkit.Decode, Slow: true}}, Record: func([]pipeline.Mark) error { return nil },
		})
		if err == nil || !strings.Contains(err.Error(), "all are slow") {
			t.Errorf("a run of nothing but slow sources: %v", err)
		}
	})
}

// A restart must wait for all that decisions rest on, even where its records
// say themselves that the clock may go on.
func TestASlowSourceThatIsAheadIsMarkedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFeed("log", 1), newFeed("cdn", 1)
		a := startLive(t, func(c *pipeline.Config) { c.Sources[1].Slow = true }, f, s)
		a.put(s, 0, "x", 300)
		time.Sleep(time.Second)
		a.put(f, 0, "a", 0)
		a.put(f, 0, "b", 10)
		time.Sleep(time.Second)
		a.want("its position is in the journal before decisions leave", "idle cdn/0 1 10 @1", "new a 1 @1")
		a.put(f, 0, "", 20)
		time.Sleep(time.Second)
		a.want("once", "end a 11 @2", "new b 11 @2")
		a.stop()
	})
}

// After a restart a slow source repeats what was recorded before it is free.
func TestASlowSourceHoldsTheClockWhileItRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFeed("log", 1), newFeed("cdn", 1)
		a := startLive(t, func(c *pipeline.Config) {
			c.Sources[1].Slow = true
			c.Journal = []pipeline.Mark{
				{Event: pipeline.MarkStart, Source: "log"}, {Event: pipeline.MarkStart, Source: "cdn"},
				{Event: pipeline.MarkSlow, Source: "cdn", Offset: 0, Watermark: base + 10},
				{Event: pipeline.MarkIdle, Source: "cdn", Offset: 2, Watermark: base + 50},
			}
		}, f, s)
		a.put(f, 0, "a", 0)
		a.put(f, 0, "b", 40)
		a.put(f, 0, "c", 60)
		time.Sleep(time.Second)
		a.want("before it has been read again it holds the clock where it was", "new a 1 @0")
		a.put(s, 0, "x", 5)
		a.put(s, 0, "y", 20)
		time.Sleep(time.Second)
		got := a.told()
		for _, want := range []string{"new x 11 @1", "new y 21 @1", "new b 41 @1"} {
			if !slices.Contains(got, want) {
				t.Errorf("%q, want %s", got, want)
			}
		}
		a.stop()
	})
}

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
			{Source: "log", Partition: 0, Offset: 2, Watermark: base + 40, Lag: 0, Idle: true},
			{Source: "log", Partition: 1, Offset: 1, Watermark: base + 40, Lag: 1},
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
