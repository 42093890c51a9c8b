package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"weir/emit"
	"weir/internal/seal"
	"weir/pipeline"
)

// seals is what a checkpoint knows of the files beside the store: how each of
// them began when it was made. A file that was lost or changed since would be
// read without a fault, and something else decided than before.
type seals struct {
	Journal   seal.Seal `json:"journal"`
	Decisions seal.Seal `json:"decisions"`
	Ledger    seal.Seal `json:"ledger"`
}

// seals returns what the checkpoint that is being made is to know.
func (l *liveRun) seals() []byte {
	b, err := json.Marshal(seals{l.journal.Seal(), l.decisions.Seal(), l.ledger.Seal()})
	if err != nil {
		panic(err) // of a struct of integers
	}
	return b
}

// checkSeals reports every file of a state's directory that is not, any more,
// what a checkpoint rests on, and what to do about it.
func checkSeals(dir string, m *pipeline.Meta) error {
	_, err := brokenSeals(dir, m)
	return err
}

// brokenSeals also returns the names of those files.
func brokenSeals(dir string, m *pipeline.Meta) (names []string, all error) {
	if len(m.Seals) == 0 {
		return nil, nil // of an older version
	}
	var s seals
	if err := json.Unmarshal(m.Seals, &s); err != nil {
		return nil, fmt.Errorf("state: %s: what the checkpoint says of the files beside it: %w", dir, err)
	}
	for _, f := range []struct {
		name string
		err  error
		do   string
	}{
		{journalFile, pipeline.CheckJournal(filepath.Join(dir, journalFile), s.Journal),
			"restore it from a copy; without one nobody knows from where the log was read: begin a new state (state: dir:), " +
				"which knows only what the log still has, and in which nothing is in force"},
		{decisionsFile, emit.CheckDecisions(filepath.Join(dir, decisionsFile), s.Decisions),
			"restore it from a copy, or move it, " + storeDir + " and " + storeFile + " away: then all is decided again from the log, as far back as that reaches, " +
				"which takes as long as reading it"},
		{ledgerFile, emit.CheckLedger(filepath.Join(dir, ledgerFile), s.Ledger),
			"restore it from a copy, or move it, " + storeDir + " and " + storeFile + " away: then all is decided again from the log, as far back as that reaches, " +
				"which takes as long as reading it, and what people ordered (block, unblock, approve) is forgotten"},
	} {
		if f.err != nil {
			names = append(names, f.name)
		}
		switch {
		case errors.Is(f.err, seal.ErrBroken):
			all = errors.Join(all, usagef("state: %w; the checkpoint of %s rests on it: %s", f.err, time.Unix(m.Tick, 0).UTC().Format(time.RFC3339), f.do))
		case f.err != nil:
			all = errors.Join(all, fmt.Errorf("state: %w", f.err))
		}
	}
	return names, all
}
