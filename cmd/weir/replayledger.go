package main

import (
	"errors"
	"fmt"
	"io/fs"
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
	partial string // until it is whole
	path    string
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
	r := &replayLedger{path: filepath.Join(dir, ledgerFile), partial: filepath.Join(dir, "partial-"+ledgerFile)}
	if err := os.Remove(r.partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--out: %w", err)
	}
	if r.ledger, err = emit.OpenLedger(emit.LedgerConfig{Path: r.partial, Key: g.key, Guards: guards, Log: log}); err != nil {
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

// close ends the file; a whole one takes the place of an earlier replay's.
func (r *replayLedger) close(whole bool) error {
	if r == nil {
		return nil
	}
	err := r.ledger.Close()
	if whole && err == nil {
		err = os.Rename(r.partial, r.path)
	}
	return err
}
