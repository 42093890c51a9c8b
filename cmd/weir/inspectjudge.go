package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"weir/event"
	"weir/rules"
)

// surveyed is what is known of the whole log.
type surveyed struct {
	kinds  uint32
	filled uint64
	long   bool // longer than a day, so that something is known of its values
	extras event.Extras
}

// The states of a rule on a log.
const (
	ruleWorks  = "works"
	ruleIdle   = "idle" // nothing is missing, and nothing is there for it
	rulePartly = "partly"
	ruleLater  = "later"
	ruleBlind  = "blind"
)

// ruleFacts says whether a rule can work on a log.
type ruleFacts struct {
	Rule  string   `json:"rule"`
	Title string   `json:"title"`
	State string   `json:"state"`
	Sees  int64    `json:"sees"` // events
	Why   []string `json:"why"`
}

// judge says what the rule can do on a log in which the rules named blind are.
func (s *ruleSight) judge(all *surveyed, blind map[string]bool) ruleFacts {
	f := ruleFacts{Rule: s.rule.ID, Title: s.rule.Title, State: ruleWorks, Sees: s.sees, Why: []string{}}
	if s.sees == 0 {
		var why string
		f.State, why = s.whyNothing(all)
		f.Why = append(f.Why, why)
		return f
	}
	for _, k := range s.rule.Key {
		if n := s.filled(k); n == 0 {
			f.State = ruleBlind
			f.Why = append(f.Why, s.lacks(k))
		} else if 2*n < s.sees {
			f.Why = append(f.Why, fmt.Sprintf("%s is on only %s of the lines it sees", s.extras.Name(k), percent(float64(n)/float64(s.sees))))
		}
	}
	if f.State == ruleBlind {
		return f
	}
	dark, late := s.darkness(s.aggs, all)
	for i := range s.rule.Features { // what only its consequences read
		if !slices.Contains(s.rule.When.Features, i) {
			delete(dark, i)
			delete(late, i)
		}
	}
	signals := map[int]bool{}
	for i, sig := range s.rule.When.Signals {
		if blind[sig.Rule] {
			signals[i] = true
			f.Why = append(f.Why, fmt.Sprintf("%s, which it listens to, is blind", sig.Rule))
		}
	}
	n := len(s.rule.Features)
	empty := s.emptyKinds(all)
	nothing := maps.Clone(empty)
	maps.Copy(nothing, dark)
	switch reasons := texts(dark); {
	case !possible(s.rule.When, n, dark, signals):
		f.State = ruleBlind
		f.Why = compact(append(f.Why, reasons...))
		return f
	case !possible(s.rule.When, n, nothing, signals):
		f.State = ruleBlind
		f.Why = compact(append(f.Why, texts(nothing)...))
		return f
	case len(reasons) > 0:
		f.State = rulePartly
		f.Why = append(f.Why, reasons...)
	}
	if len(late) > 0 {
		maps.Copy(late, dark)
		if !possible(s.rule.When, n, late, signals) {
			f.State = ruleLater
			f.Why = append(f.Why, "who is known here shows only after 24 h; this log is shorter")
		}
	}
	s.judgeLadder(&f, all)
	for i, a := range s.aggs {
		if why := empty[i]; why != "" && a.name != "" {
			f.Why = append(f.Why, a.name+" stays 0: "+why)
		}
	}
	f.Why = compact(f.Why)
	return f
}

// judgeLadder adds what the rule's consequences lack.
func (s *ruleSight) judgeLadder(f *ruleFacts, all *surveyed) {
	features, _ := s.darkness(s.aggs[:len(s.rule.Features)], all)
	for i := range s.rule.Then {
		c := &s.rule.Then[i]
		out := fmt.Sprintf(": one %s by %s falls away", c.Action, names(c.Dims, s.extras))
		for _, d := range c.Dims {
			if s.filled(d) == 0 {
				f.State = worse(f.State, rulePartly)
				f.Why = append(f.Why, s.lacks(d)+out)
			}
		}
		if c.If != nil {
			zero := map[int]string{}
			for k, why := range features {
				if slices.Contains(c.If.Features, k) {
					zero[k] = why
				}
			}
			inline, _ := s.darkness(s.ladder[i], all)
			for k, why := range inline {
				zero[len(s.rule.Features)+k] = why
			}
			if len(zero) > 0 && !possible(c.If, len(s.rule.Features), zero, nil) {
				f.State = worse(f.State, rulePartly)
				f.Why = append(f.Why, strings.Join(texts(zero), ", ")+out)
			}
		}
		if c.Except != event.NoField && !all.long {
			f.Why = append(f.Why, fmt.Sprintf("one %s spares known(%s) and waits for the first 24 h to pass; this log is shorter", c.Action, s.extras.Name(c.Except)))
		}
	}
}

// darkness returns which aggregates can only be zero, by their index, and why;
// late are those that need to know who is a regular, in a log too short for it.
func (s *ruleSight) darkness(aggs []aggSight, all *surveyed) (dark, late map[int]string) {
	dark, late = map[int]string{}, map[int]string{}
	for i := range aggs {
		a := &aggs[i]
		if a.Field != event.NoField && s.filled(a.Field) == 0 {
			dark[i] = s.lacks(a.Field)
			continue
		}
		for _, c := range a.conds {
			if c.standing && !all.long {
				late[i] = ""
			}
			if c.held > 0 {
				continue // also who lacks a field may be a stranger
			}
			for _, f := range c.cond.Fields {
				if s.filled(f) == 0 && f != event.FieldDeprecated && f != event.FieldRefused {
					dark[i] = s.lacks(f)
				}
			}
		}
	}
	return dark, late
}

