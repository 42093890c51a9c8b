package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"weir/simulate"
)

// trial is a log that is made up for several seeds, replayed and scored.
type trial struct {
	part     string
	scenario string
	variant  string
	knob     string // what is turned, as a reader calls it
	sets     []string
	adaptive bool
	scale    float64
	seeds    int
}

// name is what the trial is called in the record.
func (t *trial) name() string {
	name := []string{t.scenario}
	for _, more := range []string{t.variant, t.knob} {
		if more != "" {
			name = append(name, more)
		}
	}
	if t.adaptive {
		name = append(name, "reacting")
	}
	return strings.Join(name, " ")
}

// usualScale is that of logs: all sizes, people and addresses are a hundredth of
// those in the accounts, so that hundreds of logs are scored in an hour; what
// does not get smaller with them are the thresholds of rules.
const usualScale = 0.01

// smaller are the scenarios whose logs would be most of the work.
var smaller = map[string]float64{"everything": 0.003, "diversion": 0.005, "week_browsers": 0.005}

func scaleOf(scenario string) float64 {
	if scale, ok := smaller[scenario]; ok {
		return scale
	}
	return usualScale
}

// How many seeds each log is made for.
const (
	fullSeeds     = 10
	variantSeeds  = 2
	reactingSeeds = 3
	robustSeeds   = 2
)

// part is a part of the plan, with a table of its own in the document.
type part struct {
	name   string
	trials func() []trial
	table  func(found *scored, w io.Writer)
}

// parts are in the order of the document.
var parts = []part{
	{"campaigns", campaignTrials, campaignTables},
	{"variants", variantTrials, variantTables},
	{"reacting", reactingTrials, reactingTable},
	{"robust", robustTrials, robustTables},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// campaignTrials are all scenarios, with everything that a log can hold.
func campaignTrials() (all []trial) {
	for _, name := range simulate.Scenarios() {
		all = append(all, trial{scenario: name, scale: scaleOf(name), seeds: fullSeeds})
	}
	return all
}

// variantTrials are the scenarios in logs that lack something. Those that differ
// from another one in their history alone are left out.
func variantTrials() (all []trial) {
	for _, name := range simulate.Scenarios() {
		if slices.Contains([]string{"everything", "first_minute", "retooling_alone", "small_site"}, name) {
			continue
		}
		for _, variant := range simulate.Variants {
			all = append(all, trial{scenario: name, variant: variant, scale: scaleOf(name), seeds: variantSeeds})
		}
	}
	return all
}

// reactingTrials are the scenarios with attackers who change what is stopped.
func reactingTrials() (all []trial) {
	for _, name := range simulate.Scenarios() {
		s, err := simulate.Load(name, nil)
		if err != nil || !adapts(s) || name == "everything" || name == "first_minute" {
			continue // a scenario that cannot be read is told of by the first part
		}
		all = append(all, trial{scenario: name, adaptive: true, scale: scaleOf(name), seeds: reactingSeeds})
	}
	return all
}

func adapts(s *simulate.Scenario) bool {
	for _, c := range s.Campaigns {
		for _, p := range c.Phases {
			if p.Adapt != nil {
				return true
			}
		}
	}
	return false
}

// robust are the campaigns that are turned up and down: one of each kind.
var robust = []string{
	"stuffing", "recon", "retooling_alone", "bursts", "diversion", "week_tool",
	"scraping_own", "scraping_borrowed", "session_rotation", "fake_accounts", "cards", "codes", "partner",
}

// knobs are what is turned, in the order of the table.
var knobs = []struct {
	name string
	sets []string
}{
	{"as it is", nil},
	{"attack × 0.25", []string{"knobs.attack_size=0.25"}},
	{"attack × 4", []string{"knobs.attack_size=4"}},
	{"pace × 0.5", []string{"knobs.attack_pace=0.5"}},
	{"pace × 2", []string{"knobs.attack_pace=2"}},
	{"failures × 0.5", []string{"knobs.failures=0.5"}},
	{"failures × 3", []string{"knobs.failures=3"}},
	{"honest × 0.3", []string{"knobs.honest=0.3"}},
	{"honest × 3", []string{"knobs.honest=3"}},
	{"first minute", []string{`knobs.attack_at=day 1 00:00:10`}},
}

func robustTrials() (all []trial) {
	for _, name := range robust {
		for _, k := range knobs {
			all = append(all, trial{scenario: name, knob: k.name, sets: k.sets, scale: scaleOf(name), seeds: robustSeeds})
		}
	}
	for _, name := range []string{"quiet", "honest_storms"} {
		for _, k := range knobs {
			if !strings.HasPrefix(k.name, "attack") && !strings.HasPrefix(k.name, "pace") && k.name != "first minute" {
				all = append(all, trial{scenario: name, knob: k.name, sets: k.sets, scale: scaleOf(name), seeds: robustSeeds})
			}
		}
	}
	return all
}

// plan is what is scored.
func (f *flags) plan() (all []trial, err error) {
	only := slices.DeleteFunc(strings.Split(f.scenarios, ","), func(s string) bool { return s == "" })
	for _, p := range parts {
		if !slices.Contains(f.partList(), p.name) {
			continue
		}
		for _, t := range p.trials() {
			if t.part = p.name; len(only) > 0 && !slices.Contains(only, t.scenario) {
				continue
			}
			if f.scale > 0 {
				t.scale = f.scale
			}
			if f.seeds > 0 {
				t.seeds = min(t.seeds, f.seeds)
			}
			all = append(all, t)
		}
	}
	for _, name := range only {
		if !slices.ContainsFunc(all, func(t trial) bool { return t.scenario == name }) {
			err = fmt.Errorf("-scenarios: no %s in -parts %s", name, f.parts)
		}
	}
	return all, err
}

func printPlan(w io.Writer, trials []trial) error {
	for i := range trials {
		t := &trials[i]
		if _, err := fmt.Fprintf(w, "%-10s %-40s scale %g, %d seeds\n", t.part, t.name(), t.scale, t.seeds); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "%d logs\n", logs(trials))
	return err
}

// logs is how many logs trials are.
func logs(trials []trial) (n int) {
	for i := range trials {
		n += trials[i].seeds
	}
	return n
}
