package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"weir/event"
	"weir/internal/testkit"
	"weir/pipeline"
	"weir/state"
)

// What a week must not do.
const (
	soakDays  = 7
	mostSlope = 1.0 // MiB of anonymous memory for each million events, after the first tenth
	// soakState is so little that keys leave memory before the first tenth is over.
	// With the least that a run may have, 256 MiB, it takes several times as long.
	soakState = 512 << 20
	soakEvery = 500 * time.Millisecond
	// soakTime is how long it may take.
	soakTime = 3 * time.Hour
	// slack is how many goroutines and descriptors more than in the first half there
	// may be in the second one: they come and go with each checkpoint, but what stays
	// adds up. Tables of the store are counted apart: there are as many as it is large.
	slackGoroutines  = 8
	slackDescriptors = 8
)

// sample is how the process stood at an event.
type sample struct {
	at, processor           time.Duration
	events                  int64
	rss, anon               int64
	goroutines, descriptors int
	tables                  int   // of the store, which are descriptors too
	mostTables              int64 // that a store of its size may have
}

// soak replays a week of a generated log, which is made while it is read, and
// demands that memory, goroutines and descriptors stay where they are.
func soak(out io.Writer, dir string, events int) (err error) {
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	density := float64(events) / (soakDays * 86400)
	fmt.Fprintf(out, "load %.4s; %s events over %d days of event time, memory %d MiB\n", load, thousands(events), soakDays, soakState>>20)
	src := testkit.Generate("bench", func(w io.Writer) error {
		_, err := testkit.WriteLog(w, testkit.LogOptions{Seed: 5, Lines: events, Density: density, Format: testkit.NginxJSON})
		return err
	})
	defer func() { err = errors.Join(err, src.Close()) }()
	plan, tables, decode, err := shipped()
	if err != nil {
		return err
	}
	debug.SetMemoryLimit(soakState / 100 * 90)
	defer debug.SetMemoryLimit(1 << 62)
	ctx, cancel := context.WithTimeout(context.Background(), soakTime)
	defer cancel()
	counted := &counting{Generated: src}
	s := pipeline.Source{Source: counted, Decode: decode, Disorder: 2 * time.Second, MaxLateness: time.Hour}
	s.Enrich.Reads = plan.Reads
	var spilled atomic.Pointer[state.Store]
	spill := pipeline.SpillConfig(dir, benchUnits, soakState)
	cfg := pipeline.Config{
		Sources: []pipeline.Source{s}, Enrich: tables, Plan: plan, Ceiling: event.Enforce, Memory: soakState, Accounted: 8 * soakState, Usage: pipeline.ProcessUsage,
		Spill: func() (*state.Store, error) {
			store, err := state.Open(ctx, spill)
			spilled.Store(store)
			return store, err
		},
	}
	var samples []sample
	began := time.Now()
	stop, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		var was sample
		for {
			u, ok := usageOf(os.Getpid())
			if ok {
				s := sample{at: time.Since(began), processor: cpuTime(), events: counted.read.Load(), rss: u.anon + u.file, anon: u.anon, goroutines: runtime.NumGoroutine()}
				s.tables, s.descriptors = openFiles()
				if store := spilled.Load(); store != nil {
					s.mostTables = spill.Files(store.Stats().Bytes)
				}
				samples = append(samples, s)
				was = course(out, was, s, int64(events))
			}
			select {
			case <-stop:
				return
			case <-time.After(soakEvery):
			}
		}
	}()
	sum, err := pipeline.Run(ctx, cfg)
	took := time.Since(began)
	close(stop)
	<-watched
	if err != nil {
		return errors.Join(fmt.Errorf("behind %s events: %w", thousands(int(sum.Events)), err), flat(out, samples, int64(events)))
	}
	if sum.Events != int64(events) {
		return fmt.Errorf("%d events of %d", sum.Events, events)
	}
	fmt.Fprintf(out, "  %s events/s, %s keys, %d MiB accounted, shed %+v\n", thousands(int(float64(events)/took.Seconds())), thousands(int(sum.Keys)), sum.Bytes>>20, sum.Shed)
	return flat(out, samples, int64(events))
}

// course says how the run goes on, at each tenth of it. It returns where that was.
func course(out io.Writer, was, s sample, events int64) sample {
	if s.events*10/events == was.events*10/events {
		return was
	}
	n := float64(s.events - was.events)
	fmt.Fprintf(out, "  %s events: %s events/s, %.1f µs of a processor each, %d MiB anonymous, %d with the store's files\n",
		thousands(int(s.events)), thousands(int(n/(s.at-was.at).Seconds())), (s.processor-was.processor).Seconds()*1e6/n, s.anon>>20, s.rss>>20)
	return s
}

// flat judges the samples behind the first tenth.
func flat(out io.Writer, samples []sample, events int64) error {
	samples = slices.DeleteFunc(samples, func(s sample) bool { return s.events < events/10 || s.events >= events })
	if len(samples) < 10 {
		return fmt.Errorf("%d samples, must be at least 10", len(samples))
	}
	all, anon := slope(samples, func(s sample) int64 { return s.rss }), slope(samples, func(s sample) int64 { return s.anon })
	first, last := samples[0], samples[len(samples)-1]
	most := func(of func(sample) int) (before, behind int) {
		half := len(samples) / 2
		compare := func(a, b sample) int { return of(a) - of(b) }
		return of(slices.MaxFunc(samples[:half], compare)), of(slices.MaxFunc(samples[half:], compare))
	}
	goroutines, moreGoroutines := most(func(s sample) int { return s.goroutines })
	descriptors, moreDescriptors := most(func(s sample) int { return s.descriptors })
	fmt.Fprintf(out, "  behind the first tenth: anonymous memory %d to %d MiB, %+.2f MiB a million events (limit %+.0f); with the store's files, which the kernel may take back, %d to %d MiB, %+.2f; at most %d goroutines in the first half and %d in the second, %d and %d descriptors besides the %d of the store's tables\n",
		first.anon>>20, last.anon>>20, anon, mostSlope, first.rss>>20, last.rss>>20, all, goroutines, moreGoroutines, descriptors, moreDescriptors, last.tables)
	var faults []error
	if anon > mostSlope {
		faults = append(faults, fmt.Errorf("anonymous memory grows by %.2f MiB a million events, must be at most %.0f", anon, mostSlope))
	}
	if d := moreGoroutines - goroutines; d > slackGoroutines {
		faults = append(faults, fmt.Errorf("there are %d goroutines more in the second half, must be at most %d", d, slackGoroutines))
	}
	if d := moreDescriptors - descriptors; d > slackDescriptors {
		faults = append(faults, fmt.Errorf("there are %d descriptors more in the second half, must be at most %d", d, slackDescriptors))
	}
	for _, s := range samples {
		if int64(s.tables) > s.mostTables {
			faults = append(faults, fmt.Errorf("behind %s events %d of the store's tables are open, must be at most %d", thousands(int(s.events)), s.tables, s.mostTables))
			break
		}
	}
	return errors.Join(faults...)
}

// slope is by how many MiB a figure rises for each million events: least squares.
func slope(samples []sample, of func(sample) int64) float64 {
	var x, y float64
	n := float64(len(samples))
	for _, s := range samples {
		x += float64(s.events) / 1e6 / n
		y += float64(of(s)) / (1 << 20) / n
	}
	var up, down float64
	for _, s := range samples {
		dx := float64(s.events)/1e6 - x
		up += dx * (float64(of(s))/(1<<20) - y)
		down += dx * dx
	}
	return up / down
}
