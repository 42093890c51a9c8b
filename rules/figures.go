package rules

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"weir/event"
	"weir/windows"
)

// Figures returns how many distinct actors succeeded with a target in the
// seven days up to a tick that was run, and how many tried; of the empty target
// with anything, where the plan keeps that (PlanOptions.Site). Where rules keep
// targets of that shape apart, since they see other kinds of endpoints of them,
// it is the most of any. ok is false where the plan does not keep targets of
// that shape, or nothing is held of this one. All units must be at rest.
func (st *State) Figures(target event.Target, tick int64) (good, tried float64, ok bool) {
	p := st.plan
	fields, values, ok := p.ParseTarget(target)
	if !ok {
		return 0, 0, false
	}
	found := false
	for t := range p.tables {
		good7d, tried7d, kept := p.tables[t].actors()
		if !kept || !slices.Equal(p.tables[t].fields, fields) {
			continue
		}
		k := p.tables[t].keyOf(func(i int) uint64 { return p.hashValue(values[i]) })
		u := st.units[k.Unit(len(st.units))]
		slot, ok := u.win.Find(k)
		if !ok {
			continue
		}
		found = true
		good = max(good, math.Round(u.win.Distinct(slot, good7d, windows.W7d, tick)))
		tried = max(tried, math.Round(u.win.Distinct(slot, tried7d, windows.W7d, tick)))
	}
	return good, tried, found
}

// actors returns the series of the actors that succeeded and of those that
// tried, if the table keeps them.
func (t *table) actors() (good, tried int, ok bool) {
	switch {
	case t.target != nil:
		return t.target.goodActors, t.target.triedActors, true
	case t.site != nil:
		return t.site.good, t.site.tried, true
	}
	return 0, 0, false
}

// ParseTarget takes apart the target of a decision: its fields, ascending, and
// their values as event.AppendValue writes them. ok is false where it is not
// one that these rules could name.
func (p *Plan) ParseTarget(t event.Target) (fields []event.Field, values [][]byte, ok bool) {
	type value struct {
		field event.Field
		raw   []byte
	}
	vs := make([]value, len(t))
	for i, v := range t {
		f := event.FieldByName(v.Field)
		if extra, ok := strings.CutPrefix(v.Field, "x."); ok {
			f = p.extras.Field(extra)
		}
		if f == event.NoField {
			return nil, nil, false
		}
		raw, ok := parseValue(f, v.Text)
		if !ok {
			return nil, nil, false
		}
		vs[i] = value{f, raw}
	}
	slices.SortFunc(vs, func(a, b value) int { return int(a.field) - int(b.field) })
	for _, v := range vs {
		fields, values = append(fields, v.field), append(values, v.raw)
	}
	return fields, values, true
}

// parseValue is the way back of event.FormatValue.
func parseValue(f event.Field, text string) ([]byte, bool) {
	if f != event.FieldIP && f != event.FieldNet {
		return []byte(text), text != ""
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, false
		}
		addr = prefix.Addr()
	}
	ev := event.Event{IP: addr}
	v := ev.AppendValue(nil, f)
	return v, string(event.FormatValue(nil, f, v)) == text
}
