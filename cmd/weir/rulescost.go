package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/rules"
	"weir/windows"
)

// costSample is how many events of a log each rule is timed on.
const costSample = 200_000

// maxCounted is how many addresses of a log are told apart.
const maxCounted = 1 << 22

// ruleCost is what one rule, with those whose signals it reads, keeps of a log
// and takes for it.
type ruleCost struct {
	rule     *rules.Rule
	shapes   []rules.Shape
	mapped   time.Duration // to find out what of an event concerns it
	folded   time.Duration // to keep and evaluate it, all ticks
	rows     int64
	evaluate int64 // ticks that had something for it
	blind    string
}

// explainCosts says what rules keep and take on a log: each alone on its first
// events, all together on the whole.
func (e *environment) explainCosts(ctx context.Context, s *chosenRules, chosen []*rules.Rule, key *event.Key, log, format string, p *page) error {
	in := &prepared{engine: &engine{cfg: s.cfg, key: key, extras: s.opt.Extras, opt: s.opt, rules: s.rules}}
	var err error
	if in.plan, err = rules.NewPlan(s.rules, key, rules.PlanOptions{Extras: s.opt.Extras}); err != nil {
		return err
	}
	if in.tables, in.site, err = s.cfg.tables(key, s.opt); err != nil {
		return err
	}
	defer in.close()
	if err := e.open(ctx, in, format, []string{log}); err != nil {
		return err
	}
	in.source = in.sources[0]
	lookups := in.tables.Lookups().Funcs()
	facts := ofStrangers(lookups)
	var sample []event.Event
	addresses := map[netip.Addr]struct{}{}
	met := &onLog{fields: newFieldTally(key, in.extras)}
	var sights []*ruleSight
	for _, r := range chosen {
		sights = append(sights, newRuleSight(r, in.extras))
	}
	only := in.source.Only
	in.source.Adjust = func(b *event.Batch) {
		for i := range b.Events {
			ev := &b.Events[i]
			if only != nil && !only.Match(ev, &facts) {
				continue
			}
			if len(addresses) < maxCounted && ev.IP.IsValid() {
				addresses[ev.IP] = struct{}{}
			}
			if ev.Refused == event.NoAction {
				met.tally(ev, sights, &facts)
			}
			if len(sample) < costSample {
				sample = append(sample, ev.Clone())
			}
		}
	}
	stop := showProgress(e.errOut, in.source.Source)
	var each rules.AddressCosts
	sum, err := pipeline.Run(ctx, pipeline.Config{
		Sources: []pipeline.Source{in.source}, Enrich: in.tables, Plan: in.plan, Lookups: lookups,
		Ceiling: event.Enforce, Memory: s.cfg.memory(), Accounted: s.cfg.disk(), Log: e.log, Workers: 1,
		Inspect: func(st *rules.State, _ int64) { each = st.Addresses() },
	})
	stop()
	if err != nil {
		return err
	}
	if sum.Events == 0 {
		return fmt.Errorf("no line could be read as %s", in.format)
	}
	slices.SortStableFunc(sample, func(a, b event.Event) int { return cmp.Compare(a.Second, b.Second) })
	all := &surveyed{kinds: met.kinds, filled: met.fields.filledMask(), long: met.to-met.from > int64(24*time.Hour), extras: in.extras}
	var costs []*ruleCost
	for i, r := range chosen {
		c, err := costOf(s, r, key, sample, lookups)
		if err != nil {
			return err
		}
		if f := sights[i].judge(all, nil); f.State == ruleBlind && len(f.Why) > 0 {
			c.blind = f.Why[0]
		}
		costs = append(costs, c)
	}
	printCosts(p, costs, len(sample), sum, len(addresses))
	printAddressCosts(p, each)
	return nil
}

// tally notes an event for the question which rules are blind.
func (m *onLog) tally(ev *event.Event, sights []*ruleSight, facts *rules.Facts) {
	if m.events == 0 {
		m.from, m.to = ev.Time, ev.Time
	}
	m.events++
	m.from, m.to = min(m.from, ev.Time), max(m.to, ev.Time)
	m.kinds |= 1 << ev.Kind
	filled := m.fields.add(ev)
	for _, s := range sights {
		s.add(ev, filled, facts)
	}
}

