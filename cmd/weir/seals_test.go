package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// start opens a run on the state, and closes it again.
func (s *livedState) start() error {
	s.t.Helper()
	e := &environment{out: io.Discard, errOut: io.Discard, log: slog.New(slog.DiscardHandler)}
	l, err := e.openLiveRun(context.Background(), s.config)
	if err != nil {
		return err
	}
	return l.close()
}

// A file that a checkpoint rests on was lost or changed while nothing ran: a run
// says which, and what to do, and touches nothing.
func TestAStateWhoseFilesAreNotWhatTheyWereIsRefused(t *testing.T) {
	t.Parallel()
	s := newLivedState(t, nil)
	middle := func(b []byte) []byte {
		b[len(b)/2] ^= 1
		return b
	}
	for _, name := range []string{journalFile, decisionsFile, ledgerFile} {
		path := filepath.Join(s.dir, name)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, wound := range map[string]func([]byte) []byte{
			"cut to half":      func(b []byte) []byte { return b[:len(b)/2] },
			"without its end":  func(b []byte) []byte { return b[:len(b)-1] },
			"without its last": func(b []byte) []byte { return b[:bytes.LastIndexByte(b[:len(b)-1], '\n')+1] },
			"emptied":          func([]byte) []byte { return nil },
			"deleted":          nil,
			"a bit":            middle,
		} {
			var err error
			if wound == nil {
				err = os.Remove(path)
			} else {
				err = os.WriteFile(path, wound(bytes.Clone(whole)), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			before := s.tree()
			err = s.start()
			if err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: %v, want an error that names %s", name, what, err, path)
			} else if text := err.Error(); !strings.Contains(text, "; the checkpoint of 2026-03-06T10:0") || !strings.Contains(text, "restore it from a copy") {
				t.Errorf("%s, %s: it does not say what rests on it and what to do: %v", name, what, err)
			}
			if after := s.tree(); after[path] != before[path] {
				t.Errorf("%s, %s: the file was changed", name, what)
			}
			if err := os.WriteFile(path, whole, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.start(); err != nil {
			t.Errorf("%s is restored: %v", name, err)
		}
	}
}

// What the error says to do: with the store away, too, all is decided again.
func TestWithoutItsStoreAStateIsDecidedAgain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{decisionsFile, ledgerFile} {
		s := newLivedState(t, nil)
		decided, err := os.ReadFile(filepath.Join(s.dir, decisionsFile))
		if err != nil {
			t.Fatal(err)
		}
		for _, away := range []string{name, storeDir, storeFile} {
			if err := os.Rename(filepath.Join(s.dir, away), filepath.Join(s.base, away)); err != nil {
				t.Fatal(err)
			}
		}
		ledger := func() int {
			b, err := os.ReadFile(filepath.Join(s.dir, ledgerFile))
			if err != nil {
				t.Fatal(err)
			}
			return bytes.Count(b, []byte(`"rule":"own.tries"`))
		}
		s.live(func(*livedState) {
			for begun := time.Now(); ledger() < 20 && time.Since(begun) < 30*time.Second; time.Sleep(20 * time.Millisecond) {
			}
		})
		again, err := os.ReadFile(filepath.Join(s.dir, decisionsFile))
		if err != nil || len(decided) == 0 || !bytes.HasPrefix(again, decided[:min(len(again), len(decided))]) {
			t.Errorf("without %s, %v, it is decided\n%s\nand was\n%s", name, err, again, decided)
		}
		if n := ledger(); n < 20 {
			t.Errorf("without %s the ledger has %d lines of what was decided, want 20", name, n)
		}
	}
}
