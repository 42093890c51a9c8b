package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/rules"
)

// onLog is what a rule met in a log.
type onLog struct {
	sight     *ruleSight
	fields    *fieldTally
	kinds     uint32
	events    int64
	from, to  int64 // Unix nanoseconds
	decisions map[event.Step]int64
	first     []event.Decision // the first few new ones
}

// explainLogs replays logs for one rule and says how near they came to it.
func (e *environment) explainLogs(ctx context.Context, s *chosenRules, plan *rules.Plan, x *rules.Explanation, key *event.Key, o *explainOptions, p *page) error {
	watch, err := plan.Watch(x.Rule.ID)
	if err != nil {
		return err
	}
	in := &prepared{engine: &engine{cfg: s.cfg, key: key, extras: s.opt.Extras, opt: s.opt, rules: plan.Rules, plan: plan}}
	if in.tables, in.site, err = s.cfg.tables(key, s.opt); err != nil {
		return err
	}
	defer in.close()
	if err := e.open(ctx, in, o.format, o.files); err != nil {
		return err
	}
	in.source = in.sources[0]
	met := &onLog{sight: newRuleSight(x.Rule, in.extras), fields: newFieldTally(key, in.extras), decisions: map[event.Step]int64{}}
	facts := ofStrangers(in.tables.Lookups().Funcs())
	only := in.source.Only
	in.source.Adjust = func(b *event.Batch) {
		for i := range b.Events {
			if ev := &b.Events[i]; ev.Refused == event.NoAction && (only == nil || only.Match(ev, &facts)) {
				met.add(ev, &facts)
			}
		}
	}
	stop := showProgress(e.errOut, in.source.Source)
	sum, err := pipeline.Run(ctx, pipeline.Config{
		Sources: []pipeline.Source{in.source}, Enrich: in.tables, Plan: plan, Lookups: facts.Lookups,
		Ceiling: event.Enforce, Memory: s.cfg.memory(), Accounted: s.cfg.disk(), Log: e.log,
		Workers: 1, // what looks on is not locked
		Emit: func(ds []event.Decision) error {
			met.decided(x.Rule.ID, ds)
			return nil
		},
	})
	stop()
	if err != nil {
		return err
	}
	if sum.Events == 0 {
		return fmt.Errorf("no line could be read as %s", in.format)
	}
	met.print(p, watch, in.format)
	return errors.Join(sum.Broken...)
}

func (m *onLog) add(ev *event.Event, facts *rules.Facts) {
	if m.events == 0 {
		m.from, m.to = ev.Time, ev.Time
	}
	m.events++
	m.from, m.to = min(m.from, ev.Time), max(m.to, ev.Time)
	m.kinds |= 1 << ev.Kind
	m.sight.add(ev, m.fields.add(ev), facts)
}

func (m *onLog) decided(rule string, ds []event.Decision) {
	for i := range ds {
		if d := &ds[i]; d.Rule == rule {
			m.decisions[d.Step]++
			if d.Step == event.New && len(m.first) < shownTargets {
				m.first = append(m.first, *d)
			}
		}
	}
}

func (m *onLog) print(p *page, w *rules.Watch, format string) {
	long := time.Duration(m.to-m.from) > 24*time.Hour
	facts := m.sight.judge(&surveyed{kinds: m.kinds, filled: m.fields.filledMask(), long: long, extras: m.sight.extras}, nil)
	p.heading(fmt.Sprintf("On %s, read as %s", plural(m.events, "event"), format))
	p.line("  it sees %s of them: %s", count(m.sight.sees), stateText[facts.State])
	for _, why := range facts.Why {
		p.wrapped("", 4, why)
	}
	if w.Evaluated == 0 {
		return
	}
	p.heading(fmt.Sprintf("The condition was looked at %s and held %s, for %s", plural(w.Evaluated, "time"), plural(w.Held, "time"), plural(w.Keys, "key")))
	rows := [][]string{}
	for _, t := range w.Terms {
		best := ""
		if t.BestKey != nil {
			best = fmt.Sprintf("furthest %.4g: %s", t.Best, keyText(t.BestKey, t.BestTick))
		}
		rows = append(rows, []string{plural(t.Held, "time"), shown(t.Text, 40), best})
	}
	p.table("rlw", rows...)
	if len(w.Nearest) > 0 {
		p.heading("Nearest without reaching it")
		for _, n := range w.Nearest {
			p.wrapped(percent(n.Score), 10, keyText(n.Key, n.Tick)+": "+measuresText(n.Values)+"; lacks "+strings.Join(n.Lacks, " and "))
		}
	}
	p.heading(fmt.Sprintf("It decided %s and renewed %s", plural(m.decisions[event.New], "time"), plural(m.decisions[event.Renew], "time")))
	rows = rows[:0]
	for i := range m.first {
		d := &m.first[i]
		rows = append(rows, []string{d.Time.UTC().Format("2006-01-02 15:04:05"), wouldText(d), targetText(d.Target), evidenceText(d)})
	}
	p.table("lllw", rows...)
	if more := m.decisions[event.New] - int64(len(m.first)); more > 0 {
		p.line("  and %s more", count(more))
	}
}

// stateText says what a state of a rule means for the reader.
var stateText = map[string]string{
	ruleWorks: "it can work here", rulePartly: "it works in part", ruleLater: "it works once there is more history", ruleBlind: "it is blind here",
}

func measuresText(ms []event.Measure) string {
	var b strings.Builder
	for _, m := range ms {
		fmt.Fprintf(&b, "%s=%.4g ", m.Name, m.Value)
	}
	return strings.TrimRight(b.String(), " ")
}
