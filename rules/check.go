package rules

import (
	"errors"
	"slices"
	"strings"

	"weir/event"
)

// Check checks what needs the whole set of rules: that no id stands twice, and
// that signals ask for rules that there are, whose key is part of the
// reader's or fixed by its where, and never in a circle.
func Check(rs []*Rule) error {
	s := set{byID: map[string]*Rule{}}
	for _, r := range rs {
		if first := s.byID[r.ID]; first != nil {
			s.fail(r.at, "the id %s is taken by %s", r.ID, first.File)
			continue
		}
		s.byID[r.ID] = r
		s.ids = append(s.ids, r.ID)
	}
	slices.Sort(s.ids)
	for _, r := range rs {
		for _, c := range r.conds() {
			s.signals(r, c)
		}
	}
	s.cycles()
	return errors.Join(s.errs...)
}

// Fixed returns the one value of a field that all events have which the rule's
// where lets through, as `agent_kind == "browser" and …` says it.
func (r *Rule) Fixed(f event.Field) (value string, ok bool) {
	for _, c := range r.Where.Conjuncts {
		n := c.tree
		switch {
		case n.op == opTextIn && n.a.op == opFieldText && n.a.field == f && len(n.texts) == 1 && n.texts[0] != "":
			return n.texts[0], true
		case n.op == opEnumIn && n.field == f:
			if v := enumTexts(f, n.mask); len(v) == 1 && v[0] != "" {
				return v[0], true
			}
		}
	}
	return "", false
}

// conds returns a rule's conditions on features.
func (r *Rule) conds() []*Cond {
	cs := []*Cond{r.When}
	for i := range r.Then {
		if c := r.Then[i].If; c != nil {
			cs = append(cs, c)
		}
	}
	return cs
}

type set struct {
	byID map[string]*Rule
	ids  []string
	errs []error
}

func (s *set) fail(at *Fault, format string, args ...any) {
	s.errs = append(s.errs, at.with(format, args...))
}

// signals checks each rule that a condition asks for.
func (s *set) signals(r *Rule, c *Cond) {
	for i, signal := range c.Signals {
		other := s.byID[signal.Rule]
		if other == nil {
			s.fail(c.places[i], "unknown rule %s%s", signal.Rule, didYouMean(signal.Rule, s.ids))
			continue
		}
		for _, f := range other.Key {
			if _, fixed := r.Fixed(f); !fixed && !contains(r.Key, f) {
				s.fail(c.places[i], "%s has %s in its key, which this rule's key lacks: it must be a part of it, or this rule's where say which one", other.ID, other.extras.Name(f))
				break
			}
		}
	}
}

// cycles reports each circle of signals once, at the rule with its smallest id.
func (s *set) cycles() {
	const (
		unseen = iota
		open
		done
	)
	state := map[string]int{}
	var path []string
	var visit func(id string)
	visit = func(id string) {
		state[id] = open
		path = append(path, id)
		r := s.byID[id]
		for _, c := range r.conds() {
			for i, signal := range c.Signals {
				switch {
				case s.byID[signal.Rule] == nil:
				case state[signal.Rule] == open:
					circle := append(slices.Clone(path[slices.Index(path, signal.Rule):]), signal.Rule)
					s.fail(c.places[i], "signals in a circle: %s", strings.Join(circle, " -> "))
				case state[signal.Rule] == unseen:
					visit(signal.Rule)
				}
			}
		}
		path = path[:len(path)-1]
		state[id] = done
	}
	for _, id := range s.ids {
		if state[id] == unseen {
			visit(id)
		}
	}
}
