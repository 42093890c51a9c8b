package replay

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/pipeline"
	"weir/rules"
)

// way is how a story is played. Nothing of it may change what is decided.
type way struct {
	name                  string
	workers, units, batch int
	recode                bool // every unit is encoded, dropped and decoded after its ticks
}

var ways = [...]way{
	{name: "as written", workers: 1, units: 64, batch: 1 << 16},
	{name: "in batches of one", workers: 2, units: 8, batch: 1},
	{name: "with every unit encoded and decoded after every tick", workers: 1, units: 64, batch: 1 << 16, recode: true},
}

// maxRecoded is about how many ticks of a story units are encoded after: in a
// longer one not every tick, since the work would grow with its square.
const maxRecoded = 2500

// Play plays all stories of the script and returns what did not come out as
// expected. An error says that one could not be played at all.
func (s *Script) Play(ctx context.Context) ([]*Failure, error) {
	var failures []*Failure
	stage := stage{lib: s.lib}
	for _, st := range s.stories {
		fs, err := stage.play(ctx, st)
		if err != nil {
			return failures, fmt.Errorf("%s:%d: %w", s.File, st.line.number, err)
		}
		failures = append(failures, fs...)
	}
	return failures, nil
}

// stage is what stories are played on; what the next one can use again stays.
type stage struct {
	lib    *Library
	cast   []*rules.Rule
	plan   *rules.Plan
	site   *siteFile
	tables *enrich.Tables

	worker *enrich.Worker // makes pseudonyms, one at a time
	batch  event.Batch
}

// play plays a story in all ways.
func (s *stage) play(ctx context.Context, st *story) ([]*Failure, error) {
	if err := s.set(st); err != nil {
		return nil, err
	}
	events := st.events()
	var first []event.Decision
	var failures []*Failure
	for i := range ways {
		ds, err := s.run(ctx, st, events, &ways[i])
		if err != nil {
			return nil, fmt.Errorf("played %s: %w", ways[i].name, err)
		}
		if i == 0 {
			first = ds
		} else if f := st.disagreement(&ways[i], first, ds); f != nil {
			failures = append(failures, f)
		}
	}
	failures = append(st.compare(s, first), failures...)
	return failures, s.hint(ctx, st, events, failures)
}

// hint adds to the first expectation for which nothing came how near the rule
// was: it plays the story once more and looks on.
func (s *stage) hint(ctx context.Context, st *story, events []sent, failures []*Failure) error {
	i := slices.IndexFunc(failures, func(f *Failure) bool { return f.nothing })
	if i < 0 {
		return nil
	}
	watched := *s
	var err error
	if watched.plan, err = rules.NewPlan(s.cast, event.FixedKey(), rules.PlanOptions{Extras: s.lib.Extras}); err != nil {
		return err
	}
	watch, err := watched.plan.Watch(st.rule.ID)
	if err != nil {
		return err
	}
	if _, err := watched.run(ctx, st, events, &ways[0]); err != nil {
		return err
	}
	f := failures[i]
	switch {
	case watch.Evaluated == 0:
		f.Got = append(f.Got, fmt.Sprintf("the rule saw none of the %s: its where never held, or they lack a field of its key", several(len(events), "event")),
			"the first one is "+st.firstText(s, events))
		if st.site == nil {
			f.Got = append(f.Got, "the script names no site file, so its endpoints, kinds and outcomes are guessed: it uses only the one that it names (site FILE), not that of weir.yaml")
		}
	case watch.Held > 0:
		f.Got = append(f.Got, fmt.Sprintf("its condition held %s, for %s", several(watch.Held, "time"), several(watch.Keys, "key")))
	}
	for _, n := range watch.Nearest[:min(len(watch.Nearest), 3)] {
		f.Got = append(f.Got, st.nearText(s, &n))
	}
	return nil
}

