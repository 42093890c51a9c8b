package score

import (
	"math"

	"weir/event"
)

const (
	hour     = int64(3600)
	week     = 7 * 24 * hour
	firstDay = 24 * hour
)

// standing works out which values are known, as the engine does: those that
// succeeded where only a customer can in the seven days before the last whole
// hour but one, more often than they failed; of nobody in the first day.
type standing struct {
	key     *event.Key
	fields  []event.Field
	of      []history // by field: successes and failures
	visits  history   // by actor, of sources without outcomes: requests and assets
	clock   secondClock
	started bool
	start   int64 // the first second
	text    []byte
}

func newStanding(key *event.Key, fields []event.Field, disorder, lateness int64) *standing {
	s := &standing{key: key, fields: fields, of: make([]history, len(fields))}
	s.clock = secondClock{disorder: disorder, lateness: lateness, max: math.MinInt64}
	return s
}

// add notes what came of an event. Those that an enforcement point refused say
// nothing about who sent them.
func (s *standing) add(ev *event.Event) {
	if !s.clock.pass(ev) {
		return
	}
	if !s.started {
		s.started, s.start = true, ev.Second
	}
	s.start = min(s.start, ev.Second)
	if len(s.fields) == 0 || ev.Refused != event.NoAction {
		return
	}
	at := ev.Second / hour
	unjudged := ev.Unjudged && ev.Outcome == event.NoOutcome
	var good, bad uint32
	switch {
	case ev.Outcome == event.Success && ev.Vouches():
		good = 1
	case ev.Outcome == event.Failure:
		bad = 1
	case unjudged && s.visitor(ev):
		good = 1
	}
	if unjudged {
		if h, ok := s.hash(ev, event.FieldActor); ok {
			asset := uint32(0)
			if ev.Kind == event.Asset {
				asset = 1
			}
			s.visits.add(h, at, 1, asset)
		}
	}
	if good+bad == 0 {
		return
	}
	for i, f := range s.fields {
		if h, ok := s.hash(ev, f); ok {
			s.of[i].add(h, at, good, bad)
		}
	}
}

// stranger reports whether an exception for known values of a field does not
// spare an event. While nothing is known of anybody, the exception cannot be
// made, and so the decision that has it does nothing.
func (s *standing) stranger(ev *event.Event, f event.Field) bool {
	own := ev.Second - ev.Second%hour
	if !s.started || own < s.start+firstDay {
		return false
	}
	h, ok := s.hash(ev, f)
	if !ok {
		return true
	}
	for i := range s.fields {
		if s.fields[i] == f {
			good, bad := s.of[i].sum(h, own/hour-1)
			return good == 0 || good <= bad
		}
	}
	return true
}

// visitor reports whether the event's actor was seen to load pages.
func (s *standing) visitor(ev *event.Event) bool {
	h, ok := s.hash(ev, event.FieldActor)
	if !ok {
		return false
	}
	all, assets := s.visits.sum(h, ev.Second/hour-1)
	return assets > 0 && all >= 3
}

func (s *standing) hash(ev *event.Event, f event.Field) (uint64, bool) {
	s.text = ev.AppendValue(s.text[:0], f)
	return s.key.Hash(s.text), len(s.text) > 0
}

// history keeps two counts for each value and hour of the last week.
type history struct {
	heads map[uint64]int32 // plus 1
	cells []cell
	free  int32 // plus 1
	shed  int64 // values that were not noted for want of room
}

type cell struct {
	hour int32
	next int32 // the one before in time, plus 1
	a, b uint32
}

// maxCells is how many values and hours are remembered.
const maxCells = 32 << 20

func (h *history) add(value uint64, hour int64, a, b uint32) {
	if h.heads == nil {
		h.heads = map[uint64]int32{}
	}
	head := h.heads[value]
	for n := head; n > 0; n = h.cells[n-1].next { // a late event's hour is not the newest
		c := &h.cells[n-1]
		if int64(c.hour) == hour {
			c.a += a
			c.b += b
			return
		}
		if int64(c.hour) < hour-1 {
			break
		}
	}
	h.expire(head, hour)
	n := h.free
	switch {
	case n > 0:
		h.free = h.cells[n-1].next
	case len(h.cells) >= maxCells:
		h.shed++
		return
	default:
		h.cells = append(h.cells, cell{})
		n = int32(len(h.cells))
	}
	h.cells[n-1] = cell{hour: int32(hour), next: head, a: a, b: b}
	h.heads[value] = n
}

// expire frees what lies behind a value's week; its newest cell stays.
func (h *history) expire(head int32, hour int64) {
	for n := head; n > 0; n = h.cells[n-1].next {
		c := &h.cells[n-1]
		next := c.next
		if next == 0 || int64(h.cells[next-1].hour) >= hour-week/3600-2 {
			continue
		}
		c.next = 0
		for next > 0 {
			after := h.cells[next-1].next
			h.cells[next-1].next = h.free
			h.free = next
			next = after
		}
	}
}

// sum returns the counts of the week before a whole hour.
func (h *history) sum(value uint64, before int64) (a, b uint64) {
	for n := h.heads[value]; n > 0; n = h.cells[n-1].next {
		if c := &h.cells[n-1]; int64(c.hour) < before && int64(c.hour) >= before-week/hour {
			a, b = a+uint64(c.a), b+uint64(c.b)
		}
	}
	return a, b
}

// secondClock says in which second an event counts, as law 3 does for one file.
type secondClock struct {
	disorder, lateness int64 // nanoseconds, seconds
	max                int64
	doubt              int64 // the time of a line far ahead of all others
	doubted            bool
}

// futureLead is how far ahead of all others a line may be before a second one
// must confirm it.
const futureLead = 24 * hour * 1e9

// pass sets the event's second. An event does not count that is too late, or
// that claims to be far ahead until another one does so too.
func (c *secondClock) pass(ev *event.Event) bool {
	if c.max != math.MinInt64 && ev.Time > c.max+futureLead {
		confirmed := c.doubted && ev.Time-c.doubt <= futureLead && c.doubt-ev.Time <= futureLead
		c.doubted, c.doubt = true, ev.Time
		if !confirmed {
			ev.Second = floorDiv(ev.Time, 1e9)
			return false
		}
	}
	c.doubted = c.doubted && ev.Time > c.max
	ev.Second = floorDiv(ev.Time, 1e9)
	if c.max != math.MinInt64 {
		w := floorDiv(c.max-c.disorder, 1e9)
		if ev.Second < w-c.lateness {
			return false
		}
		ev.Second = max(ev.Second, w)
	}
	c.max = max(c.max, ev.Time)
	return true
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
