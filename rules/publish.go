package rules

import (
	"maps"
	"math"

	"weir/event"
	"weir/windows"
)

// standingSince says since which second the events are kept that facts are
// about: 0, since the state began; never, not at all.
type standingSince = byFact[int64]

const never = math.MaxInt64

func (p *Plan) standingSince() (s standingSince) {
	for k := range s {
		for f := range s[k] {
			s[k][f] = never
		}
	}
	for t := range p.tables {
		tb := &p.tables[t]
		for k, reads := range tb.standing {
			if reads != nil {
				s[k][tb.fields[0]] = p.sinceRead(t, reads)
			}
		}
	}
	return s
}

// sinceRead returns the tick since which all is kept that a fact is about.
func (p *Plan) sinceRead(t int, reads *standingReads) int64 {
	from := p.since(t, reads.more, windows.W7d)
	if reads.than >= 0 {
		from = max(from, p.since(t, reads.than, windows.W7d))
	}
	return from
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
	s := st.standing[usedFrom(second)]
	return st.defined(st.since[Known][f], second) && (s == nil || s.Tells(Known, f))
}

// usedFrom returns the hour as of which the facts hold that are used for events of
// a second.
func usedFrom(second int64) int64 { return floor(second, 3600) - 3600 }

// Published tells the state what was published as of an hour, by itself or before
// it was opened.
func (st *State) Published(h int64, s *Standing) {
	st.standing[h] = s
	maps.DeleteFunc(st.standing, func(was int64, _ *Standing) bool { return was <= h-standingsKept*3600 })
}

// Publish returns the standing facts as of hour h (a whole hour that all units
// have run), for the events of the hour that begins one hour later. Hours never
// go back. each runs something for each unit, as many at once as it likes; nil:
// one after the other.
func (st *State) Publish(h int64, each func(do func(u *Unit))) *Standing {
	s := NewStanding(st.defined(0, h+3600), st.plan.standingHash)
	for k := range s.untold {
		for f := range s.untold[k] {
			s.untold[k][f] = !st.defined(st.since[k][f], h+3600)
		}
	}
	sets := st.plan.factSets(s)
	if each == nil {
		each = func(do func(u *Unit)) {
			for _, u := range st.units {
				do(u)
			}
		}
	}
	most := st.publishable()
	each(func(u *Unit) { u.publish(h, sets, most) })
	st.leaveOut(s, sets, most)
	for t := range sets {
		for i, set := range sets[t] {
			if set == nil {
				continue
			}
			n := 0
			for _, u := range st.units {
				n += u.found[t][i].n
			}
			set.grow(set.n + n)
			for _, u := range st.units {
				for _, h := range u.found[t][i].values {
					set.add(h)
				}
			}
		}
	}
	st.published = s.bytes()
	st.Published(h, s)
	return s
}

// AsksMore reports whether the state came of a reload that asks for facts which the
// hours that were published before it do not tell.
func (st *State) AsksMore() bool { return st.asksMore }

// asksMore reports whether a plan has facts that another one has not.
func (p *Plan) asksMore(than *Plan) bool {
	has := than.standingSince()
	for k, fields := range p.standingSince() {
		for f := range fields {
			if fields[f] != never && has[k][f] == never {
				return true
			}
		}
	}
	return false
}

// facts are those of the keys of each table that standing is made of, in the
// order of Fact, and visits behind them, as far as there are such.
func (p *Plan) facts() [][]windows.Fact {
	facts := make([][]windows.Fact, len(p.tables))
	for t := range p.tables {
		tb := &p.tables[t]
		for _, reads := range tb.standing {
			if reads != nil {
				facts[t] = append(facts[t], windows.Fact{More: reads.more, Than: reads.than, Of: -1})
			}
		}
		if k := tb.visits; k != nil {
			facts[t] = append(facts[t], windows.Fact{More: k.assets, Than: -1, Of: k.all, Least: visitRequests})
		}
	}
	return facts
}

// factSets returns for each of the plan's facts where its values are entered;
// nil: nowhere, as it is not defined yet.
func (p *Plan) factSets(s *Standing) [][]*hashSet {
	sets := make([][]*hashSet, len(p.tables))
	for t := range p.tables {
		tb := &p.tables[t]
		add := func(set *hashSet, defined bool) {
			if !defined {
				set = nil
			}
			sets[t] = append(sets[t], set)
		}
		for k, reads := range tb.standing {
			if reads != nil {
				f := tb.fields[0]
				add(&s.sets[k][f], s.Tells(Fact(k), f))
			}
		}
		if tb.visits != nil {
			add(&s.visited, true)
		}
	}
	return sets
}

// publish finds the values of which facts are so that anybody asks for.
func (u *Unit) publish(h int64, sets [][]*hashSet, most int) {
	p := u.state.plan
	asked := make([]uint8, len(sets))
	for t := range sets {
		for i, set := range sets[t] {
			if set != nil {
				asked[t] |= 1 << i
			}
		}
	}
	if len(u.found) != len(sets) {
		u.found = make([][windows.MaxFacts]foundValues, len(sets))
	}
	for t := range u.found {
		for i := range u.found[t] {
			u.found[t][i].reset()
		}
	}
	u.win.Facts(h, asked, func(t int, key uint64, facts uint8) {
		v := p.tables[t].onlyValue(key)
		for i := range sets[t] {
			if facts>>i&1 != 0 {
				u.found[t][i].add(v, most)
			}
		}
	})
	u.foundBytes = 0
	for t := range u.found {
		for i := range u.found[t] {
			u.foundBytes += 8 * int64(cap(u.found[t][i].values))
		}
	}
}

// onlyValue returns the hash of the value of a key of a table of a single field,
// from the key's Lo: what keyOf made of it can be undone.
func (t *table) onlyValue(lo uint64) uint64 { return unmix(lo) - t.seed[1] }

// unmix is the inverse of event.Mix.
func unmix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0x9cb4b2f8129337db
	x ^= x >> 33
	x *= 0x4f74430c22a54005
	return x ^ x>>33
}

// visitRequests is how many requests make a visit, if an asset is among them.
const visitRequests = 3

// standingsKept is of how many hours the facts are in memory at once.
const standingsKept = 4

// standingBytes is a unit's share of them.
func (st *State) standingBytes() int64 { return standingsKept * st.published / int64(st.of) }
