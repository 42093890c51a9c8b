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
