package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"weir/enrich"
	"weir/event"
	"weir/rules"
	"weir/simulate"
	"weir/windows"
)

// rowSample is a week of a log without attacks as the rules that ship keep it: of
// each key what it was fed, so that others of about as many touches can be fed the
// same. What an address asks for, and who is behind it, thus comes again as it does
// in that log: a carrier's address brings other accounts all day, a monitor none.
type rowSample struct {
	layout *windows.Layout
	deltas windows.Deltas    // of its events
	keys   [][][]windows.Row // by class the rows of each key of it, in order
	names  []string          // of the tables, with their shares of the keys, by class
}

const (
	sampleScale = 0.03 // of the scenario: 360,000 lines
	sampleDays  = 7
	// sampleNear is how much more or less often than a class a key may be touched
	// to be of it.
	sampleNear = 3.2
)

// newRowSample maps a week of the scenario without attacks, which it writes into a
// directory that is not there yet and goes away again.
func newRowSample(ctx context.Context, dir string, scale float64) (s *rowSample, err error) {
	plan, _, decode, err := shipped()
	if err != nil {
		return nil, err
	}
	scenario, err := simulate.Load("quiet", []string{fmt.Sprint("days=", sampleDays)})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var b event.Batch
	if _, err := simulate.Write(ctx, scenario, simulate.Options{Seed: 1, Scale: scale}, simulate.Output{Dir: dir, Each: func(line *simulate.Line) error {
		ev := b.Next()
		if decode(bytes.Clone(line.Text), ev, &b.Arena) != nil {
			b.Drop() // the scenario has lines that are broken
			return nil
		}
		ev.Second = ev.Time / 1e9
		return nil
	}}); err != nil {
		return nil, err
	}
	tables, err := tablesOf(dir)
	if err != nil {
		return nil, err
	}
	tables.Worker(enrich.Source{Reads: plan.Reads}).Enrich(&b)
	s = &rowSample{layout: &plan.Layout}
	rules.NewMapper(plan, benchUnits, nil).Map(b.Events, 0, nil, &s.deltas)
	s.divide()
	b, s.deltas.Rows = event.Batch{}, nil
	debug.FreeOSMemory() // what the process takes is looked at from here on
	for c := range classes {
		if len(s.keys[c]) == 0 {
			return nil, fmt.Errorf("the sample has no key that is touched about %d times a day", classes[c].touches)
		}
	}
	return s, nil
}

// tablesOf reads what a written scenario has beside its log.
func tablesOf(dir string) (*enrich.Tables, error) {
	const name = "site.yaml"
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	site, err := enrich.ParseSite(name, text)
	if err != nil {
		return nil, err
	}
	return enrich.New(enrich.Config{
		ASN: filepath.Join(dir, "networks.csv"), Crawlers: []string{filepath.Join(dir, "ranges")}, Site: site, Key: event.FixedKey(),
		Compile: rules.Compiler(rules.Options{}, nil),
	})
}

// divide gives each class the keys that are touched about as often.
func (s *rowSample) divide() {
	all := map[windows.Key][]windows.Row{}
	for _, r := range s.deltas.Rows {
		all[r.Key] = append(all[r.Key], r)
	}
	s.keys = make([][][]windows.Row, len(classes))
	shares := make([]map[uint16]int, len(classes))
	for _, key := range slices.SortedFunc(maps.Keys(all), func(a, b windows.Key) int { return cmp.Or(cmp.Compare(a.Hi, b.Hi), cmp.Compare(a.Lo, b.Lo)) }) {
		rows := all[key]
		begins := func(r windows.Row) bool { return r.Mask&^s.layout.Tables[r.Table].Faint != 0 }
		first := slices.IndexFunc(rows, begins)
		if first < 0 {
			continue
		}
		rows = rows[first:]
		for c := range classes {
			if week := float64(len(rows)) / float64(sampleDays*classes[c].touches); week > 1/sampleNear && week <= sampleNear {
				s.keys[c] = append(s.keys[c], rows)
				if shares[c] == nil {
					shares[c] = map[uint16]int{}
				}
				shares[c][rows[0].Table]++
				break
			}
		}
	}
	for c := range classes {
		var names []string
		for _, t := range slices.Sorted(maps.Keys(shares[c])) {
			names = append(names, fmt.Sprintf("%s %.1f %%", s.layout.Tables[t].Name, 100*float64(shares[c][t])/float64(len(s.keys[c]))))
		}
		s.names = append(s.names, strings.Join(names, ", "))
	}
}

// row returns what the touch of a number feeds a key of a class.
func (s *rowSample) row(class int, id, touch uint64) windows.Row {
	k := windows.Key{Hi: mixed(2 * id), Lo: mixed(2*id + 1)}
	of := s.keys[class]
	rows := of[k.Lo>>11%uint64(len(of))]
	r := rows[touch%uint64(len(rows))]
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
