package main

import (
	"time"
)

// timeFacts is what the times of a log say.
type timeFacts struct {
	From       time.Time `json:"from"`
	To         time.Time `json:"to"`
	PerSecond  float64   `json:"events_per_second"`
	Busiest    int64     `json:"busiest_minute_events"`
	BusiestAt  time.Time `json:"busiest_minute"`
	Behind     int64     `json:"out_of_order"`           // events older than one before them in their log
	MostBehind float64   `json:"largest_step_back"`      // in seconds
	Future     int64     `json:"far_ahead"`              // a day ahead of the rest; weir drops them
	Gaps       int64     `json:"gaps_over_24h"`          // stretches of a day and more without a line
	Disorder   string    `json:"disorder,omitempty"`     // what to set for this log
	Uncovered  int64     `json:"late_with_it,omitempty"` // events further behind than that

	steps [len(disorders) + 1]int64 // events behind by more than the disorder before and at most this one
}

// disorders are the values proposed for a source's disorder.
var disorders = [...]time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute,
}

// lateShare is the share of late events, one in so many, that is left
// uncovered rather than making every decision wait for them.
const lateShare = 1000

// order watches the times of one partition in their order.
type order struct {
	facts   *timeFacts
	started bool
	max     int64
	held    int64 // a time so far ahead that the next line must confirm it
	holding bool
	minutes [4096]minute
}

type minute struct{ number, n int64 }

func newOrder(facts *timeFacts) *order { return &order{facts: facts} }

const day = int64(24 * time.Hour)

func (o *order) add(t int64) {
	if o.holding {
		o.holding = false
		lead := o.held - t
		switch {
		case lead <= day && lead >= -day, !o.started && lead < 0:
			if o.started {
				o.facts.Gaps++
			}
			o.count(o.held)
		default:
			o.facts.Future++
		}
	}
	if !o.started || t > o.max+day {
		o.held, o.holding = t, true
		return
	}
	o.count(t)
}

// finish judges what is held at the end of the partition.
func (o *order) finish() {
	if o.holding && !o.started {
		o.count(o.held)
	} else if o.holding {
		o.facts.Future++
	}
	o.holding = false
}

func (o *order) count(t int64) {
	f := o.facts
	at := time.Unix(0, t).UTC()
	if f.From.IsZero() || at.Before(f.From) {
		f.From = at
	}
	if f.To.IsZero() || at.After(f.To) {
		f.To = at
	}
	if o.started && t < o.max {
		back := time.Duration(o.max - t)
		f.Behind++
		f.MostBehind = max(f.MostBehind, back.Seconds())
		i := 0
		for i < len(disorders) && back > disorders[i] {
			i++
		}
		f.steps[i]++
	}
	o.started, o.max = true, max(o.max, t)
	n := t / int64(time.Minute)
	m := &o.minutes[uint64(n)%uint64(len(o.minutes))]
	if m.number != n {
		*m = minute{number: n}
	}
	if m.n++; m.n > f.Busiest {
		f.Busiest, f.BusiestAt = m.n, time.Unix(n*60, 0).UTC()
	}
}

// summarise works out what follows from the counts.
func (f *timeFacts) summarise(events int64) {
	if span := f.To.Sub(f.From); span > 0 {
		f.PerSecond = float64(events) / span.Seconds()
	}
	if f.Behind == 0 {
		return
	}
	left := f.Behind
	for i, d := range disorders {
		left -= f.steps[i]
		if left*lateShare <= events || i == len(disorders)-1 {
			f.Disorder, f.Uncovered = durationText(d), left
			return
		}
	}
}
