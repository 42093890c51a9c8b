package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"weir/archive"
	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/rules"
)

// What an archive may take and must give.
const (
	mostBytes   = 80
	leastReplay = 1_000_000 // events a second for rules that need 8 columns
)

// fewColumns is a rule for which a replay needs eight columns of an archive:
// time, ip, offset, partition, kind, outcome, status and refused, about.
const fewColumns = `id: bench.columns
version: 1
title: One source fails again and again
severity: low
key: ip
where: kind == "login"
features:
  tries:  count("10m")
  failed: ratio("10m", outcome == "failure")
  odd:    count("1h", status >= 500)
when: tries >= 20 and failed >= 0.9 and odd < 5
then: {alert: ip, for: 1h}
stage: alert
`

// archives measures what an archive takes on disk and how fast it is replayed.
// More logs are real ones, in combined format.
func archives(out io.Writer, dir string, lines int, logs []string) error {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "load %.4s; archives of events\n", load)
	path := filepath.Join(dir, "archive.log")
	if _, err := generate(path, testkit.NginxJSON, lines, 1000); err != nil {
		return err
	}
	faults := []error{archived(out, dir, "generated", path, testkit.NginxJSON, true)}
	for _, log := range logs {
		faults = append(faults, archived(out, dir, filepath.Base(log), log, testkit.Combined, false))
	}
	return errors.Join(faults...)
}

// archived measures one log; only one that is large enough is timed.
func archived(out io.Writer, dir, name, path, format string, timed bool) (err error) {
	ctx := context.Background()
	dir = filepath.Join(dir, "archive-"+name)
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	key := event.FixedKey()
	plan, tables, _, err := shipped()
	if err != nil {
		return err
	}
	decode, err := ingest.New(ingest.Config{Format: format, Key: key})
	if err != nil {
		return err
	}
	run := func(to string) (sum pipeline.Summary, took time.Duration, st archive.Stats, err error) {
		src, err := ingest.OpenFiles("bench", []string{path})
		if err != nil {
			return sum, 0, st, err
		}
		defer src.Close()
		s := pipeline.Source{Source: src, Decode: decode, Disorder: time.Minute, MaxLateness: time.Hour}
		cfg := pipeline.Config{Enrich: tables, Plan: plan, Ceiling: event.Enforce}
		if to != "" {
			if cfg.Archive, err = archive.Open(archive.Config{Dir: to, Sources: []archive.SourceInfo{{Name: "bench", Disorder: s.Disorder, MaxLateness: s.MaxLateness}}}); err != nil {
				return sum, 0, st, err
			}
		}
		cfg.Sources = []pipeline.Source{s}
		began := time.Now()
		sum, err = pipeline.Run(ctx, cfg)
		took = time.Since(began)
		if cfg.Archive != nil {
			err = errors.Join(err, cfg.Archive.Finish(ctx))
			st = cfg.Archive.Stats()
			err = errors.Join(err, cfg.Archive.Close())
		}
		return sum, took, st, err
	}
	_, plain, _, err := run("")
	if err != nil {
		return err
	}
	sum, with, st, err := run(dir)
	if err != nil {
		return err
	}
	if st.Events == 0 || st.Bytes == 0 {
		return fmt.Errorf("%s: the archive has %d events and %d bytes", name, st.Events, st.Bytes)
	}
	each := float64(st.Bytes) / float64(st.Events)
	fmt.Fprintf(out, "  %-28s %s events in %d files, %.1f bytes each (limit %d)", name, thousands(int(st.Events)), st.Files, each, mostBytes)
	var faults []error
	if each > mostBytes {
		faults = append(faults, fmt.Errorf("%s: %.1f bytes an event, must be at most %d", name, each, mostBytes))
	}
	if !timed {
		fmt.Fprintln(out)
		return errors.Join(faults...)
	}
	n := float64(sum.Events)
	fmt.Fprintf(out, "; replay of the log %s events/s, with the archive %s\n", thousands(int(n/plain.Seconds())), thousands(int(n/with.Seconds())))
	one, err := rules.Parse("bench/columns.yaml", []byte(fewColumns), rules.Options{})
	if err != nil {
		return err
	}
	few, err := rules.NewPlan([]*rules.Rule{one}, key, rules.PlanOptions{})
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name  string
		plan  *rules.Plan
		least float64
	}{{"a rule of eight columns", few, leastReplay}, {"all rules that ship", plan, 0}} {
		best := 0.0
		for range 3 {
			speed, err := replayed(ctx, dir, c.plan, sum.Events)
			if err != nil {
				return err
			}
			best = max(best, speed)
		}
		fmt.Fprintf(out, "  %-28s %s events/s from the archive, the best of three\n", c.name, thousands(int(best)))
		if best < c.least {
			faults = append(faults, fmt.Errorf("%s: %s events/s from the archive, must be at least %s", c.name, thousands(int(best)), thousands(int(c.least))))
		}
	}
	return errors.Join(faults...)
}

// replayed returns how many events a second an archive is replayed with.
func replayed(ctx context.Context, dir string, plan *rules.Plan, events int64) (float64, error) {
	sources, err := archive.OpenFiles([]string{dir}, archive.ReadConfig{Reads: plan.Reads})
	if err != nil {
		return 0, err
	}
	cfg := pipeline.Config{Plan: plan, Ceiling: event.Enforce}
	for _, src := range sources {
		defer src.Close()
		info := src.Info()
		cfg.Sources = append(cfg.Sources, pipeline.Source{Source: src, Disorder: info.Disorder, MaxLateness: info.MaxLateness})
	}
	began := time.Now()
	sum, err := pipeline.Run(ctx, cfg)
	took := time.Since(began)
	if err == nil && sum.Events != events {
		err = fmt.Errorf("%d events of %d came out of the archive", sum.Events, events)
	}
	return float64(sum.Events) / took.Seconds(), err
}
