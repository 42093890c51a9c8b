package windows

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"weir/event"
	"weir/state"
)

// reloaded returns the layouts of a state through three sets of rules: windows
// and series come and go, and so do tables.
func reloaded(t *testing.T) []*Layout {
	t.Helper()
	table := func(name string, f event.Field, retain int64, series ...Series) Table {
		for i := range series {
			series[i].Name = strings.Repeat("s", 1+int(series[i].Kind)) + string(rune('0'+series[i].Bit))
		}
		return Table{Name: name, Fields: []event.Field{f}, Series: series, Retain: retain}
	}
	count := func(bit uint8, ws ...Window) Series { return Series{Kind: Count, Bit: bit, Windows: ws} }
	distinct := func(ws ...Window) Series { return Series{Kind: Distinct, Obs: 1, Windows: ws} }
	day, hour := int64(W24h)+3600, int64(W1h)+60
	make := func(tables ...Table) *Layout {
		l := &Layout{Fields: testLayout().Fields, Obs: 3, Tables: tables, NextStore: uint32(len(tables))}
		for i := range l.Tables {
			l.Tables[i].Store = uint16(i)
		}
		return l
	}
	layouts := []*Layout{
		make(table("ip", event.FieldIP, day, count(0, W10m, W24h), distinct(W1h)),
			table("endpoint", event.FieldEndpoint, hour, count(1, W1h))),
		make(table("fingerprint", event.FieldFingerprint, hour, count(0, W1h)),
			table("ip", event.FieldIP, day, count(1, W24h), count(0, W10m, W1h, W24h), distinct(W1h, W24h)),
			table("endpoint", event.FieldEndpoint, hour, count(1, W1h))),
		make(table("ip", event.FieldIP, day, count(1, W24h), count(0, W10m, W24h), distinct(W24h))),
	}
	for i, l := range layouts[1:] {
		if err := l.Inherit(layouts[i], 1_700_000_000+int64(i+1)*2000); err != nil {
			t.Fatal(err)
		}
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
	}
	return layouts
}

func succession(t *testing.T, layouts ...*Layout) *Succession {
	t.Helper()
	s, err := Succeed(nil, layouts...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestKeysOfOlderLayoutsAreConvertedWheneverTheyAreRead(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 3))
		layouts := reloaded(t)
		st := newStream(seed+40, layouts[0], 150)
		// early reads all keys at every reload, late only those that are touched.
		early := newResident(t, rng, layouts[0], 0)
		late := newResident(t, rng, layouts[0], 0)
		both := []*resident{early, late}
		tick := int64(1_700_000_000)
		for n, l := range layouts {
			st.l = l
			for _, r := range both {
				r.l = l
				if n > 0 {
					last, _ := r.store.Last()
					u, err := OpenUnit(l, 0, last.Units[0], r.store.Unit(0))
					if err != nil {
						t.Fatal(err)
					}
					if err := u.Follow(succession(t, layouts[:n+1]...)); err != nil {
						t.Fatal(err)
					}
					r.u, r.since = u, nil
				}
				if n == 0 {
					r.u.Attach(r.store.Unit(0))
				}
			}
			if n > 0 {
				if err := early.u.Load(1 << 40); err != nil {
					t.Fatal(err)
				}
				if early.u.outside.keys != 0 || late.u.index.keys != 0 {
					t.Fatal("keys are not where they should be")
				}
			}
			for range 60 {
				tick += 1 + rng.Int64N(60)
				parts := st.tick(tick, rng.IntN(20))
				s := &story{tick, rowsOf(parts), parts}
				s.tell(early.u)
				s.tell(late.u)
				if rng.IntN(3) == 0 {
					late.cut()
					late.encode(1 << 20)
					late.commit()
					late.u.Evict(rng.Int64N(late.u.Resident()))
				}
				late.same(early.u, st, tick)
			}
			if !bytes.Equal(late.u.AppendSnapshot(nil), early.u.AppendSnapshot(nil)) {
				t.Fatalf("layout %d: another snapshot", n)
			}
			for _, r := range both {
				r.cut()
				r.encode(1 << 20)
				r.commit()
			}
		}
		if loaded, _ := late.u.Moved(); loaded == 0 || late.u.Len() == 0 {
			t.Error("nothing was read late")
		}
	}
}

func TestAValueOfAnUnknownLayoutIsAnError(t *testing.T) {
	layouts := reloaded(t)
	st := newStream(1, layouts[0], 10)
	r := newResident(t, rand.New(rand.NewPCG(1, 1)), layouts[0], 0)
	r.u.Attach(r.store.Unit(0))
	parts := st.tick(1_700_000_000, 40)
	r.u.Fold(1_700_000_000, rowsOf(parts), parts)
	r.cut()
	r.encode(1 << 20)
	r.commit()
	last, _ := r.store.Last()
	u, err := OpenUnit(layouts[2], 0, last.Units[0], r.store.Unit(0))
	if err != nil {
		t.Fatal(err)
	}
	if keys, _ := r.u.cohorts.sum(0); int64(u.Len()) != keys {
		t.Errorf("%d keys, want the %d of the table that is left", u.Len(), keys)
	}
	if err := u.Follow(succession(t, layouts[:2]...)); err == nil {
		t.Error("followed layouts that do not lead to the unit's")
	}
	if err := u.Follow(succession(t, layouts[1:]...)); err != nil {
		t.Fatal(err)
	}
	if err := u.Load(1 << 40); !errors.Is(err, state.ErrCorrupt) || u.Err() == nil || !strings.Contains(err.Error(), "layout 0") {
		t.Errorf("error %v, want one that names layout 0", err)
	}
	if _, err := OpenUnit(layouts[0], 0, NewUnit(layouts[1], 0).AppendHead(nil), nil); !errors.Is(err, ErrSnapshot) {
		t.Errorf("a head of a later layout: error %v, want ErrSnapshot", err)
	}
}

// What a state has gone through is not worked out again with each reload, nor
// for each unit: after many of them that would be all that a reload does.
func TestASuccessionIsMadeOfTheOneBefore(t *testing.T) {
	layouts := reloaded(t)
	n := len(layouts) - 1
	before := succession(t, layouts[:n]...)
	now, err := Succeed(before, layouts...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if &now.shapes[i][0] != &before.shapes[i][0] || i+1 < n && &now.links[i][0] != &before.links[i][0] {
			t.Errorf("layout %d was made ready again", i)
		}
	}
	// The oldest goes, as its keys have.
	if pruned, err := Succeed(now, layouts[1:]...); err != nil || len(pruned.links) != n-1 || &pruned.links[0][0] != &now.links[1][0] {
		t.Errorf("without the first: %v, %v", pruned, err)
	}
	// Another layout of the same number is made ready.
	other := *layouts[n-1]
	if again, err := Succeed(before, append(slices.Clone(layouts[:n-1]), &other)...); err != nil || &again.shapes[n-1][0] == &before.shapes[n-1][0] {
		t.Errorf("another layout %d passed for the one before: %v", other.Serial, err)
	}
}
