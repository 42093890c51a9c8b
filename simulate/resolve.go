package simulate

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// checker finds what is wrong in a scenario as a whole, and where it stands.
type checker struct {
	chain  []*source
	sets   []string // as they were given
	faults []error
}

// maxFaults is how many faults of a scenario are told.
const maxFaults = 50

func (c *checker) fault(names []string, format string, args ...any) {
	if len(c.faults) >= maxFaults {
		return
	}
	what := fmt.Sprintf(format, args...)
	for _, set := range c.sets { // what was set is at fault, not what stands there
		if path, _, _ := strings.Cut(set, "="); path == strings.Join(names, ".") {
			what = "--set " + set + ": " + what
		}
	}
	c.faults = append(c.faults, point(c.chain, names, what))
}

// oneOf demands that a word is known.
func (c *checker) oneOf(names []string, word string, known ...string) {
	if !slices.Contains(known, word) {
		c.fault(names, "%s: %q, must be one of %s", names[len(names)-1], word, strings.Join(quoteEmpty(known), ", "))
	}
}

func quoteEmpty(words []string) []string {
	out := slices.Clone(words)
	for i, w := range out {
		if w == "" {
			out[i] = `""`
		}
	}
	return out
}

// between demands that a number is within limits.
func (c *checker) between(names []string, n, low, high float64) {
	if !(n >= low && n <= high) {
		c.fault(names, "%s: %v, must be from %v to %v", names[len(names)-1], n, low, high)
	}
}

// The most of everything: what a machine can make up in a day.
const (
	maxUsers     = 4e6 // of a population: a quarter of the homes' addresses is theirs
	maxRequests  = 1e9
	maxAddresses = 2e7
)

// resolve fills in what was left out, checks the whole, and joins names to what
// they mean.
func (s *Scenario) resolve(chain []*source, sets []string) error {
	c := &checker{chain: chain, sets: sets}
	if s.Days < 1 || s.Days > maxDays {
		c.fault([]string{"days"}, "days: %d, must be from 1 to %d", s.Days, maxDays)
	}
	s.Knobs.resolve(c)
	s.resolveSite(c)
	for _, name := range sortedKeys(s.Honest) {
		s.resolvePopulation(c, name, s.Honest[name])
	}
	for _, name := range sortedKeys(s.Events) {
		e, at := s.Events[name], []string{"events", name}
		if e == nil {
			c.fault(at, "%s: empty", name)
			continue
		}
		e.name = name
		c.oneOf(append(at, "kind"), e.Kind, "sale", "reset", "outage")
		if e.Factor == 0 {
			e.Factor = 1
		}
		c.between(append(at, "factor"), e.Factor, 0.01, 100)
		c.between(append(at, "share"), e.Share, 0, 1)
	}
	for _, name := range sortedKeys(s.Campaigns) {
		if s.Campaigns[name] == nil || len(s.Campaigns[name].Phases) == 0 {
			c.fault([]string{"campaigns", name}, "%s: no phases", name)
			continue
		}
		for phase, p := range s.Campaigns[name].Phases {
			s.resolvePhase(c, name, phase, p)
		}
	}
	if err := errors.Join(c.faults...); err != nil {
		return err
	}
	s.moveAttacks()
	return nil
}

func (k *Knobs) resolve(c *checker) {
	for name, n := range map[string]*float64{"attack_size": &k.AttackSize, "attack_pace": &k.AttackPace, "failures": &k.Failures, "honest": &k.Honest} {
		if *n == 0 {
			*n = 1
		}
		c.between([]string{"knobs", name}, *n, 0.001, 1000)
	}
}

// moveAttacks lets the first phase begin when the knob says.
func (s *Scenario) moveAttacks() {
	if s.Knobs.AttackAt == nil {
		return
	}
	first := Moment(maxDays * day)
	for _, c := range s.Campaigns {
		for _, p := range c.Phases {
			first = min(first, p.Start)
		}
	}
	for _, c := range s.Campaigns {
		for _, p := range c.Phases {
			p.Start += *s.Knobs.AttackAt - first
		}
	}
}

