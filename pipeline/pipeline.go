package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weir/archive"
	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/rules"
	"weir/state"
)

// Source is an ingest.Source with what is known about its lines.
type Source struct {
	ingest.Source
	Decode      ingest.Decoder
	Enrich      enrich.Source
	Adjust      func(*event.Batch) // nil, or sees each batch behind Enrich and may change its events; called by several goroutines
	Disorder    time.Duration      // how far out of order its lines may be
	MaxLateness time.Duration      // what is later still is dropped
	Before      []Pace             // what these two were, in their order
	Unjudged    bool               // its lines do not say what came of a request; see docs/adr/0003
	Only        *rules.EventCond   // events that it does not hold of are passed by; nil: none
	Slow        bool               // its batches come minutes late: it never holds the clock back in a live run
}

// The limits on a source's clock.
const (
	MaxDisorder = 10 * time.Minute
	MaxLateness = 24 * time.Hour

	maxSources = 1024
)

// Config is all that a run depends on.
type Config struct {
	Sources []Source
	// SourceNames are names by number, for a state that outlives its sources; those
	// that it does not name come behind.
	SourceNames []string
	Enrich      *enrich.Tables // nil: events stay as they were decoded
	Plan        *rules.Plan
	Lookups     map[string]func(value string) bool
	Journal     []Mark      // what a clock decided before
	Ceiling     event.Stage // the highest stage that any rule gets
	// Stages are, by rule id, the highest stage that the operator gives it.
	Stages map[string]event.Stage
	// Since keeps back decisions of earlier ticks (Unix seconds): what is
	// before only fills the windows.
	Since int64

	Workers int   // goroutines that decode, and as many that fold; 0: one a processor
	Units   int   // a power of two; 0: 64
	Batch   int   // records at a time; 0: 1,000, or fewer where memory is short
	Memory  int64 // bytes that everything may take; 0: no limit
	// Usage, if set, is asked what the process takes, as ProcessUsage says of this
	// one, and how many bytes of keys stay in memory follows from it. Nil: it is
	// guessed. No result depends on it.
	Usage func() Usage
	// Accounted is how many bytes all keys may come to, in memory or not, before
	// the ones that matter least are given up; 0: no limit.
	Accounted int64

	// Store keeps the state: it is written there every Checkpoint and when the
	// run stops, and keys that memory has no room for are read from it. Kept is
	// what the caller wants to find again beside the state. Without a store Spill
	// makes a temporary one where memory gets short.
	Store      *state.Store
	Checkpoint time.Duration
	Kept       Kept
	Spill      func() (*state.Store, error)
	Archive    *archive.Archive // nil: none
	// Resume is where an earlier run stopped; nil: at the beginning. Its sources
	// may begin before the positions.
	Resume *Resume
	// Until is a tick (a whole ten seconds) behind which the run stops, 0: none;
	// Break, if set, is asked at whole ten seconds whether it shall. Left is then
	// told where another run can go on.
	Until int64
	Break func() bool
	Left  func(*Resume)
	// LeaveBy, if set, is asked when the run stops until when its last checkpoint
	// may take; zero, or later than a checkpoint may take at all, is no limit.
	LeaveBy func() time.Time

	// Record writes what a clock decided and returns when it is safe. With it the
	// run is live: partitions may be idle, slow or new. Nil: they may not.
	Record func([]Mark) error
	// Seals, if set, is asked at each checkpoint, behind the marks and the decisions
	// that it rests on, for what the caller wants to know again of their files.
	Seals func() []byte
	// Decided is the latest tick (Unix seconds) of which decisions have left in
	// an earlier life of this journal. What comes of a partition that the journal
	// does not know counts no earlier, and up to there the clock waits for those
	// of which nobody can tell whether there is more.
	Decided int64
	// Observe, in a live run, is told once a second how it stands. While it
	// lasts, no partition falls idle.
	Observe func(*Status)

	// Emit takes decisions as they are made, in the order of their lines.
	Emit func([]event.Decision) error
	// Review, if set, is called at every boundary (a whole ten seconds) behind
	// seconds with events, after Emit. Figures says how the target of a decision
	// stands, and asked without one how the whole site does. It may be called
	// only within Review.
	Review func(tick int64, figures func(*event.Asked) (event.Figures, bool)) error
	// Enforce, if set, applies what is decided to the events that come after, as
	// enforcement points would; nil: what was refused is what the log says.
	Enforce *Enforcement
	// Recode, if set, is asked after each tick of each unit that had events
	// whether the unit is to be encoded, dropped and decoded. Positions and
	// pending seconds are then, always.
	Recode func(unit int, tick int64) bool
	// Inspect, if set, sees the state at the end of input and the tick that
	// was run last.
	Inspect func(st *rules.State, tick int64)
	Log     *slog.Logger // nil: silent
}

// sourceName returns the source, and its own number, of a partition's number.
func (c *Config) sourceName(number int32) (source string, partition int32) {
	at, local := numbered(number)
	if at < len(c.SourceNames) {
		return c.SourceNames[at], local
	}
	return c.Sources[at-len(c.SourceNames)].Name(), local
}

// number returns the number of a source's partition: by its place among
// SourceNames, so that it is the same whatever other sources come and go.
func (c *Config) number(source, local int) int32 {
	at := slices.Index(c.SourceNames, c.Sources[source].Name())
	if at < 0 {
		at = len(c.SourceNames) + source
	}
	return numberOf(at, local)
}

