package windows

import (
	"encoding/binary"
	"flag"
	"math"
	"math/rand/v2"
	"slices"

	"weir/event"
)

var update = flag.Bool("update", false, "rewrite golden files")

// testLayout has every kind of series, several windows to a series, series
// that share rings and one table with parents.
func testLayout() *Layout {
	return &Layout{
		Fields: []event.Field{event.FieldIP, event.FieldEndpoint, event.FieldFingerprint},
		Obs:    3,
		Tables: []Table{
			{
				Fields: []event.Field{event.FieldIP},
				Series: []Series{
					{Kind: Count, Bit: 0, Windows: []Window{W10s, W1m, W10m, W1h, W24h}},
					{Kind: Count, Bit: 1, Windows: []Window{W10m, W6h, W7d}},
					{Kind: Sum, Bit: 0, Obs: 2, Windows: []Window{W30s, W24h}},
					{Kind: MinMax, Bit: 0, Obs: 2, Windows: []Window{W5m, W2d}},
					{Kind: Distinct, Bit: 0, Obs: 0, Windows: []Window{W10m, W24h}},
					{Kind: Distinct, Bit: 1, Obs: 1, Windows: []Window{W1m, W1h}},
					{Kind: Buckets, Bit: 0, Obs: 1, Windows: []Window{W1h}},
					{Kind: Active, Bit: 0, Windows: []Window{W1m, W30m, W6h}},
					{Kind: Span, Bit: 1, Windows: []Window{W1h, W7d}},
				},
				Retain: int64(W7d) + 3600,
			},
			{
				Fields: []event.Field{event.FieldEndpoint, event.FieldFingerprint},
				Series: []Series{
					{Kind: Count, Bit: 2, Windows: []Window{W24h}},
					{Kind: Distinct, Bit: 2, Obs: 0, Windows: []Window{W24h}},
				},
				Retain: int64(W24h) + 3600,
			},
			{
				Fields: []event.Field{event.FieldIP, event.FieldEndpoint, event.FieldFingerprint},
				Series: []Series{{Kind: Count, Bit: 63, Windows: []Window{W10s, W10m}}},
				Retain: int64(W10m) + 10,
				Parent: true,
			},
		},
	}
}

// seen is one row as the reference remembers it.
type seenRow struct {
	second int64
	mask   uint64
	obs    []uint64
}

// reference keeps every row of every key and scans them all to answer.
type reference struct {
	l    *Layout
	rows map[Key][]seenRow
}

func (f *reference) in(k Key, s *Series, w Window, tick int64) (rows []seenRow) {
	for _, r := range f.rows[k] {
		if r.second >= w.Start(tick) && r.second < tick && r.mask>>s.Bit&1 == 1 {
			rows = append(rows, r)
		}
	}
	return rows
}

func (f *reference) observed(k Key, s *Series, w Window, tick int64) (vs []uint64) {
	for _, r := range f.in(k, s, w, tick) {
		if v := r.obs[s.Obs]; v != NoObs {
			vs = append(vs, v)
		}
	}
	return vs
}

func (f *reference) total(k Key, s *Series, w Window, tick int64) (n uint64) {
	if s.Kind == Count {
		return uint64(len(f.in(k, s, w, tick)))
	}
	for _, v := range f.observed(k, s, w, tick) {
		if n+v < n {
			return math.MaxUint64
		}
		n += v
	}
	return n
}

// totalBefore is total of what came before a second.
func (f *reference) totalBefore(k Key, s *Series, w Window, tick, before int64) uint64 {
	past := reference{l: f.l, rows: map[Key][]seenRow{}}
	for _, r := range f.rows[k] {
		if r.second < before {
			past.rows[k] = append(past.rows[k], r)
		}
	}
	return past.total(k, s, w, tick)
}

func (f *reference) distinct(k Key, s *Series, w Window, tick int64) int {
	m := map[uint64]bool{}
	for _, v := range f.observed(k, s, w, tick) {
		m[v] = true
	}
	return len(m)
}

// buckets returns the exact share of the commonest value and the entropy, of
// values themselves or of their buckets.
func (f *reference) buckets(k Key, s *Series, w Window, tick int64, shift int) (share, bits float64, ok bool) {
	m := map[uint64]int{}
	vs := f.observed(k, s, w, tick)
	for _, v := range vs {
		m[v>>shift]++
	}
	for _, n := range m {
		p := float64(n) / float64(len(vs))
		share = max(share, p)
		bits -= p * math.Log2(p)
	}
	return share, bits, len(vs) > 0
}

