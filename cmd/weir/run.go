package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
	"weir/archive"
	"weir/emit"
	"weir/event"
	"weir/ingest"
	"weir/internal/broker"
	"weir/pipeline"
	"weir/state"
)

func runCommand(e *environment) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "run -c weir.yaml",
		Short: "Read live logs, decide, and keep the lists of proxies and firewalls",
		Long: "run follows the sources of the configuration, runs the rules over them and keeps what is\n" +
			"in force on the points: until it is told to stop (Ctrl-C, SIGTERM; a second time at once).\n" +
			"Without stage: in the configuration nothing is enforced: decisions are written, and that is all.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return usagef("no configuration given (weir run -c weir.yaml)")
			}
			return e.live(cmd.Context(), path)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration")
	return cmd
}

// lastLists is how long the last lists may take, all points at once.
const lastLists = 5 * time.Second

// live is weir run.
func (e *environment) live(ctx context.Context, configPath string) error {
	l, err := e.openLiveRun(ctx, configPath)
	if err != nil {
		return err
	}

	err = l.run(ctx)
	return errors.Join(err, l.close())
}

// liveRun is everything that a live run holds.
type liveRun struct {
	*engine
	env       *environment
	dir       *stateDir
	journal   *pipeline.Journal
	marks     []pipeline.Mark // of the journal, when the sources were opened
	sources   []pipeline.Source
	decisions *emit.Decisions
	guards    *emit.Guards
	ledger    *emit.Ledger
	points    []emit.Point
	keepers   []*emit.Reconciler
	server    *api.Server
	status    atomic.Pointer[pipeline.Status]
	standing  standing

	configPath string
	store      *state.Store
	archive    *archive.Archive // nil: none is written
	meta       *pipeline.Meta   // of the checkpoint that the run began with; nil: there was none
	eras       []era
	era        int              // in eras: the present one
	by         *engine          // by which it is decided
	resume     *pipeline.Resume // where the pipeline goes on; nil: at the log's beginning
	changing   sync.Mutex       // of eras, while a reload looks at them
	copying    sync.Mutex       // one reload at a time
	asked      atomic.Pointer[reload]
	names      []string                   // of sources, by their numbers in the state
	paces      map[string][]pipeline.Pace // of sources, as they were configured earlier
	formats    map[string]ingest.Config   // of sources whose lines tell them
	ending     ending
	layouts    int // that keys on disk may have gone through
}

func (e *environment) openLiveRun(ctx context.Context, configPath string) (l *liveRun, err error) {
	g, err := e.engine(configPath, true, true)
	if err != nil {
		return nil, err
	}
	l = &liveRun{engine: g, env: e, configPath: configPath, layouts: maxLayouts}
	g.cfg.limitMemory()
	defer func() {
		if err != nil {
			err = errors.Join(err, l.close())
		}
	}()
	if l.dir, err = openState(g.cfg.path(g.cfg.State.Dir)); err != nil {
		return l, err
	}
	if err := g.usable(l.dir.path); err != nil {
		return l, err
	}
	l.standing.known = newestAside(l.dir.path)
	if err := l.openStore(ctx); err != nil {
		return l, err
	}
	// Before anything is read of them: a file that was cut looks like one that a
	// crash has torn.
	if l.meta != nil {
		if err := checkSeals(l.dir.path, l.meta); err != nil {
			return l, err
		}
	}
	if l.journal, err = pipeline.OpenJournal(l.dir.file(journalFile)); err != nil {
		return l, err
	}
	if what := l.journal.Repaired(); what != "" {
		e.log.Warn("the journal was repaired", "what", what)
	}
	var cut int64
	if l.decisions, cut, err = emit.OpenDecisions(l.dir.file(decisionsFile)); err != nil {
		return l, err
	}
	l.standing.decided = l.decided()
	if cut > 0 {
		e.log.Warn("decisions.jsonl ended within a line, which was cut off", "bytes", cut)
	}
	if err := l.noteConfig(); err != nil {
		return l, err
	}
	if err := l.firstEra(ctx); err != nil {
		return l, err
	}
	if err := l.openArchive(); err != nil {
		return l, err
	}
	if l.guards, err = l.newGuards(true); err != nil {
		return l, err
	}
	if l.ledger, err = emit.OpenLedger(emit.LedgerConfig{
		Path: l.dir.file(emit.LedgerName), Key: l.key, Guards: l.guards, Now: time.Now, Log: e.log,
	}); err != nil {
		return l, err
	}
	if l.points, err = l.openPoints(e.log); err != nil {
		return l, err
	}
	for _, p := range l.points {
		l.keepers = append(l.keepers, emit.NewReconciler(l.ledger, p, l.guards, e.log))
	}
	if l.server, err = l.newServer(); err != nil {
		return l, err
	}
	if err := l.openSources(ctx); err != nil {
		if !l.worthWaiting(err) {
			return l, err
		}
		l.sayAway(err)
	}
	if err := l.tryNewSources(ctx); err != nil && !broker.Passing(err) {
		return l, err
	}
	return l, nil
}

