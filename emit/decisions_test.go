package emit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
)

// made returns n decisions of the engine, three a second.
func made(n int) []event.Decision {
	ds := make([]event.Decision, n)
	for i := range ds {
		d := &ds[i]
		d.Time = time.Unix(1_772_000_000+int64(i/3), 0).UTC()
		d.Until = d.Time.Add(time.Hour)
		d.Target = event.Target{{Field: "ip", Text: fmt.Sprintf("198.51.100.%d", i%250)}}
		d.Step, d.Rule, d.Version, d.Would = event.New, "a.rule", 1, event.Block
		d.ID = event.DecisionID(d.Step, d.Rule, d.Version, d.Would, d.Target, "", d.Time)
	}
	return ds
}

func linesOf(ds []event.Decision) []byte {
	var b []byte
	for i := range ds {
		b = append(ds[i].AppendJSON(b), '\n')
	}
	return b
}

func TestWhatIsMadeAgainIsNotWrittenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	ds := made(100)
	want := linesOf(ds)
	// A life that ended at any decision, and one that makes all of them again in
	// batches of another size.
	for _, first := range []int{0, 1, 2, 3, 50, 99, 100} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		for _, life := range []struct{ until, batch int }{{first, 7}, {100, 11}} {
			d, cut, err := emit.OpenDecisions(path)
			if err != nil || cut != 0 {
				t.Fatal(err, cut)
			}
			for i := 0; i < life.until; i += life.batch {
				if err := d.Add(ds[i:min(i+life.batch, life.until)]); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("after a life of %d: %d lines, want %d (%v)", first, bytes.Count(got, []byte("\n")), len(ds), err)
		}
	}
}

func TestATornLineIsCutOffAndMadeAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	ds := made(10)
	want := linesOf(ds)
	for cut := range want {
		if err := os.WriteFile(path, want[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		d, torn, err := emit.OpenDecisions(path)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if inLine := int64(cut - 1 - bytes.LastIndexByte(want[:cut], '\n')); torn != inLine {
			t.Fatalf("cut at %d: %d bytes cut off, want %d", cut, torn, inLine)
		}
		if err := d.Add(ds); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: %d bytes, want %d (%v)", cut, len(got), len(want), err)
		}
	}
}

func TestALineThatIsNoDecisionIsRefusedByNumber(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	if err := os.WriteFile(path, append(linesOf(made(2)), "nonsense\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := emit.OpenDecisions(path); err == nil || !strings.Contains(err.Error(), path+":3: not a decision") {
		t.Errorf("%v", err)
	}
}

func TestALargeFileIsPutAsideAndNothingIsLostOrTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	ds := made(260_000)
	want := linesOf(ds)
	for range 2 { // the second life makes all of it again
		d, _, err := emit.OpenDecisions(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(ds); i += 20_000 {
			if err := d.Add(ds[i : i+20_000]); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(strings.TrimSuffix(path, ".jsonl") + "-1.jsonl")
	if err != nil || len(got) < 64<<20 {
		t.Fatalf("%d bytes put aside, %v", len(got), err)
	}
	rest, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(append(got, rest...), want) {
		t.Errorf("%d bytes together, want %d (%v)", len(got)+len(rest), len(want), err)
	}
}
