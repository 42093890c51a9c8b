package state

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeDisk is a disk of 1 TiB of which a test says how much is free.
type fakeDisk struct{ free atomic.Int64 }

// fullText names the directory, what it has and needs as people read it, and what
// to do; not which page was being written, which nobody can mend.
var fullText = regexp.MustCompile(`the disk is nearly full: that of /\S+ has \d+\.\d [MG]iB free and must have \d+\.\d [MG]iB; make room on it, or lower state: reserve: and start again$`)

func (f *fakeDisk) look(string) (free, total int64, err error) { return f.free.Load(), 1 << 40, nil }

func TestTheReserveIsATenthWithinBounds(t *testing.T) {
	for total, want := range map[int64]int64{1 << 20: 64 << 20, 2 << 30: 2 << 30 / 10, 1 << 40: 1 << 30} {
		if got := DefaultReserve(total); got != want {
			t.Errorf("of a disk of %d: %d, must be %d", total, got, want)
		}
	}
}

func TestNothingIsWrittenBelowTheReserve(t *testing.T) {
	var free fakeDisk
	free.free.Store(1 << 30)
	cfg := testConfig(t.TempDir())
	cfg.Reserve, cfg.free = 100<<20, free.look
	s := mustOpen(t, cfg)
	defer s.Close()
	ballast := filepath.Join(cfg.Dir, ballastFile)
	if got := blocks(ballast); got < 50<<20 {
		t.Errorf("the ballast takes %d bytes of the disk, must be half of the reserve", got)
	}
	put := func() *Checkpoint {
		c := s.Begin(nil)
		ch := changes{}
		ch.set(s, 0, 1, Key{1, 2}, []byte("value"))
		for at, b := range ch {
			if err := c.Put(at.unit, at.table, at.page, b); err != nil && !errors.Is(err, errDiskFull) {
				t.Fatal(err)
			}
		}
		return c
	}
	if err := put().Commit(t.Context(), Flip{Tick: 1}); err != nil {
		t.Fatal(err)
	}

	began := put()
	free.free.Store(100<<20 - 1)
	if full, got := s.Full(); !full || got != 100<<20-1 {
		t.Errorf("one byte below the reserve: full %v, %d free", full, got)
	}
	if _, err := os.Stat(ballast); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ballast was not given back: %v", err)
	}
	free.free.Add(50 << 20) // that is what the ballast was
	written := s.Stats().Written
	if full, _ := s.Full(); !full {
		t.Error("what the ballast gave back is taken for room")
	}
	if err := began.Commit(t.Context(), Flip{Tick: 2}); !errors.Is(err, errDiskFull) {
		t.Errorf("a checkpoint that had begun: error %v", err)
	}
	c := put()
	if err := c.Put(0, 2, 0, AppendChange(nil, Key{1, 2}, nil)); !errors.Is(err, errDiskFull) || !fullText.MatchString(err.Error()) {
		t.Errorf("putting to a checkpoint on a full disk: error %v", err)
	}
	if err := c.Commit(t.Context(), Flip{Tick: 2}); !errors.Is(err, errDiskFull) || !fullText.MatchString(err.Error()) {
		t.Errorf("a checkpoint on a full disk: error %v", err)
	}
	if got := s.Stats().Written; got != written {
		t.Errorf("%d bytes were written to a full disk", got-written)
	}
	if last, _ := s.Last(); last.Tick != 1 {
		t.Errorf("the last checkpoint is at tick %d, must be 1", last.Tick)
	}

	free.free.Store(150 << 20)
	if full, _ := s.Full(); full {
		t.Error("full with room for the reserve and the ballast")
	}
	if got := blocks(ballast); got < 50<<20 {
		t.Errorf("the ballast was not taken again: %d bytes", got)
	}
	if err := put().Commit(t.Context(), Flip{Tick: 3}); err != nil {
		t.Errorf("a checkpoint when there is room again: %v", err)
	}
}

func TestADiskThatCannotBeLookedAtIsFull(t *testing.T) {
	broken := false
	cfg := testConfig(t.TempDir())
	cfg.free = func(string) (int64, int64, error) {
		if broken {
			return 0, 0, errors.New("stale handle")
		}
		return 1 << 39, 1 << 40, nil
	}
	s := mustOpen(t, cfg)
	defer s.Close()
	broken = true
	if full, free := s.Full(); !full || free != 0 {
		t.Errorf("full %v, %d free", full, free)
	}
}

func TestOpeningWaitsForRoomAndSaysSo(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var free fakeDisk
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(&said, nil))
		d, err := newDisk(Config{Dir: dir, Reserve: 1 << 20, free: free.look}, log)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.AfterFunc(25*time.Second, func() { free.free.Store(1 << 30) })
		if err := d.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(start); waited < 25*time.Second || waited > 26*time.Second {
			t.Errorf("waited %v", waited)
		}
		if got := strings.Count(said.String(), "waiting for room"); got != 3 { // at 0, 10, 20 s
			t.Errorf("said so %d times:\n%s", got, &said)
		}
		free.free.Store(0)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := d.wait(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1572864 more") {
			t.Errorf("given up: error %v", err)
		}
	})
}

func TestATemporaryStoreLeavesNothing(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Temporary = true
	one, two := mustOpen(t, cfg), mustOpen(t, cfg)
	for i, s := range []*Store{one, two} {
		c := s.Begin(nil)
		ch := changes{}
		ch.set(s, 0, 1, Key{1, 2}, []byte{byte(i)})
		ch.put(t, c)
		if err := c.Commit(t.Context(), Flip{Tick: int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range []*Store{one, two} {
		if v, ok, err := s.Unit(0).Get(1, Key{1, 2}, nil); !ok || err != nil || v[0] != byte(i) {
			t.Errorf("store %d: %v, %v, error %v", i, v, ok, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	left := filepath.Join(cfg.Dir, temporaryPrefix+"killed")
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(left, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if err := mustOpen(t, cfg).Close(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(cfg.Dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, error %v", entries, err)
	}
}

// Giving space back by hand keeps free what the configuration says.
func TestCompactingKeepsTheReserveFree(t *testing.T) {
	cfg := testConfig(t.TempDir())
	s := mustOpen(t, cfg)
	c := s.Begin(nil)
	if err := c.Commit(t.Context(), Flip{Tick: 1}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Compact(t.Context(), cfg.Dir, 1<<60); !errors.Is(err, errDiskFull) {
		t.Errorf("with a reserve that the disk does not have: %v", err)
	}
	if _, _, err := Compact(t.Context(), cfg.Dir, 1); err != nil {
		t.Errorf("with one that it has: %v", err)
	}
}
