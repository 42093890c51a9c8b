package score

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// ResultVersion is the format of a score's JSON.
const ResultVersion = 1

// Result is what a ledger did to a log.
type Result struct {
	Version  int       `json:"v"`
	Scenario string    `json:"scenario"`
	Variant  string    `json:"variant,omitempty"`
	Seed     uint64    `json:"seed"`
	Scale    float64   `json:"scale"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`

	Lines    int64    `json:"lines"`
	Events   int64    `json:"events"`
	Broken   int64    `json:"broken"`                    // lines that could not be read
	Filtered int64    `json:"filtered,omitempty"`        // events that the source's only passes by
	Shed     int64    `json:"shed,omitempty"`            // values and rates that were forgotten for want of room: figures are too low
	Unmet    []string `json:"unmet_endpoints,omitempty"` // of decisions, that no line has: the replay had another site file
	Delay    float64  `json:"delay_seconds"`
	AsIf     bool     `json:"as_if_enforced,omitempty"`
	Ledger   Lines    `json:"ledger"`

	Campaigns   []Campaign   `json:"campaigns"`         // the worst first
	Honest      *Population  `json:"honest"`            // all populations together
	Populations []Population `json:"populations"`       // those most hit first
	Rules       []RuleShare  `json:"rules"`             // by what they did
	Tripped     []Trip       `json:"tripped,omitempty"` // rules that the ledger's breaker held
	Lists       []ListSize   `json:"lists"`             // weir's and the baselines'
	Goals       []Verdict    `json:"goals"`             // the failed first
	Timeline    *Timeline    `json:"timeline,omitzero"` // not in a merge
	Why         []Nearest    `json:"why,omitempty"`
}

// Campaign is one attack, whole and by phases.
type Campaign struct {
	Part
	Phases []Part `json:"phases"`
}

