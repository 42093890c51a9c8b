package main

import (
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/testkit"
)

// A slice of what -keys does with ten million keys over a week.
func TestKeysTakeLittleOnDiskAndLittleMoreIsWrittenThanIsDirty(t *testing.T) {
	var out strings.Builder
	k := &keyed{out: &out, dir: filepath.Join(t.TempDir(), "keys"), keys: 100_000, days: 1, most: mostTouchesDay}
	k.memory = 4 << 20
	f, err := k.run(t.Context())
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := f.faults(); err != nil {
		t.Error(err)
	}
	testkit.Figure(t, "%d keys touched 1 to %d times in a day: %d bytes a key accounted, %d of records on disk (limit %d); %.1f bytes of records written for each of dirty keys where 1 %% are dirty (limit %.0f)",
		f.keys, k.most, f.accounted/f.keys, f.records/f.keys, mostKeyBytes, f.writtenRecords, mostWritten)
	if f.loaded < uint64(k.keys) || f.left < f.loaded {
		t.Errorf("%d keys left memory and %d came back: this shows little", f.left, f.loaded)
	}
}

func TestKeysThatTakeTooMuchAreAFault(t *testing.T) {
	few := keysFigures{keys: 1000, records: 1000 * mostKeyBytes, writtenRecords: mostWritten, disk: 1 << 40, written: 100}
	many := keysFigures{keys: million, disk: million * mostKeyBytes, written: mostWritten}
	for _, ok := range []keysFigures{few, many} {
		if err := ok.faults(); err != nil {
			t.Errorf("%+v: %v", ok, err)
		}
	}
	few.records, few.writtenRecords = few.records+1000, mostWritten+0.1
	many.disk, many.written = many.disk+million, mostWritten+0.1
	for _, bad := range []keysFigures{few, many} {
		if err := bad.faults(); err == nil || !strings.Contains(err.Error(), "501 bytes a key") || !strings.Contains(err.Error(), "4.1 bytes written") {
			t.Errorf("%+v: %v, must be both faults", bad, err)
		}
	}
}