// Stage returns the highest stage that a rule gets.
func (c *Config) Stage(rule string) event.Stage {
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
	if len(c.Sources) > maxSources {
		err = errors.Join(err, fmt.Errorf("sources: %d, must be at most %d", len(c.Sources), maxSources))
	}
	if n := len(c.SourceNames); n > maxSources {
		err = errors.Join(err, fmt.Errorf("sources: the state knows %d, with those that are not read any more, must be at most %d: begin a new state", n, maxSources))
	}
	if c.Record != nil && !slices.ContainsFunc(c.Sources, func(s Source) bool { return !s.Slow }) {
		err = errors.Join(err, errors.New("sources: all are slow, must have one that is not: nothing would move the clock"))
	}
	for _, s := range c.Sources {
		if n := s.Partitions(); n > maxLocal {
			err = errors.Join(err, fmt.Errorf("source %s: %d partitions, must be at most %d", s.Name(), n, maxLocal))
		}
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
	if c.Until%rules.Boundary != 0 {
		err = errors.Join(err, fmt.Errorf("until: %d, must be a whole ten seconds", c.Until))
	}
	if c.Enforce != nil && c.Record != nil {
		err = errors.Join(err, errors.New("enforce: in a live run the points do, and the log says what they refused"))
	}
	for _, s := range c.Sources {
		if c.Enforce != nil && s.Disorder > c.Enforce.cfg.Disorder {
			err = errors.Join(err, fmt.Errorf("enforce: disorder %v, must be at least that of source %s, %v", c.Enforce.cfg.Disorder, s.Name(), s.Disorder))
		}
	}
	if c.Store != nil && c.Checkpoint <= 0 {
		err = errors.Join(err, fmt.Errorf("checkpoint: %v, must be above 0", c.Checkpoint))
	}
	if c.Batch < 1 || c.Batch > 1<<16 {
		err = errors.Join(err, fmt.Errorf("batch: %d, must be between 1 and 65536", c.Batch))
	}
	return err
}

// Run reads all sources to their end, or a live one until ctx ends, and returns
// what came in. Its results do not depend on Workers, Units or Batch.
func Run(ctx context.Context, cfg Config) (Summary, error) {
	if cfg.Workers == 0 {
		cfg.Workers = runtime.GOMAXPROCS(0)
	}
	if cfg.Units == 0 {
		cfg.Units = 64
	}
	if cfg.Batch == 0 {
		cfg.Batch = cfg.batch()
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
	err := r.beginArchive()
	if err == nil && cfg.Record != nil {
		err = r.record(r.begin())
	}
	if err != nil {
		r.giveUp()
		r.stopReducers()
		return r.summary(), err
	}
	if cfg.Record != nil {
		r.readers.Go(r.monitor)
	}
	for _, p := range r.partitions {
		r.readers.Go(p.read)
	}
	stop := context.AfterFunc(ctx, r.clock.wake)
	err = r.coordinate()
	if err == nil {
		err = r.leave()
	}
	r.giveUp()
	cancel(err)
	stop()
	r.clock.wake()
	r.readers.Wait()
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
	partitions []*partition // those that were there at the start
	starts     *starts
	decided    int64 // the latest tick that an earlier life is known to have come to
	begun      []int // how many of each source are being read; the monitor's
	clock      *clock
	mappers    chan *mapper // free ones: as many as may work at once
	reducers   []*reducer
	readers    sync.WaitGroup // and who watches them
	chunks     sync.WaitGroup
	recording  sync.Mutex // of what Record is given
	pool       pools

	from    int64 // seconds before it were folded before the run began
	keeping keeping
	ran     atomic.Int64 // current, for others than the coordinator
	seeing  atomic.Int64 // from this second on the log is whole

	current     int64 // the tick that was run last
	unreviewed  bool  // there were events since the last review
	interrupted bool
	decisions   []event.Decision
	count       counters
	figures     atomic.Pointer[figures]
}

func newRun(ctx context.Context, cancel context.CancelCauseFunc, cfg Config) *run {
	r := &run{cfg: cfg, ctx: ctx, cancel: cancel, current: -1 << 62, from: -1 << 62}
	r.clock = newClock(cfg.Plan.NeedsStanding(), underWay*cfg.Workers)
	if cfg.Enforce != nil { // an earlier run may have made lists
		r.clock.lists = cfg.Enforce.published
	}
	var all []partitionID
	for i := range cfg.Sources {
		r.begun = append(r.begun, cfg.Sources[i].Partitions())
		for p := range r.begun[i] {
			all = append(all, partitionID{cfg.Sources[i].Name(), int32(p)})
		}
	}
	r.starts = newStarts(cfg.Journal, all)
	if r.decided = max(cfg.Decided, r.starts.floor); r.decided == 0 {
		r.decided = -1 << 62
	}
	for i := range cfg.Sources {
		for p := range r.begun[i] {
			r.partitions = append(r.partitions, newPartition(r, i, p))
		}
	}
	r.clock.partitions = slices.Clone(r.partitions)
	r.clock.look()
	if cfg.Resume == nil {
		r.state = rules.NewState(cfg.Plan, cfg.Units, cfg.limits(), cfg.Stage, cfg.sourceName)
	} else {
		r.goOn(cfg.Resume)
	}
	for _, g := range r.starts.gaps {
		if cfg.Resume == nil || g.Since >= cfg.Resume.Tick {
			r.clock.gaps = append(r.clock.gaps, g)
		}
	}
	r.keeping.init(r)
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

// record has marks written, and returns when they are safe.
func (r *run) record(marks []Mark) error {
	if len(marks) == 0 || r.cfg.Record == nil {
		return nil // a run that decides nothing by a clock has nowhere to write
	}
	r.recording.Lock()
	defer r.recording.Unlock()
	if err := r.cfg.Record(marks); err != nil {
		return fmt.Errorf("record what the clock decided: %w", err)
	}
	return nil
}

// fail ends the run with an error.
func (r *run) fail(err error) { r.cancel(err) }
