package windows

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"weir/event"
	"weir/state"
)

// codedLayout is testLayout with names and a history.
func codedLayout() *Layout {
	l := testLayout()
	l.Serial, l.Began, l.NextStore = 3, 1_700_000_010, 9
	for i := range l.Tables {
		t := &l.Tables[i]
		t.Name, t.Store = fmt.Sprint("table ", i), uint16(3*i)
		for k := range t.Series {
			s := &t.Series[k]
			s.Name, s.Kinds = fmt.Sprint("series ", k), uint32(k)<<20
			for n := range s.Windows {
				s.Since = append(s.Since, int64(n)*1_699_999_990)
			}
			for n := range k {
				s.Joined = append(s.Joined, int64(n)*1_699_999_980)
			}
		}
	}
	return l
}

func TestLayoutBytesStayAsTheyAre(t *testing.T) {
	const file = "testdata/layout.golden"
	l := codedLayout()
	b := l.Append(nil)
	got := []byte(hex.Dump(b))
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
		t.Errorf("the bytes of a layout changed; if they have to, raise layoutVersion and rewrite %s with -update", file)
	}
	read, err := ReadLayout(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(read, l) {
		t.Errorf("read %+v, want %+v", read, l)
	}
}

func TestADamagedLayoutIsAnError(t *testing.T) {
	good := codedLayout().Append(nil)
	for i := range good {
		if _, err := ReadLayout(good[:i]); !errors.Is(err, state.ErrCorrupt) {
			t.Fatalf("cut at %d: error %v, want ErrCorrupt", i, err)
		}
		b := bytes.Clone(good)
		b[i] ^= 0x10
		if _, err := ReadLayout(b); !errors.Is(err, state.ErrCorrupt) {
			t.Fatalf("flipped at %d: error %v, want ErrCorrupt", i, err)
		}
	}
	body, _, err := state.ReadRecord(good, layoutVersion)
	if err != nil {
		t.Fatal(err)
	}
	wrong := 0
	for i := range body {
		if _, err := ReadLayout(sealed(body[:i])); !errors.Is(err, state.ErrCorrupt) {
			t.Fatalf("body cut at %d: error %v, want ErrCorrupt", i, err)
		}
		for _, v := range []byte{0, 1, 0x7f, 0x80, 0xff} {
			b := bytes.Clone(body)
			b[i] = v
			l, err := ReadLayout(sealed(b))
			if err != nil {
				wrong++
				continue
			}
			again, err := ReadLayout(l.Append(nil))
			if err != nil || !reflect.DeepEqual(l, again) {
				t.Fatalf("byte %d set to %d: what is read is not what is written: error %v", i, v, err)
			}
		}
	}
	if wrong == 0 {
		t.Error("nothing was refused")
	}
	if _, err := ReadLayout(sealed(append(bytes.Clone(body), 0))); err == nil || !strings.Contains(err.Error(), "1 bytes too many") {
		t.Errorf("a byte too many: error %v", err)
	}
}

func TestALayoutBeyondItsLimitsIsAnError(t *testing.T) {
	for _, c := range []struct {
		want  string
		spoil func(l *Layout)
	}{
		{"observations 256, must be at most 255", func(l *Layout) { l.Obs = 256 }},
		{"next number of a table 65535, must be at most 65534", func(l *Layout) { l.NextStore = maxStores + 2 }},
		{fmt.Sprintf("field %d, must be less than", event.NumFields), func(l *Layout) { l.Fields[0] = event.Field(event.NumFields) }},
		{"a window of 11 s", func(l *Layout) { l.Tables[0].Series[0].Windows[0] = 11 }},
		{"kinds that joined 33, must be at most 32", func(l *Layout) { l.Tables[0].Series[0].Joined = make([]int64, 33) }},
		{"kind 9", func(l *Layout) { l.Tables[0].Series[0].Kind = 9 }},
	} {
		l := codedLayout()
		c.spoil(l)
		if _, err := ReadLayout(l.Append(nil)); !errors.Is(err, state.ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	l := codedLayout()
	l.Obs, l.NextStore, l.Tables[0].Series[0].Joined = 255, maxStores+1, make([]int64, 32)
	if _, err := ReadLayout(l.Append(nil)); err != nil {
		t.Errorf("a layout at its limits: %v", err)
	}
}

func sealed(body []byte) []byte {
	b, start := state.BeginRecord(nil)
	b = append(b, body...)
	state.EndRecord(b, start, layoutVersion)
	return b
}

func FuzzLayout(f *testing.F) {
	body, _, err := state.ReadRecord(codedLayout().Append(nil), layoutVersion)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := ReadLayout(sealed(body))
		if err != nil {
			if !errors.Is(err, state.ErrCorrupt) {
				t.Fatalf("error %v, want ErrCorrupt", err)
			}
			return
		}
		again, err := ReadLayout(l.Append(nil))
		if err != nil || !reflect.DeepEqual(l, again) {
			t.Fatalf("what is read is not what is written: error %v", err)
		}
	})
}
