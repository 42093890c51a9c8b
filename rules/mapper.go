package rules

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"

	"weir/event"
	"weir/windows"
)

// Mapper turns events into deltas: it asks each event the parts of the conditions
// of all rules, each once, and writes a row for every key that something holds of.
// It is a pure function of the events and of what was published. One goroutine
// uses a Mapper at a time.
type Mapper struct {
	plan  *Plan
	units int
	facts Facts

	accepted [event.NumKinds]touches // for events that were not refused
	refused  [event.NumKinds]touches

	verdicts []verdict // of each of Plan.asks, for the event at hand
	hashes   []uint64  // of each of Plan.hashed, for the event at hand; 0: absent
	start    int       // where its values begin in Deltas.Values
	scratch  []byte
}

// verdict is what is known of a condition for one event.
type verdict uint8

const (
	unasked verdict = iota
	holds
	fails
)

// touches is what can touch a table for one kind of endpoint.
type touches []tableTouch

type tableTouch struct {
	table int
	where []touchWhere
}

// touchWhere is the bits of one where: none of them can be set where it fails.
type touchWhere struct {
	asks []uint16 // numbers in Plan.asks, all of which must hold
	bits []touchBit
	cond int // what the asks are of
}

type touchBit struct {
	bit  uint64
	asks []uint16 // besides those of the where
}

// NewMapper returns a mapper that shares rows out to a number of units.
func NewMapper(p *Plan, units int, lookups map[string]func(string) bool) *Mapper {
	m := &Mapper{plan: p, units: units, facts: Facts{Lookups: lookups}}
	m.verdicts = make([]verdict, len(p.asks))
	m.hashes = make([]uint64, len(p.hashed))
	for k := range event.NumKinds {
		m.accepted[k] = p.touches(event.Kind(k), false)
		m.refused[k] = p.touches(event.Kind(k), true)
	}
	return m
}

// touches selects the bits that an event of that kind can have at all, and what
// has to be asked of it for each.
func (p *Plan) touches(k event.Kind, refused bool) touches {
	var prog touches
	for t := range p.tables {
		tp := tableTouch{table: t}
		for i, b := range p.tables[t].bits {
			if (b.where == refusedBit) != refused {
				continue
			}
			where, ok := p.asksOf(k, b.where, nil)
			if !ok {
				continue
			}
			cond, ok := p.asksOf(k, b.cond, where)
			if !ok {
				continue
			}
			at := slices.IndexFunc(tp.where, func(w touchWhere) bool { return w.cond == b.where })
			if at < 0 {
				at = len(tp.where)
				tp.where = append(tp.where, touchWhere{asks: where, cond: b.where})
			}
			tp.where[at].bits = append(tp.where[at].bits, touchBit{1 << i, cond})
		}
		if len(tp.where) > 0 {
			prog = append(prog, tp)
		}
	}
	return prog
}

// asksOf returns what must be asked of an event of a kind to know whether a
// condition holds, besides what is known to hold already; ok is false where it
// cannot. An "and" holds where each of its parts does: what one of them reads
// that is undefined makes that one, and so the whole, not hold.
func (p *Plan) asksOf(k event.Kind, cond int, besides []uint16) (asks []uint16, ok bool) {
	if cond < 0 {
		return nil, true
	}
	for _, n := range p.condAsks[cond] {
		c := p.asks[n]
		if c.Kinds>>k&1 == 0 {
			return nil, false
		}
		if c.onKinds() || slices.Contains(besides, n) {
			continue
		}
		asks = append(asks, n)
	}
	return asks, true
}

// onKinds reports whether an event's kind alone says whether the condition holds.
func (c *EventCond) onKinds() bool {
	if c.tree == nil {
		return false
	}
	holds, fails := c.tree.kinds()
	return holds&fails == 0
}

// Map appends the rows of events to out, which may hold rows already, using
// the standing facts of their hour. The events' Second must be set.
func (m *Mapper) Map(events []event.Event, partition int32, st *Standing, out *windows.Deltas) {
	m.facts.Standing = st
	for i := range events {
		m.mapEvent(&events[i], partition, out)
	}
}

func (m *Mapper) mapEvent(ev *event.Event, partition int32, out *windows.Deltas) {
	prog := m.accepted[ev.Kind]
	if ev.Refused != event.NoAction {
		prog = m.refused[ev.Kind]
	}
	if len(prog) == 0 {
		return
	}
	clear(m.verdicts)
	carried := false
	index := uint32(len(out.Events))
	for i := range prog {
		tp := &prog[i]
		mask := m.mask(tp, ev)
		if mask == 0 {
			continue
		}
		if !carried {
			m.carry(ev, out)
			carried = true
		}
		t := &m.plan.tables[tp.table]
		k, ok := m.key(t)
		if !ok {
			continue
		}
		row := windows.Row{Key: k, Mask: mask, Event: index, Table: uint16(tp.table), Unit: uint16(k.Unit(m.units))}
		if t.parent >= 0 {
			if pk, ok := m.key(&m.plan.tables[t.parent]); ok {
				row.Parent = pk.Lo
			}
		}
		out.Rows = append(out.Rows, row)
	}
	if carried {
		m.observe(ev, out)
		out.Events = append(out.Events, windows.Origin{
			Second: ev.Second, Offset: ev.Offset, Partition: partition, Values: uint32(m.start),
		})
	}
}

