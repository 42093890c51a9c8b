package windows

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"weir/event"
)

// The layouts of these tests draw on the same conditions and observations, but
// each numbers them in its own way: one of variant v has condition c at bit
// c + 8v and observation o at o + 3v. Rows carry all variants at once.
const (
	variants = 4
	conds    = 3
	observed = 3
)

var convertFields = []event.Field{event.FieldIP, event.FieldEndpoint, event.FieldFingerprint}

// series returns a series under the name that says what it is.
func series(variant int, kind Kind, cond, obs int, ws ...Window) Series {
	s := Series{Name: fmt.Sprintf("kind %d if %d", kind, cond), Kind: kind, Bit: uint8(cond + 8*variant), Windows: ws}
	switch kind {
	case Sum, MinMax, Distinct, Buckets:
		s.Name += fmt.Sprintf(" of %d", obs)
		s.Obs = uint8(obs + observed*variant)
	}
	return s
}

// layoutOf returns a layout of tables, the first of a state.
func layoutOf(tables ...Table) *Layout {
	l := &Layout{Fields: convertFields, Obs: observed * variants, Tables: tables, NextStore: uint32(len(tables))}
	for i := range tables {
		t := &tables[i]
		t.Store = uint16(i)
		for _, s := range t.Series {
			for _, w := range s.Windows {
				t.Retain = max(t.Retain, int64(w)+w.Ring().Pane())
			}
		}
	}
	return l
}

func ipTable(ss ...Series) Table {
	return Table{Name: "ip", Fields: convertFields[:1], Series: ss}
}

// randomLayout picks tables, series and windows by chance.
func randomLayout(rng *rand.Rand, variant int) *Layout {
	var tables []Table
	for _, t := range []Table{
		{Name: "ip", Fields: convertFields[:1]},
		{Name: "endpoint fingerprint", Fields: convertFields[1:]},
		{Name: "ip endpoint of endpoint", Fields: convertFields[:2], Parent: true},
	} {
		if rng.IntN(5) == 0 && len(tables) > 0 {
			continue
		}
		for kind := Count; kind <= Span; kind++ {
			for cond := range 2 {
				s := series(variant, kind, cond, 2*cond)
				for _, w := range Windows {
					if rng.IntN(3) == 0 {
						s.Windows = append(s.Windows, w)
					}
				}
				if len(s.Windows) > 0 && rng.IntN(6) > 0 {
					t.Series = append(t.Series, s)
				}
			}
		}
		rng.Shuffle(len(t.Series), func(i, j int) { t.Series[i], t.Series[j] = t.Series[j], t.Series[i] })
		tables = append(tables, t)
	}
	rng.Shuffle(len(tables), func(i, j int) { tables[i], tables[j] = tables[j], tables[i] })
	return layoutOf(tables...)
}

// flow makes events for units of any layout.
type flow struct {
	rng  *rand.Rand
	tick int64
	keys int
}

// sample is one event: its key in each table follows from i.
type sample struct {
	i, mask int
	obs     [observed]uint64
}

func (tr *flow) next() (events []sample) {
	switch n := tr.rng.IntN(100); {
	case n < 75:
		tr.tick++
	case n < 93:
		tr.tick += 1 + tr.rng.Int64N(120)
	case n < 99:
		tr.tick += 1 + tr.rng.Int64N(3600)
	default:
		tr.tick += 1 + tr.rng.Int64N(40*3600)
	}
	n := tr.rng.IntN(8)
	if tr.rng.IntN(12) == 0 {
		n = 150 // enough for sketches
	}
	for range n {
		e := sample{i: tr.rng.IntN(tr.keys), mask: tr.rng.IntN(1 << conds)}
		for o := range e.obs {
			if e.obs[o] = mix(uint64(1000*o + tr.rng.IntN(400))); tr.rng.IntN(8) == 0 {
				e.obs[o] = NoObs
			}
		}
		if e.obs[2] != NoObs {
			e.obs[2] %= 1 << 20
		}
		events = append(events, e)
	}
	return events
}

