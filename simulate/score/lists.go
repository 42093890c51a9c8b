package score

import (
	"cmp"
	"slices"
	"time"

	"weir/event"
)

// ListSize is how many entries were in force at a time.
type ListSize struct {
	By       string           `json:"by"`
	Max      int64            `json:"max"`
	MaxAt    time.Time        `json:"max_at,omitzero"`
	Mean     float64          `json:"mean"` // over the whole log
	Entries  int64            `json:"entries,omitempty"`
	ByAction map[string]int64 `json:"by_action,omitempty"` // the most at a time
}

// listSize is a ListSize that is being counted.
type listSize struct {
	max, at int64
	held    float64 // nanoseconds that entries were in force, summed
}

func (s *listSize) reach(n, at int64) {
	if n > s.max {
		s.max, s.at = n, at
	}
}

func (s *listSize) size(by string, length time.Duration) ListSize {
	out := ListSize{By: by, Max: s.max}
	if s.max > 0 {
		out.MaxAt = time.Unix(0, s.at).UTC()
	}
	if length > 0 {
		out.Mean = s.held / float64(length)
	}
	return out
}

// edge is where the number of entries changes.
type edge struct {
	at     int64
	by     int64
	action event.Action
}

// lists counts what the points had to hold: an entry is an action on a target
// with an exception, whichever rules asked for it. Sizes are noted in the line.
func (l *Ledger) lists(from, until int64, line *timeline) ListSize {
	type entry struct {
		target uint64
		action event.Action
		except event.Field
	}
	order := make([]int32, 0, len(l.spans))
	for i := range l.spans {
		if s := &l.spans[i]; fateOf(s.action).stops() && s.idle == enforced {
			order = append(order, int32(i))
		}
	}
	of := func(i int32) entry { s := &l.spans[i]; return entry{s.target, s.action, s.except} }
	slices.SortFunc(order, func(a, b int32) int {
		x, y := of(a), of(b)
		return cmp.Or(cmp.Compare(x.target, y.target), cmp.Compare(x.action, y.action), cmp.Compare(x.except, y.except),
			cmp.Compare(l.spans[a].from, l.spans[b].from))
	})
	var edges []edge
	out := ListSize{By: weirName, ByAction: map[string]int64{}}
	var total listSize
	for i := 0; i < len(order); {
		e := of(order[i])
		begun, end := l.spans[order[i]].from, l.spans[order[i]].until
		for i++; i < len(order) && of(order[i]) == e && l.spans[order[i]].from <= end; i++ {
			end = max(end, l.spans[order[i]].until)
		}
		out.Entries++
		if begun, end = max(begun, from), min(end, until); begun < end {
			edges = append(edges, edge{begun, 1, e.action}, edge{end, -1, e.action})
			total.held += float64(end - begun)
		}
	}
	slices.SortFunc(edges, func(a, b edge) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.by, b.by)) })
	var now int64
	var each, most [event.NumActions]int64
	for _, e := range edges {
		now += e.by
		each[e.action] += e.by
		most[e.action] = max(most[e.action], each[e.action])
		total.reach(now, e.at)
		line.listed(e.at, now)
	}
	for a, n := range most {
		if n > 0 {
			out.ByAction[event.Action(a).String()] = n
		}
	}
	s := total.size(weirName, time.Duration(until-from))
	out.Max, out.MaxAt, out.Mean = s.Max, s.MaxAt, s.Mean
	return out
}