// Part is a campaign or a phase of one, and what became of it.
type Part struct {
	Label    string    `json:"label"` // attack/CAMPAIGN or attack/CAMPAIGN/PHASE
	Campaign string    `json:"campaign"`
	Phase    string    `json:"phase,omitempty"`
	Title    string    `json:"title"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Requests int64     `json:"requests"`

	Addresses    int64 `json:"addresses"`
	Networks     int64 `json:"networks"` // /24 and /48
	Fingerprints int64 `json:"fingerprints"`
	Accounts     int64 `json:"accounts"`

	// What a list of addresses could stop that learns each from its first
	// request, at once and without a mistake; and one of networks.
	AddressBound float64 `json:"address_bound"`
	NetworkBound float64 `json:"network_bound"`

	Stopped []Stopped `json:"stopped"` // weir, then the baselines
	Missed  Missed    `json:"missed"`  // by weir
}

// Stopped is how much of an attack came to nothing, and how soon.
type Stopped struct {
	By string `json:"by"`
	Hits
	BlockedShare float64  `json:"blocked_share"`    // blocked or deceived
	StoppedShare float64  `json:"stopped_share"`    // or challenged, or limited
	First        *Reached `json:"first,omitempty"`  // the first request that was stopped
	Ninety       *Reached `json:"ninety,omitempty"` // the first time that 90 of the last 100 were
	Through      int64    `json:"requests_let_through"`
}

// Reached is when something was reached.
type Reached struct {
	At      time.Time `json:"at"`
	After   float64   `json:"after_seconds"` // since the first request
	Through int64     `json:"requests_let_through"`
}

// Missed says why requests passed: of each the nearest that anything came to
// stopping it, the nearest last.
type Missed struct {
	Requests  int64 `json:"requests"`
	BeforeAny int64 `json:"before_the_first_stop"` // of them, while nothing had been stopped yet
	Never     int64 `json:"never_decided_about"`
	RanOut    int64 `json:"decision_had_ended"`
	TooSoon   int64 `json:"decided_about_later"`
	OnItsWay  int64 `json:"decision_on_its_way"` // made, but not yet enforced
	Shadow    int64 `json:"only_in_shadow"`
	Held      int64 `json:"held_by_a_guard"`
	Alert     int64 `json:"only_alerted"`
	Excepted  int64 `json:"excepted_as_known"`
	Within    int64 `json:"within_the_rate"`
}

// Population is honest senders of a kind, and what befell them.
type Population struct {
	Label        string `json:"label"`
	Title        string `json:"title"`
	Requests     int64  `json:"requests"`
	Addresses    int64  `json:"addresses"`
	Fingerprints int64  `json:"fingerprints"`
	Accounts     int64  `json:"accounts"` // 0: the log names none
	Hurt         []Hurt `json:"hurt"`     // by weir, then by the baselines
}

// Hurt is what befell a population.
type Hurt struct {
	By        string `json:"by"`
	Requests  Hits   `json:"requests"`
	Addresses Hits   `json:"addresses"` // by the strongest that befell any of their requests
	Accounts  Hits   `json:"accounts"`

	BlockedShare  float64 `json:"blocked_share"`  // of requests, blocked or deceived
	MilderShare   float64 `json:"milder_share"`   // of requests, challenged or limited
	AccountsShare float64 `json:"accounts_share"` // of accounts, blocked or deceived

	Clean  Sharing `json:"on_addresses_that_never_attack"`
	Shared Sharing `json:"on_addresses_that_also_attack"`
	Prints Sharing `json:"on_fingerprints_that_also_attack"`
}

// Sharing is the part of a population that shares, or does not share,
// addresses or fingerprints with an attack.
type Sharing struct {
	Values       int64   `json:"values"` // addresses or fingerprints
	Requests     int64   `json:"requests"`
	Hits         Hits    `json:"hits"`
	BlockedShare float64 `json:"blocked_share"`
	MilderShare  float64 `json:"milder_share"`
}

// RuleShare is what one rule did, where its decision was the strongest.
type RuleShare struct {
	Rule    string `json:"rule"`
	Attacks Hits   `json:"attack_requests"`
	Honest  Hits   `json:"honest_requests"`

	// Labels is whose requests they were, those most stopped first.
	Labels []LabelShare `json:"labels"`
}

// LabelShare is what a rule did to the requests of one label.
type LabelShare struct {
	Label    string `json:"label"`
	Requests Hits   `json:"requests"`
}

// ruleTally counts what a rule did.
type ruleTally struct {
	RuleShare
	of []Hits // by the number of the tally; nil until there is one
}

func (t *ruleTally) add(tally, tallies int, attack bool, f fate) {
	if attack {
		t.Attacks.add(f, 1)
	} else {
		t.Honest.add(f, 1)
	}
	if t.of == nil {
		t.of = make([]Hits, tallies)
	}
	t.of[tally].add(f, 1)
}

// result puts together what was counted.
func (r *run) result() *Result {
	t := r.log.Truth
	out := &Result{
		Version: ResultVersion, Scenario: t.Scenario, Variant: t.Variant, Seed: t.Seed, Scale: t.Scale, From: t.From, Until: t.Until,
		Lines: r.lines, Events: r.events, Broken: r.broken, Filtered: r.filtered, Delay: r.ledger.how.Delay.Seconds(), AsIf: r.ledger.how.AsIf,
		Ledger: r.ledger.Lines, Shed: r.rates.shed + r.standing.visits.shed,
	}
	for i := range r.standing.of {
		out.Shed += r.standing.of[i].shed
	}
	for _, y := range r.tallies {
		out.Shed += y.shed
	}
	var names [contenders]string
	for by := range names {
		names[by] = weirName
		if by > byWeir {
			names[by] = r.naive[by].name()
		}
	}
	out.Campaigns = r.campaigns(&names)
	out.Honest, out.Populations = r.populations(&names)
	out.Rules = r.sortedRules()
	from, until := t.From.UnixNano(), t.Until.UnixNano()
	out.Lists = append(out.Lists, r.ledger.lists(from, until, r.line))
	for by := byTen; by < contenders; by++ {
		out.Lists = append(out.Lists, r.naive[by].list.size(names[by], t.Until.Sub(t.From)))
	}
	out.Tripped = r.ledger.tripped
	out.Unmet = slices.Sorted(maps.Keys(r.ledger.unmet))
	out.Goals = r.verdicts()
	out.Timeline = r.timeline()
	return out
}

// sortedRules returns the rules that did anything, the busiest first.
func (r *run) sortedRules() []RuleShare {
	var rules []RuleShare
	for i := range r.rules {
		if s := &r.rules[i]; s.Attacks != (Hits{}) || s.Honest != (Hits{}) {
			rules = append(rules, s.share(r.tallies))
		}
	}
	slices.SortFunc(rules, func(a, b RuleShare) int {
		return cmp.Or(cmp.Compare(b.Attacks.Stopped(), a.Attacks.Stopped()), cmp.Compare(b.Honest.Stopped(), a.Honest.Stopped()), strings.Compare(a.Rule, b.Rule))
	})
	return rules
}

// share returns what was counted, with the labels by their names.
func (t *ruleTally) share(tallies []*tally) RuleShare {
	s := t.RuleShare
	for i := range t.of {
		if t.of[i] != (Hits{}) {
			s.Labels = append(s.Labels, LabelShare{tallies[i].label.Name, t.of[i]})
		}
	}
	slices.SortFunc(s.Labels, func(a, b LabelShare) int {
		return cmp.Or(cmp.Compare(b.Requests.Stopped(), a.Requests.Stopped()), strings.Compare(a.Label, b.Label))
	})
	return s
}

func (r *run) timeline() *Timeline {
	t := &Timeline{
		From: r.line.from / 1e9, Width: r.line.width / 1e9, Buckets: r.line.n,
		List: trimmed(r.line.list), Rules: r.ledger.moments(r.line),
	}
	for _, y := range r.tallies {
		t.Lanes = append(t.Lanes, Lane{y.label.Name, trimmed(y.buckets[0]), trimmed(y.buckets[1]), trimmed(y.buckets[2])})
	}
	return t
}
