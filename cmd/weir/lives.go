package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// stateUnits is how many units a state has; it is fixed when the state is made.
const stateUnits = 64

// openStore opens the store of the run's state, and reads what its last
// checkpoint says.
func (l *liveRun) openStore(ctx context.Context) (err error) {
	log := l.env.log
	l.store, err = state.Open(ctx, state.Config{
		Dir: l.dir.path, Units: stateUnits, KeyID: hex.EncodeToString(l.key.MAC("store", nil))[:16],
		Memory: pipeline.StoreMemory(l.cfg.memory()), Reserve: l.cfg.reserve(), Log: log,
	})
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if why := l.store.Broken(); why != "" {
		why, aside, _ := strings.Cut(why, "; put aside as ")
		log.Error("the store is damaged: it was put aside, and what was in it is derived from the log again", "why", plainDamage(why), "aside", aside)
	}
	last, ok := l.store.Last()
	if !ok {
		return nil
	}
	m, err := pipeline.ReadMeta(last.Meta)
	if err != nil {
		return fmt.Errorf("state: %s: %w", l.dir.path, err)
	}
	l.meta = &m
	return nil
}

// reached returns the tick up to which an earlier life is known to have come:
// where the store is gone, and nothing was decided for a while, by where it last
// took other rules.
func (l *liveRun) reached() int64 {
	tick := l.decided()
	if l.meta != nil {
		tick = max(tick, l.meta.Tick)
	}
	if n := len(l.eras); n > 0 {
		tick = max(tick, l.eras[n-1].from)
	}
	return tick
}

// noteConfig writes into the journal by which configuration the run decides from
// here on, if it is another one than before, and keeps a copy of it.
func (l *liveRun) noteConfig() error {
	l.eras = erasOf(l.journal.Marks())
	if err := l.settleConfig(); err != nil {
		return err
	}
	now, err := l.fingerprint()
	if err != nil {
		return err
	}
	if err := l.keepConfig(l.dir.path, now); err != nil {
		return err
	}
	if n := len(l.eras); n == 0 || l.eras[n-1].hash != now {
		if n > 0 && l.reached() > 0 {
			l.env.log.Info("the rules or the configuration are other ones than when this state last ran: they decide from here on",
				"from", time.Unix(l.reached(), 0).UTC().Format(time.RFC3339))
		}
		// Other rules begin at a whole ten seconds, as in a reload.
		if err := l.beginEra(now, (l.reached()+rules.Boundary-1)/rules.Boundary*rules.Boundary); err != nil {
			return err
		}
	}
	return forgetConfigs(l.dir.path, l.neededCopies())
}

// settleConfig completes what the configuration says by what earlier lives found:
// formats that only lines tell, and the numbers of extra fields.
func (l *liveRun) settleConfig() error {
	found := l.cfg.formatsFound(l.dir.path, l.eras)
	for i := range l.cfg.Sources {
		sc := l.cfg.Sources[i]
		if _, ok := found[sc.Name]; ok || !sc.unknownFormat() {
			continue
		}
		f, err := sc.peekFormat(context.Background(), l.cfg)
		if err != nil {
			return err
		}
		l.env.log.Info("guessed the format", "source", sc.Name, "format", (&sourceConfig{Config: f}).formatName())
		if found == nil {
			found = map[string]ingest.Config{}
		}
		f.Key, f.Extras = nil, nil
		found[sc.Name] = f
	}
	x := l.extras
	if l.meta != nil {
		var err error
		if x, err = withExtras(l.meta.Extras, l.extras...); err != nil {
			return usagef("the state in %s: %w; leave some out, or begin a new state", l.dir.path, err)
		}
	}
	l.formats = found
	if found == nil && slices.Equal(x, l.extras) {
		return nil
	}
	g, err := l.settled(l.engine, x)
	if err != nil {
		return err
	}
	l.engine = g
	return nil
}

// settled returns an engine like another, of a configuration that is complete.
func (l *liveRun) settled(g *engine, x event.Extras) (*engine, error) {
	c := *g.cfg
	c.resolved(l.formats)
	return l.env.engineWith(&c, x, true)
}

