package score

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// ReadResult reads the JSON of one score.
func ReadResult(data []byte) (*Result, error) {
	var r Result
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, err
	}
	if r.Version != ResultVersion {
		return nil, fmt.Errorf("format %d, must be %d: not what weir score --json writes", r.Version, ResultVersion)
	}
	if r.Honest == nil || len(r.Honest.Hurt) != contenders {
		return nil, errors.New("honest: not what weir score --json writes")
	}
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		for _, p := range append([]Part{c.Part}, c.Phases...) {
			if len(p.Stopped) != contenders {
				return nil, fmt.Errorf("campaigns: %.80q: not what weir score --json writes", p.Label)
			}
		}
	}
	for i := range r.Populations {
		if len(r.Populations[i].Hurt) != contenders {
			return nil, fmt.Errorf("populations: %.80q: not what weir score --json writes", r.Populations[i].Label)
		}
	}
	return &r, nil
}

// Merged is several scores of the same scenario: over seeds.
type Merged struct {
	Scenario    string             `json:"scenario"`
	Variant     string             `json:"variant,omitempty"`
	Scale       float64            `json:"scale"`
	Seeds       []uint64           `json:"seeds"`
	Attacks     []MergedAttack     `json:"attacks"`
	Populations []MergedPopulation `json:"populations"`
	List        Spread             `json:"list_max"`
	Goals       []MergedGoal       `json:"goals"`
}

// Spread is a figure over seeds.
type Spread struct {
	Median float64 `json:"median"`
	Worst  float64 `json:"worst"`
}

// MergedAttack is a campaign or one of its phases over seeds.
type MergedAttack struct {
	Label        string   `json:"label"`
	Runs         int      `json:"runs"`
	Requests     Spread   `json:"requests"` // worst: the most
	Blocked      Spread   `json:"blocked"`
	Stopped      Spread   `json:"stopped"`
	First        Spread   `json:"first_stop_seconds"` // -1: never
	AddressBound Spread   `json:"address_bound"`
	Naive        []Spread `json:"naive"` // stopped by the baselines
}

// MergedPopulation is an honest population over seeds.
type MergedPopulation struct {
	Label         string   `json:"label"`
	Runs          int      `json:"runs"`
	Blocked       Spread   `json:"blocked"`
	Milder        Spread   `json:"milder"`
	Accounts      Spread   `json:"accounts"`
	CleanBlocked  Spread   `json:"blocked_on_addresses_that_never_attack"`
	SharedBlocked Spread   `json:"blocked_on_addresses_that_also_attack"`
	Naive         []Spread `json:"naive"` // blocked by the baselines
}

// MergedGoal is a demand over seeds.
type MergedGoal struct {
	Verdict
	Passed int    `json:"passed"`
	Runs   int    `json:"runs"`
	Is     Spread `json:"is"` // shadows that of one run
}

// Merge puts the scores of one scenario together. A figure's worst is the least
// of what is stopped, the most of what hurts, and the latest.
func Merge(all []*Result) (*Merged, error) {
	if len(all) == 0 {
		return nil, errors.New("no score given")
	}
	first := all[0]
	m := &Merged{Scenario: first.Scenario, Variant: first.Variant, Scale: first.Scale}
	for _, r := range all {
		if r.Scenario != m.Scenario || r.Variant != m.Variant || r.Scale != m.Scale {
			return nil, fmt.Errorf("%s beside %s: must be the same but for the seed", Title(r), Title(first))
		}
		if slices.Contains(m.Seeds, r.Seed) {
			return nil, fmt.Errorf("seed %d stands twice", r.Seed)
		}
		m.Seeds = append(m.Seeds, r.Seed)
	}
	slices.Sort(m.Seeds)
	m.attacks(all)
	m.populations(all)
	m.goals(all)
	m.List = spread(all, func(r *Result) float64 { return float64(r.Lists[byWeir].Max) }, most)
	return m, nil
}

