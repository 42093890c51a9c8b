package emit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
	logseal "weir/internal/seal"
)

// sealOf reads what a file's seal must be.
func sealOf(t *testing.T, path string) logseal.Seal {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return logseal.Seal{}.With(b)
}

func TestTheSealOfDecisionsIsOfTheirFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	var seals []logseal.Seal
	for life := range 3 {
		d, _, err := OpenDecisions(path)
		if err != nil {
			t.Fatal(err)
		}
		if want := sealOf(t, path); d.Seal() != want {
			t.Errorf("opened in life %d it is %+v, want %+v", life, d.Seal(), want)
		}
		for i := range 3 {
			at := dawn.Add(time.Duration(life*10+i) * time.Second)
			if err := d.Add([]event.Decision{ruled("a", at, "ip", "198.51.100.7"), ruled("b", at, "ip", "198.51.100.8")}); err != nil {
				t.Fatal(err)
			}
			if want := sealOf(t, path); d.Seal() != want {
				t.Errorf("after %d lines it is %+v, want %+v", 2*(i+1), d.Seal(), want)
			}
			seals = append(seals, d.Seal())
		}
		if life == 1 { // it is put aside, and what was sealed is in the other file
			s := d.seal.Load()
			d.seal.Set(logseal.Seal{Size: decisionsFile, Sum: s.Sum})
			if err := d.Add([]event.Decision{ruled("c", dawn.Add(time.Minute/2), "ip", "198.51.100.7")}); err != nil {
				t.Fatal(err)
			}
			if d.Seal() != (logseal.Seal{}) {
				t.Errorf("of a file that was begun it is %+v", d.Seal())
			}
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		// A line that a crash has torn is not sealed, and is cut off.
		if f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0); err != nil {
			t.Fatal(err)
		} else if _, err := f.WriteString(`{"v":1,"ev`); err != nil || f.Close() != nil {
			t.Fatal(err)
		}
		for _, s := range seals {
			if err := CheckDecisions(path, s); err != nil {
				t.Errorf("in life %d: %v", life, err)
			}
		}
		if d, cut, err := OpenDecisions(path); err != nil || cut != 10 {
			t.Errorf("%d bytes were cut off, %v", cut, err)
		} else if err := d.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(seals) != 9 {
		t.Fatalf("%d seals", len(seals))
	}
	aside := filepath.Join(filepath.Dir(path), "decisions-1.jsonl")
	if err := os.Remove(aside); err != nil {
		t.Fatal(err)
	}
	if err := CheckDecisions(path, seals[0]); !errors.Is(err, logseal.ErrBroken) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want one that names %s", err, path)
	}
}

func TestTheSealOfALedgerIsOfItsFile(t *testing.T) {
	path := ledgerPath(t)
	clock := &testClock{dawn}
	var seals []logseal.Seal
	for life := range 3 {
		l := reopened(t, path, clock, &Guards{})
		l.limits.fileBytes = 6000
		for i := range 30 {
			l.add(ruled("r", clock.now, "ip", fmt.Sprintf("198.51.100.%d", life*30+i)))
			if want := sealOf(t, path); l.Seal() != want {
				t.Fatalf("after %d lines it is %+v, want %+v", i+1, l.Seal(), want)
			}
			seals = append(seals, l.Seal())
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range seals {
		if err := CheckLedger(path, s); err != nil {
			t.Errorf("seal %d: %v", i, err)
		}
	}
	if n, err := asideFiles(filepath.Dir(path)); err != nil || len(n) < 2 {
		t.Errorf("the ledger has the files %v, %v, want some", n, err)
	}
	// The chain holds, and yet lines are missing.
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := strings.LastIndexByte(strings.TrimSuffix(string(b), "\n"), '\n') + 1
	if err := os.Truncate(path, int64(last)); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyLedger(filepath.Dir(path), event.FixedKey()); err != nil {
		t.Fatal(err)
	}
	if err := CheckLedger(path, seals[len(seals)-1]); !errors.Is(err, logseal.ErrBroken) || !strings.Contains(err.Error(), path) {
		t.Errorf("%v, want one that names %s", err, path)
	}
	if l, err := OpenLedger(LedgerConfig{}); err != nil || l.Seal() != (logseal.Seal{}) {
		t.Errorf("a ledger in memory has a seal: %+v, %v", l.Seal(), err)
	}
}

// What could not be written is not sealed.
func TestOnlyWhatIsSafeIsSealed(t *testing.T) {
	path := ledgerPath(t)
	clock := &testClock{dawn}
	l := reopened(t, path, clock, &Guards{})
	l.add(ruled("r", dawn, "ip", "198.51.100.1"))
	before := l.Seal()
	really := syncFile
	t.Cleanup(func() { syncFile = really })
	syncFile = func(*os.File) error { return errors.New("the disk is gone") }
	l.add(ruled("r", dawn, "ip", "198.51.100.2"))
	if l.Seal() != before {
		t.Errorf("it is %+v, and was %+v when the last line was safe", l.Seal(), before)
	}
	syncFile = really
	l.tick(time.Second)
	if want := sealOf(t, path); l.Seal() != want || want.Size <= before.Size {
		t.Errorf("it is %+v, want %+v, of more than %+v", l.Seal(), want, before)
	}
}
