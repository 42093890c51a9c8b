package rules

import (
	"slices"
	"strings"

	"weir/event"
	"weir/windows"
)

// Demand returns how many events a target had in the ten minutes up to a tick
// that was run, refused or not. Where rules keep targets of that shape apart it
// is the most of any. ok is false where nothing is held of it. All units must
// be at rest.
func (st *State) Demand(target event.Target, tick int64) (events uint64, ok bool) {
	p := st.plan
	fields, values, ok := p.ParseTarget(target)
	if !ok {
		return 0, false
	}
	found := false
	for t := range p.tables {
		tr := p.tables[t].target
		if tr == nil || !slices.Equal(p.tables[t].fields, fields) {
			continue
		}
		k := p.tables[t].keyOf(func(i int) uint64 { return p.hashValue(values[i]) })
		u := st.units[k.Unit(len(st.units))]
		if _, held := u.win.Find(k); held {
			found = true
			events = max(events, u.onset(t, k, tick))
		}
	}
	return events, found
}

// DemandWindow is how far back Demand looks, in seconds.
const DemandWindow = int64(windows.W10m)

// ParseExcept returns the field of an exception as decisions write it, such as
// known(ip); NoField of none. ok is false where it is not one.
func (p *Plan) ParseExcept(text string) (f event.Field, ok bool) {
	if text == "" {
		return event.NoField, true
	}
	name, found := strings.CutPrefix(text, "known(")
	name, closed := strings.CutSuffix(name, ")")
	if !found || !closed {
		return event.NoField, false
	}
	if f = event.FieldByName(name); f == event.NoField {
		if extra, ok := strings.CutPrefix(name, "x."); ok {
			f = p.extras.Field(extra)
		}
	}
	return f, f != event.NoField
}

// ParseLimit reads the rate of a limit, such as 10/1m: so many requests in so
// many seconds.
func ParseLimit(to string) (requests, seconds int64, ok bool) {
	requests, seconds, err := limitRate(to)
	return requests, seconds, err == nil
}

// Draw returns a number from 0 to below 1 that is drawn for an event: always
// the same for the same event, and nothing that who sent it could choose.
func (p *Plan) Draw(ev *event.Event) float64 {
	h := p.key.HashShort(uint64(ev.Time), 8)
	for _, f := range [...]event.Field{event.FieldIP, event.FieldActor, event.FieldMethod, event.FieldPath, event.FieldQuery, event.FieldAgent} {
		v, _ := p.hashField(ev, f, nil)
		h = event.Mix(h ^ v)
	}
	return float64(h>>11) / (1 << 53)
}
