package main

import (
	"slices"

	"weir/enrich"
	"weir/event"
	"weir/pipeline"
	"weir/rules"
	"weir/windows"
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

	guarded bool // the ledger's breaker asks how the whole site stands
}

// engine loads what a configuration names. Live says that it is for a run,
// which needs more: see config.faultsLive. Guarded says that the ledger's
// breaker is going to ask how the whole site stands.
func (e *environment) engine(configPath string, live, guarded bool) (*engine, error) {
	c, err := loadConfig(configPath)
	if err != nil {
		return nil, err
	}
	if live {
		if err := c.faultsLive(); err != nil {
			return nil, usagef("%s: %w", configPath, err)
		}
	}
	return e.engineOf(c, guarded)
}

// engineOf loads what a configuration names that has been read.
func (e *environment) engineOf(c *config, guarded bool) (*engine, error) {
	g := engine{cfg: c, guarded: guarded}
	var fixed bool
	var err error
	if g.key, fixed, err = c.key(); err != nil {
		return nil, err
	}
	if fixed {
		e.log.Info("no key_file: pseudonyms are made with a key that everybody knows")
	}
	if g.extras, err = c.extras(); err != nil {
		return nil, err
	}
	g.opt = c.ruleOptions(g.extras)
	if g.rules, err = c.loadRules(g.opt); err != nil {
		return nil, usagef("%w", err)
	}
	if g.stages, err = c.stages(g.rules); err != nil {
		return nil, err
	}
	if err := g.inherit(nil, 0); err != nil {
		return nil, err
	}
	if g.tables, g.site, err = c.tables(g.key, g.opt); err != nil {
		return nil, usagef("%w", err)
	}
	return &g, nil
}

// inherit plans the rules so that windows of an earlier layout are kept, as far
// as it had them; the rest is collected from a tick on. Nil: there is none.
func (g *engine) inherit(old *windows.Layout, tick int64) (err error) {
	// The breaker asks how many accounts the site has.
	opt := rules.PlanOptions{Extras: g.extras, Visits: g.cfg.unjudged(), Site: g.guarded, Inherit: old, Tick: tick}
	if g.plan, err = rules.NewPlan(g.rules, g.key, opt); err != nil {
		return usagef("%w", err)
	}
	return nil
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