func (m *Merged) attacks(all []*Result) {
	of := map[string][]*Part{}
	var order []string
	note := func(p *Part) {
		if of[p.Label] == nil {
			order = append(order, p.Label)
		}
		of[p.Label] = append(of[p.Label], p)
	}
	for _, r := range all {
		for i := range r.Campaigns {
			c := &r.Campaigns[i]
			note(&c.Part)
			for j := range c.Phases {
				if len(c.Phases) > 1 {
					note(&c.Phases[j])
				}
			}
		}
	}
	slices.Sort(order)
	for _, label := range order {
		ps := of[label]
		a := MergedAttack{Label: label, Runs: len(ps)}
		a.Requests = spread(ps, func(p *Part) float64 { return float64(p.Requests) }, most)
		a.Blocked = spread(ps, func(p *Part) float64 { return p.Stopped[byWeir].BlockedShare }, least)
		a.Stopped = spread(ps, func(p *Part) float64 { return p.Stopped[byWeir].StoppedShare }, least)
		a.First = spread(ps, func(p *Part) float64 {
			if f := p.Stopped[byWeir].First; f != nil {
				return f.After
			}
			return never1
		}, most)
		if a.First.Median == never1 {
			a.First.Median = -1
		}
		if a.First.Worst == never1 {
			a.First.Worst = -1
		}
		a.AddressBound = spread(ps, func(p *Part) float64 { return p.AddressBound }, most)
		for by := byTen; by < contenders; by++ {
			a.Naive = append(a.Naive, spread(ps, func(p *Part) float64 { return p.Stopped[by].StoppedShare }, least))
		}
		m.Attacks = append(m.Attacks, a)
	}
}

func (m *Merged) populations(all []*Result) {
	of := map[string][]*Population{}
	var order []string
	for _, r := range all {
		for i := range r.Populations {
			p := &r.Populations[i]
			if of[p.Label] == nil {
				order = append(order, p.Label)
			}
			of[p.Label] = append(of[p.Label], p)
		}
		of[""] = append(of[""], r.Honest)
	}
	slices.Sort(order)
	for _, label := range append([]string{""}, order...) {
		ps := of[label]
		p := MergedPopulation{Label: label, Runs: len(ps)}
		if label == "" {
			p.Label = "honest"
		}
		hurt := func(of func(*Hurt) float64, by int) Spread {
			return spread(ps, func(p *Population) float64 { return of(&p.Hurt[by]) }, most)
		}
		p.Blocked = hurt(func(h *Hurt) float64 { return h.BlockedShare }, byWeir)
		p.Milder = hurt(func(h *Hurt) float64 { return h.MilderShare }, byWeir)
		p.Accounts = hurt(func(h *Hurt) float64 { return h.AccountsShare }, byWeir)
		p.CleanBlocked = hurt(func(h *Hurt) float64 { return h.Clean.BlockedShare }, byWeir)
		p.SharedBlocked = hurt(func(h *Hurt) float64 { return h.Shared.BlockedShare }, byWeir)
		for by := byTen; by < contenders; by++ {
			p.Naive = append(p.Naive, hurt(func(h *Hurt) float64 { return h.BlockedShare }, by))
		}
		m.Populations = append(m.Populations, p)
	}
}

func (m *Merged) goals(all []*Result) {
	type demand struct {
		labels, what string
		attacking    bool
		anywhere     bool
	}
	of := map[demand][]*Verdict{}
	var order []demand
	for _, r := range all {
		for i := range r.Goals {
			v := &r.Goals[i]
			d := demand{v.Labels, v.What, v.Attacking, v.Anywhere}
			if of[d] == nil {
				order = append(order, d)
			}
			of[d] = append(of[d], v)
		}
	}
	slices.SortStableFunc(order, func(a, b demand) int { return compareTexts(a.labels, b.labels, a.what, b.what) })
	for _, d := range order {
		vs := of[d]
		g := MergedGoal{Verdict: *vs[0], Runs: len(vs)}
		worst := most
		if d.what == wantBlocked || d.what == wantStopped || d.what == wantPasses {
			worst = least
		}
		late := d.what == wantFirst || d.what == wantAlert
		g.Is = spread(vs, func(v *Verdict) float64 {
			if late && v.Is < 0 {
				return never1
			}
			return v.Is
		}, worst)
		if g.Is.Median == never1 {
			g.Is.Median = -1
		}
		if g.Is.Worst == never1 {
			g.Is.Worst = -1
		}
		for _, v := range vs {
			if v.Pass {
				g.Passed++
			}
			if v.Note == "" {
				g.Note = "" // it was measured in some of them
			}
		}
		g.Pass = g.Passed == g.Runs
		m.Goals = append(m.Goals, g)
	}
}
