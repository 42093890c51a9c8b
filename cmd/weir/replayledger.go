package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"weir/emit"
	"weir/event"
)

// replayLedger writes what would have come of a replay's decisions: the same
// ledger and guards as in a run, by the log's time. Nil writes nothing.
type replayLedger struct {
	ledger  *emit.Ledger
	dir     string
	partial string // a directory of its own until it is whole
}

// newReplayLedger makes the ledger of a replay that writes into a directory.
func (g *engine) newReplayLedger(dir string, log *slog.Logger) (*replayLedger, error) {
	if dir == "" {
		return nil, nil
	}
	guards, err := g.newGuards(false)
	if err != nil {
		return nil, err
	}
	r := &replayLedger{dir: dir, partial: filepath.Join(dir, "partial")}
	if err := errors.Join(os.RemoveAll(r.partial), os.Mkdir(r.partial, 0o755)); err != nil {
		return nil, fmt.Errorf("--out: %w", err)
	}
	if r.ledger, err = emit.OpenLedger(emit.LedgerConfig{Path: filepath.Join(r.partial, emit.LedgerName), Key: g.key, Guards: guards, Log: log}); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *replayLedger) add(ds []event.Decision) error {
	if r == nil {
		return nil
	}
	return r.ledger.Add(ds)
}

// review is what the pipeline calls at boundaries.
func (r *replayLedger) review() func(int64, func(event.Target) (good, tried float64, ok bool)) error {
	if r == nil {
		return nil
	}
	return func(tick int64, figures func(event.Target) (good, tried float64, ok bool)) error {
		return r.ledger.Review(time.Unix(tick, 0), figures)
	}
}

// close ends the files; whole ones take the place of an earlier replay's.
func (r *replayLedger) close(whole bool) error {
	if r == nil {
		return nil
	}
	if err := r.ledger.Close(); err != nil || !whole {
		return err
	}
	old, err := filepath.Glob(filepath.Join(r.dir, "ledger*.jsonl"))
	if err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	for _, path := range old {
		err = errors.Join(err, os.Remove(path))
	}
	made, e := os.ReadDir(r.partial)
	err = errors.Join(err, e)
	for _, f := range made {
		err = errors.Join(err, os.Rename(filepath.Join(r.partial, f.Name()), filepath.Join(r.dir, f.Name())))
	}
	if err := errors.Join(err, os.Remove(r.partial)); err != nil {
		return fmt.Errorf("--out: %w", err)
	}
	return nil
}
