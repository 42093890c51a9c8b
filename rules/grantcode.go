package rules

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"time"

	"weir/event"
	"weir/state"
	"weir/windows"
)

// grantVersion is the format version of a stored grant. The first one did not
// say whom its decisions hit.
const grantVersion = 2

// ruleMark tells a rule from others, and from itself with another behaviour.
type ruleMark struct {
	id   string
	hash uint64 // of Rule.Hash
}

func markOf(r *Rule) ruleMark {
	h, _ := hex.DecodeString(r.Hash())
	return ruleMark{r.ID, binary.BigEndian.Uint64(h)}
}

// placeOf returns under which key a unit's store keeps a grant. It follows from
// the target and from what the rule is, so it is the same under every set of
// rules.
func placeOf(target uint64, by ruleMark, action event.Action, except event.Field) windows.Key {
	return windows.Key{Hi: target, Lo: event.Mix(event.Mix(target^by.hash) + uint64(action)<<8 + uint64(except))}
}

// placed returns the grant of a place, nil where there is none.
func (u *Unit) placed(place windows.Key) *grant {
	for _, g := range u.grants[place.Hi] {
		if g.place == place {
			return g
		}
	}
	return nil
}

// append appends what is kept of a grant; of none it is nil. It knows its rule
// by what that is, not by a number, so it outlives any set of rules.
func (g *grant) append(dst []byte) []byte {
	if g == nil {
		return nil
	}
	dst, start := state.BeginRecord(dst)
	w := encoder{state.Writer{B: dst}}
	w.grant(g)
	state.EndRecord(w.B, start, grantVersion)
	return w.B
}

func (w *encoder) grant(g *grant) {
	w.String(g.by.id)
	w.Fixed(g.by.hash)
	w.String(g.action.String())
	w.Uint(uint64(g.except))
	w.Uint(uint64(g.entry))
	w.Int(g.length)
	w.Int(g.evidence)
	w.Uint(g.onset)
	w.Uint(uint64(len(g.made)))
	for _, m := range g.made {
		w.Int(m.tick)
		w.Uint(m.regulars)
	}
	w.Int(g.until)
	if g.until == 0 {
		return
	}
	d := &g.last
	w.String(g.first)
	w.Int(int64(d.Version))
	w.String(d.Severity.String())
	w.String(d.Mode.String())
	w.String(d.To)
	w.target(d.Target)
	w.String(d.Except)
	w.target(d.Key)
	w.Uint(uint64(len(d.Evidence)))
	for _, m := range d.Evidence {
		w.String(m.Name)
		w.Float(m.Value)
	}
	w.Bool(!d.Incomplete.IsZero())
	if !d.Incomplete.IsZero() {
		w.Int(d.Incomplete.Unix())
	}
}

// readGrant reads what append wrote of the grant of a place.
func (st *State) readGrant(place windows.Key, b []byte) (*grant, error) {
	version := byte(grantVersion)
	if len(b) > 0 && b[0] == 1 {
		version = 1
	}
	body, rest, err := state.ReadRecord(b, version)
	if err != nil {
		return nil, err
	}
	r := decoder{Reader: state.Reader{B: body}, plan: st.plan}
	r.check(len(rest) == 0, "%d bytes behind it", len(rest))
	g := r.grant(version)
	if err := r.end(); err != nil {
		return nil, err
	}
	g.place, g.rule = place, gone
	if i, ok := st.byMark[g.by]; ok {
		g.rule = i
		r.check(g.entry < len(st.plan.Rules[i].Then), "entry %d, %s has %d", g.entry, g.by.id, len(st.plan.Rules[i].Then))
	}
	r.check(placeOf(place.Hi, g.by, g.action, g.except) == place, "a grant of %s at another one's place", g.by.id)
	return g, r.Err
}

func (r *decoder) grant(version byte) *grant {
	g := &grant{by: ruleMark{id: r.String(), hash: r.Fixed()}}
	var ok bool
	g.action, ok = event.ActionByName(r.String())
	r.check(ok, "not an action")
	g.except = event.Field(r.below(event.NumFields, "field"))
	g.entry = r.below(maxLadder, "entry")
	g.length, g.evidence, g.onset = r.Int(), r.Int(), r.Uint()
	n := r.Len()
	r.check(n <= maxMade, "%d decisions made, must be at most %d", n, maxMade)
	for range min(n, maxMade) {
		m := made{r.Int(), everyone}
		if version > 1 {
			m.regulars = r.Uint()
		}
		g.made = append(g.made, m)
	}
	r.check(slices.IsSortedFunc(g.made, func(a, b made) int { return cmp.Compare(a.tick, b.tick) }), "decisions out of order")
	if g.until = r.Int(); g.until == 0 {
		g.ended = true
		return g
	}
	r.check(n > 0, "a decision in force that was not made")
	d := &g.last
	g.first = r.String()
	d.Rule, d.Would = g.by.id, g.action
	d.Version = int(r.Int())
	d.Severity, ok = event.SeverityByName(r.String())
	r.check(ok, "not a severity")
	d.Mode, ok = event.StageByName(r.String())
	r.check(ok, "not a stage")
	d.To, d.Target, d.Except, d.Key = r.String(), r.target(), r.String(), r.target()
	r.each(func() { d.Evidence = append(d.Evidence, event.Measure{Name: r.String(), Value: r.Float()}) })
	if r.Bool() {
		d.Incomplete = time.Unix(r.Int(), 0)
	}
	return g
}
