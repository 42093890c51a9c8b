package main

import (
	"bytes"
	"errors"
	"fmt"

	"weir/enrich"
	"weir/event"
	"weir/internal/testkit"
	"weir/rules"
	"weir/windows"
)

// rowSample is what a generated log has the rules that ship keep: rows to make
// others of, and of which tables its keys are.
type rowSample struct {
	layout *windows.Layout
	deltas windows.Deltas  // of its events
	rows   [][]windows.Row // by table
	tables []uint16        // each as often as it has keys in the log
	names  []string        // of the tables that have any, with their shares
}

const sampleLines = 20_000

// newRowSample maps a log of sampleLines.
func newRowSample() (*rowSample, error) {
	plan, tables, decode, err := shipped()
	if err != nil {
		return nil, err
	}
	var log bytes.Buffer
	if _, err := testkit.WriteLog(&log, testkit.LogOptions{Seed: 1, Lines: sampleLines, Density: 100, Format: testkit.NginxJSON}); err != nil {
		return nil, err
	}
	var b event.Batch
	for line := range bytes.Lines(log.Bytes()) {
		ev := b.Next()
		if err := decode(bytes.TrimSuffix(line, []byte("\n")), ev, &b.Arena); err != nil {
			return nil, err
		}
		ev.Second = ev.Time / 1e9
	}
	tables.Worker(enrich.Source{Reads: plan.Reads}).Enrich(&b)
	s := &rowSample{layout: &plan.Layout, rows: make([][]windows.Row, len(plan.Layout.Tables))}
	rules.NewMapper(plan, benchUnits, nil).Map(b.Events, 0, nil, &s.deltas)
	s.share()
	if len(s.tables) == 0 {
		return nil, errors.New("no row came of the sample")
	}
	return s, nil
}

// share counts the keys of each table, and leaves out rows that begin none.
func (s *rowSample) share() {
	seen := map[windows.Key]bool{}
	for _, r := range s.deltas.Rows {
		if r.Mask&^s.layout.Tables[r.Table].Faint == 0 {
			continue
		}
		s.rows[r.Table] = append(s.rows[r.Table], r)
		if !seen[r.Key] {
			seen[r.Key] = true
			s.tables = append(s.tables, r.Table)
		}
	}
	for t := range s.rows {
		n := 0
		for _, of := range s.tables {
			if int(of) == t {
				n++
			}
		}
		if n > 0 {
			s.names = append(s.names, fmt.Sprintf("%s %.1f %%", s.layout.Tables[t].Name, 100*float64(n)/float64(len(s.tables))))
		}
	}
}

// row returns what a touch of a key feeds it; touch tells its touches apart.
func (s *rowSample) row(id, touch uint64) windows.Row {
	k := windows.Key{Hi: mixed(2 * id), Lo: mixed(2*id + 1)}
	of := s.rows[s.tables[k.Lo>>11%uint64(len(s.tables))]]
	r := of[mixed(touch)%uint64(len(of))]
	r.Key = k
	r.Unit = uint16(k.Unit(benchUnits))
	return r
}

// mixed spreads a number over 64 bits.
func mixed(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
