package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// explainState says from when on what a rule reads is whole in a state, if the
// rules took over from the last checkpoint now.
func (e *environment) explainState(ctx context.Context, s *chosenRules, id, dir string, key *event.Key, p *page) (err error) {
	h, err := e.holdState(&stateOptions{}, []string{dir})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.done()) }()
	report, err := state.Look(ctx, h.path, nil)
	switch {
	case err != nil:
		return fmt.Errorf("state %s: %w", dir, err)
	case report.Last.Meta == nil:
		p.heading("In this state: there is no checkpoint yet")
		return nil
	}
	meta, err := pipeline.ReadMeta(report.Last.Meta)
	if err != nil {
		return fmt.Errorf("state %s: %w", dir, err)
	}
	plan, err := rules.NewPlan(s.rules, key, rules.PlanOptions{
		Extras: s.opt.Extras, Visits: s.cfg.unjudged(), Site: true, Inherit: meta.Layout, Tick: meta.Tick,
	})
	if err != nil {
		return fmt.Errorf("state %s: %w", dir, err)
	}
	i := slices.IndexFunc(plan.Rules, func(r *rules.Rule) bool { return r.ID == id })
	p.heading("In this state, whose last checkpoint is of " + tickText(meta.Tick))
	p.line("  %s", wholeText("all that it reads", plan.Complete(i), meta.Tick))
	for n := range plan.Rules[i].Features {
		if from := plan.CompleteFeature(i, n); from > meta.Tick {
			p.line("  %s", wholeText(plan.Rules[i].Features[n].Name, from, meta.Tick))
		}
	}
	return nil
}

func wholeText(what string, from, tick int64) string {
	switch {
	case from == 0:
		return what + " has been collected since the state began"
	case from <= tick:
		return what + " is whole since " + tickText(from)
	}
	return what + " is whole from " + tickText(from) + " on; decisions before that are marked incomplete"
}

func tickText(tick int64) string { return time.Unix(tick, 0).UTC().Format("2006-01-02 15:04:05") }
