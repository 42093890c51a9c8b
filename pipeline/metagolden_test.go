package pipeline

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"weir/event"
	"weir/rules"
	"weir/windows"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// goldenMeta are the bytes of a checkpoint's Meta with something in every field.
func goldenMeta(t *testing.T) (b []byte) {
	synctest.Test(t, func(*testing.T) { // for the clock
		c := newPartitionClock(2*time.Second, time.Hour, nil, 1)
		c.next, c.started, c.max, c.w, c.last = 4711, true, 1_772_787_601_500_000_000, 1_772_787_599, 1_772_787_600
		r := &run{cfg: Config{
			Plan: &rules.Plan{Layout: windows.Layout{Serial: 3, Began: 1_772_780_000, NextStore: 9}},
			Kept: Kept{Era: 7, Config: "0123456789abcdef", Extras: event.Extras{"team", "plan"}, Sources: []string{"web", "edge"}},
		}}
		b = r.meta(&cut{
			tick: 1_772_787_600, unreviewed: true, shared: []byte("shared"), seals: []byte(`{"journal":{}}`),
			positions: []Position{
				{Source: "web", Partition: 2, Offset: 4700, Clock: c.appendPosition(nil), Topic: "an id"},
				{Source: "edge", Offset: 0, Clock: newPartitionClock(0, 0, nil, 1).appendPosition(nil)},
			},
		}, []int64{1_772_784_000, 1_772_780_400})
	})
	return b
}

// What stands in a checkpoint beside its keys is read by later versions of weir:
// other bytes are another version of the format.
func TestTheBytesOfWhatACheckpointSaysStayAsTheyAre(t *testing.T) {
	golden := filepath.Join("testdata", "meta.golden")
	b := goldenMeta(t)
	text := []byte(hex.Dump(b))
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("the bytes changed, which takes another version:\n%s\nwere\n%s", text, want)
	}
	m, err := ReadMeta(b)
	if err != nil {
		t.Fatal(err)
	}
	if m.Tick != 1_772_787_600 || m.Written.IsZero() || m.Era != 7 || m.Config != "0123456789abcdef" || !m.unreviewed ||
		!reflect.DeepEqual(m.Extras, event.Extras{"team", "plan"}) || !reflect.DeepEqual(m.Sources, []string{"web", "edge"}) ||
		string(m.Seals) != `{"journal":{}}` || string(m.shared) != "shared" || !reflect.DeepEqual(m.standing, []int64{1_772_780_400, 1_772_784_000}) ||
		m.Layout.Serial != 3 || m.Layout.NextStore != 9 || len(m.positions) != 2 || m.positions[0].Topic != "an id" ||
		m.Positions[0] != (PartitionPosition{"web", 2, 4700, 1_772_787_599, 1_772_787_601_500_000_000}) || m.Positions[1].Watermark != -1 {
		t.Errorf("read back: %+v", m)
	}
}