// fold folds events into a unit of layout l.
func fold(u *Unit, l *Layout, tick int64, events []sample) {
	d := &Deltas{}
	for n, e := range events {
		d.Events = append(d.Events, Origin{Second: tick - 1, Values: uint32(len(d.Values))})
		for range variants {
			d.Obs = append(d.Obs, e.obs[:]...)
		}
		for _, f := range l.Fields {
			v := fieldValue(f, e.i)
			d.Values = append(binary.AppendUvarint(d.Values, uint64(len(v))), v...)
		}
		var mask uint64
		for v := range variants {
			mask |= uint64(e.mask) << (8 * v)
		}
		for t := range l.Tables {
			d.Rows = append(d.Rows, Row{
				Key: namedKey(&l.Tables[t], e.i), Mask: mask, Parent: uint64(e.i), Event: uint32(n), Table: uint16(t),
			})
		}
	}
	u.Fold(tick, d.Rows, []*Deltas{d})
}

// namedKey is key i of a table: by its name, as the planner's hashes are.
func namedKey(t *Table, i int) Key {
	n := uint64(i)
	for _, c := range t.Name {
		n = mix(n + uint64(c))
	}
	return Key{Hi: mix(n), Lo: mix(n + 1)}
}

// converted returns a unit of the last layout with what c keeps of u's keys.
func converted(t *testing.T, u *Unit, c *Conversion, to *Layout) *Unit {
	t.Helper()
	v := NewUnit(to, 0)
	v.tick = u.tick
	for _, k := range u.sorted() {
		s := u.index.slot(k.slot)
		table, ok := c.Table(int(s.table))
		if !ok {
			continue
		}
		blob := c.Blob(nil, int(s.table), u.blob(s))
		if err := v.shapes[table].check(blob, s.last, u.tick); err != nil {
			t.Fatalf("table %s: %v: %x", to.Tables[table].Name, err, blob)
		}
		house(t, v, s.key, uint16(table), s.last, blob)
	}
	return v
}

// house puts a key with its blob into a unit.
func house(t *testing.T, u *Unit, k Key, table uint16, last uint32, blob []byte) {
	t.Helper()
	i, ok := u.index.insert(k, table)
	if !ok {
		t.Fatal("no room for a key")
	}
	c := classOf(len(blob))
	s := u.index.slot(i)
	s.ref, s.size, s.last, s.ticks = u.arena.alloc(c, i), uint16(len(blob)), last, 1
	copy(u.arena.blob(c, s.ref), blob)
	u.bytes += int64(keyBytes + classBytes[c])
}

// answer is all that can be read of a series in a window, bit by bit.
func answer(u *Unit, k Key, kind Kind, i int, w Window, tick int64) string {
	slot, ok := u.Find(k)
	if !ok {
		slot = noRow
	}
	bits := math.Float64bits
	switch {
	case kind == Count || kind == Sum:
		if !ok {
			return "0"
		}
		return fmt.Sprint(u.Total(slot, i, w, tick))
	case kind == Distinct:
		if !ok {
			return fmt.Sprint(bits(0))
		}
		return fmt.Sprint(bits(u.Distinct(slot, i, w, tick)))
	case !ok:
		return "none"
	}
	has := false
	var text string
	switch kind {
	case MinMax:
		lo, hi, ok := u.MinMax(slot, i, w, tick)
		has, text = ok, fmt.Sprint(lo, hi)
	case Buckets:
		top, ok := u.Top(slot, i, w, tick)
		entropy, _ := u.Entropy(slot, i, w, tick)
		has, text = ok, fmt.Sprint(bits(top), bits(entropy))
	case Active:
		cv, ok := u.Cadence(slot, i, w, tick)
		has, text = ok, fmt.Sprint(bits(cv))
	case Span:
		first, last, ok := u.Span(slot, i, w, tick)
		has, text = ok, fmt.Sprint(first, last)
	}
	if !has {
		return "none"
	}
	return text
}