// run runs until ctx ends or a part fails.
func (l *liveRun) run(ctx context.Context) error {
	log := l.env.log
	l.announce()
	var wg sync.WaitGroup
	// The parts around the pipeline go on until it has ended, so that its last
	// decisions are dealt with.
	around, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	defer context.AfterFunc(ctx, l.ending.begin)()
	var serving sync.WaitGroup // beside the last lists
	for _, k := range l.keepers {
		wg.Go(func() {
			if err := k.Run(around); err != nil && around.Err() == nil {
				fail(err)
			}
		})
	}
	serving.Go(func() {
		if err := l.server.Run(around); err != nil && around.Err() == nil {
			fail(err)
		}
	})
	wg.Go(func() { l.tick(around) })
	wg.Go(func() { l.heedHangUp(ctx) })

	events, err := l.lives(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		err = cause
	}
	fail(nil) // what waits for ctx must not outlast a pipeline that failed
	stop()
	if !within(l.ending.by(lastListsBy, lastListsBy), wg.Wait) {
		log.Error("a point does not answer; it is left as it is")
	}
	log.Info("stopping", "events", events)
	if why := l.store.Broken(); why != "" {
		log.Warn("the state that this run found could not be used; what it decided was derived from the log again", "why", plainDamage(why))
	}
	err = errors.Join(plainEnd(err), l.lastLists())
	serving.Wait()
	return err
}

// lives runs the pipeline, and again where it stopped for other rules, until it
// is told to end.
func (l *liveRun) lives(ctx context.Context) (events int64, err error) {
	defer func() {
		if r := l.asked.Swap(nil); r != nil {
			r.done <- reloaded{err: errors.New("weir is stopping: the old rules stay")}
		}
	}()
	for {
		// Eras that ended before the state was written need no run.
		if err := l.followEras(); err != nil {
			return events, err
		}
		if err := l.awaitSources(ctx); err != nil {
			return events, err
		}
		cfg := l.pipelineConfig()
		cfg.Journal, cfg.Decided = l.marks, l.decided()
		cfg.Record = func(ms []pipeline.Mark) error {
			return l.insist(ctx, func() error { return l.journal.Append(ms) })
		}
		cfg.Observe = l.observe
		cfg.Emit = func(ds []event.Decision) error {
			if err := l.insist(ctx, func() error { return l.decisions.Add(ds) }); err != nil {
				return err
			}
			return l.ledger.Add(ds)
		}
		cfg.Review = func(tick int64, figures func(*event.Asked) (event.Figures, bool)) error {
			return l.ledger.Review(time.Unix(tick, 0), figures)
		}
		cfg.Break = func() bool { return l.asked.Load() != nil }
		cfg.LeaveBy = func() time.Time { return l.leaveBy(ctx) }
		var left *pipeline.Resume
		cfg.Left = func(r *pipeline.Resume) { left = r }
		sum, err := pipeline.Run(ctx, cfg)
		events = sum.Events // with those of earlier lives
		if err != nil || left == nil {
			return events, err
		}
		l.resume = left
		l.standing.counts.ended(&sum)
		if err := l.closeSources(); err != nil {
			return events, err
		}
		if r := l.asked.Swap(nil); r != nil && l.era+1 == len(l.eras) {
			if err := l.take(ctx, r); err != nil {
				return events, err
			}
		} else if r != nil {
			r.done <- reloaded{err: errors.New("the log is being read again up to an earlier change of rules: try again later")}
		}
	}
}

// decided returns the latest tick of which decisions left in an earlier life.
func (l *liveRun) decided() int64 {
	if last := l.decisions.Last(); !last.IsZero() {
		return last.Unix()
	}
	return 0
}

// plainEnd makes being told to stop no error: that is how a run ends.
func plainEnd(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// tick has the ledger end what is over.
func (l *liveRun) tick(ctx context.Context) {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	var said time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		if err := l.ledger.Advance(); err != nil && time.Since(said) > 10*time.Second {
			l.env.log.Error("the ledger cannot be written: nothing new is enforced", "error", err)
			said = time.Now()
		}
	}
}

// close frees everything, whether or not it was opened.
func (l *liveRun) close() (err error) {
	err = l.closeSources()
	for _, p := range l.points {
		err = errors.Join(err, p.Close())
	}
	if l.ledger != nil {
		err = errors.Join(err, l.ledger.Close())
	}
	if l.decisions != nil {
		err = errors.Join(err, l.decisions.Close())
	}
	if l.journal != nil {
		err = errors.Join(err, l.journal.Close())
	}
	err = errors.Join(err, l.closeArchive())
	if l.store != nil {
		err = errors.Join(err, l.store.Close())
	}
	if l.dir != nil {
		err = errors.Join(err, l.dir.close())
	}
	return err
}

// announce says what the run will do, in a few lines of its log.
func (l *liveRun) announce() {
	log := l.env.log
	for i := range l.cfg.Sources {
		if f := l.cfg.Sources[i].File.Path; f != "" {
			if _, err := os.Stat(newestOf(l.cfg.path(f))); err != nil {
				log.Warn("there is no such log yet; it is read when it comes", "source", l.cfg.Sources[i].Name, "error", err)
			}
		}
	}
	for _, ended := range l.allowEnded(time.Now()) {
		log.Warn(ended)
	}
	for _, text := range l.cfg.limits() {
		log.Warn(text)
	}
	for _, p := range l.points {
		log.Info("keeping", "point", p.Name(), "actions", actionNames(p.Capabilities().Actions))
	}
	ceiling := l.ceiling(event.Shadow)
	if ceiling < event.Enforce {
		log.Warn("nothing is enforced: stage: enforce in the configuration would, for rules that ask for it", "stage", ceiling.String())
	} else if len(l.points) == 0 {
		log.Warn("there are no points: decisions are written to the state's directory only")
	}
	for _, text := range l.undone(l.points) {
		log.Warn(text)
	}
}
