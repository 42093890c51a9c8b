package torture

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/testkit"
)

// crowded is what the status of a run says of how far it is.
type crowded struct {
	Engine *struct {
		Tick    time.Time `json:"tick"`
		Events  int64     `json:"events"`
		Keys    int64     `json:"keys"`
		Keeping struct {
			Memory struct {
				Resident  int64 `json:"resident"`
				Accounted int64 `json:"accounted"`
			} `json:"memory"`
		} `json:"keeping"`
	} `json:"engine"`
}

// status asks the run how it stands; zero while it does not answer.
func (w *world) status() (s crowded) {
	w.t.Helper()
	out, code, err := command("status", "--json", "-c", w.path("weir.yaml"))
	if err != nil || code != 0 || json.Unmarshal([]byte(out), &s) != nil {
		return crowded{}
	}
	return s
}

// crowd configures a run of the rules that ship over the log of a flood of new
// addresses, a line each, and writes that: at least so many lines, and returns how
// many. What else is configured comes behind.
func (w *world) crowd(lines int, more string) int {
	w.t.Helper()
	w.write("weir.yaml", "stage: enforce\nsources:\n  - name: web\n    file: {path: "+w.path("logs/web.log")+
		", follow: true, start: begin}\n    format: combined\n    disorder: 2s\nkey_file: key\n"+more)
	f, err := os.Create(w.path("logs/web.log"))
	if err != nil {
		w.t.Fatal(err)
	}
	const perMinute = 80_000 // new addresses: more would be a flood, for what a run with the least memory has room for on disk
	truth, err := testkit.WriteCrowd(f, testkit.CrowdOptions{
		Seed: 11, Minutes: (lines + perMinute - 1) / perMinute, PerMinute: min(lines, perMinute), Attackers: 20, Threshold: 20, Within: 30 * time.Second, Forgetful: 100,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
	if truth.Lines < lines {
		w.t.Fatalf("the log has %d lines, must have %d", truth.Lines, lines)
	}
	return truth.Lines
}

// read waits until the run has read so many events, calls look as it goes on,
// and returns how it stands.
func (w *world) read(lines int, patience time.Duration, look func()) (s crowded) {
	w.t.Helper()
	begun, asked := time.Now(), time.Time{}
	for {
		switch {
		case !w.proc.alive():
			w.t.Fatalf("weir ended: %v", w.proc.cmd.ProcessState)
		case time.Since(begun) > patience:
			w.t.Fatalf("after %v weir has read %v, not all %d lines", patience, s.Engine, lines)
		case time.Since(asked) > 500*time.Millisecond:
			if s = w.status(); s.Engine != nil && s.Engine.Events >= int64(lines) {
				return s
			}
			asked = time.Now()
		}
		look()
		time.Sleep(10 * time.Millisecond)
	}
}

// Who is told to stop with the state of very many addresses, none of which is on
// disk yet, and with lists to leave at several points, ends within ten seconds as
// well, and has nothing to read again.
func TestAStopWithManyKeysLeavesNothingToReadAgain(t *testing.T) {
	const most = 10 * time.Second
	keys := often(t, "WEIR_STOP_KEYS", 100_000)
	w := newWorld(t)
	if err := os.Mkdir(w.path("lists"), 0o700); err != nil {
		t.Fatal(err)
	}
	lines := w.crowd(keys, `rules: {dirs: [builtin]}
state: {dir: `+w.state()+`, memory: 2GiB, checkpoint: 10m, reserve: 16MiB}
archive: {dir: `+filepath.Join(w.home, "archive")+`}
points:
  - {name: one, file: {path: `+w.path("lists/one.txt")+`}}
  - {name: two, file: {path: `+w.path("lists/two.txt")+`}}
  - {name: three, file: {path: `+w.path("lists/three.txt")+`}}
`)
	w.start()
	w.read(lines, 5*time.Minute, func() {})
	// The seconds that are still open close by silence.
	var before crowded
	until(t, time.Minute, "the last second is closed", func() bool {
		was := before
		before = w.status()
		time.Sleep(2 * time.Second)
		return before.Engine != nil && was.Engine != nil && before.Engine.Tick.Equal(was.Engine.Tick)
	})
	if before.Engine.Keys < int64(keys) {
		t.Errorf("there are %d keys, must be at least %d: the log is not what this was made for", before.Engine.Keys, keys)
	}
	told := time.Now()
	w.proc.signal(syscall.SIGTERM)
	status, ok := w.proc.wait(2 * most)
	took := time.Since(told)
	if !ok || took > most || status.Signaled() || status.ExitStatus() != 0 {
		t.Errorf("told to stop with %d keys, weir ended after %v with %v, must be within %v and with 0", before.Engine.Keys, took, status, most)
	}
	if text := w.proc.text(); strings.Contains(text, "last checkpoint") {
		t.Errorf("the last checkpoint did not succeed:\n%s", text)
	}
	w.start()
	if from := w.wentOnFrom(); from.Before(before.Engine.Tick) {
		t.Errorf("before it stopped, weir had decided up to %v; it went on from %v", before.Engine.Tick, from)
	}
	if again := w.status(); again.Engine == nil || again.Engine.Keys < before.Engine.Keys {
		t.Errorf("it went on with %v, must have all %d keys", again.Engine, before.Engine.Keys)
	}
	testkit.Figure(t, "a stop with %d keys, none on disk, and three points took %v", before.Engine.Keys, took.Round(time.Millisecond))
}
