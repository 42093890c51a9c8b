package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"time"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/rules"
)

// Source is an ingest.Source with what is known about its lines.
type Source struct {
	ingest.Source
	Decode      ingest.Decoder
	Enrich      enrich.Source
	Adjust      func(*event.Batch) // nil, or sees each batch behind Enrich and may change its events; called by several goroutines
	Disorder    time.Duration      // how far out of order its lines may be
	MaxLateness time.Duration      // what is later still is dropped
	Unjudged    bool               // its lines do not say what came of a request; see docs/adr/0003
	Only        *rules.EventCond   // events that it does not hold of are passed by; nil: none
	Slow        bool               // its batches come minutes late: it never holds the clock back in a live run
}

// The limits on a source's clock.
const (
	MaxDisorder = 10 * time.Minute
	MaxLateness = 24 * time.Hour
)

// Config is all that a run depends on.
type Config struct {
	Sources []Source
	Enrich  *enrich.Tables // nil: events stay as they were decoded
	Plan    *rules.Plan
	Lookups map[string]func(value string) bool
	Journal []Mark      // what a clock decided before
	Ceiling event.Stage // the highest stage that any rule gets
	// Stages are, by rule id, the highest stage that the operator gives it.
	Stages map[string]event.Stage
	// Since keeps back decisions of earlier ticks (Unix seconds): what is
	// before only fills the windows.
	Since int64

	Workers int   // goroutines that decode, and as many that fold; 0: one a processor
	Units   int   // a power of two; 0: 64
	Batch   int   // records at a time; 0: 1,000
	Memory  int64 // bytes that the units may take; 0: no limit

	// Record writes what a clock decided and returns when it is safe. With it the
	// run is live: partitions may be idle, slow or new. Nil: they may not.
	Record func([]Mark) error
	// Observe, in a live run, is told once a second how it stands.
	Observe func(*Status)

	// Emit takes decisions as they are made, in the order of their lines.
	Emit func([]event.Decision) error
	// Review, if set, is called at every boundary (a whole ten seconds) behind
	// seconds with events, after Emit. Figures says how many distinct actors
	// succeeded with a target in seven days and how many tried; of the empty
	// target, with anything. It may be called only within Review.
	Review func(tick int64, figures func(event.Target) (good, tried float64, ok bool)) error
	// Recode, if set, is asked after each tick of each unit that had events
	// whether the unit is to be encoded, dropped and decoded. Positions and
	// pending seconds are then, always.
	Recode func(unit int, tick int64) bool
	// Inspect, if set, sees the state at the end of input and the tick that
	// was run last.
	Inspect func(st *rules.State, tick int64)
	Log     *slog.Logger // nil: silent
}

// stage returns the highest stage that a rule gets.
func (c *Config) stage(rule string) event.Stage {
	if s, ok := c.Stages[rule]; ok {
		return min(s, c.Ceiling)
	}
	return c.Ceiling
}

// Validate reports every fault of the configuration.
func (c *Config) Validate() (err error) {
	if len(c.Sources) == 0 {
		err = errors.Join(err, errors.New("sources: none"))
	}
	for _, s := range c.Sources {
		if s.Disorder < 0 || s.Disorder > MaxDisorder {
			err = errors.Join(err, fmt.Errorf("source %s: disorder: %v, must be between 0 and %v", s.Name(), s.Disorder, MaxDisorder))
		}
		if s.MaxLateness < 0 || s.MaxLateness > MaxLateness {
			err = errors.Join(err, fmt.Errorf("source %s: max_lateness: %v, must be between 0 and %v", s.Name(), s.MaxLateness, MaxLateness))
		}
	}
	if c.Units < 1 || c.Units > 1<<12 || c.Units&(c.Units-1) != 0 {
		err = errors.Join(err, fmt.Errorf("units: %d, must be a power of two up to 4096", c.Units))
	}
	if c.Workers < 1 || c.Workers > 1024 {
		err = errors.Join(err, fmt.Errorf("workers: %d, must be between 1 and 1024", c.Workers))
	}
	if c.Batch < 1 || c.Batch > 1<<16 {
		err = errors.Join(err, fmt.Errorf("batch: %d, must be between 1 and 65536", c.Batch))
	}
	return err
}

// Run reads all sources to their end and returns what came in. Its results do
// not depend on Workers, Units or Batch.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Units == 0 {
		cfg.Units = 64
	}
	if cfg.Batch == 0 {
		cfg.Batch = 1000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if err := cfg.Validate(); err != nil {
		return Summary{}, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := newRun(ctx, cancel, cfg)

	var wg sync.WaitGroup
	for _, p := range r.partitions {
		wg.Go(func() { p.read() })
	}
	stop := context.AfterFunc(ctx, r.clock.wake)
	err := r.coordinate()
	cancel(err)
	stop()
	r.clock.wake()
	wg.Wait()
	r.chunks.Wait()
	r.stopReducers()
	if cause := context.Cause(ctx); err == nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	if err == nil && r.interrupted {
		err = context.Canceled
	}
	return r.summary(), err
}

// run is one Run.
type run struct {
	cfg    Config
	ctx    context.Context
	cancel context.CancelCauseFunc

	state      *rules.State
	partitions []*partition
	total      int // partitions of all sources
	clock      *clock
	mappers    chan *mapper // free ones: as many as may work at once
	reducers   []*reducer
	chunks     sync.WaitGroup
	pool       pools

	current     int64 // the tick that was run last
	interrupted bool
	decisions   []event.Decision
	count       counters
}

func newRun(ctx context.Context, cancel context.CancelCauseFunc, cfg Config) *run {
	r := &run{cfg: cfg, ctx: ctx, cancel: cancel, current: -1 << 62}
	r.clock = newClock(cfg.Plan.NeedsStanding(), underWay*cfg.Workers)
	for i := range cfg.Sources {
		r.total += cfg.Sources[i].Partitions()
	}
	for i := range cfg.Sources {
		s := &cfg.Sources[i]
		for p := range s.Partitions() {
			var marks []Mark
			for _, m := range cfg.Journal {
				if m.Source == s.Name() && m.Partition == int32(p) {
					marks = append(marks, m)
				}
			}
			slices.SortStableFunc(marks, func(a, b Mark) int { return int(min(1, max(-1, a.Offset-b.Offset))) })
			r.partitions = append(r.partitions, newPartition(r, i, p, marks))
		}
	}
	r.clock.partitions = r.partitions
	r.clock.look()
	r.state = rules.NewState(cfg.Plan, cfg.Units, cfg.Memory, cfg.stage, func(p int32) (string, int32) {
		return cfg.Sources[r.partitions[p].source].Name(), int32(r.partitions[p].local)
	})
	r.mappers = make(chan *mapper, cfg.Workers)
	for range cfg.Workers {
		r.mappers <- newMapper(r)
	}
	n := min(cfg.Workers, cfg.Units)
	for i := range n {
		r.reducers = append(r.reducers, newReducer(r, i, n))
	}
	return r
}

// fail ends the run with an error.
func (r *run) fail(err error) { r.cancel(err) }
