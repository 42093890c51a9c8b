package emit

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/event"
	logseal "weir/internal/seal"
)

// A fault while decisions.jsonl is put aside passes with its cause.
func TestDecisionsOutlastATimeWithoutDescriptors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	d, _, err := OpenDecisions(path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.seal.Set(logseal.Seal{Size: decisionsFile}) // it is full
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	err = d.Add([]event.Decision{ruled("r", dawn, "ip", "198.51.100.7")})
	if e := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); e != nil {
		t.Fatal(e)
	}
	if err == nil {
		t.Fatal("no fault without descriptors")
	}
	for i := range 3 {
		if err := d.Add([]event.Decision{ruled("r", dawn.Add(time.Duration(i+1)*time.Minute), "ip", "198.51.100.7")}); err != nil {
			t.Errorf("try %d after that: %v", i+1, err)
		}
	}
	lines := 0
	for name, want := range map[string]int{"decisions-1.jsonl": 2, "decisions.jsonl": 2} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
		if err != nil || strings.Count(string(b), "\n") != want {
			t.Errorf("%s: %d lines, want %d, %v", name, strings.Count(string(b), "\n"), want, err)
		}
		lines += strings.Count(string(b), "\n")
	}
	if lines != 4 {
		t.Errorf("%d lines in all", lines)
	}
}
