package main

import (
	"slices"

	"weir/enrich"
	"weir/event"
	"weir/pipeline"
	"weir/rules"
)

// engine is everything that decisions follow from besides the records: what
// the configuration names, loaded.
type engine struct {
	cfg    *config
	key    *event.Key
	extras event.Extras
	opt    rules.Options
	rules  []*rules.Rule
	stages map[string]event.Stage
	plan   *rules.Plan
	tables *enrich.Tables
	site   *enrich.Site // nil: none
}

// engine loads what a configuration names. Live says that it is for a run,
// which needs more: see config.faultsLive. Guarded says that the ledger's
// breaker is going to ask how the whole site stands.
func (e *environment) engine(configPath string, live, guarded bool) (*engine, error) {
	var g engine
	var err error
	if g.cfg, err = loadConfig(configPath); err != nil {
		return nil, err
	}
	if live {
		if err := g.cfg.faultsLive(); err != nil {
			return nil, usagef("%s: %w", configPath, err)
		}
	}
	var fixed bool
	if g.key, fixed, err = g.cfg.key(); err != nil {
		return nil, err
	}
	if fixed {
		e.log.Info("no key_file: pseudonyms are made with a key that everybody knows")
	}
	if g.extras, err = g.cfg.extras(); err != nil {
		return nil, err
	}
	g.opt = g.cfg.ruleOptions(g.extras)
	if g.rules, err = g.cfg.loadRules(g.opt); err != nil {
		return nil, usagef("%w", err)
	}
	if g.stages, err = g.cfg.stages(g.rules); err != nil {
		return nil, err
	}
	// The breaker asks how many accounts the site has.
	opt := rules.PlanOptions{Extras: g.extras, Visits: g.cfg.unjudged(), Site: guarded}
	if g.plan, err = rules.NewPlan(g.rules, g.key, opt); err != nil {
		return nil, usagef("%w", err)
	}
	if g.tables, g.site, err = g.cfg.tables(g.key, g.opt); err != nil {
		return nil, usagef("%w", err)
	}
	return &g, nil
}

// reads gives a source what tells its events' readers apart: what nobody reads
// need not be filled in.
func (g *engine) reads(s *pipeline.Source) {
	only := s.Only
	s.Enrich.Reads = func(f event.Field) bool {
		return g.plan.Reads(f) || only != nil && slices.Contains(only.Fields, f)
	}
}

// ceiling returns the highest stage of any rule: what stage: says, or else.
func (g *engine) ceiling(otherwise event.Stage) event.Stage {
	if s, ok := event.StageByName(g.cfg.Stage); ok {
		return s
	}
	return otherwise
}
