package windows

import (
	"math"
	"testing"
)

// pastOf is a past of whole hours of the same count, but where f says otherwise.
func pastOf(hours int, f func(hour int) uint64) []uint64 {
	h := make([]uint64, hours)
	for i := range h {
		h[i] = f(i)
	}
	return h
}

func TestASurgeIsHeldAgainstWhatIsUsual(t *testing.T) {
	const begin = int64(1767600000) / 86400 * 86400
	flat := func(n uint64) func(int) uint64 { return func(int) uint64 { return n } }
	daily := func(h int) uint64 { // a busy hour a day, and quiet ones
		if h%24 == 9 {
			return 4000
		}
		return 100
	}
	for _, c := range []struct {
		name  string
		hours []uint64
		w     Window
		now   uint64
		want  float64
	}{
		{"no history", nil, W1h, 1000, 0},
		{"an hour less than a day", pastOf(23, flat(100)), W1h, 1000, 0},
		{"a day", pastOf(24, flat(100)), W1h, 1000, 90},                     // the square root of the median
		{"as ever", pastOf(160, flat(100)), W1h, 100, 0},                    // exactly the median
		{"less than ever", pastOf(160, flat(100)), W1h, 10, 0},              // never below
		{"large numbers", pastOf(160, flat(1_000_000)), W1h, 3_000_000, 20}, // a tenth of the median
		{"hardly any", pastOf(160, func(h int) uint64 { return uint64(h % 50 / 49) }), W1h, 7, 7},
		{"part of an hour", pastOf(160, flat(600)), W10m, 200, 10},
		{"several hours", pastOf(160, flat(100)), W6h, 1200, 10},
		{"a day long", pastOf(160, flat(100)), W24h, 7200, 20},
		{"the spread", pastOf(48, func(h int) uint64 { return uint64(1000 + 200*(h%2*2-1)) }), W1h, 1000 + 2*296, 2},
	} {
		// The past ends three hours before, at the latest.
		tick := begin + int64(len(c.hours)+3)*3600
		got := surge(c.hours, begin, c.w, tick, c.now)
		if math.Abs(got-c.want) > 0.05*c.want+1e-9 {
			t.Errorf("%s: %.3f, want %.3f", c.name, got, c.want)
		}
	}
	// The busy hour of the day is usual in its hour, and not two hours later.
	past := pastOf(7*24-3, daily)
	for _, c := range []struct {
		hour  int64
		usual bool
	}{{9, true}, {10, true}, {8, false}, {12, false}, {23, false}} {
		tick := begin + 7*86400 + (c.hour+1)*3600 // the past is cut so that it ends before
		if got := surge(past, begin, W1h, tick, 4000); (got < 60) != c.usual {
			t.Errorf("4,000 at %d o'clock: %.1f, usual: %v", c.hour, got, c.usual)
		}
	}
}

func TestAPastOfAWeekHasALimitedSize(t *testing.T) {
	o := newOne(Series{Kind: Count, Windows: []Window{W1h, W7d}})
	tick := int64(1767600000)
	largest := 0
	for range 400 { // hours of a counter of a few bytes each
		for i := range int64(60) {
			o.fold(tick+i*60, 1)
		}
		tick += 3600
		slot, _ := o.u.Find(o.k)
		largest = max(largest, int(o.u.index.slot(slot).size))
	}
	if o.u.counters.Full != 0 || largest > 1200 {
		t.Errorf("a key takes %d bytes, want at most 1,200", largest)
	}
	slot, _ := o.u.Find(o.k)
	if got := o.u.Surge(slot, 0, W1h, tick); got != 0 {
		t.Errorf("a surge of %.2f while all is as ever", got)
	}
	for range 600 {
		o.fold(tick, 1)
	}
	if got := o.u.Surge(slot, 0, W1h, tick+1); got < 60 {
		t.Errorf("ten times as much is a surge of %.2f, want at least 60", got)
	}
}
