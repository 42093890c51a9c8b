package torture

import (
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"weir/internal/testkit"
)

// saysWaits is what a run says when its disk is full, which is not that it might be.
var saysWaits = regexp.MustCompile(`level=ERROR .*disk.*is nearly full`)

// ownSize is how large the disk is at first: less than what a run over the log
// writes there, and the reserve.
const ownSize = "40m"

// Nobody but weir fills the disk, which state.disk says is larger than it is: with
// its state, its archive and its decisions. It lives, says so, waits, and goes on
// when there is more space, with nothing lost.
func TestWeirFillsItsOwnDiskAndGoesOnWhenThereIsSpace(t *testing.T) {
	w := newWorld(t)
	w.home = w.path("disk")
	lines := w.crowd(900_000, `rules: {dirs: [builtin]}
state: {dir: `+w.state()+`, memory: 256MiB, disk: 64GiB, checkpoint: 1s, reserve: 16MiB}
archive: {dir: `+filepath.Join(w.home, "archive")+"}\n")
	mountMemory(t, w.home, ownSize)
	t.Cleanup(func() { // before its disk goes
		if w.proc != nil {
			w.proc.kill()
		}
	})
	w.start()
	waits := until(t, 2*time.Minute, "weir says that its disk is full", func() bool {
		if !w.proc.alive() {
			t.Fatalf("weir ended: %v", w.proc.cmd.ProcessState)
		}
		return saysWaits.MatchString(w.proc.text())
	})
	time.Sleep(3 * time.Second)
	w.mustWait(0)
	before := w.status()
	if before.Engine == nil || before.Engine.Events >= int64(lines) {
		t.Fatalf("with a full disk it has read %+v, of %d lines: the disk is not what this was made for", before.Engine, lines)
	}
	if err := syscall.Mount("", w.home, "", syscall.MS_REMOUNT, "mode=0700,size=512m"); err != nil {
		t.Fatal(err)
	}
	space := time.Now()
	took := until(t, goesOnWithin, "weir reads on when there is space", func() bool {
		if !w.proc.alive() {
			t.Fatalf("weir ended: %v", w.proc.cmd.ProcessState)
		}
		now := w.status()
		return now.Engine != nil && now.Engine.Events > before.Engine.Events
	})
	w.read(lines, 2*time.Minute, func() {})
	read := time.Since(space)
	w.proc.signal(syscall.SIGTERM)
	if status, ok := w.proc.wait(10 * time.Second); !ok || status.ExitStatus() != 0 {
		t.Errorf("told to stop, weir ended within ten seconds: %v, with status %v", ok, status)
	}
	if out, code, err := command("state", "verify", "--key", w.path("key"), w.state()); err != nil || code != 0 {
		t.Errorf("weir state verify ended with %d, %v:\n%s", code, err, out)
	}
	decided, err := readLines(w.state(), "decisions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	last := newest(w.state()).Unix()
	w.replay(decided, last)
	if n := len(upTo(decided, last)); n < 20 {
		t.Errorf("only %d lines were decided: the log is not what this was made for", n)
	}
	testkit.Figure(t, "weir filled a disk of %s with %d of %d events in %v, said so and lived; it read on %.2f s after there was space, all of it after %v, and decided %d lines as replayed",
		ownSize, before.Engine.Events, lines, waits.Round(time.Second), took.Seconds(), read.Round(time.Second), len(decided))
}
