package torture

import (
	"errors"
	"io"
	"os"
	"regexp"
	"syscall"
	"testing"
	"time"

	"weir/internal/testkit"
)

const (
	// fullSize is how large the disk is.
	fullSize = "96m"
	// goesOnWithin is how long it may take from there being space again to the
	// first new decision.
	goesOnWithin = 30 * time.Second
)

// saysFull is what must be said of a full disk: that there is no space, in
// whichever words.
var saysFull = regexp.MustCompile(`(?i)no space|nearly full`)

// The disk is full, once nearly and once to the last byte: weir lives, says so,
// waits, goes on when there is space again, and decides what must be decided.
func TestAFullDiskOnlyMakesWeirWait(t *testing.T) {
	w := newWorld(t)
	s := w.fileSources(0)
	w.home = w.path("disk")
	w.configure(s)
	mountMemory(t, w.home, fullSize)
	// Cleanups go backwards: the process ends before its disk goes.
	t.Cleanup(func() {
		if w.proc != nil {
			w.proc.kill()
		}
	})
	w.begin(5, 600, s)
	w.start()
	w.resumed(time.Time{})
	var slowest time.Duration
	rounds := []int64{0, 12 << 20} // bytes that are left: none, and less than the reserve
	for _, left := range rounds {
		time.Sleep(3 * time.Second)
		filler := w.path("disk/filler")
		if err := fill(filler, left); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		w.mustWait(left)
		before := newest(w.state())
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		gone := time.Now()
		took := until(t, 2*goesOnWithin, "weir decides again when there is space", func() bool {
			if !w.proc.alive() {
				t.Fatalf("weir ended: %v", w.proc.cmd.ProcessState)
			}
			if time.Since(gone) > goesOnWithin {
				t.Fatalf("after %v weir decides nothing new; its disk:\n%s%s", goesOnWithin, tool(t, "df", "--block-size=1K", w.home), tool(t, "du", "--all", "--block-size=1K", w.home))
			}
			return newest(w.state()).After(before)
		})
		slowest = max(slowest, took)
	}
	last := w.settle()
	right, shipped := w.check(last)
	testkit.Figure(t, "a disk of %s was full %d times: weir lived, said so and went on %.2f s after there was space, at most; %d requests, %d lines of decisions exactly as foreseen, %d of the rules that ship as replayed",
		fullSize, len(rounds), slowest.Seconds(), w.traffic.count(), right, shipped)
	if slowest > goesOnWithin {
		t.Errorf("it went on %v after there was space, must be within %v", slowest, goesOnWithin)
	}
}

// mustWait demands that weir lives and says that its disk is full.
func (w *world) mustWait(left int64) {
	w.t.Helper()
	if !w.proc.alive() {
		w.t.Fatalf("with %d bytes left on its disk weir ended: %v", left, w.proc.cmd.ProcessState)
	}
	if text := w.proc.text(); !saysFull.MatchString(text) {
		w.t.Errorf("with %d bytes left on its disk weir says nothing of it:\n%s", left, text)
	}
	out, code, err := command("status", "-c", w.path("weir.yaml"))
	if err != nil || code != 0 || !saysFull.MatchString(out) {
		w.t.Errorf("with %d bytes left on its disk the status (%d, %v) says nothing of it:\n%s", left, code, err, out)
	}
}

// fill writes a file until so many bytes are left on its disk.
func fill(path string, left int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, 1<<20)
	for err == nil {
		var disk syscall.Statfs_t
		if err = syscall.Statfs(path, &disk); err != nil {
			break
		}
		free := int64(disk.Bavail)*disk.Bsize - left
		if left > 0 && free < int64(len(block)) {
			break
		}
		_, err = f.Write(block)
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, io.ErrShortWrite) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
