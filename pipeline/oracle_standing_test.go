package pipeline_test

import (
	"math"

	"weir/event"
	"weir/rules"
	"weir/windows"
)

// oracleStanding is what is known of values in one hour.
type oracleStanding struct {
	defined bool
	ids     map[string]uint64 // of each field's value, in place of a hash
	known   map[string]bool
	fails   map[string]bool
	seen    map[string]bool
	made    *rules.Standing
}

// standingAt returns the facts that events of this second use: those of the
// seven days before the hour before their own.
func (o *oracle) standingAt(second int64) *oracleStanding {
	const hour = 3600
	own := second - ((second%hour)+hour)%hour
	if s := o.standing[own]; s != nil {
		return s
	}
	s := &oracleStanding{ids: map[string]uint64{}, known: map[string]bool{}, fails: map[string]bool{}, seen: map[string]bool{}}
	o.standing[own] = s
	s.defined = own >= o.firstSecond()+24*hour
	if !s.defined {
		return s
	}
	h := own - hour
	succeeded, failed := map[string]int{}, map[string]int{}
	for _, row := range within(o.rows, h-int64(windows.W7d), h) {
		for f := event.FieldTime + 1; f < event.FieldX0; f++ {
			v := row.Str(f)
			if v == "" || !f.Keyable() {
				continue
			}
			id := f.String() + "=" + v
			s.seen[id] = true
			switch {
			case vouches(row):
				succeeded[id]++
			case row.Outcome == event.Failure:
				failed[id]++
			}
		}
	}
	for id := range s.seen {
		s.known[id], s.fails[id] = succeeded[id] > failed[id], failed[id] > succeeded[id]
	}
	return s
}

// firstSecond returns the first second that was folded.
func (o *oracle) firstSecond() int64 {
	first := int64(math.MaxInt64)
	for _, rows := range [][]*oracleRow{o.rows, o.refused} {
		if len(rows) > 0 {
			first = min(first, rows[0].Second)
		}
	}
	return first
}

// facts returns s in the form that conditions ask.
func (s *oracleStanding) facts() *rules.Standing {
	if s.made != nil {
		return s.made
	}
	s.made = rules.NewStanding(s.defined, func(ev *event.Event, f event.Field) (uint64, bool) {
		v := ev.Str(f)
		return s.id(f.String() + "=" + v), v != ""
	})
	for f := event.FieldTime + 1; f < event.FieldX0; f++ {
		prefix := f.String() + "="
		for id := range s.seen {
			if len(id) > len(prefix) && id[:len(prefix)] == prefix {
				s.made.Add(rules.Seen, f, s.id(id))
				if s.known[id] {
					s.made.Add(rules.Known, f, s.id(id))
				}
				if s.fails[id] {
					s.made.Add(rules.Denied, f, s.id(id))
				}
			}
		}
	}
	return s.made
}

// id numbers values as they come.
func (s *oracleStanding) id(value string) uint64 {
	n, ok := s.ids[value]
	if !ok {
		n = uint64(len(s.ids) + 1)
		s.ids[value] = n
	}
	return n
}
