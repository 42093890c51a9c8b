package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	"weir/archive"
	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
	"weir/rulesets"
	"weir/state"
)

// probeRule makes a decision of each second's probe, which says when its tick ran.
const probeRule = `id: bench.probe
version: 1
title: A second has run
severity: info
key: ip
where: path == "` + probePath + `"
features:
  came: count("10s")
when: came >= 1
then: {alert: ip, for: 1m}
stage: alert
`

// live is one run of the pipeline, with the rules that ship, over a loop.
type live struct {
	src        *loop
	dir        string        // of the store; empty: none
	checkpoint time.Duration // how often the state is written
	archive    string        // directory; empty: none
	profile    string        // file for the processor profile; empty: none
}

// lived is what came of it.
type lived struct {
	sum      pipeline.Summary
	read     time.Duration // until the last line was read
	used     time.Duration // of all processors until then
	waits    []wait        // how long events waited until the tick ran that they count in
	maps     []wait        // and until they were mapped
	cuts     []pipeline.CheckpointStatus
	archived archive.Stats
	store    state.Stats
}

// speed returns how many events a second it read, without what came behind the last.
func (r *lived) speed() float64 { return float64(r.sum.Events) / r.read.Seconds() }

// settled is when a run is under way: what waits before has come while everything was
// made and met for the first time.
const settled = 5 * time.Second

// wait is how long so many events waited.
type wait struct {
	of     time.Duration
	events int64
}

// shipped loads the rules that ship, and the probe's.
func shipped() (*rules.Plan, *enrich.Tables, ingest.Decoder, error) {
	key := event.FixedKey()
	rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	probe, err := rules.Parse("bench/probe.yaml", []byte(probeRule), rules.Options{})
	if err != nil {
		return nil, nil, nil, err
	}
	plan, err := rules.NewPlan(append(rs, probe), key, rules.PlanOptions{})
	if err != nil {
		return nil, nil, nil, err
	}
	tables, err := enrich.New(enrich.Config{Key: key})
	if err != nil {
		return nil, nil, nil, err
	}
	decode, err := ingest.New(ingest.Config{Format: testkit.NginxJSON, Key: key})
	return plan, tables, decode, err
}

// storeOf opens a store as a run does.
func storeOf(ctx context.Context, dir string) (*state.Store, error) {
	const usual = 1 << 30 // the memory of a run, where nobody says it
	return state.Open(ctx, state.Config{Dir: dir, Units: benchUnits, KeyID: "bench", Memory: pipeline.StoreMemory(usual)})
}

const (
	benchUnits  = 64
	benchMemory = 8 << 30 // as in the other modes: nothing has to leave memory
)

// run runs it to the end of its source.
func (l live) run(ctx context.Context) (r lived, err error) {
	runtime.GC()
	debug.FreeOSMemory()
	plan, tables, decode, err := shipped()
	if err != nil {
		return r, err
	}
	cfg := pipeline.Config{
		Enrich: tables, Plan: plan, Ceiling: event.Enforce, Units: benchUnits, Memory: benchMemory,
		Record: func([]pipeline.Mark) error { return nil },
	}
	if l.dir != "" {
		dir := filepath.Join(l.dir, "state")
		if cfg.Store, err = storeOf(ctx, dir); err != nil {
			return r, err
		}
		cfg.Checkpoint = l.checkpoint
		defer func() {
			r.store = cfg.Store.Stats()
			err = errors.Join(err, cfg.Store.Close(), os.RemoveAll(dir))
		}()
	}
	s := pipeline.Source{Source: l.src, Decode: decode, Disorder: 2 * time.Second, MaxLateness: time.Hour}
	if l.archive != "" {
		s.Enrich.Reads = nil // an archive keeps all fields
		if cfg.Archive, err = archive.Open(archive.Config{Dir: l.archive, Sources: []archive.SourceInfo{{Name: l.src.Name(), Disorder: s.Disorder, MaxLateness: s.MaxLateness}}}); err != nil {
			return r, err
		}
		defer func() {
			err = errors.Join(err, cfg.Archive.Finish(ctx))
			r.archived = cfg.Archive.Stats()
			err = errors.Join(err, cfg.Archive.Close())
		}()
	} else {
		s.Enrich.Reads = plan.Reads
	}
	var mu sync.Mutex
	began := time.Now()
	s.Adjust = func(b *event.Batch) {
		if l.src.pace == 0 || len(b.Events) == 0 || time.Since(began) < settled {
			return
		}
		last := b.Events[len(b.Events)-1].Offset / 2
		w := wait{time.Since(l.src.dueAt(last)), int64(len(b.Events))}
		mu.Lock()
		r.maps = append(r.maps, w)
		mu.Unlock()
	}
	cfg.Sources = []pipeline.Source{s}
	cfg.Emit = func(ds []event.Decision) error {
		now := time.Now()
		for i := range ds {
			if ds[i].Rule != "bench.probe" || ds[i].Step != event.New {
				continue
			}
			// The tick could run once the first line came that closes its second.
			closes := ds[i].Time.Unix() + int64(s.Disorder/time.Second)
			if due, ok := l.src.dueOf(closes); ok && now.Sub(began) >= settled {
				r.waits = append(r.waits, wait{now.Sub(due), 1})
			}
		}
		return nil
	}
	var seen time.Time
	cfg.Observe = func(st *pipeline.Status) {
		if c := st.Checkpoint; c.Last.After(seen) {
			seen = c.Last
			r.cuts = append(r.cuts, c)
		}
	}
	err = profiled(l.profile, func() (err error) {
		r.sum, err = pipeline.Run(ctx, cfg)
		return err
	})
	r.read, r.used = l.src.took, l.src.used
	return r, err
}

// profiled writes the processor profile of what it does to a file, if there is one.
func profiled(file string, do func() error) error {
	if file == "" {
		return do()
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return errors.Join(err, f.Close())
	}
	err = do()
	pprof.StopCPUProfile()
	return errors.Join(err, f.Close())
}

// percentile returns the wait that a share of events does not exceed.
func percentile(all []wait, share float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Clone(all)
	slices.SortFunc(sorted, func(a, b wait) int { return int(a.of - b.of) })
	var sum, at int64
	for _, w := range sorted {
		sum += w.events
	}
	for _, w := range sorted {
		if at += w.events; float64(at) >= share*float64(sum) {
			return w.of
		}
	}
	return sorted[len(sorted)-1].of
}
