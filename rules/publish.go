package rules

import (
	"math"

	"weir/event"
	"weir/windows"
)

// standingSince says, by field, since which second the events are kept that
// known and seen are about: 0, since the state began; never, not at all.
type standingSince struct{ known, seen [event.NumFields]int64 }

const never = math.MaxInt64

func (p *Plan) standingSince() (s standingSince) {
	for f := range s.known {
		s.known[f], s.seen[f] = never, never
	}
	for t := range p.tables {
		tb := &p.tables[t]
		if k := tb.known; k != nil {
			s.known[tb.fields[0]] = max(p.since(t, k.success, windows.W7d), p.since(t, k.failure, windows.W7d))
		}
		if tb.seen != nil {
			s.seen[tb.fields[0]] = p.since(t, tb.seen.all, windows.W7d)
		}
	}
	return s
}

// since returns the tick since which a window of a series is kept.
func (p *Plan) since(t, series int, w windows.Window) int64 {
	s := &p.Layout.Tables[t].Series[series]
	for i, has := range s.Windows {
		if has == w && i < len(s.Since) {
			return s.Since[i]
		}
	}
	return 0
}

// defined reports whether facts that are kept since a tick may be used for
// events of a second: a day of them must be there, by the whole hour.
func (st *State) defined(since, second int64) bool {
	if st.start == math.MaxInt64 || since == never {
		return false
	}
	return floor(second, 3600) >= max(st.start, since)+24*3600
}

// knows reports whether known of a field may be used for events of a second.
func (st *State) knows(f event.Field, second int64) bool {
	return st.defined(st.since.known[f], second)
}

// Publish returns the standing facts as of hour h (a whole hour that all units
// have run), for the events of the hour that begins one hour later.
func (st *State) Publish(h int64) *Standing {
	s := NewStanding(st.defined(0, h+3600), st.plan.standingHash)
	for f := range s.noKnown {
		s.noKnown[f] = !st.defined(st.since.known[f], h+3600)
		s.noSeen[f] = !st.defined(st.since.seen[f], h+3600)
	}
	for t := range st.plan.tables {
		tb := &st.plan.tables[t]
		known := tb.known != nil && s.KnowsOf(tb.fields[0])
		seen := tb.seen != nil && s.SeesOf(tb.fields[0])
		if tb.visits == nil && !known && !seen {
			continue
		}
		for _, u := range st.units {
			u.publish(t, h, known, seen, s)
		}
	}
	return s
}

// publish adds what is so of the values of one table's field.
func (u *Unit) publish(t int, h int64, known, seen bool, s *Standing) {
	tb := &u.state.plan.tables[t]
	f := tb.fields[0]
	var values [][]byte
	u.win.Scan(t, nil, func(slot uint32, _ uint64) (keep bool) {
		var isKnown, isSeen bool
		if known {
			ok := u.win.Total(slot, tb.known.success, windows.W7d, h)
			isKnown = ok > 0 && ok > u.win.Total(slot, tb.known.failure, windows.W7d, h)
		}
		if seen {
			isSeen = u.win.Total(slot, tb.seen.all, windows.W7d, h) > 0
		}
		visited := tb.visits != nil && u.win.Total(slot, tb.visits.assets, windows.W7d, h) > 0 &&
			u.win.Total(slot, tb.visits.all, windows.W7d, h) >= visitRequests
		if !isKnown && !isSeen && !visited {
			return false
		}
		values = u.win.AppendValues(slot, values[:0])
		v := u.state.plan.hashValue(values[0])
		if isKnown {
			s.AddKnown(f, v)
		}
		if isSeen {
			s.AddSeen(f, v)
		}
		if visited {
			s.visited.add(v)
		}
		return false
	})
}

// visitRequests is how many requests make a visit, if an asset is among them.
const visitRequests = 3
