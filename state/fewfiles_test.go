package state

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fewFilesEnv has a process of these tests run out of files.
const fewFilesEnv = "WEIR_TEST_FEW_FILES"

// A process that may not open as many files as a checkpoint needs has none, says
// so, and goes on when it may open some.
func TestNothingIsWrittenWhereTooManyFilesAreOpen(t *testing.T) {
	if os.Getenv(fewFilesEnv) != "" {
		runsOutOfFiles(t)
		return
	}
	t.Parallel()
	// The limit holds for a process, so it is one of its own.
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=90s", "-test.v")
	cmd.Env = append(os.Environ(), fewFilesEnv+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

func runsOutOfFiles(t *testing.T) {
	s := mustOpen(t, Config{Dir: t.TempDir(), Units: 1, KeyID: "k", Memory: LeastMemory, Reserve: 16 << 20})
	m := map[Key][]byte{}
	rng := rand.New(rand.NewPCG(3, 3))
	// More than all memtables hold.
	commit := func(tick int64) error {
		c, ch, put := s.Begin(nil), changes{}, map[Key][]byte{}
		for range 60_000 {
			k, v := randomKey(rng, 0), bytes.Repeat([]byte{byte(rng.Uint32())}, 150)
			ch.set(s, 0, 1, k, v)
			put[k] = v
		}
		for at, b := range ch {
			if err := c.Put(at.unit, at.table, at.page, b); err != nil {
				break // Commit has it
			}
		}
		err := c.Commit(t.Context(), Flip{Tick: tick})
		if err == nil {
			maps.Copy(m, put)
		}
		return err
	}
	if err := commit(1); err != nil {
		t.Fatal(err)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	allow := func(more uint64) {
		t.Helper()
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		limit := was
		if more > 0 {
			limit.Cur = uint64(len(open)) + more
		}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
	}
	for _, more := range []uint64{1, spare - 10} {
		allow(more)
		done := make(chan error, 1)
		go func() { done <- commit(2) }()
		select {
		case err := <-done:
			if !errors.Is(err, errFewFiles) || !strings.Contains(err.Error(), "LimitNOFILE=") {
				t.Errorf("with %d files left: error %v, must be that too many are open", more, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("with %d files left a checkpoint does not end", more)
		}
	}
	if last, _ := s.Last(); last.Tick != 1 {
		t.Errorf("the checkpoint of tick %d is in force, must be the one before", last.Tick)
	}
	allow(0)
	if err := commit(3); err != nil {
		t.Errorf("with files to open again: %v", err)
	}
	for k, v := range m {
		if got, ok, err := s.Unit(0).Get(1, k, nil); err != nil || !ok || !bytes.Equal(got, v) {
			t.Fatalf("key %v: %v, %v", k, ok, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
