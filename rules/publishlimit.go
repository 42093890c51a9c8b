package rules

import (
	"cmp"
	"math"
	"slices"

	"weir/event"
)

// factBytes is what a published value takes: a slot of a set at its load.
const factBytes = 10

// publishable returns of how many values facts are published at an hour.
func (st *State) publishable() int {
	if st.given.Published == 0 {
		return math.MaxInt
	}
	return int(st.given.Published / (standingsKept * factBytes))
}

// foundValues are the values of a unit of which a fact is so.
type foundValues struct {
	values []uint64
	n      int // how many there are
}

func (f *foundValues) reset() { f.values, f.n = f.values[:0], 0 }

// add enters a value. Of more than may be published the fact is going to be left
// out, so it is enough to know how many there are.
func (f *foundValues) add(v uint64, most int) {
	if f.n++; f.n <= most {
		f.values = append(f.values, v)
	}
}

// leaveOut leaves out facts, those of the most values first, until what is
// published has room. Who writes the log can make many values be seen, and the
// same facts must be left out wherever keys are and however many units there are;
// so a fact is left out as a whole. It is undefined for the hour then, as in the
// first day: to leave out some values would have them taken for strangers. Visits
// have no such state, they can only hold a block back: they are left out last,
// and then everybody is taken for a visitor.
func (st *State) leaveOut(s *Standing, sets [][]*hashSet, most int) {
	type fact struct{ table, i, n, order int }
	var facts []fact
	total := 0
	for t := range sets {
		for i, set := range sets[t] {
			if set == nil {
				continue
			}
			f := fact{table: t, i: i, order: s.order(set)}
			for _, u := range st.units {
				f.n += u.found[t][i].n
			}
			total += f.n
			facts = append(facts, f)
		}
	}
	slices.SortFunc(facts, func(a, b fact) int {
		if a.order == visits || b.order == visits {
			return cmp.Compare(a.order, b.order)
		}
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.order, b.order))
	})
	for _, f := range facts {
		if total <= most {
			return
		}
		total -= f.n
		st.left += int64(f.n)
		s.without(f.order, st.plan)
		sets[f.table][f.i] = nil
		for _, u := range st.units {
			u.foundBytes -= 8 * int64(cap(u.found[f.table][f.i].values))
			u.found[f.table][f.i] = foundValues{}
		}
	}
}

// visits is the order of the set of visitors.
const visits = int(numFacts) * int(event.NumFields)

// order tells the sets of facts apart, in every plan the same.
func (s *Standing) order(set *hashSet) int {
	for k := range s.sets {
		for f := range s.sets[k] {
			if set == &s.sets[k][f] {
				return f*int(numFacts) + k
			}
		}
	}
	return visits
}

// without says that nothing is known of a fact.
func (s *Standing) without(order int, p *Plan) {
	if order == visits {
		s.allVisited = true
		s.left = append(s.left, "visits")
		return
	}
	f, k := event.Field(order/int(numFacts)), Fact(order%int(numFacts))
	s.untold[k][f] = true
	s.left = append(s.left, k.String()+"("+p.extras.Name(f)+")")
}
