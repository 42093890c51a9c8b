package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
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

	// An archive is written beside the pipeline without slowing it. Where processors
	// are idle that is to the letter: at half the speed that a log can be read at, a
	// run takes at most mostSlowing longer, the end of the last batches included.
	mostSlowing = 0.05
	// At full speed none is idle, and what copying an event's columns, compressing and
	// writing them takes of a processor is time: a fifth to a quarter of the whole on
	// two of them. Catching up is that much slower; more would be a fault.
	mostSlowingFull = 0.35
	// slowingRuns is how often full speed is measured with and without, in turns: the
	// best of each are compared, since others only ever make a run slower.
	slowingRuns = 3
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
	run := func(to string, pace float64) (sum pipeline.Summary, took, files time.Duration, st archive.Stats, err error) {
		src, err := ingest.OpenFiles("bench", []string{path})
		if err != nil {
			return sum, 0, 0, st, err
		}
		defer src.Close()
		s := pipeline.Source{Source: &paced{Source: src, pace: pace, began: time.Now()}, Decode: decode, Disorder: time.Minute, MaxLateness: time.Hour}
		cfg := pipeline.Config{Enrich: tables, Plan: plan, Ceiling: event.Enforce}
		if to != "" {
			if cfg.Archive, err = archive.Open(archive.Config{Dir: to, Sources: []archive.SourceInfo{{Name: "bench", Disorder: s.Disorder, MaxLateness: s.MaxLateness}}}); err != nil {
				return sum, 0, 0, st, err
			}
		}
		cfg.Sources = []pipeline.Source{s}
		began := time.Now()
		sum, err = pipeline.Run(ctx, cfg)
		took = time.Since(began)
		if cfg.Archive != nil {
			busy := cpuTime()
			err = errors.Join(err, cfg.Archive.Finish(ctx))
			files = cpuTime() - busy
			st = cfg.Archive.Stats()
			err = errors.Join(err, cfg.Archive.Close())
		}
		return sum, took, files, st, err
	}
	sum, with, files, st, err := run(dir, 0) // the first to read the log
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
	again := dir + "-again"
	plain := time.Duration(math.MaxInt64)
	for range slowingRuns {
		_, without, _, _, err := run("", 0)
		if err != nil {
			return err
		}
		_, took, _, _, err := run(again, 0)
		if err = errors.Join(err, os.RemoveAll(again)); err != nil {
			return err
		}
		plain, with = min(plain, without), min(with, took)
	}
	n := float64(sum.Events)
	half := n / plain.Seconds() / 2
	_, slow, _, _, err := run(again, half)
	if err = errors.Join(err, os.RemoveAll(again)); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n  %-28s %s events/s, with the archive %s, the best of %d; %.2f µs of a processor an event for the files, when their hours are over\n",
		"replay of the log", thousands(int(n/plain.Seconds())), thousands(int(n/with.Seconds())), slowingRuns, float64(files.Microseconds())/n)
	for _, c := range []struct {
		name       string
		have, want time.Duration
		most       float64
	}{
		{"at half that speed", slow, 2 * plain, mostSlowing},
		{"at full speed", with, plain, mostSlowingFull},
	} {
		slowing := c.have.Seconds()/c.want.Seconds() - 1
		fmt.Fprintf(out, "  %-28s %+.1f %% more time with the archive (limit %.0f %%)\n", c.name, 100*slowing, 100*c.most)
		if slowing > c.most {
			faults = append(faults, fmt.Errorf("%s: %s the archive makes a replay of the log take %.1f %% longer, must be at most %.0f %%", name, c.name, 100*slowing, 100*c.most))
		}
	}
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

// paced is a source of one partition that hands out so many lines a second.
type paced struct {
	ingest.Source
	pace  float64 // 0: as fast as they are taken
	began time.Time
	read  int
}

func (p *paced) Read(ctx context.Context, part, max int, r *ingest.Records) error {
	if p.pace > 0 {
		due := p.began.Add(time.Duration(float64(p.read) / p.pace * 1e9))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	had := r.Len()
	err := p.Source.Read(ctx, part, max, r)
	p.read += r.Len() - had
	return err
}