// neededCopies returns whose copies must stay.
func (l *liveRun) neededCopies() map[string]bool {
	if l.meta == nil {
		return keptHashes(l.eras)
	}
	return keptHashes(l.eras, l.meta.Era)
}

// beginEra notes that other rules decide from a tick on.
func (l *liveRun) beginEra(hash string, tick int64) error {
	next := era{from: tick, hash: hash}
	if n := len(l.eras); n > 0 {
		next.number = l.eras[n-1].number + 1
	}
	err := l.journal.Append([]pipeline.Mark{{Event: pipeline.MarkConfig, Offset: next.number, Watermark: tick, First: hash}})
	if err == nil {
		l.eras = append(l.eras, next)
	}
	return err
}

// firstEra finds the rules by which the state on disk was decided, and opens it
// with them; without one, those by which the log was decided at first.
func (l *liveRun) firstEra(ctx context.Context) (err error) {
	l.era = 0
	tick := int64(0)
	if l.meta != nil {
		tick = l.meta.Tick
		for l.era < len(l.eras) && l.eras[l.era].number != l.meta.Era {
			l.era++
		}
		if l.era == len(l.eras) {
			return fmt.Errorf("state: %s: the checkpoint is of configuration %d, which journal.jsonl does not have: put the journal back that belongs to it, or move %s and %s away to have the state made anew from the log", l.dir.path, l.meta.Era, l.dir.file("store"), l.dir.file("store.json"))
		}
	} else {
		for idle(l.eras, l.era) {
			l.era++
		}
	}
	l.by, err = l.ofEra(l.era)
	switch {
	case errors.Is(err, errNoCopy) && l.meta != nil:
		return l.makeAnew(ctx, err)
	case errors.Is(err, errNoCopy):
		l.env.log.Warn("what was decided by earlier rules is decided by today's: there is no copy of those", "error", err)
		l.era, l.by = len(l.eras)-1, l.engine
	case err != nil:
		return err
	}
	l.nameSources()
	if l.meta == nil {
		return nil
	}
	if err := l.by.inherit(l.meta.Layout, tick); err != nil {
		return err
	}
	last, _ := l.store.Last()
	cfg := l.pipelineConfig()
	began := time.Now()
	if l.resume, err = pipeline.Restore(l.store, *l.meta, last, &cfg); err != nil {
		return fmt.Errorf("state: %s: %w", l.dir.path, err)
	}
	l.env.log.Info("going on from the last checkpoint", "tick", time.Unix(tick, 0).UTC().Format(time.RFC3339),
		"written", l.meta.Written.UTC().Format(time.RFC3339), "took", time.Since(began).Round(time.Millisecond))
	return l.followEras() // before sources are opened, as the era says
}

// makeAnew puts a store aside of which nobody knows by what it was decided, and
// begins again: all is read from the log, as far back as that reaches.
func (l *liveRun) makeAnew(ctx context.Context, why error) error {
	if err := l.store.Close(); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	l.store = nil
	why = fmt.Errorf("the state was decided by rules that are not known any more: %w", why)
	where, err := state.PutAside(l.dir.path, why)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	l.env.log.Error("the state cannot be used: it was put aside, and is made anew from the log, as far back as that reaches", "why", why, "aside", where)
	l.meta = nil
	if err := l.openStore(ctx); err != nil {
		return err
	}
	return l.firstEra(ctx)
}

// ofEra returns the engine of the era with an index, and says what of it is not
// as it was.
func (l *liveRun) ofEra(i int) (*engine, error) {
	g, other, err := l.of(l.dir.path, l.eras[i], l.extras)
	if len(other) > 0 {
		l.env.log.Error("part of what decided is another one by now, and there is no copy of it: what is still to be decided of that time is decided by today's",
			"what", other, "until", time.Unix(l.untilOf(i), 0).UTC().Format(time.RFC3339))
	}
	return g, err
}