func (s *Scenario) resolveSite(c *checker) {
	site := &s.Site
	if site.Host == "" {
		c.fault([]string{"site"}, "host: must be given")
	}
	if site.Items < 1 {
		c.fault([]string{"site"}, "items: must be at least 1")
	}
	c.between([]string{"site", "assets"}, site.Assets, 0, 100)
	for _, name := range sortedKeys(site.Curves) {
		if curve := site.Curves[name]; curve == nil {
			c.fault([]string{"site", "curves", name}, "%s: empty", name)
		} else if err := curve.level(); err != nil {
			c.fault([]string{"site", "curves", name}, "%s: %v", name, err)
		}
	}
	if site.Curves["site"] == nil {
		c.fault([]string{"site"}, "curves: site must be given, that of the visitors")
	}
	for _, name := range sortedKeys(site.Endpoints) {
		e, at := site.Endpoints[name], []string{"site", "endpoints", name}
		if e == nil {
			c.fault(at, "%s: empty", name)
			continue
		}
		if err := e.cut(); err != nil {
			c.fault(at, "%s: %v", name, err)
		}
		if e.OK == 0 {
			e.OK = 200
		}
		if e.Refused == 0 {
			e.Refused = 404
		}
		if e.Takes == 0 {
			e.Takes = Span(40 * time.Millisecond)
		}
		c.between(append(at, "ok"), float64(e.OK), 100, 599)
		c.between(append(at, "refused"), float64(e.Refused), 100, 599)
		c.between(append(at, "copies"), float64(e.Copies), 0, 500)
	}
	named := s.roles.named()
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if *named[name] = site.Endpoints[name]; site.Endpoints[name] == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		c.fault([]string{"site", "endpoints"}, "endpoints: %s missing, which people use; base: %s has them", strings.Join(missing, ", "), baseName)
	}
}

func (s *Scenario) endpoints(c *checker, at []string, names []string) (found []*Endpoint) {
	for _, name := range names {
		e := s.Site.Endpoints[name]
		if e == nil {
			c.fault(at, "%s: no endpoint %s in site.endpoints", at[len(at)-1], name)
			continue
		}
		found = append(found, e)
	}
	return found
}

func kinds() []string { return slices.Sorted(maps.Keys(groups)) }

func (s *Scenario) resolvePopulation(c *checker, name string, p *Population) {
	at := []string{"honest", name}
	if p == nil {
		c.fault(at, "%s: empty", name)
		return
	}
	p.name = name
	on := func(key string) []string { return append(slices.Clone(at), key) }
	if p.Kind == "" {
		p.Kind = "people"
	}
	c.oneOf(on("kind"), p.Kind, "people", "machine", "broken")
	if p.Curve == "" {
		p.Curve = map[bool]string{true: "site", false: "flat"}[p.Kind == "people"]
	}
	c.oneOf(on("curve"), p.Curve, append(sortedKeys(s.Site.Curves), "flat")...)
	if p.Kind != "broken" {
		c.oneOf(on("network"), p.Network, kinds()...)
	}
	c.between(on("place"), float64(p.Place), 0, 1e6)
	if p.PerAddress == 0 {
		p.PerAddress = 1
	}
	for key, n := range map[string]float64{
		"roam": p.Roam, "moves": p.Moves, "logins": p.Logins, "failures": p.Failures, "signups": p.Signups, "cookieless": p.Cookieless, "jitter": p.Jitter,
	} {
		c.between(on(key), n, 0, 1)
	}
	c.between(on("per_address"), p.PerAddress, 1, 1e5)
	switch p.Kind {
	case "people":
		c.between(on("users"), p.Users, 1, maxUsers)
		c.between(on("visits"), p.Visits, 0.001, 5000)
		if p.Pages == 0 {
			p.Pages = 4
		}
		c.between(on("pages"), p.Pages, 0.1, 200)
		if p.Style == "" {
			p.Style = "web"
		}
		c.oneOf(on("style"), p.Style, sortedKeys(styles)...)
		if p.Clients == "" {
			p.Clients = map[string]string{"web": "browsers", "app": "apps", "old_app": "old_apps"}[p.Style]
		}
		c.oneOf(on("clients"), p.Clients, "browsers", "apps", "old_apps", "rare", "new")
		if p.Login != "" {
			if found := s.endpoints(c, on("login"), []string{p.Login}); len(found) > 0 {
				p.at = found[0]
			}
		}
	case "machine":
		if p.resolved = s.endpoints(c, on("endpoints"), p.Endpoints); len(p.Endpoints) == 0 {
			c.fault(at, "endpoints: must be given for a machine")
		}
		if (p.Agent == "") == (p.Clients == "") {
			c.fault(at, "%s: either agent or clients must be given for a machine", name)
		}
		if p.Clients != "" {
			c.oneOf(on("clients"), p.Clients, "browsers", "apps", "old_apps", "rare", "new")
		}
		c.oneOf(on("items"), p.Items, itemKinds...)
		fallthrough
	case "broken":
		c.between(on("count"), p.Count, 0.001, 1e5)
		c.between(on("every"), float64(p.Every)/1e9, 0.01, maxDays*86400)
	}
}

