package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/state"
)

// replayEra is a stretch of a replay that follows the same rules.
type replayEra struct {
	engine *engine
	until  int64    // the tick at which the next one begins; 0: none does
	names  []string // of all sources of the run, by their numbers
	paces  map[string][]pipeline.Pace
}

// erasOf returns by which rules the run with a journal decided, in their order.
// What there is no copy of is decided by today's rules; every time that cannot be
// decided as the run did is named.
func (p *prepared) erasOf(e *environment, marks []pipeline.Mark, state string) (found []replayEra, err error) {
	all := erasOf(marks)
	if formats := p.cfg.formatsFound(state, all); formats != nil { // the run had it from lines, too
		c := *p.cfg
		c.resolved(formats)
		if p.engine, err = e.engineWith(&c, p.extras, p.guarded); err != nil {
			return nil, err
		}
	}
	if now, err := p.fingerprint(); err == nil && len(all) > 0 && all[len(all)-1].hash != now {
		e.log.Warn("the rules or the configuration are other ones than those that the run with this journal decided by: its own are used, from the copies beside it")
	}
	x, err := extrasOf(state, all, p.extras)
	if err != nil {
		return nil, usagef("--journal: %w", err)
	}
	names := sourceNames(namesOf(state, all, nil), p.cfg.Sources)
	paces := pacesOf(state, all)
	for i, era := range all {
		if idle(all, i) {
			continue
		}
		r := replayEra{names: names, paces: paces}
		if i+1 < len(all) {
			r.until = all[i+1].from
		}
		from, until := "its beginning", "its end"
		if era.from > 0 {
			from = time.Unix(era.from, 0).UTC().Format(time.RFC3339)
		}
		if r.until > 0 {
			until = time.Unix(r.until, 0).UTC().Format(time.RFC3339)
		}
		var other []string
		r.engine, other, err = p.of(state, era, x)
		if errors.Is(err, errNoCopy) {
			e.log.Warn("a time cannot be decided as the run did: the rules and the configuration that it had then are not there. It is decided by today's", "from", from, "until", until, "error", err)
			r.engine, err = e.engineWith(p.cfg, x, p.guarded)
		}
		if err != nil {
			return nil, err
		}
		if len(other) > 0 {
			e.log.Warn("a time cannot be decided as the run did: part of what decided is another one by now, and there is no copy of it", "from", from, "until", until, "what", other)
		}
		if n := len(found); n > 0 {
			if names := formatsThatDiffer(found[n-1].engine.taken, r.engine.taken); len(names) > 0 {
				e.log.Warn("the format of sources changed: lines around that time which only one of the two formats reads may count otherwise than in the run", "at", from, "sources", names)
			}
		}
		found = append(found, r)
	}
	return found, nil
}

// decide runs the pipeline over the sources that were prepared: once, or once
// for each era, where the one before it stopped.
func (e *environment) decide(ctx context.Context, p *prepared, eras []replayEra, files []string, format string, cfg pipeline.Config) (sum pipeline.Summary, err error) {
	if len(eras) == 0 {
		eras = []replayEra{{engine: p.engine}}
	} else {
		for _, era := range eras {
			p.deciding = append(p.deciding, era.engine)
		}
		cfg.SourceNames = eras[0].names
		// An archive is read for the columns that any of them needs.
		if eras[0].engine != p.engine || len(archiveFiles(files)) > 0 {
			if err := errors.Join(p.close(), e.reopen(ctx, p, eras[0], files, format, cfg.Journal)); err != nil {
				return sum, err
			}
		}
	}
	if len(eras) > 1 { // what changes its rules must be on disk
		store, err := cfg.Spill()
		if err != nil {
			return sum, fmt.Errorf("temporary state: %w", err)
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		cfg.Store, cfg.Spill, cfg.Checkpoint, cfg.Units = store, nil, time.Hour, stateUnits
	}
	// A run enforces nothing unless it is told to, and so do its decisions again.
	otherwise := event.Enforce
	if len(cfg.Journal) > 0 {
		otherwise = event.Shadow
	}
	for i, era := range eras {
		g := era.engine
		if i > 0 {
			// Sources end with the run that read them.
			if err := errors.Join(p.close(), e.reopen(ctx, p, era, files, format, cfg.Journal)); err != nil {
				return sum, err
			}
			if err := g.inherit(&eras[i-1].engine.plan.Layout, cfg.Resume.Tick); err != nil {
				return sum, err
			}
		}
		keepPace(p.sources, era.paces)
		for k := range p.sources {
			g.reads(&p.sources[k])
		}
		cfg.Sources, cfg.Enrich, cfg.Plan, cfg.Lookups = p.sources, g.tables, g.plan, g.tables.Lookups().Funcs()
		cfg.Accounted = g.cfg.disk()
		cfg.Ceiling, cfg.Stages, cfg.Until = g.ceiling(otherwise), g.stages, era.until
		if i > 0 {
			if cfg.Resume.State, err = cfg.Resume.State.Reload(g.plan, cfg.Stage, cfg.Resume.Tick); err != nil {
				return sum, err
			}
		}
		var left *pipeline.Resume
		cfg.Left = nil
		if i+1 < len(eras) {
			cfg.Left = func(r *pipeline.Resume) { left = r }
		}
		part, err := pipeline.Run(ctx, cfg)
		part.Decisions = joined(sum.Decisions, part.Decisions)
		part.Rejected = added(sum.Rejected, part.Rejected)
		part.Filtered += sum.Filtered
		part.Refused += sum.Refused
		sum = part
		if err != nil || left == nil || left.Tick < era.until {
			return sum, err // the log ended in this era
		}
		cfg.Resume = left
	}
	return sum, nil
}

// reopen opens what the run read in an era.
func (e *environment) reopen(ctx context.Context, p *prepared, era replayEra, files []string, format string, marks []pipeline.Mark) error {
	as := *p
	as.engine, as.sources, as.format = era.engine, nil, ""
	err := e.openSourcesOf(ctx, &as, format, files, marks)
	p.sources = as.sources
	if err != nil && era.until > 0 {
		return fmt.Errorf("the time until %s, which had other sources, cannot be decided again: %w", time.Unix(era.until, 0).UTC().Format(time.RFC3339), err)
	}
	return err
}

// joined adds up what rules decided.
func joined(a, b map[string]*pipeline.RuleSummary) map[string]*pipeline.RuleSummary {
	for id, r := range a {
		sum := b[id]
		if sum == nil {
			b[id] = r
			continue
		}
		sum.New += r.New
		sum.Renew += r.Renew
		sum.End += r.End
		for action, n := range r.Would {
			sum.Would[action] += n
		}
	}
	return b
}

func added(a, b map[string]int64) map[string]int64 {
	for reason, n := range a {
		b[reason] += n
	}
	return b
}

// spillInto makes the temporary store of a replay, for keys that memory has no
// room for: in its own directory, or where temporary files go.
func spillInto(ctx context.Context, dir string, memory int64) func() (*state.Store, error) {
	return func() (*state.Store, error) { return openSpill(ctx, spillDir(dir), memory) }
}
