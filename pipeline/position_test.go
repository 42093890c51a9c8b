package pipeline

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"weir/event"
	"weir/state"
)

func TestAPositionIsTheClockThatItWasTakenOf(t *testing.T) {
	marks := []Mark{{Offset: 2, Watermark: 95}, {Offset: 50, Watermark: 400}}
	clock := func() *partitionClock { return newPartitionClock(2*time.Second, time.Hour, marks, 1) }
	c := clock()
	var events []event.Event
	for i, at := range []int64{100, 101, 99, 103, 104} {
		events = append(events, event.Event{Offset: int64(i), Time: at * nanos})
	}
	c.pass(events, nil, nil)
	c.next = 5
	if c.holding || c.ahead == 0 || len(c.marks) != 1 {
		t.Fatalf("%+v: this shows too little", c)
	}
	b := c.appendPosition(nil)
	got := clock()
	if err := got.restorePosition(b); err != nil {
		t.Fatal(err)
	}
	c.held, c.heldFirst = event.Event{}, false // the first one was held, and counted with the second
	if !reflect.DeepEqual(got, c) {
		t.Errorf("%+v\nwant %+v", got, c)
	}
	for i := range b {
		damaged := append([]byte(nil), b...)
		damaged[i] ^= 4
		if err := clock().restorePosition(damaged); !errors.Is(err, state.ErrCorrupt) {
			t.Fatalf("byte %d flipped: error %v", i, err)
		}
	}
}