// untilOf returns the tick at which an era ends; 0: it does not.
func (l *liveRun) untilOf(i int) int64 {
	if i+1 < len(l.eras) {
		return l.eras[i+1].from
	}
	return 0
}

// nameSources gives sources their numbers: those of the state, and behind them
// the others in the order in which configurations brought them.
func (l *liveRun) nameSources() {
	l.names = nil
	if l.meta != nil {
		if l.names = slices.Clone(l.meta.Sources); len(l.names) == 0 { // of an older version
			l.names = sourceNames(nil, l.by.cfg.Sources)
		}
	}
	l.names = sourceNames(namesOf(l.dir.path, l.eras, l.names), l.cfg.Sources)
	l.paces = pacesOf(l.dir.path, l.eras)
}

// followEras goes over to the rules of the eras that begin where the pipeline
// stopped.
func (l *liveRun) followEras() error {
	for l.resume != nil && l.era+1 < len(l.eras) && l.eras[l.era+1].from <= l.resume.Tick {
		next := l.era + 1
		for idle(l.eras, next) {
			next++
		}
		by, err := l.ofEra(next)
		if errors.Is(err, errNoCopy) {
			l.env.log.Error("what was decided by earlier rules is decided by today's: there is no copy of those", "error", err,
				"from", time.Unix(l.eras[next].from, 0).UTC().Format(time.RFC3339), "until", time.Unix(l.untilOf(next), 0).UTC().Format(time.RFC3339))
			by, err = l.engine, nil
		}
		if err != nil {
			return err
		}
		st, err := l.converted(by)
		if err != nil {
			return err
		}
		l.by, l.era, l.resume.State = by, next, st
	}
	return nil
}

// maxLayouts is how many changes of what rules keep a state may have gone
// through that keys on disk have not.
const maxLayouts = 256

// errLayouts says that the state went through too many changes.
var errLayouts = errors.New("too many changes of what the rules keep")

// roomFor reports whether a state that went through n layouts of at most so many
// may take another one.
func roomFor(n, most int, until int64) error {
	if n < most {
		return nil
	}
	return fmt.Errorf("%w: %d within 7 days, must be at most %d; the next is possible when the log is at %s. Thresholds, stages and consequences can be changed at any time, and rules that keep what those of now keep",
		errLayouts, n, most, time.Unix(until+1, 0).UTC().Format(time.RFC3339))
}

// converted returns the state as it is under other rules. After an error that
// under the present ones is as it was.
func (l *liveRun) converted(by *engine) (*rules.State, error) {
	if err := by.inherit(&l.by.plan.Layout, l.resume.Tick); err != nil {
		return nil, err
	}
	if by.plan.Layout.Serial != l.by.plan.Layout.Serial {
		if n, until := l.resume.State.Layouts(); until >= l.resume.Tick {
			if err := roomFor(n, l.layouts, until); err != nil {
				return nil, err
			}
		}
	}
	cfg := pipeline.Config{Ceiling: by.ceiling(event.Shadow), Stages: by.stages}
	st, err := l.resume.State.Reload(by.plan, cfg.Stage, l.resume.Tick)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return st, nil
}

// pipelineConfig is what the pipeline runs by in the present era.
func (l *liveRun) pipelineConfig() pipeline.Config {
	g := l.by
	keepPace(l.sources, l.paces)
	cfg := pipeline.Config{
		Sources: l.sources, Enrich: g.tables, Plan: g.plan, Lookups: g.tables.Lookups().Funcs(),
		Ceiling: g.ceiling(event.Shadow), Stages: g.stages,
		Units: stateUnits, Memory: l.cfg.memory(), Usage: pipeline.ProcessUsage, Accounted: g.cfg.disk(), SourceNames: l.names,
		Store: l.store, Checkpoint: l.cfg.checkpoint(), Seals: l.seals, Archive: l.archive, Log: l.env.log, Resume: l.resume,
		Kept: pipeline.Kept{Era: l.eras[l.era].number, Config: l.eras[l.era].hash, Extras: l.extras, Sources: l.names},
	}
	cfg.Until = l.untilOf(l.era)
	return cfg
}
