package pipeline

import (
	"runtime"
	"testing"
	"time"
)

// measured is a measure of so much memory, and how a test sets what is in use.
func measured(memory int64) (m measure, use *Usage, at func() time.Time) {
	use = &Usage{}
	m = newMeasure(&Config{Memory: memory, Usage: func() Usage { return *use }})
	now := time.Unix(1_780_000_000, 0)
	return m, use, func() time.Time {
		now = now.Add(askUsage)
		return now
	}
}

// What keys may take is what all else leaves of the memory, less what the collector
// needs: at once where that becomes little, slowly where it becomes more.
func TestKeysMayTakeWhatAllElseLeavesOfTheMemory(t *testing.T) {
	const memory, resident = 1 << 30, 300 << 20
	m, use, next := measured(memory)
	look := func(others int64) int64 {
		use.Collections++
		use.Live, use.Besides = resident+others-20<<20, 20<<20
		most, ok := m.look(next(), resident, true)
		if !ok {
			t.Fatal("nothing is known behind a collection")
		}
		return most
	}
	want := func(others int64) int64 {
		part := float64(collected - spare)
		return int64(part*memory) - others
	}
	for _, others := range []int64{300 << 20, 400 << 20, 500 << 20} {
		if got := look(others); got != want(others) {
			t.Errorf("beside %d MiB %d may be resident, must be %d", others>>20, got>>20, want(others)>>20)
		}
	}
	before := want(500 << 20)
	for range 5 * forgetUsage {
		got := look(300 << 20)
		if got <= before || got-before > 200<<20/forgetUsage+1 {
			t.Fatalf("%d may be resident behind %d, must rise by little", got, before)
		}
		before = got
	}
	if least := want(300<<20) - 2<<20; before < least {
		t.Errorf("%d MiB may be resident in the end, must be at least %d", before>>20, least>>20)
	}
}

func TestHowMuchMayBeResidentHasBounds(t *testing.T) {
	const memory = 1 << 30
	guess := (&Config{Memory: memory}).budget().resident
	for _, c := range []struct {
		name   string
		live   int64
		stored bool
		want   int64
	}{
		{"all is taken by something else", memory * 2, true, guess / 2},
		{"nothing else takes anything", 0, true, guess / 2 * 3},
		{"there is no store, whose share cannot be seen yet", 0, false, guess},
	} {
		m, use, next := measured(memory)
		use.Live, use.Collections = c.live, 1
		got, ok := m.look(next(), 0, c.stored)
		if !ok || got < c.want-1 || got > c.want+1 {
			t.Errorf("%s: %d may be resident, must be %d", c.name, got, c.want)
		}
	}
}

func TestUsageIsLookedAtBehindCollectionsOnlyAndNotAllTheTime(t *testing.T) {
	m, use, next := measured(1 << 30)
	use.Collections = 1
	now := next()
	if _, ok := m.look(now, 0, true); !ok {
		t.Fatal("nothing is known behind the first collection")
	}
	if _, ok := m.look(now.Add(2*askUsage), 0, true); ok {
		t.Error("something is known anew without a collection")
	}
	use.Collections = 2
	if _, ok := m.look(now.Add(2*askUsage+1), 0, true); ok {
		t.Error("it was asked again at once")
	}
	if _, ok := m.look(now.Add(3*askUsage), 0, true); !ok {
		t.Error("nothing is known behind another collection")
	}
	for _, cfg := range []Config{{Memory: 1 << 30}, {Usage: func() Usage { return Usage{Collections: 1} }}} {
		m := newMeasure(&cfg)
		if _, ok := m.look(now, 0, true); ok {
			t.Errorf("memory %d, asked %v: something is known", cfg.Memory, cfg.Usage != nil)
		}
	}
}

func TestWhatThisProcessTakesIsSeenBehindACollection(t *testing.T) {
	const more = 64 << 20
	runtime.GC()
	before := ProcessUsage()
	held := make([]byte, more)
	for i := 0; i < more; i += 4096 {
		held[i] = 1
	}
	runtime.GC()
	after := ProcessUsage()
	runtime.KeepAlive(held)
	if after.Collections <= before.Collections || after.Live-before.Live < more*9/10 || after.Live-before.Live > more*2 {
		t.Errorf("%+v and with %d MiB more %+v", before, more>>20, after)
	}
	if after.Besides <= 0 || after.Besides > 1<<30 {
		t.Errorf("%d bytes besides", after.Besides)
	}
}
