package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/state"
)

// replayEra is a stretch of a replay that follows the same rules.
type replayEra struct {
	engine *engine
	until  int64 // the tick at which the next one begins; 0: none does
}

// erasOf returns by which rules the run with a journal decided, in their order.
// What there is no copy of is decided by today's rules.
func (p *prepared) erasOf(e *environment, marks []pipeline.Mark, state string) (found []replayEra, err error) {
	all := erasOf(marks)
	if now, err := p.fingerprint(); err == nil && len(all) > 0 && all[len(all)-1].hash != now {
		e.log.Warn("the rules or the configuration are other ones than those that the run with this journal decided by: its own are used, from the copies beside it")
	}
	for i, era := range all {
		if i+1 < len(all) && all[i+1].from == 0 {
			continue // nothing was decided in it
		}
		g, err := p.of(e, state, era, p.guarded)
		if errors.Is(err, errNoCopy) {
			e.log.Warn("the journal is of other rules or another configuration, of which there is no copy: what these decide may differ from what the run did", "error", err)
			g, err = p.engine, nil
		}
		if err != nil {
			return nil, err
		}
		r := replayEra{engine: g}
		if i+1 < len(all) {
			r.until = all[i+1].from
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
	}
	for _, era := range eras {
		p.deciding = append(p.deciding, era.engine)
	}
	if len(eras) > 1 && len(archiveFiles(files)) > 0 { // it reads the columns that any of them needs
		if err := errors.Join(p.close(), e.reopen(ctx, p, files, format, cfg.Journal)); err != nil {
			return sum, err
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
			if err := errors.Join(p.close(), e.reopen(ctx, p, files, format, cfg.Journal)); err != nil {
				return sum, err
			}
			if err := g.inherit(&eras[i-1].engine.plan.Layout, cfg.Resume.Tick); err != nil {
				return sum, err
			}
		}
		for k := range p.sources {
			g.reads(&p.sources[k])
		}
		cfg.Sources, cfg.Enrich, cfg.Plan, cfg.Lookups = p.sources, g.tables, g.plan, g.tables.Lookups().Funcs()
		cfg.Ceiling, cfg.Stages, cfg.Until = g.ceiling(otherwise), g.stages, era.until
		if i > 0 {
			if cfg.Resume.State, err = cfg.Resume.State.Reload(g.plan, cfg.Stage, cfg.Resume.Tick); err != nil {
				return sum, err
			}
		}
		if i > 0 && era.until != 0 && era.until <= cfg.Resume.Tick {
			continue // other rules came at the same tick
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

// reopen opens what prepare opened once more.
func (e *environment) reopen(ctx context.Context, p *prepared, files []string, format string, marks []pipeline.Mark) error {
	p.sources = nil
	return e.openSourcesOf(ctx, p, format, files, marks)
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
func spillInto(ctx context.Context, dir string) func() (*state.Store, error) {
	if dir == "" {
		dir = os.TempDir()
	}
	return func() (*state.Store, error) { return state.Open(ctx, pipeline.SpillConfig(dir, stateUnits)) }
}
