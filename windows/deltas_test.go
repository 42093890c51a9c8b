package windows

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"weir/state"
)

func TestDeltasAreReadBackAsTheyWere(t *testing.T) {
	st := newStream(7, testLayout(), 1)
	parts := st.tick(1_600_000_000, 40)
	for _, d := range parts {
		b := d.Append([]byte("before"))[len("before"):]
		var got Deltas
		if err := got.Read(st.l, b); err != nil {
			t.Fatal(err)
		}
		want := *d
		want.Rows = append([]Row(nil), d.Rows...)
		for i := range want.Rows {
			want.Rows[i].From = 0 // it belongs to the place, not to the deltas
		}
		if !reflect.DeepEqual(got.Events, want.Events) || !reflect.DeepEqual(got.Obs, want.Obs) ||
			!bytes.Equal(got.Values, want.Values) || !reflect.DeepEqual(got.Rows, want.Rows) {
			t.Fatalf("read back %+v, want %+v", got, want)
		}
		for i := range b {
			damaged := bytes.Clone(b)
			damaged[i] ^= 1
			if err := got.Read(st.l, damaged); !errors.Is(err, state.ErrCorrupt) {
				t.Fatalf("byte %d flipped: error %v", i, err)
			}
		}
	}
}

func TestDeltasOfAnotherLayoutAreRefused(t *testing.T) {
	l := testLayout()
	d := Deltas{Events: []Origin{{Second: 1}}, Obs: make([]uint64, l.Obs), Rows: []Row{{Event: 1}}}
	for _, damage := range []func(){func() {}, func() { d.Rows[0] = Row{Table: 99} }, func() { d.Rows[0] = Row{}; d.Obs = d.Obs[1:] },
		func() { d.Obs = make([]uint64, l.Obs); d.Events[0].Values = 9 }} {
		damage()
		var got Deltas
		if err := got.Read(l, d.Append(nil)); !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("%+v: error %v", d, err)
		}
	}
}
