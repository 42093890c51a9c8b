package pipeline

import (
	"math"
	"testing"
	"time"
)

func TestACheckpointIsSpreadOverHalfOfTheTimeUntilTheNext(t *testing.T) {
	began := time.Unix(1_780_000_000, 0)
	s := &spread{began: began, over: 5 * time.Second, dirty: 200 << 20, volume: 100 << 20}
	now, slices := began, 0
	for ; s.handed.Load() < s.volume; slices++ {
		wait := s.next(now)
		if wait > s.over/spreadSteps+time.Millisecond || slices == 0 && wait > 0 {
			t.Fatalf("slice %d is due in %v, must be within %v, and the first at once", slices, wait, s.over/spreadSteps)
		}
		now = now.Add(wait)
		more := s.due(now) - s.handed.Load()
		if more < s.step()-1 || more > s.step()*11/10 {
			t.Fatalf("%v behind the cut %d bytes are due, must be about %d", now.Sub(began), more, s.step())
		}
		s.handed.Add(more)
	}
	if took := now.Sub(began); took < s.over*9/10 || took > s.over || slices < spreadSteps-2 {
		t.Errorf("done behind %v in %d slices, must be about %v in %d", took, slices, s.over, spreadSteps)
	}
	if d := s.density(); d < 0.5 || d > 0.51 {
		t.Errorf("%.2f bytes encoded for each dirty one, must be half", d)
	}
}

func TestLittleIsEncodedAtOnceAndNothingIsPutOffOnceTheTimeIsOver(t *testing.T) {
	began := time.Unix(1_780_000_000, 0)
	for _, volume := range []int64{0, 1000, leastStep} {
		s := &spread{began: began, over: time.Second, volume: volume}
		if wait, due := s.next(began), s.due(began); wait > 0 || due < volume {
			t.Errorf("of %d bytes %d are due in %v, must be all at once", volume, due, wait)
		}
	}
	s := &spread{began: began, over: time.Second, volume: 1 << 20}
	s.handed.Store(10 << 20) // there is more than the one before had shown
	if wait := s.next(began.Add(100 * time.Millisecond)); wait != 900*time.Millisecond {
		t.Errorf("a slice is due in %v, must be when the time is over", wait)
	}
	if wait, due := s.next(began.Add(s.over)), s.due(began.Add(s.over)); wait != 0 || due != math.MaxInt64 {
		t.Errorf("when the time is over %d bytes are due in %v, must be all at once", due, wait)
	}
}

func TestTheStoreTakesMoreOfTheTimeTheLaterItIs(t *testing.T) {
	const every = 10 * time.Second
	before, passed := 0.0, time.Duration(0)
	for range storeShares {
		share, holds := storeShare(passed, every)
		if share <= before || share >= 1 || holds <= 0 {
			t.Fatalf("behind %v a share of %v for %v, must be above %v", passed, share, holds, before)
		}
		if again, rest := storeShare(passed+holds/2, every); again != share || rest != holds-holds/2 {
			t.Errorf("behind %v a share of %v for %v", passed+holds/2, again, rest)
		}
		before, passed = share, passed+holds
	}
	if share, holds := storeShare(passed, every); passed != every || share != 1 || holds != 0 {
		t.Errorf("behind %v a share of %v for %v, must be all when it is time for the next checkpoint", passed, share, holds)
	}
}

func TestASweepGoesOverEachUnitOnceHoweverShortItsSlices(t *testing.T) {
	r := &run{cfg: Config{Units: 8}}
	for i := range 3 {
		r.reducers = append(r.reducers, newReducer(r, i, 3))
	}
	defer r.stopReducers()
	times := make([]int, 8)
	s := r.sweep(func(u int) { times[u]++; time.Sleep(10 * time.Microsecond) })
	slices := 0
	if s.done() {
		t.Error("a sweep is done before it began")
	}
	for ; !s.done(); slices++ {
		r.slice(s, time.Nanosecond)
	}
	for u, n := range times {
		if n != 1 {
			t.Errorf("unit %d: %d times", u, n)
		}
	}
	if slices != 3 {
		t.Errorf("%d slices, must be 3: a unit of each reducer in each", slices)
	}
}

func TestAnExpensiveCheckpointPutsTheNextOneOff(t *testing.T) {
	const every = 10 * time.Second
	for _, c := range []struct{ work, next time.Duration }{
		{0, every},
		{time.Second / 2, every},
		{625 * time.Millisecond, every},         // a thirty-second part of two processors
		{750 * time.Millisecond, every * 6 / 5}, // so much is that part of 12 s
		{2500 * time.Millisecond, 4 * every},
		{time.Minute, 4 * every}, // the log of so long is read again at most
	} {
		if got := stretched(every, c.work, 2); got != c.next {
			t.Errorf("behind %v of work the next one begins in %v, must be %v", c.work, got, c.next)
		}
	}
}
