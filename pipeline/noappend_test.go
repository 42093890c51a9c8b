package pipeline

import (
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
)

// A record of a topic without an append time, and with a time of 2100, is held
// and dropped like a line of a file: it must not drag the watermark along.
func TestARecordWithoutAnAppendTimeIsJudgedLikeALineOfAFile(t *testing.T) {
	now := time.Date(2026, 3, 6, 4, 0, 0, 0, time.UTC)
	for _, stamped := range []bool{false, true} { // the records around it
		c := newPartitionClock(2*time.Second, time.Hour, nil, 1)
		var events []event.Event
		var appended []int64
		add := func(at time.Time, stamp int64) {
			events = append(events, event.Event{Time: at.UnixNano(), Offset: int64(len(events))})
			appended = append(appended, stamp)
		}
		for i := range 110 {
			at, stamp := now.Add(time.Duration(i)*time.Second), ingest.NoAppend
			if stamped {
				stamp = at.UnixNano()
			}
			add(at, stamp)
			if i == 10 {
				add(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), ingest.NoAppend)
			}
		}
		kept, _, stamps := c.pass(events, appended, nil)
		if len(kept) != 110 || c.tally.Future != 1 || c.tally.Dropped != 0 || c.tally.Clamped != 0 {
			t.Errorf("stamped %v: %d kept, %+v", stamped, len(kept), c.tally)
		}
		if len(stamps) != len(kept) {
			t.Errorf("stamped %v: %d append times of %d events", stamped, len(stamps), len(kept))
		}
		if want := now.Unix() + 109 - 2; c.w != want {
			t.Errorf("stamped %v: watermark %d, want %d", stamped, c.w, want)
		}
	}
}
