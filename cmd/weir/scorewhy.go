package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"weir/event"
	"weir/pipeline"
	"weir/rules"
	"weir/simulate"
	scoring "weir/simulate/score"
)

// The limits on what is looked into of what passed.
const (
	whyPhases  = 5    // those of which most passed
	whyKeys    = 1024 // of a phase and rule, that are counted
	whyWatched = 5    // of a rule, that are looked at: as many as a rules.Watch names
)

// misses are the keys that rules have of requests that passed.
type misses struct {
	rules  []*rules.Rule
	facts  rules.Facts
	phases map[string]*phaseMisses
	text   []byte
}

type phaseMisses struct {
	label  string
	passed int64
	of     []ruleMisses // by rule
}

type ruleMisses struct {
	sees int64
	keys map[string]int64
}

func newMisses(p *prepared) *misses {
	m := &misses{facts: rules.Facts{Lookups: p.tables.Lookups().Funcs()}, phases: map[string]*phaseMisses{}}
	for _, r := range p.rules {
		if len(signalsOf(r)) == 0 { // what other rules see of other keys is not followed
			m.rules = append(m.rules, r)
		}
	}
	return m
}

// add notes a request that passed.
func (m *misses) add(label string, ev *event.Event) {
	ph := m.phases[label]
	if ph == nil {
		ph = &phaseMisses{label: label, of: make([]ruleMisses, len(m.rules))}
		m.phases[label] = ph
	}
	ph.passed++
	for i, r := range m.rules {
		if r.Where != nil && !r.Where.Match(ev, &m.facts) {
			continue
		}
		var ok bool
		if m.text, ok = keyOf(ev, r.Key, m.text[:0]); !ok {
			continue
		}
		of := &ph.of[i]
		of.sees++
		if of.keys == nil {
			of.keys = map[string]int64{}
		}
		if _, known := of.keys[string(m.text)]; known || len(of.keys) < whyKeys {
			of.keys[string(m.text)]++
		}
	}
}

// keyOf appends the values of a key, each with a zero byte behind it.
func keyOf(ev *event.Event, fields []event.Field, b []byte) (key []byte, ok bool) {
	for _, f := range fields {
		n := len(b)
		if b = ev.AppendText(b, f); len(b) == n {
			return b, false
		}
		b = append(b, 0)
	}
	return b, true
}

// keysOfRule are the keys of one rule that are looked at, and whose they are.
type keysOfRule struct {
	rule *rules.Rule
	of   map[string]string // by key, the phase
	sees map[string]int64  // by phase
}

// chosen picks, of each rule, the keys of most requests that passed.
func (m *misses) chosen() (out []keysOfRule) {
	phases := slices.SortedFunc(maps.Values(m.phases), func(a, b *phaseMisses) int {
		return cmp.Or(cmp.Compare(b.passed, a.passed), strings.Compare(a.label, b.label))
	})
	phases = phases[:min(len(phases), whyPhases)]
	for i, r := range m.rules {
		w := keysOfRule{r, map[string]string{}, map[string]int64{}}
		for _, ph := range phases {
			of := &ph.of[i]
			if of.sees*20 < ph.passed { // too few of them for it to be this rule's
				continue
			}
			w.sees[ph.label] = of.sees
			keys := slices.SortedFunc(maps.Keys(of.keys), func(a, b string) int {
				return cmp.Or(cmp.Compare(of.keys[b], of.keys[a]), strings.Compare(a, b))
			})
			for _, k := range keys[:min(len(keys), max(1, whyWatched/len(phases)))] {
				w.of[k] = ph.label
			}
		}
		if len(w.of) > 0 {
			out = append(out, w)
		}
	}
	return out
}

// explainMisses says which rules came nearest to what passed. For each rule the
// log is read once more, and only the requests of a few keys are shown to it:
// all that their windows would hold, so the figures are those of a replay. What
// is known of values (known, denied, seen) is known from these requests alone.
func (e *environment) explainMisses(ctx context.Context, o *scoreOptions, m *misses, found *scoring.Result) error {
	for _, w := range m.chosen() {
		near, err := e.watchKeys(ctx, o, &w)
		if err != nil {
			return err
		}
		for label, sees := range w.sees {
			n := scoring.Nearest{Label: label, Rule: w.rule.ID, Sees: sees, Of: m.phases[label].passed}
			missing := 0
			for _, l := range w.of {
				if l == label {
					missing++
				}
			}
			for i := range near.Nearest {
				k := &near.Nearest[i]
				if w.of[textOf(k.Key)] != label {
					continue
				}
				missing--
				n.Keys = append(n.Keys, scoring.NearKey{Key: targetText(k.Key), Score: k.Score, Values: measuresText(k.Values), Lacks: k.Lacks})
			}
			if missing > 0 {
				n.Held = near.Held
			}
			found.Why = append(found.Why, n)
		}
	}
	best := func(n *scoring.Nearest) float64 {
		if n.Held > 0 {
			return 1
		}
		if len(n.Keys) == 0 {
			return 0
		}
		return n.Keys[0].Score
	}
	slices.SortFunc(found.Why, func(a, b scoring.Nearest) int {
		return cmp.Or(cmp.Compare(m.phases[b.Label].passed, m.phases[a.Label].passed), strings.Compare(a.Label, b.Label),
			cmp.Compare(best(&b), best(&a)), strings.Compare(a.Rule, b.Rule))
	})
	return nil
}

func textOf(t event.Target) string {
	var b []byte
	for _, v := range t {
		b = append(append(b, v.Text...), 0)
	}
	return string(b)
}

// watchKeys runs one rule over the log, on a few keys.
func (e *environment) watchKeys(ctx context.Context, o *scoreOptions, w *keysOfRule) (*rules.Watch, error) {
	p, err := e.prepare(ctx, filepath.Join(o.dir, simulate.ConfigFile), "", []string{filepath.Join(o.dir, o.log)}, nil, false)
	if err != nil {
		return nil, err
	}
	defer p.close()
	plan, err := rules.NewPlan([]*rules.Rule{w.rule}, p.key, rules.PlanOptions{Extras: p.extras, Visits: p.cfg.unjudged()})
	if err != nil {
		return nil, err
	}
	watch, err := plan.Watch(w.rule.ID)
	if err != nil {
		return nil, err
	}
	src := p.source
	var key []byte
	src.Adjust = func(b *event.Batch) {
		for i := range b.Events {
			ev := &b.Events[i]
			var ok bool
			if key, ok = keyOf(ev, w.rule.Key, key[:0]); ok {
				_, ok = w.of[string(key)]
			}
			if !ok { // what was refused is kept apart: it moves the clock and nothing else
				ev.Refused = event.Block
			}
		}
	}
	stop := showProgress(e.errOut, src.Source)
	sum, err := pipeline.Run(ctx, pipeline.Config{
		Sources: []pipeline.Source{src}, Enrich: p.tables, Plan: plan, Lookups: p.tables.Lookups().Funcs(),
		Ceiling: event.Enforce, Memory: p.cfg.memory(), Accounted: p.cfg.disk(), Log: e.log,
		Workers: 1, // what looks on is not locked
		Emit:    func([]event.Decision) error { return nil },
	})
	stop()
	if err != nil {
		return nil, err
	}
	if len(sum.Broken) > 0 {
		return nil, fmt.Errorf("%s: %w", w.rule.ID, sum.Broken[0])
	}
	return watch, nil
}
