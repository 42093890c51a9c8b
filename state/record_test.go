package state_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"weir/state"
)

func record(body []byte, version byte) []byte {
	b, start := state.BeginRecord([]byte("before"))
	b = append(b, body...)
	state.EndRecord(b, start, version)
	return b[len("before"):]
}

func TestARecordIsReadBackAndWhatIsBehindItIsLeft(t *testing.T) {
	b := append(record([]byte("one"), 3), record(nil, 4)...)
	body, rest, err := state.ReadRecord(b, 3)
	if err != nil || string(body) != "one" {
		t.Fatalf("%q, %v", body, err)
	}
	if body, rest, err = state.ReadRecord(rest, 4); err != nil || len(body) != 0 || len(rest) != 0 {
		t.Fatalf("%q, %q, %v", body, rest, err)
	}
}

func TestADamagedRecordIsAnError(t *testing.T) {
	good := record([]byte("a body of some length"), 1)
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			if _, _, err := state.ReadRecord(b, 1); !errors.Is(err, state.ErrCorrupt) {
				t.Fatalf("bit %d of byte %d flipped: error %v", bit, i, err)
			}
		}
		if _, _, err := state.ReadRecord(good[:i], 1); !errors.Is(err, state.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: error %v", i, err)
		}
	}
	if _, _, err := state.ReadRecord(good, 2); !errors.Is(err, state.ErrCorrupt) {
		t.Errorf("another version: error %v", err)
	}
}

func TestValuesAreReadAsTheyWereWritten(t *testing.T) {
	var w state.Writer
	w.Int(math.MinInt64)
	w.Uint(math.MaxUint64)
	w.Fixed(7)
	w.Float(math.NaN())
	w.Bool(true)
	w.String("a\x00b")
	r := state.Reader{B: w.B}
	if a, b, c, d, e, f := r.Int(), r.Uint(), r.Fixed(), r.Float(), r.Bool(), r.String(); a != math.MinInt64 ||
		b != math.MaxUint64 || c != 7 || !math.IsNaN(d) || !e || f != "a\x00b" || r.Err != nil || len(r.B) != 0 {
		t.Errorf("%v %v %v %v %v %q, %v", a, b, c, d, e, f, r.Err)
	}
	for i := range w.B {
		r := state.Reader{B: w.B[:i]}
		r.Int()
		r.Uint()
		r.Fixed()
		r.Float()
		r.Bool()
		if s := r.String(); s != "" && r.Err != nil || r.Err == nil {
			t.Fatalf("cut to %d bytes: %q, error %v", i, s, r.Err)
		}
	}
}
