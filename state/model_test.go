package state

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("WEIR_STATE_CHILD"); dir != "" {
		child(dir)
		return
	}
	if os.Getenv("WEIR_STATE_APART") != "" {
		os.Exit(m.Run())
	}
	goleak.VerifyTestMain(m)
}

const testUnits = 4

// testConfig is a small store's, whose segments come and go as those of a large one
// do.
func testConfig(dir string) Config {
	return Config{
		Dir: dir, Units: testUnits, KeyID: "a key", Reserve: 1 << 20,
		sizes: sizes{segment: 48 << 10, slack: 100 << 10, emptied: 20 << 10, waste: 100 << 10},
	}
}

func mustOpen(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// model is what a store must hold: by unit, table and key.
type model struct {
	values map[int]map[uint16]map[Key][]byte
	blobs  map[string][]byte
	last   Flip
	ok     bool
}

func newModel() *model {
	m := &model{values: map[int]map[uint16]map[Key][]byte{}, blobs: map[string][]byte{}}
	for u := range testUnits {
		m.values[u] = map[uint16]map[Key][]byte{}
	}
	return m
}

func (m *model) clone() *model {
	c := &model{values: map[int]map[uint16]map[Key][]byte{}, blobs: maps.Clone(m.blobs), last: m.last, ok: m.ok}
	for u, tables := range m.values {
		c.values[u] = map[uint16]map[Key][]byte{}
		for id, keys := range tables {
			c.values[u][id] = maps.Clone(keys)
		}
	}
	return c
}

// deadMark is the first byte of a value that keep does not want.
const deadMark = 0xdd

func keepTest(_ int, _ uint16, value []byte) bool {
	return len(value) == 0 || value[0] != deadMark
}

// compare fails where the store does not hold what the model does. Values that
// are over may be there or not.
func (m *model) compare(t *testing.T, s *Store, rng *rand.Rand) {
	t.Helper()
	last, ok := s.Last()
	if ok != m.ok || last.Tick != m.last.Tick || !bytes.Equal(last.Meta, m.last.Meta) || !slices.EqualFunc(last.Units, m.last.Units, bytes.Equal) {
		t.Fatalf("last checkpoint %v %+v, must be %v %+v", ok, last, m.ok, m.last)
	}
	for name, want := range m.blobs {
		if got, err := s.Blob(name); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("blob %q of %d bytes, error %v, must be of %d", name, len(got), err, len(want))
		}
	}
	if got, err := s.Blob("no such blob"); got != nil || err != nil {
		t.Fatalf("a blob that was never written: %d bytes, error %v", len(got), err)
	}
	for i := range testUnits {
		u := s.Unit(i)
		var tables []uint16
		for id, keys := range m.values[i] {
			compareTable(t, u, id, keys, rng)
			for _, v := range keys {
				if keepTest(i, id, v) {
					tables = append(tables, id)
					break
				}
			}
		}
		for _, id := range tables {
			if !slices.Contains(u.Tables(), id) {
				t.Fatalf("unit %d: tables %v, must have %d", i, u.Tables(), id)
			}
		}
		for _, id := range u.Tables() {
			if m.values[i][id] == nil { // one whose values were all taken away may still be named
				t.Fatalf("unit %d: tables %v, has no %d", i, u.Tables(), id)
			}
		}
	}
}

func compareTable(t *testing.T, u *Unit, id uint16, keys map[Key][]byte, rng *rand.Rand) {
	t.Helper()
	seen := map[Key]bool{}
	err := u.Scan(id, func(k Key, value []byte) error {
		want, ok := keys[k]
		if !ok || !bytes.Equal(want, value) || seen[k] {
			return fmt.Errorf("key %x has %d bytes, must be %v of %d; seen before: %v", k, len(value), ok, len(want), seen[k])
		}
		seen[k] = true
		return nil
	})
	if err != nil {
		t.Fatalf("unit %d, table %d: %v", u.index, id, err)
	}
	for k, want := range keys {
		alive := keepTest(u.index, id, want)
		if alive && (!seen[k] || !u.Has(id, k)) {
			t.Fatalf("unit %d, table %d: key %x is missing: scanned %v, has %v", u.index, id, k, seen[k], u.Has(id, k))
		}
		if rng.IntN(8) != 0 {
			continue
		}
		got, ok, err := u.Get(id, k, []byte("x"))
		if err != nil || ok != seen[k] || ok && !bytes.Equal(got, append([]byte("x"), want...)) {
			t.Fatalf("unit %d, table %d: key %x: %v, %d bytes, error %v", u.index, id, k, ok, len(got), err)
		}
	}
	for range 20 {
		k := randomKey(rng, u.index)
		if got, ok, err := u.Get(id, k, nil); ok || err != nil || len(got) > 0 {
			t.Fatalf("unit %d, table %d: key %x that was never written: %v, error %v", u.index, id, k, ok, err)
		}
	}
}

// randomKey makes a key of a unit.
func randomKey(rng *rand.Rand, unit int) Key {
	return Key{Hi: rng.Uint64()>>2 | uint64(unit)<<62, Lo: rng.Uint64()}
}

// changes collects what a checkpoint changes, by page.
type changes map[place][]byte

func (c changes) set(s *Store, unit int, id uint16, k Key, value []byte) {
	at := place{unit, id, s.Unit(unit).Page(id, k)}
	c[at] = AppendChange(c[at], k, value)
}

func (c changes) put(t testing.TB, to *Checkpoint) {
	places := slices.SortedFunc(maps.Keys(c), func(a, b place) int { // as units hand them over
		return cmp.Or(cmp.Compare(a.unit, b.unit), cmp.Compare(a.table, b.table), cmp.Compare(a.page, b.page))
	})
	for _, at := range places {
		if err := to.Put(at.unit, at.table, at.page, c[at]); err != nil {
			t.Fatal(err)
		}
		clear(c[at]) // they were copied
	}
}