func (f *reference) active(k Key, s *Series, w Window, tick int64) (secs []int64) {
	for _, r := range f.in(k, s, w, tick) {
		secs = append(secs, r.second)
	}
	slices.Sort(secs)
	return slices.Compact(secs)
}

func cadence(secs []int64) (cv float64, ok bool) {
	if len(secs) < 3 {
		return 0, false
	}
	n := float64(len(secs) - 1)
	mean := float64(secs[len(secs)-1]-secs[0]) / n
	var v float64
	for i := 1; i < len(secs); i++ {
		d := float64(secs[i]-secs[i-1]) - mean
		v += d * d / n
	}
	return math.Sqrt(v) / mean, true
}

// stream makes the rows of one tick after the other, for a unit under test and
// for the reference.
type stream struct {
	rng  *rand.Rand
	l    *Layout
	ref  *reference
	keys int
	all  map[Key][]string // the values of every key
}

func newStream(seed uint64, l *Layout, keys int) *stream {
	return &stream{
		rng: rand.New(rand.NewPCG(seed, 1)), l: l, keys: keys,
		ref: &reference{l: l, rows: map[Key][]seenRow{}}, all: map[Key][]string{},
	}
}

func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func testKey(table, i int) Key {
	n := uint64(table+1)<<32 | uint64(i)
	return Key{Hi: mix(n), Lo: mix(n + 1<<60)}
}

func fieldValue(f event.Field, i int) string {
	if f == event.FieldIP {
		return string([]byte{198, 51, 100, byte(i)})
	}
	return f.String() + string(rune('a'+i%26))
}

// tick makes n events of the second before tick.
func (st *stream) tick(tick int64, n int) []*Deltas {
	numbers := st.l.stores()
	parts := make([]*Deltas, 1+st.rng.IntN(3))
	for i := range parts {
		parts[i] = &Deltas{}
	}
	for range n {
		from := st.rng.IntN(len(parts))
		d := parts[from]
		i := int(float64(st.keys) * math.Pow(st.rng.Float64(), 3))
		obs := []uint64{mix(uint64(st.rng.IntN(300))), mix(uint64(i * st.rng.IntN(20))), uint64(st.rng.IntN(1 << st.rng.IntN(40)))}
		for o := range obs {
			if st.rng.IntN(10) == 0 {
				obs[o] = NoObs
			}
		}
		d.Events = append(d.Events, Origin{Second: tick - 1, Values: uint32(len(d.Values))})
		d.Obs = append(d.Obs, obs...)
		for _, f := range st.l.Fields {
			v := fieldValue(f, i)
			d.Values = append(binary.AppendUvarint(d.Values, uint64(len(v))), v...)
		}
		for t := range st.l.Tables {
			if st.rng.IntN(3) == 0 {
				continue
			}
			r := Row{
				Key: testKey(int(numbers[t]), i), Mask: st.rng.Uint64() | 1<<63, Parent: uint64(i),
				Event: uint32(len(d.Events) - 1), From: uint32(from), Table: uint16(t),
			}
			d.Rows = append(d.Rows, r)
			st.ref.rows[r.Key] = append(st.ref.rows[r.Key], seenRow{tick - 1, r.Mask, obs})
			if st.all[r.Key] == nil {
				for _, f := range st.l.Tables[t].Fields {
					st.all[r.Key] = append(st.all[r.Key], fieldValue(f, i))
				}
			}
		}
	}
	return parts
}

func rowsOf(parts []*Deltas) (rows []Row) {
	for _, d := range parts {
		rows = append(rows, d.Rows...)
	}
	return rows
}

// gap is how long to the next tick: mostly a second, at times minutes, days or
// thirteen years.
func (st *stream) gap() int64 {
	switch n := st.rng.IntN(1000); {
	case n < 700:
		return 1
	case n < 900:
		return 1 + st.rng.Int64N(30)
	case n < 980:
		return 1 + st.rng.Int64N(3600)
	case n < 998:
		return 1 + st.rng.Int64N(3*86400)
	}
	return 13 * 365 * 86400
}