// set plans the story's rules and loads its site file.
func (s *stage) set(st *story) error {
	cast := append([]*rules.Rule{st.rule}, st.with...)
	if s.plan == nil || !slices.Equal(cast, s.cast) {
		if err := missing(cast); err != nil {
			return err
		}
		plan, err := rules.NewPlan(cast, event.FixedKey(), rules.PlanOptions{Extras: s.lib.Extras})
		if err != nil {
			return err
		}
		s.cast, s.plan = cast, plan
	}
	if s.tables == nil || s.site != st.site {
		tables, err := st.site.tables(s.lib)
		if err != nil {
			return err
		}
		s.site, s.tables, s.worker = st.site, tables, nil
	}
	return nil
}

// missing says which rules the cast reads the signals of and lacks.
func missing(cast []*rules.Rule) error {
	for _, r := range cast {
		conds := []*rules.Cond{r.When}
		for _, c := range r.Then {
			if c.If != nil {
				conds = append(conds, c.If)
			}
		}
		for _, c := range conds {
			for _, sig := range c.Signals {
				if !slices.ContainsFunc(cast, func(r *rules.Rule) bool { return r.ID == sig.Rule }) {
					return fmt.Errorf("%s reads the signal of %s: load it (with %s)", r.ID, sig.Rule, sig.Rule)
				}
			}
		}
	}
	return nil
}

// run plays a story in one way and returns all decisions in their order.
func (s *stage) run(ctx context.Context, st *story, events []sent, w *way) ([]event.Decision, error) {
	var ds []event.Decision
	cfg := pipeline.Config{
		Sources: []pipeline.Source{{
			Source: ingest.NewMemory("script", [][]ingest.MemoryRecord{records(events)}),
			Decode: st.decoder(events), Adjust: st.adjust(events),
		}},
		Enrich: s.tables, Plan: s.plan, Lookups: s.lib.Lookups, Ceiling: event.Enforce,
		Workers: w.workers, Units: w.units, Batch: w.batch,
		Emit: func(made []event.Decision) error {
			for i := range made {
				d := made[i]
				d.Evidence, d.Sources = slices.Clone(d.Evidence), slices.Clone(d.Sources)
				ds = append(ds, d)
			}
			return nil
		},
	}
	if w.recode {
		every := int64(1 + len(events)/maxRecoded)
		cfg.Recode = func(unit int, tick int64) bool { return (tick+int64(unit))%every == 0 }
	}
	sum, err := pipeline.Run(ctx, cfg)
	switch {
	case err != nil:
		return nil, err
	case st.spoiled.Load() != nil:
		return nil, *st.spoiled.Load()
	case sum.Events != int64(len(events)):
		return nil, fmt.Errorf("%d events counted, %d were sent", sum.Events, len(events))
	}
	return ds, nil
}

// disagreement compares all decisions of a way with those as written.
func (st *story) disagreement(w *way, want, got []event.Decision) *Failure {
	a, b := lines(want), lines(got)
	if slices.Equal(a, b) {
		return nil
	}
	f := &Failure{File: st.line.file, Line: st.line.number, Message: fmt.Sprintf(
		"the story that begins here is decided differently %s (%s, %d as written)", w.name, several(len(b), "decision"), len(a))}
	for _, l := range without(a, b) {
		f.Got = append(f.Got, "only as written: "+l)
	}
	for _, l := range without(b, a) {
		f.Got = append(f.Got, "only "+w.name+": "+l)
	}
	return f.shorten()
}

// lines returns decisions as their lines, sorted.
func lines(ds []event.Decision) []string {
	ls := make([]string, len(ds))
	for i := range ds {
		ls[i] = string(ds[i].AppendJSON(nil))
	}
	slices.SortFunc(ls, strings.Compare)
	return ls
}

// without returns the lines of a that b lacks.
func without(a, b []string) (out []string) {
	in := map[string]int{}
	for _, l := range b {
		in[l]++
	}
	for _, l := range a {
		if in[l]--; in[l] < 0 {
			out = append(out, l)
		}
	}
	return out
}