// emptyKinds returns which aggregates count only kinds of endpoints that the
// log does not have, though no field is missing for it.
func (s *ruleSight) emptyKinds(all *surveyed) map[int]string {
	why := map[int]string{}
	for i, a := range s.aggs {
		for _, c := range a.conds {
			if c.cond.Kinds&all.kinds == 0 && a.Func != rules.Ratio && a.Func != rules.RatioLow {
				why[i] = fmt.Sprintf("no endpoint of kind %s seen", kinds(c.cond.Kinds))
			}
		}
	}
	return why
}

// whyNothing says why no event fits the rule's where.
func (s *ruleSight) whyNothing(all *surveyed) (state, why string) {
	for _, c := range s.where {
		if c.cond.Kinds&all.kinds == 0 {
			return ruleBlind, fmt.Sprintf("no endpoint of kind %s seen", kinds(c.cond.Kinds))
		}
	}
	for _, c := range s.where {
		if c.held > 0 || c.standing {
			continue
		}
		for _, f := range c.cond.Fields {
			if all.filled>>f&1 == 0 {
				return ruleBlind, s.lacks(f)
			}
		}
		return ruleIdle, "no line fits " + c.cond.Text
	}
	return ruleIdle, "no line fits " + s.rule.Where.Text
}

func (s *ruleSight) filled(f event.Field) int64 {
	for _, n := range s.needs {
		if n.field == f {
			return n.n
		}
	}
	return 0
}

// remedies say in a word what a missing field takes.
var remedies = map[event.Field]string{
	event.FieldCredential: "map fields.credential",
	event.FieldSession:    "map fields.session",
	event.FieldConsumer:   "map fields.consumer",
	event.FieldASN:        "set enrich.asn",
	event.FieldOrg:        "set enrich.asn",
	event.FieldOutcome:    "say failure: in the site file",
	event.FieldJA4:        "map fields.ja4",
	event.FieldItem:       "name the endpoint's item in the site file",
}

// lacks says that no event which the rule sees has a field.
func (s *ruleSight) lacks(f event.Field) string {
	text := "no " + s.extras.Name(f)
	if where := wordKinds(s.rule.Where.Kinds); where != "" {
		text += " at " + where
	} else {
		text += " in the log"
	}
	if r := remedies[f]; r != "" {
		text += " (" + r + ")"
	}
	return text
}

// possible reports whether a condition can hold while some of what it reads is
// zero: it is tried with small, large and no values for all the rest.
func possible(c *rules.Cond, features int, zero map[int]string, silent map[int]bool) bool {
	levels := [...]float64{0, 0.5, 1, 1e6}
	var free []int
	for i := range features + len(c.Inline) {
		if _, isZero := zero[i]; !isZero && (i >= features || slices.Contains(c.Features, i)) {
			free = append(free, i)
		}
	}
	values := make([]float64, features+len(c.Inline))
	env := rules.Env{
		Read:   func(i int) float64 { return values[i] },
		Signal: func(i int) bool { return !silent[i] },
	}
	targets := 1
	if c.Target {
		targets = 8
	}
	const most = 1 << 16
	total := targets
	for range free {
		if total *= len(levels); total > most {
			return true // too many to try: nothing is claimed
		}
	}
	for n := range total {
		rest := n
		t := rest % targets
		rest /= targets
		env.Good, env.Tried, env.Clean = math.Ldexp(float64(t&1), 20), math.Ldexp(float64(t>>1&1), 20), t>>2 == 1
		for _, i := range free {
			values[i] = levels[rest%len(levels)]
			rest /= len(levels)
		}
		if c.Eval(&env) {
			return true
		}
	}
	return false
}

// worse returns the worse of two states.
func worse(a, b string) string {
	order := []string{ruleWorks, rulePartly, ruleLater, ruleBlind}
	return order[max(slices.Index(order, a), slices.Index(order, b))]
}

// texts returns the reasons in the order of what they are for, each once.
func texts(m map[int]string) []string {
	var out []string
	for i := range event.NumFields * 4 { // more than a rule has aggregates
		if why, ok := m[i]; ok && why != "" {
			out = append(out, why)
		}
	}
	return compact(out)
}

// compact drops repeats, keeping the order.
func compact(list []string) []string {
	out := list[:0:0]
	for _, s := range list {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if out == nil {
		out = []string{}
	}
	return out
}

// kinds lists the kinds of a set, which is not all of them.
func kinds(set uint32) string {
	var list []string
	for k := range event.NumKinds {
		if name := event.Kind(k).String(); set>>k&1 == 1 && name != "" {
			list = append(list, name)
		}
	}
	if len(list) > 1 {
		return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
	}
	return strings.Join(list, "")
}

// wordKinds is kinds of a set that names a few; of any other it is empty.
func wordKinds(set uint32) string {
	const few = 3
	n := 0
	for k := range event.NumKinds {
		n += int(set >> k & 1)
	}
	if n > few {
		return ""
	}
	return kinds(set)
}

func names(fields []event.Field, x event.Extras) string {
	var list []string
	for _, f := range fields {
		list = append(list, x.Name(f))
	}
	return strings.Join(list, " and ")
}
