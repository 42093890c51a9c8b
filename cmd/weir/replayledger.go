package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
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

// newReplayLedger makes the ledger of a replay that writes into a directory, or
// whose decisions are applied; without a directory it is in memory only.
func (g *engine) newReplayLedger(dir string, applied bool, log *slog.Logger) (*replayLedger, error) {
	if dir == "" && !applied {
		return nil, nil
	}
	guards, err := g.newGuards(false)
	if err != nil {
		return nil, err
	}
	r := &replayLedger{dir: dir}
	if dir == "" {
		r.ledger, err = emit.OpenLedger(emit.LedgerConfig{Key: g.key, Guards: guards, Log: log})
		return r, err
	}
	if r.partial, err = os.MkdirTemp(dir, ".weir-"); err != nil {
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

// isLedger reports whether a file's name is that of a ledger, or of one put aside.
func isLedger(name string) bool {
	return name == ledgerFile || strings.HasPrefix(name, "ledger-") && strings.HasSuffix(name, ".jsonl")
}

// review is what the pipeline calls at boundaries.
func (r *replayLedger) review() func(int64, func(*event.Asked) (event.Figures, bool)) error {
	if r == nil {
		return nil
	}
	return func(tick int64, figures func(*event.Asked) (event.Figures, bool)) error {
		return r.ledger.Review(time.Unix(tick, 0), figures)
	}
}

// close ends the files; whole ones take the place of an earlier replay's.
func (r *replayLedger) close(whole bool) error {
	if r == nil {
		return nil
	}
	if r.dir == "" {
		return r.ledger.Close()
	}
	if err := r.ledger.Close(); err != nil || !whole {
		return errors.Join(err, os.RemoveAll(r.partial))
	}
	old, err := os.ReadDir(r.dir)
	for _, f := range old {
		if isLedger(f.Name()) {
			err = errors.Join(err, os.Remove(filepath.Join(r.dir, f.Name())))
		}
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
