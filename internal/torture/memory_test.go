package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/internal/testkit"
)

const (
	// leastMemory is the smallest state.memory that a run takes.
	leastMemory = 256 << 20
	// memorySlack is by how much the memory that only the process itself has (what
	// the kernel cannot take back) may be over state.memory, which is what counts
	// where a control group ends who is over.
	memorySlack = 0
)

// memory is what a process takes, in bytes.
type memory struct{ resident, anonymous int64 }

// memory returns what the process takes now; zero where it has ended.
func (p *process) memory() (m memory) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return m
	}
	for line := range strings.Lines(string(b)) {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 53)
		switch {
		case err != nil:
		case name == "VmRSS":
			m.resident = n << 10
		case name == "RssAnon":
			m.anonymous = n << 10
		}
	}
	return m
}

// A run over far more keys than memory has room for, archive and all, stays
// within the least memory that it may be given.
func TestARunStaysWithinItsMemory(t *testing.T) {
	w := newWorld(t)
	keys := often(t, "WEIR_MEMORY_KEYS", 1_200_000)
	lines := w.crowd(keys, `rules: {dirs: [builtin]}
state: {dir: `+w.state()+fmt.Sprintf(", memory: %dMiB, checkpoint: 2s, reserve: 16MiB}\n", leastMemory>>20)+`
archive: {dir: `+filepath.Join(w.home, "archive")+"}\n")
	w.start("GOMEMLIMIT=") // what weir sets by itself
	var most memory
	begun := time.Now()
	s := w.read(lines, 10*time.Minute, func() {
		m := w.proc.memory()
		most.resident, most.anonymous = max(most.resident, m.resident), max(most.anonymous, m.anonymous)
	})
	took := time.Since(begun)
	if text := w.proc.text(); strings.Contains(text, "level=ERROR") {
		t.Errorf("weir said of an error:\n%s", text)
	}
	mib := func(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
	testkit.Figure(t, "a run with state.memory %s over %d lines, %d keys of %s and an archive took at most %s of its own, %s with what it maps of files, in %v",
		mib(leastMemory), lines, s.Engine.Keys, mib(s.Engine.Keeping.Memory.Accounted), mib(most.anonymous), mib(most.resident), took.Round(time.Second))
	if most.anonymous == 0 {
		t.Error("nothing was measured")
	}
	if limit := int64(leastMemory + memorySlack); most.anonymous > limit {
		t.Errorf("the process took %s of its own, must be at most %s", mib(most.anonymous), mib(limit))
	}
	if in := s.Engine.Keeping.Memory; in.Resident >= in.Accounted {
		t.Errorf("%d bytes of keys are in memory, of %d: all of them fit, the log is not what this was made for", in.Resident, in.Accounted)
	}
}
