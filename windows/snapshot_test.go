package windows

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"weir/state"
)

// sampleUnit is a small unit with every kind of section in it, a sketch too.
func sampleUnit() *Unit {
	st := newStream(42, testLayout(), 3)
	u := NewUnit(st.l, 0)
	tick := int64(1_600_000_000)
	for _, n := range []int{1, 2, 3, 120, 130, 0, 2} {
		parts := st.tick(tick, n)
		u.Fold(tick, rowsOf(parts), parts)
		tick += 90
	}
	return u
}

func TestSnapshotBytesStayAsTheyAre(t *testing.T) {
	const file = "testdata/snapshot.golden"
	got := []byte(hex.Dump(sampleUnit().AppendSnapshot(nil)))
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the bytes of a snapshot changed; if they have to, raise snapshotVersion and rewrite %s with -update", file)
	}
}

func TestADamagedSnapshotIsAnError(t *testing.T) {
	l := testLayout()
	u := NewUnit(l, 0)
	st := newStream(3, l, 3)
	for i := range int64(3) {
		parts := st.tick(1000+i*100, 3)
		u.Fold(1000+i*100, rowsOf(parts), parts)
	}
	good := u.AppendSnapshot(nil)
	check := func(b []byte, what string, at int) {
		t.Helper()
		if v, err := RestoreUnit(l, 0, b); !errors.Is(err, ErrSnapshot) || v != nil {
			t.Fatalf("%s at %d: error %v, want ErrSnapshot", what, at, err)
		}
	}
	for i := range good {
		check(good[:i], "cut", i)
		for _, flip := range []byte{1, 0x80, 0xff} {
			b := bytes.Clone(good)
			b[i] ^= flip
			check(b, "flipped", i)
		}
	}
	check(append(bytes.Clone(good), 0), "longer", len(good))

	other := testLayout()
	other.Tables[1].Series[0].Windows = []Window{W6h}
	if _, err := RestoreUnit(other, 0, good); !errors.Is(err, ErrSnapshot) {
		t.Errorf("another layout: error %v, want ErrSnapshot", err)
	}
}

// seal gives a body the head that makes it pass the checksum.
func seal(body []byte) []byte {
	b, start := state.BeginRecord(nil)
	b = append(b, body...)
	state.EndRecord(b, start, snapshotVersion)
	return b
}

// bodyOf is what stands behind a snapshot's head.
func bodyOf(snapshot []byte) []byte {
	body, _, err := state.ReadRecord(snapshot, snapshotVersion)
	if err != nil {
		panic(err)
	}
	return body
}

// use does to a restored unit all that can be done to one.
func use(u *Unit) {
	tick := u.Tick()
	for table := range u.layout.Tables {
		u.Scan(table, func(slot uint32, _ uint64) {
			u.AppendValues(slot, nil)
			for i, s := range u.layout.Tables[table].Series {
				for _, w := range s.Windows {
					readSeries(u, slot, i, s.Kind, w, tick)
				}
			}
		})
	}
	keys := u.sorted()
	for range 3 {
		tick = min(tick+1800, 1<<32-2)
		var d Deltas
		for i, k := range keys {
			d.Events = append(d.Events, Origin{Second: tick})
			d.Obs = append(d.Obs, mix(uint64(i)), mix(uint64(i+1)), 7)
			d.Rows = append(d.Rows, Row{Key: k.key, Mask: ^uint64(0), Event: uint32(i), Table: u.TableOf(k.slot)})
		}
		d.Values = append(d.Values, 1, 'a', 1, 'b', 1, 'c')
		u.Fold(tick+1, d.Rows, []*Deltas{&d})
		for _, touch := range u.Touched() {
			for i, s := range u.layout.Tables[touch.Table].Series {
				for _, w := range s.Windows {
					readSeries(u, touch.Slot, i, s.Kind, w, u.Tick())
				}
			}
		}
		u.Expire(tick)
	}
	u.SetLimit(1)
	u.Shed(tick)
}

func readSeries(u *Unit, slot uint32, i int, k Kind, w Window, tick int64) {
	switch k {
	case MinMax:
		u.MinMax(slot, i, w, tick)
	case Distinct:
		u.Distinct(slot, i, w, tick)
	case Buckets:
		u.Top(slot, i, w, tick)
		u.Entropy(slot, i, w, tick)
	case Active:
		u.Cadence(slot, i, w, tick)
	case Span:
		u.Span(slot, i, w, tick)
	default:
		u.Total(slot, i, w, tick)
	}
}

// FuzzRestore restores damaged bodies under a right checksum: an error, or a
// unit that can be worked with.
func FuzzRestore(f *testing.F) {
	f.Add(bodyOf(sampleUnit().AppendSnapshot(nil)))
	f.Add(bodyOf(NewUnit(testLayout(), 0).AppendSnapshot(nil)))
	l := testLayout()
	f.Fuzz(func(t *testing.T, body []byte) {
		u, err := RestoreUnit(l, 0, seal(body))
		if err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatalf("error %v, want ErrSnapshot", err)
			}
			return
		}
		if !bytes.Equal(bodyOf(u.AppendSnapshot(nil)), body) && len(body) > 0 {
			// Numbers may be written longer than need be; a second round is stable.
			v, err := RestoreUnit(l, 0, u.AppendSnapshot(nil))
			if err != nil || !bytes.Equal(v.AppendSnapshot(nil), u.AppendSnapshot(nil)) {
				t.Fatalf("second round: %v", err)
			}
		}
		use(u)
	})
}
