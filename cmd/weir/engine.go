package main

import (
	"fmt"
	"slices"
	"strings"

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
	taken  *taken // what it was made of
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
	x, err := c.extras()
	if err != nil {
		return nil, err
	}
	return e.engineWith(c, x, guarded)
}

// engineWith loads what a configuration names, for events with these extra
// fields. What it reads it reads once, but for the tables: those are summed
// before and after they are loaded, and must not have changed.
func (e *environment) engineWith(c *config, x event.Extras, guarded bool) (*engine, error) {
	key, fixed, err := c.key()
	if err != nil {
		return nil, err
	}
	if fixed {
		e.log.Info("no key_file: pseudonyms are made with a key that everybody knows")
	}
	for try := 1; ; try++ {
		t, err := c.take(key)
		if err != nil {
			return nil, err
		}
		g, err := newEngine(c, t, key, x, guarded)
		if err != nil {
			return nil, err
		}
		now, err := c.tableFiles(nil)
		if err != nil {
			return nil, err
		}
		other := sameTables(t.said.Tables, now)
		if len(other) == 0 {
			return g, nil
		}
		if try == maxTries {
			return nil, fmt.Errorf("enrich: %s: changed while it was read, %d times: try again when it is whole", strings.Join(other, ", "), try)
		}
	}
}

// maxTries is how often tables are loaded that change meanwhile.
const maxTries = 3

// newEngine makes an engine of what was taken. The tables are where the
// configuration says.
func newEngine(c *config, t *taken, key *event.Key, x event.Extras, guarded bool) (*engine, error) {
	g := engine{cfg: c, taken: t, key: key, extras: x, opt: c.ruleOptions(x), guarded: guarded}
	dirs, err := t.ruleDirs()
	if err != nil {
		return nil, err
	}
	if g.rules, err = loadRules(dirs, g.opt); err != nil {
		return nil, usagef("%w", err)
	}
	if g.stages, err = c.stages(g.rules); err != nil {
		return nil, err
	}
	if err := g.inherit(nil, 0); err != nil {
		return nil, err
	}
	if c.Site != "" {
		if g.site, err = enrich.ParseSite(c.path(c.Site), t.files[siteFile]); err != nil {
			return nil, usagef("%w", err)
		}
	}
	if g.tables, err = c.tablesWith(g.site, g.key, g.opt); err != nil {
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
