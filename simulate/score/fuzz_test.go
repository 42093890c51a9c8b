package score

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// Whoever writes a ledger's lines, they are read or refused with their number,
// and what was read can be asked.
func FuzzLedger(f *testing.F) {
	d := decision(0, time.Hour, event.Limit, "ip", "192.0.2.1")
	d.Except = "known(ip)"
	line := d.AppendJSON(nil)
	f.Add(line)
	for _, word := range []string{"new", "renew", "standing", "held", "queued", "milder", "end", "withdrawn"} {
		b := d.AppendOpen(nil, event.Words{Event: word, Mode: "enforce", Action: "block"}, word != "end" && word != "withdrawn")
		f.Add(append(append([]byte{}, b...), `,"at":"2026-03-02T00:00:10Z","chain":"00"}`...))
	}
	f.Add([]byte(`{"v":1,"event":"stopped","at":"2026-03-02T00:00:20Z"}`))
	f.Add([]byte(`{"v":1,"event":"opened","file":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := NewLedger(Reading{Delay: 5 * time.Second, Key: event.FixedKey()})
		if err := l.Read("fuzz", bytes.NewReader(append(append(bytes.Clone(line), '\n'), data...))); err != nil {
			if !strings.HasPrefix(err.Error(), "fuzz: line ") || strings.HasPrefix(err.Error(), "fuzz: line 1:") {
				t.Fatal(err)
			}
			return
		}
		l.Resolve()
		for i := range l.spans {
			if s := &l.spans[i]; s.from >= s.until {
				t.Fatalf("a decision is in force from %d to %d", s.from, s.until)
			}
		}
		rates, err := newBuckets(l.rates.all)
		if err != nil {
			t.Fatal(err)
		}
		ev := event.Event{Time: began.Add(time.Minute).UnixNano()}
		s := newStanding(event.FixedKey(), l.known, 0, math.MaxInt32)
		var text []byte
		if j := l.judge(&ev, &text, s, rates); j.fate != passed {
			t.Fatalf("a request of which nothing is known: %+v", j)
		}
		line := newTimeline(began, began.Add(time.Hour))
		if size := l.lists(began.UnixNano(), began.Add(time.Hour).UnixNano(), line); size.Mean > float64(size.Max) {
			t.Fatalf("a mean of %v above the most, %d", size.Mean, size.Max)
		}
	})
}
