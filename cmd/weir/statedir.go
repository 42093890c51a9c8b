package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"weir/emit"
)

// The files of a state's directory.
const (
	lockFile      = "lock"
	journalFile   = "journal.jsonl"
	decisionsFile = "decisions.jsonl"
	ledgerFile    = emit.LedgerName
	socketFile    = "weir.sock"
)

// stateDir is the directory of a live run, held by one process at a time.
type stateDir struct {
	path string
	lock *os.File
}

func (d *stateDir) file(name string) string { return filepath.Join(d.path, name) }

// errHeld says that another process holds a state's directory.
var errHeld = errors.New("in use")

// openState makes a state's directory and takes it. One that another process
// holds is refused with that one's pid.
func openState(path string) (*stateDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("state: dir: %w", err)
	}
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("state: dir: %w", err)
	} else if info.Mode().Perm()&0o077 != 0 {
		return nil, usagef("state: dir: %s: mode %04o, must not be open to others (chmod 700)", path, info.Mode().Perm())
	}
	f, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state: dir: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for try := 0; errors.Is(err, syscall.EWOULDBLOCK) && holder(f) == strconv.Itoa(os.Getpid()) && try < 100; try++ {
		// This process gave it up, but one that it is just starting has not yet
		// closed what it inherited.
		time.Sleep(10 * time.Millisecond)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		by := holder(f)
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("state: dir: %s: %w by process %s", path, errHeld, by)
		}
		return nil, fmt.Errorf("state: dir: %s: %w", path, err)
	}
	d := &stateDir{path: path, lock: f}
	if err := f.Truncate(0); err != nil {
		return nil, errors.Join(fmt.Errorf("state: dir: %w", err), d.close())
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, errors.Join(fmt.Errorf("state: dir: %w", err), d.close())
	}
	return d, nil
}

// holder returns the pid that a lock file names; empty: nobody.
func holder(f *os.File) string {
	pid := make([]byte, 20)
	n, _ := f.ReadAt(pid, 0) // an empty file names nobody
	return strings.TrimSpace(string(pid[:n]))
}

// close gives the directory up.
func (d *stateDir) close() error { return d.lock.Close() }

// insist calls write until it works or ctx ends: what must be on disk before
// anything else happens waits for a disk that is full, and with it the input. The
// status says so meanwhile.
func (l *liveRun) insist(ctx context.Context, write func() error) error {
	var said time.Time
	var why *string // as the status has it; others may wait, too
	defer func() { l.standing.stuck.CompareAndSwap(why, nil) }()
	for {
		err := write()
		if err == nil {
			return nil
		}
		text := err.Error()
		why = &text
		l.standing.stuck.Store(why)
		if time.Since(said) > 10*time.Second {
			l.env.log.Error("cannot write; input waits until it works", "error", err)
			said = time.Now()
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(time.Second):
		}
	}
}
