package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// changes is what the kernel tells of changes of files, in their order.
type changes struct {
	t    *testing.T
	file *os.File
}

// watch begins to watch directories for files that are written or renamed.
func watch(t *testing.T, dirs ...string) *changes {
	t.Helper()
	fd, err := syscall.InotifyInit1(syscall.IN_NONBLOCK | syscall.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	c := &changes{t: t, file: os.NewFile(uintptr(fd), "inotify")}
	t.Cleanup(func() { c.file.Close() })
	for _, dir := range dirs {
		if _, err := syscall.InotifyAddWatch(fd, dir, syscall.IN_MODIFY|syscall.IN_MOVED_TO); err != nil {
			t.Fatalf("%s: %v", dir, err)
		}
	}
	return c
}

// names returns the files that were changed, in their order, once all is quiet.
func (c *changes) names() (names []string) {
	c.t.Helper()
	b := make([]byte, 64<<10)
	for {
		if err := c.file.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
			c.t.Fatal(err)
		}
		n, err := c.file.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return names
		}
		if err != nil {
			c.t.Fatal(err)
		}
		for in := b[:n]; len(in) >= syscall.SizeofInotifyEvent; {
			size := syscall.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(in[12:]))
			names = append(names, string(bytes.TrimRight(in[syscall.SizeofInotifyEvent:size], "\x00")))
			in = in[size:]
		}
	}
}

// What a clock decided is written before the decisions that follow from it,
// these before the ledger says what comes of them, and that before a point
// enforces it. That each is synced when it is written, its own package shows.
func TestWhatDependsOnSomethingIsWrittenAfterIt(t *testing.T) {
	t.Parallel()
	s := newFollowedSite(t, "10m", plainPoint)
	l, stop := s.run()
	const other = "203.0.113.1" // who has nothing to do with it
	s.attackNow(other)
	s.allRead(l)
	s.until(30*time.Second, "the other one is listed", func() bool { return s.listed("lists/block.txt")[other] })
	changed := watch(t, s.path("state"), s.path("lists"))
	s.log(attackFrom(attacker, time.Now())) // and no line behind it: the clock has to close the second
	s.until(30*time.Second, "the attacker is listed", func() bool { return s.listed("lists/block.txt")[attacker] })
	var order []string
	for _, name := range changed.names() {
		if slices.Contains([]string{journalFile, decisionsFile, ledgerFile, "block.txt"}, name) && !slices.Contains(order, name) {
			order = append(order, name)
		}
	}
	if want := []string{journalFile, decisionsFile, ledgerFile, "block.txt"}; !slices.Equal(order, want) {
		t.Errorf("written were %v, must be %v", order, want)
	}
	journal := readFile(t, s.path("state/"+journalFile))
	// While the other one was waited for the log may have been silent for long enough.
	if strings.LastIndex(journal, `"idle"`) <= strings.LastIndex(journal, `"wake"`) {
		t.Errorf("the decision does not follow from what the clock said:\n%s", journal)
	}
	s.stop(stop)
}
