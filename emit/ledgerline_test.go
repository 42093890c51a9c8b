package emit

import (
	"bytes"
	"reflect"
	"sync"
	"testing"
	"time"

	"weir/event"
)

// everyLine has each member of a line at least once.
func everyLine() []Line {
	d := ruled("r", dawn, "ip", "198.51.100.7", "agent", "x\xff\u202e\"},\"chain\":\"")
	at := dawn.Add(time.Second)
	end := d
	end.Evidence, end.Sources = nil, nil
	return []Line{
		{Event: LineNew, At: at, Decision: d, Mode: "enforce", Action: "block"},
		{Event: LineNew, At: at, Decision: d, Mode: "late", Action: "none"},
		{Event: LineHeld, At: at, Decision: d, Mode: "enforce", Action: "none", Guard: GuardProtected, Reason: "10.0.0.1 is a private address"},
		{Event: LineStanding, At: at, Decision: d, Mode: "enforce", Action: "challenge", Since: dawn, Again: true, Excused: true, Reason: "shared", By: "ann\n"},
		{Event: LineWithdrawn, At: at, Decision: end, Mode: "enforce", Action: "block", Reason: "x", By: "ann"},
		{Event: LineTripped, At: at, Rule: "r", Sum: 42.125, Site: 8000, Entries: 20, Reason: "x"},
		{Event: LineApproved, At: at, ID: "abc", Target: d.Target, By: "ann"},
		{Event: LineUnblocked, At: at, Target: d.Target, Until: dawn.Add(time.Hour), Reason: "x", By: "ann"},
		{Event: LineClock, At: at, Seconds: 3600, Reason: "x"},
		{Event: LineStopped, At: at, Reason: "x", By: "ann", Filed: true},
		{Event: LineOpened, At: at, File: 7, Before: string(firstChain)},
		{Event: LineOpened, File: 1},
	}
}

func TestALineIsReadBackAsItWasWritten(t *testing.T) {
	for _, want := range everyLine() {
		b := append(want.open(), '}')
		got, err := readLine(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\n%+v\n%+v\n%v", b, got, want, err)
		}
	}
}

func FuzzReadLine(f *testing.F) {
	for _, l := range everyLine() {
		f.Add(append(l.open(), '}'))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := readLine(b)
		if err != nil {
			return
		}
		again := append(l.open(), '}')
		m, err := readLine(again)
		if err != nil || !bytes.Equal(append(m.open(), '}'), again) {
			t.Errorf("read %s\nwrote %s: %v", b, again, err)
		}
	})
}

func TestALedgerMayBeUsedByManyAtOnce(t *testing.T) {
	l := reopened(t, ledgerPath(t), &testClock{dawn}, &Guards{})
	l.limits.fileBytes = 20_000
	var wg sync.WaitGroup
	done := make(chan struct{})
	for _, f := range []func(){
		func() {
			l.InForce()
			select {
			case <-l.Changed():
			case <-done:
			}
		},
		func() { l.Covering(Question{Target: targetOf("ip", "198.51.100.7")}) },
		func() { l.Recent(10); l.Counts(); l.Tripped(); l.Stopped() },
		func() {
			if err := l.Advance(); err != nil {
				t.Error(err)
			}
		},
	} {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					f()
				}
			}
		})
	}
	for i := range 60 {
		if err := l.Add([]event.Decision{ruled("r", dawn, "ip", "198.51.100.7", "n", string(rune('a'+i)))}); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
	if n := l.Counts().Lines; n != 60 {
		t.Errorf("%d lines", n)
	}
}
