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

func TestBytesOnDiskStayAsTheyAre(t *testing.T) {
	u := sampleUnit()
	slot, _ := u.Find(testKey(0, 0))
	u.Near(slot)
	nearby := u.appendValue(nil, u.index.slot(slot))
	for _, c := range []struct {
		file, version string
		bytes         []byte
	}{
		{"snapshot", "snapshotVersion", sampleUnit().AppendSnapshot(nil)},
		{"head", "headVersion", degradedUnit().AppendHead(nil)},
		{"value", "valueVersion", nearby},
	} {
		file := "testdata/" + c.file + ".golden"
		got := []byte(hex.Dump(c.bytes))
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
			t.Errorf("the bytes of a %s changed; if they have to, raise %s and rewrite %s with -update", c.file, c.version, file)
		}
	}
}

func TestAValueIsReadAsItWasWritten(t *testing.T) {
	want := header{serial: 1<<32 - 1, last: 1<<32 - 1, ticks: 1<<16 - 1, class: numClasses - 1, near: true}
	good := append(want.append(nil), "blob"...)
	h, blob, err := readValue(good)
	if err != nil || h != want || string(blob) != "blob" || len(good)-len(blob) != maxHeader {
		t.Fatalf("%+v, %q, error %v", h, blob, err)
	}
	for i, bad := range map[int]byte{0: valueVersion + 1, 1: 2, 2: numClasses} {
		b := bytes.Clone(good)
		b[i] = bad
		if _, _, err := readValue(b); !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("byte %d is %d: error %v, want ErrCorrupt", i, bad, err)
		}
	}
	for n := range maxHeader {
		if _, _, err := readValue(good[:n]); !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("cut to %d bytes: error %v, want ErrCorrupt", n, err)
		}
	}
	for _, h := range []header{{ticks: 0, last: 1}, {ticks: 1, last: 0}} {
		if _, _, err := readValue(h.append(nil)); !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("%+v: error %v, want ErrCorrupt", h, err)
		}
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

// seal gives the bodies of a snapshot the heads that make them pass the
// checksums.
func seal(head, keys []byte) []byte {
	b, start := state.BeginRecord(nil)
	b = append(b, head...)
	state.EndRecord(b, start, headVersion)
	b, start = state.BeginRecord(b)
	b = append(b, keys...)
	state.EndRecord(b, start, snapshotVersion)
	return b
}

// bodiesOf is what stands behind the heads of a snapshot's records.
func bodiesOf(snapshot []byte) (head, keys []byte) {
	head, rest, err := state.ReadRecord(snapshot, headVersion)
	if err != nil {
		panic(err)
	}
	if keys, _, err = state.ReadRecord(rest, snapshotVersion); err != nil {
		panic(err)
	}
	return head, keys
}

// use does to a restored unit all that can be done to one.
func use(u *Unit) {
	tick := u.Tick()
	for table := range u.layout.Tables {
		u.Scan(table, nil, func(slot uint32, _ uint64) bool {
			u.AppendValues(slot, nil)
			for i, s := range u.layout.Tables[table].Series {
				for _, w := range s.Windows {
					readSeries(u, slot, i, s.Kind, w, tick)
				}
			}
			return false
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
	for _, u := range []*Unit{sampleUnit(), degradedUnit(), NewUnit(testLayout(), 0)} {
		head, keys := bodiesOf(u.AppendSnapshot(nil))
		f.Add(head, keys)
	}
	l := testLayout()
	f.Fuzz(func(t *testing.T, head, keys []byte) {
		u, err := RestoreUnit(l, 0, seal(head, keys))
		if err != nil {
			if !errors.Is(err, ErrSnapshot) {
				t.Fatalf("error %v, want ErrSnapshot", err)
			}
			return
		}
		// Numbers may be written longer than need be; a second round is stable.
		again := u.AppendSnapshot(nil)
		v, err := RestoreUnit(l, 0, again)
		if err != nil || !bytes.Equal(v.AppendSnapshot(nil), again) {
			t.Fatalf("second round: %v", err)
		}
		use(u)
		if err := u.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

// A head of version 1 is as good as one of today but for whom its doorkeeper had
// turned away.
func TestAHeadOfTheFirstVersionForgetsWhomItTurnedAway(t *testing.T) {
	u := degradedUnit()
	stranger := func(u *Unit, tick int64) (there bool) {
		flood(u, tick, 5_000_000, 1)
		_, there = u.Find(testKey(0, 5_000_000))
		return there
	}
	if stranger(u, 700_010) {
		t.Fatal("a new key was not turned away")
	}
	today := u.AppendSnapshot(nil)
	head, keys := bodiesOf(today)
	b, start := state.BeginRecord(nil)
	b = append(b, head...)
	state.EndRecord(b, start, firstHead)
	first, start := state.BeginRecord(b)
	first = append(first, keys...)
	state.EndRecord(first, start, snapshotVersion)
	for name, c := range map[string]struct {
		snapshot []byte
		want     bool
	}{"today's": {today, true}, "the first": {first, false}} {
		u, err := RestoreUnit(testLayout(), 50_000, c.snapshot)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !u.Degraded() || u.door.bytes() == 0 {
			t.Errorf("%s: degraded %v, with a doorkeeper of %d bytes", name, u.Degraded(), u.door.bytes())
		}
		if there := stranger(u, 700_011); there != c.want {
			t.Errorf("%s: a key that comes again is there %v, must be %v", name, there, c.want)
		}
		if !stranger(u, 700_012) {
			t.Errorf("%s: a key that was turned away since is turned away again", name)
		}
	}
}