var itemKinds = []string{"", "one", "next", "any", "sparse", "popular", "new"}

func (s *Scenario) resolvePhase(c *checker, campaign, name string, p *Phase) {
	at := []string{"campaigns", campaign, "phases", name}
	if p == nil {
		c.fault(at, "%s: empty", name)
		return
	}
	p.campaign, p.name = campaign, name
	on := func(key string) []string { return append(slices.Clone(at), key) }
	if p.For <= 0 {
		c.fault(at, "for: must be given")
	}
	c.between(on("requests"), p.Requests, 1, maxRequests)
	c.between(on("addresses"), p.Addresses, 0, maxAddresses)
	for key, n := range map[string]float64{"inside_share": p.InsideShare, "human": p.Human, "hits": p.Hits, "limited": p.Limited, "known": p.Known, "own_share": p.OwnShare} {
		c.between(on(key), n, 0, 1)
	}
	c.between(on("list"), p.List, 0, 4e9)
	c.oneOf(on("shape"), p.Shape, "", "flat", "ramp", "site", "night")
	c.oneOf(on("network"), p.Network, kinds()...)
	c.oneOf(on("fingerprint"), p.Fingerprint, "tool", "borrowed", "rotating")
	c.oneOf(on("session"), p.Session, "", "none", "new", "kept")
	c.oneOf(on("items"), p.Items, itemKinds...)
	if through := s.Honest[p.Through]; p.Through != "" && (through == nil || through.Kind != "machine") {
		c.fault(on("through"), "through: %s is no population of machines in honest", p.Through)
	}
	if p.Through == "" {
		c.oneOf(on("says"), p.Says, "browsers", "apps", "old_apps", "rare", "new")
	}
	if p.SameAs != "" && s.Campaigns[campaign].Phases[p.SameAs] == nil {
		c.fault(on("same_as"), "same_as: %s is no phase of %s", p.SameAs, campaign)
	}
	if p.Burst > 0 || p.Pause > 0 {
		c.between(on("burst"), float64(p.Burst)/1e9, 30, maxDays*86400) // in seconds
	}
	if p.Fresh && p.Burst == 0 {
		c.fault(on("fresh"), "fresh: is of bursts, which need burst and pause")
	}
	people := func(key, name string) {
		if in := s.Honest[name]; name != "" && (in == nil || in.Kind != "people") {
			c.fault(on(key), "%s: %s is no population of people in honest", key, name)
		}
	}
	people("of", p.Of)
	for _, name := range p.Inside {
		people("inside", name)
	}
	if len(p.Endpoints) == 0 {
		c.fault(at, "endpoints: must be given")
	}
	p.targets = s.endpoints(c, on("endpoints"), p.Endpoints)
	p.before = s.endpoints(c, on("before"), p.Before)
	p.after = s.endpoints(c, on("after"), p.After)
	if p.Adapt != nil {
		s.resolveAdapt(c, on("adapt"), p.Adapt)
	}
}

func (s *Scenario) resolveAdapt(c *checker, at []string, a *Adapt) {
	if a.Over == 0 {
		a.Over = 100
	}
	c.between(append(at, "over"), float64(a.Over), 1, 256)
	c.between(append(at, "share"), a.Share, 0.01, 1)
	if len(a.Change) == 0 {
		c.fault(at, "change: must be given")
	}
	for _, what := range a.Change {
		c.oneOf(append(at, "change"), what, "fingerprint", "addresses", "network", "pace")
		if what == "network" {
			c.oneOf(append(at, "then"), a.Then, kinds()...)
		}
	}
}