func (m *Mapper) mask(tp *tableTouch, ev *event.Event) (mask uint64) {
	for i := range tp.where {
		w := &tp.where[i]
		if !m.all(w.asks, ev) {
			continue
		}
		for k := range w.bits {
			if b := &w.bits[k]; m.all(b.asks, ev) {
				mask |= b.bit
			}
		}
	}
	return mask
}

// all returns whether all of these hold of the event, asking each once.
func (m *Mapper) all(asks []uint16, ev *event.Event) bool {
	for _, n := range asks {
		switch m.verdicts[n] {
		case fails:
			return false
		case unasked:
			if !m.plan.asks[n].Match(ev, &m.facts) {
				m.verdicts[n] = fails
				return false
			}
			m.verdicts[n] = holds
		}
	}
	return true
}

// carry writes the event's values and hashes all that is needed of it.
func (m *Mapper) carry(ev *event.Event, out *windows.Deltas) {
	v := out.Values
	m.start = len(v)
	for i, f := range m.plan.fields {
		from := len(v) + 1
		v = append(v, 0)
		v = ev.AppendValue(v, f)
		n := len(v) - from
		m.hashes[i] = 0
		if n > 0 {
			m.hashes[i] = m.plan.hashValue(v[from:])
		}
		if n < 0x80 {
			v[from-1] = byte(n)
			continue
		}
		// A length that needs more than one byte moves the value behind it.
		var size [binary.MaxVarintLen64]byte
		w := binary.PutUvarint(size[:], uint64(n))
		v = append(v, size[:w-1]...)
		copy(v[from-1+w:], v[from:from+n])
		copy(v[from-1:], size[:w])
	}
	for i := len(m.plan.fields); i < len(m.plan.hashed); i++ {
		m.hashes[i], m.scratch = m.plan.hashField(ev, m.plan.hashed[i], m.scratch)
	}
	out.Values = v
}

// key returns the event's key in a table; ok is false where a field is absent.
func (m *Mapper) key(t *table) (k windows.Key, ok bool) {
	for _, i := range t.values {
		if m.hashes[i] == 0 {
			return k, false
		}
	}
	k = windows.Key{Hi: t.seed[0], Lo: t.seed[1]}
	for _, i := range t.values {
		k.Hi, k.Lo = event.Mix(k.Hi^m.hashes[i]), event.Mix(k.Lo+m.hashes[i])
	}
	return k, true
}

// observe writes the event's observations.
func (m *Mapper) observe(ev *event.Event, out *windows.Deltas) {
	for _, o := range m.plan.obs {
		x := windows.NoObs
		if o.number {
			if n := keptNumber(ev, o.field); n >= 0 {
				x = uint64(n)
			}
		} else if h := m.hashes[o.hash]; h != 0 {
			x = h
		}
		out.Obs = append(out.Obs, x)
	}
}

// keptNumber returns a field as windows keep it: whole units, of a duration
// microseconds; below 0 it is absent.
func keptNumber(ev *event.Event, f event.Field) int64 {
	switch f {
	case event.FieldDuration:
		return ev.Duration
	case event.FieldBytes:
		return ev.Bytes
	}
	n, ok := ev.Num(f)
	if !ok || n < 0 || n > math.MaxInt64/2 {
		return -1
	}
	return int64(n)
}

// hashField returns the keyed hash of an event's value of f, 0 where it is
// absent: the same as hashValue of what AppendValue writes. Scratch is where
// values that are not held as text are written; it comes back, perhaps grown.
func (p *Plan) hashField(ev *event.Event, f event.Field, scratch []byte) (h uint64, grown []byte) {
	if s, isText := ev.Text(f); isText {
		if s == "" {
			return 0, scratch
		}
		return p.hashText(s), scratch
	}
	if f == event.FieldIP || f == event.FieldNet {
		v, n := addressBits(ev.IP, f)
		if n == 0 {
			return 0, scratch
		}
		return present(p.key.HashShort(v, n)), scratch
	}
	scratch = ev.AppendValue(scratch[:0], f)
	if len(scratch) == 0 {
		return 0, scratch
	}
	return p.hashValue(scratch), scratch
}

// standingHash is the identity of an event's value in a Standing.
func (p *Plan) standingHash(ev *event.Event, f event.Field) (uint64, bool) {
	h, _ := p.hashField(ev, f, nil)
	return h, h != 0
}

// addressBits returns the bytes that AppendValue would write of an address.
func addressBits(a netip.Addr, f event.Field) (v uint64, n int) {
	switch {
	case !a.IsValid():
		return 0, 0
	case a.Is4():
		b := a.As4()
		if f == event.FieldNet {
			b[3], n = 0, 3
		} else {
			n = 4
		}
		return uint64(binary.LittleEndian.Uint32(b[:])), n
	}
	b := a.As16()
	n = 8
	if f == event.FieldNet {
		b[6], b[7], n = 0, 0, 6
	}
	return binary.LittleEndian.Uint64(b[:8]), n
}

// hashValue is the keyed hash of a value as AppendValue writes it.
func (p *Plan) hashValue(v []byte) uint64 { return p.hashText(event.View(v)) }

func (p *Plan) hashText(s string) uint64 {
	if len(s) > 8 {
		return present(p.key.HashString(s))
	}
	var v uint64
	for i := range len(s) {
		v |= uint64(s[i]) << (8 * i)
	}
	return present(p.key.HashShort(v, len(s)))
}

// present keeps a hash off 0 and NoObs, which stand for absent values.
func present(h uint64) uint64 {
	if h == 0 || h == windows.NoObs {
		return 1
	}
	return h
}
