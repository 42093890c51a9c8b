package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// What a million keys may take.
const (
	mostCheckpoint = 2 * time.Second
	mostRestore    = 5 * time.Second
	million        = 1_000_000
)

// aMillion writes and reads back the state of a run with a million keys of the
// rules that ship: the last checkpoint, which has all of them, and a restart.
func aMillion(out io.Writer, dir string) (err error) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, "million")
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx := context.Background()
	plan, tables, _, err := shipped()
	if err != nil {
		return err
	}
	decode, err := ingest.New(ingest.Config{Format: testkit.Combined, Key: event.FixedKey()})
	if err != nil {
		return err
	}
	var faults []error
	for round := range 3 {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		src := testkit.Generate("bench", func(w io.Writer) error {
			_, err := testkit.WriteCrowd(w, testkit.CrowdOptions{Seed: 1, Minutes: 1, PerMinute: million * 105 / 100, Threshold: 20, Within: time.Minute})
			return err
		})
		store, err := storeOf(ctx, dir)
		if err != nil {
			return err
		}
		var ended time.Time
		var keys int64
		cfg := pipeline.Config{
			Sources: []pipeline.Source{{Source: src, Decode: decode, Disorder: 2 * time.Second, MaxLateness: time.Hour}},
			Enrich:  tables, Plan: plan, Ceiling: event.Enforce, Units: benchUnits, Memory: benchMemory, Accounted: 8 * benchMemory,
			Store: store, Checkpoint: time.Hour,
			Inspect: func(st *rules.State, _ int64) { keys, ended = st.Totals().Keys, time.Now() },
		}
		_, err = pipeline.Run(ctx, cfg)
		wrote := time.Since(ended)
		last, ok := store.Last()
		size := store.Stats()
		if err := errors.Join(err, src.Close(), store.Close()); err != nil {
			return err
		}
		if !ok || keys < million {
			return fmt.Errorf("a checkpoint: %v, of %d keys, must be at least %d", ok, keys, million)
		}
		runtime.GC()
		began := time.Now()
		if store, err = storeOf(ctx, dir); err != nil {
			return err
		}
		opened := time.Since(began)
		restored, err := restore(store, last, &cfg)
		took := time.Since(began)
		if err := errors.Join(err, store.Close()); err != nil {
			return err
		}
		if restored != keys {
			return fmt.Errorf("%d keys restored of %d", restored, keys)
		}
		fmt.Fprintf(out, "  load %.4s: %s keys of the rules that ship: checkpoint %.2f s (limit %v), %d bytes a key on disk, restore %.2f s (limit %v), of it opening the store %.2f s\n", load,
			thousands(int(keys)), wrote.Seconds(), mostCheckpoint, size.Disk/keys, took.Seconds(), mostRestore, opened.Seconds())
		per := float64(keys) / million
		if wrote.Seconds()/per > mostCheckpoint.Seconds() {
			faults = append(faults, fmt.Errorf("round %d: a checkpoint of a million keys takes %.2f s, must be at most %v", round+1, wrote.Seconds()/per, mostCheckpoint))
		}
		if took.Seconds()/per > mostRestore.Seconds() {
			faults = append(faults, fmt.Errorf("round %d: a restore of a million keys takes %.2f s, must be at most %v", round+1, took.Seconds()/per, mostRestore))
		}
	}
	if len(faults) < 2 { // one of three may have met somebody else's work
		return nil
	}
	return errors.Join(faults...)
}

// restore reads all keys of a store into memory and returns how many there are.
func restore(store *state.Store, last state.Flip, cfg *pipeline.Config) (int64, error) {
	m, err := pipeline.ReadMeta(last.Meta)
	if err != nil {
		return 0, err
	}
	r, err := pipeline.Restore(store, m, last, cfg)
	if err != nil {
		return 0, err
	}
	return r.State.Totals().Keys, r.State.Err()
}
