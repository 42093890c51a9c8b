package pipeline_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"weir/event"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

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