// costOf plays events, ordered by second, through one rule and those that it
// reads, in one unit.
func costOf(s *chosenRules, r *rules.Rule, key *event.Key, events []event.Event, lookups map[string]func(string) bool) (*ruleCost, error) {
	plan, err := rules.NewPlan(s.cast(nil, r), key, rules.PlanOptions{Extras: s.opt.Extras})
	if err != nil {
		return nil, err
	}
	c := &ruleCost{rule: r}
	mapper := rules.NewMapper(plan, 1, lookups)
	st := rules.NewState(plan, 1, rules.Limits{}, func(string) event.Stage { return event.Enforce }, func(p int32) (string, int32) { return "log", p })
	var deltas windows.Deltas
	var decisions []event.Decision
	for i := 0; i < len(events); {
		j := i + 1
		for j < len(events) && events[j].Second == events[i].Second {
			j++
		}
		deltas.Events, deltas.Obs, deltas.Values, deltas.Rows = deltas.Events[:0], deltas.Obs[:0], deltas.Values[:0], deltas.Rows[:0]
		tick := events[i].Second + 1
		began := time.Now()
		mapper.Map(events[i:j], 0, nil, &deltas)
		mapped := time.Now()
		c.mapped += mapped.Sub(began)
		i = j
		if len(deltas.Rows) == 0 {
			continue
		}
		c.rows += int64(len(deltas.Rows))
		c.evaluate++
		st.Begin(tick - 1)
		st.Unit(0).Tick(tick, deltas.Rows, []*windows.Deltas{&deltas})
		if st.Pending() { // what waits for the next whole ten seconds is decided there
			st.Boundary((tick + rules.Boundary - 1) / rules.Boundary * rules.Boundary)
		}
		c.folded += time.Since(mapped)
		decisions = st.Drain(decisions[:0])
	}
	c.shapes = st.Shapes()
	return c, nil
}

func printCosts(p *page, costs []*ruleCost, sampled int, sum pipeline.Summary, addresses int) {
	p.heading(fmt.Sprintf("Each rule alone, on the first %s", plural(int64(sampled), "event")))
	rows := [][]string{{"rule", "ns an event", "us a tick", "keys", "bytes a key", ""}}
	for _, c := range costs {
		keys, bytes := 0, int64(0)
		for _, sh := range c.shapes {
			keys, bytes = keys+sh.Keys, bytes+sh.Bytes
		}
		note := ""
		if c.blind != "" {
			note = "blind: " + c.blind
		}
		rows = append(rows, []string{
			c.rule.ID, count(int64((c.mapped + c.folded) / time.Duration(max(1, sampled)))),
			fmt.Sprintf("%.1f", float64(c.folded.Nanoseconds())/1e3/float64(max(1, c.evaluate))),
			count(int64(keys)), count(bytes / int64(max(1, keys))), note,
		})
	}
	p.table("lrrrrw", rows...)
	p.heading(fmt.Sprintf("All rules together, on %s of %s", plural(sum.Events-sum.Filtered, "event"), plural(int64(addresses), "address")))
	rows = [][]string{{"key", "keys", "an address", "bytes", "p50", "p99", "an address"}}
	keys, bytes := 0, int64(0)
	add := func(name string, n int, b int64, p50, p99 string) {
		rows = append(rows, []string{
			name, count(int64(n)), fmt.Sprintf("%.2f", float64(n)/float64(max(1, addresses))), bytesText(b), p50, p99, count(b/int64(max(1, addresses))) + " bytes",
		})
	}
	for _, sh := range sum.Shapes {
		add(sh.Key, sh.Keys, sh.Bytes, count(int64(sh.P50)), count(int64(sh.P99)))
		keys, bytes = keys+sh.Keys, bytes+sh.Bytes
	}
	add("all", keys, bytes, "", "")
	p.table("lrrrrrr", rows...)
}

// printAddressCosts says what an address costs. What is kept at the end of a log
// is what its last week left, since nothing is kept for longer than its longest window.
func printAddressCosts(p *page, c rules.AddressCosts) {
	if c.Addresses == 0 {
		return
	}
	p.heading("An address and week")
	p.line("%s of the log's last week: %s bytes at the median, %s at p99, %.1f keys and %s bytes on average; keys that name no address add %s bytes to each.",
		plural(int64(c.Addresses), "address"), count(c.P50), count(c.P99), float64(c.Keys)/float64(c.Addresses),
		count(c.Bytes/int64(c.Addresses)), count(c.Rest/int64(c.Addresses)))
}
