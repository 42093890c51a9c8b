package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"weir/pipeline"
	"weir/state"
)

// spillDir is where a replay that writes into a directory, or into none, keeps
// what memory has no room for.
func spillDir(out string) string {
	if out == "" {
		return os.TempDir()
	}
	return out
}

// openSpill makes a temporary store in a directory, or says that there is no room
// for one: nobody waits for it.
func openSpill(ctx context.Context, dir string, memory int64) (*state.Store, error) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	total, free := int64(disk.Blocks)*disk.Bsize, int64(disk.Bavail)*disk.Bsize
	if reserve := state.DefaultReserve(total); free < reserve {
		return nil, &spillShort{dir, fmt.Errorf("%w: %s are free, and %s must stay free", pipeline.ErrSpillFull, bytesText(free), bytesText(reserve))}
	}
	return state.Open(ctx, pipeline.SpillConfig(dir, stateUnits, memory))
}

// spillShort says in which directory there is no room.
type spillShort struct {
	dir string
	err error
}

func (s *spillShort) Error() string { return s.dir + ": " + s.err.Error() }
func (s *spillShort) Unwrap() error { return s.err }

// spillAdvice says of a replay that ended for want of room in which directory
// that is, and what can be done.
func spillAdvice(err error, dir string, memory int64) error {
	if !errors.Is(err, pipeline.ErrSpillFull) {
		return err
	}
	if named, ok := errors.AsType[*spillShort](err); ok {
		err = named.err
	}
	return fmt.Errorf("%s: %w: keys that state: memory: (%s) has no room for are kept there; give the replay a directory with more room (--out DIR, or TMPDIR=DIR), or more memory",
		dir, err, bytesText(memory))
}
