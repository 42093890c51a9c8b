package replay

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/zeebo/xxh3"

	"weir/event"
	"weir/ingest"
)

// sent is one event of a story: which send it is of, and its number there.
type sent struct {
	at   int64 // Unix nanoseconds
	send int32
	n    int32
}

// events returns what the story sends, in the order of time.
func (st *story) events() []sent {
	var all []sent
	for i, s := range st.sends {
		for d := s.days.first; d <= s.days.last; d++ {
			at := firstDay.AddDate(0, 0, d-1).Add(s.at).UnixNano()
			for n := 1; n <= s.count; n++ {
				all = append(all, sent{at, int32(i), int32(n)})
				at += s.step(n)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b sent) int { return cmp.Compare(a.at, b.at) })
	return all
}

// step returns the nanoseconds from repetition n to the next.
func (s *send) step(n int) int64 {
	if s.gap == s.every {
		return int64(s.every)
	}
	h := xxh3.HashStringSeed(strconv.Itoa(n), s.seed)
	return int64(s.every) + int64(h%uint64(s.gap-s.every+1))
}

// until returns the tick that closes the second of the last of the first n
// sends' events.
func (st *story) until(n int) time.Time {
	last := firstDay.UnixNano()
	for _, s := range st.sends[:n] {
		at := firstDay.AddDate(0, 0, s.days.last-1).Add(s.at).UnixNano()
		for n := 1; n < s.count; n++ {
			at += s.step(n)
		}
		last = max(last, at)
	}
	return time.Unix(0, last).Truncate(time.Second).Add(time.Second)
}

// records returns the events as records of a source. A record is the number
// of its event: what is in it, decode knows. The records have append times,
// so that no gap in a story is too long to be believed.
func records(events []sent) []ingest.MemoryRecord {
	rs := make([]ingest.MemoryRecord, len(events))
	var text []byte
	for i, e := range events {
		from := len(text)
		text = strconv.AppendInt(text, int64(i), 10)
		rs[i] = ingest.MemoryRecord{Line: text[from:len(text):len(text)], Offset: int64(i), Appended: e.at}
	}
	return rs
}

var errRecord = &ingest.Malformed{Reason: "event number"}

// decoder returns the decoder of the story's records: it fills in what a log
// would say of the event.
func (st *story) decoder(events []sent) ingest.Decoder {
	return func(record []byte, ev *event.Event, mem *event.Arena) error {
		i, err := strconv.Atoi(event.View(record))
		if err != nil || i < 0 || i >= len(events) {
			return errRecord
		}
		ev.Time = events[i].at
		st.fill(ev, mem, events[i], false)
		return nil
	}
}

// adjust returns what sets the fields that enrich makes and the script sets.
func (st *story) adjust(events []sent) func(*event.Batch) {
	return func(b *event.Batch) {
		for i := range b.Events {
			ev := &b.Events[i]
			st.fill(ev, &b.Arena, events[ev.Offset], true)
		}
	}
}

// fill sets the fields of one event that enrich makes, or the others.
func (st *story) fill(ev *event.Event, mem *event.Arena, e sent, makes bool) {
	for i := range st.sends[e.send].fields {
		a := &st.sends[e.send].fields[i]
		if isMade(a.field) != makes {
			continue
		}
		text := mem.Keep(a.value.append(mem.Grow(maxExpanded), int64(e.n)))
		if problem := set(ev, a.field, text); problem != "" {
			st.spoil(e, a, text, problem)
		}
	}
}

// spoil notes a value that turned out wrong only when the story was played;
// most do so when the script is read.
func (st *story) spoil(e sent, a *assignment, text, problem string) {
	err := fmt.Errorf("line %d: %s: %s", st.sends[e.send].line, a.field, wrong([]byte(text), problem, a.value, int(e.n)))
	st.spoiled.CompareAndSwap(nil, &err)
}

// maxExpanded is the room that an expanded value mostly fits in; a longer one
// is copied.
const maxExpanded = 256
