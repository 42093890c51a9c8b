package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"weir/event"
)

// maxSteps is how many steps the for of a consequence may have.
const maxSteps = 16

// consequenceKeys are what an entry may say besides its action.
var consequenceKeys = []string{"if", "except", "for", "to"}

// then reads the ladder.
func (r *reader) then(rule *Rule, it *item) {
	switch it.kind {
	case isMap:
		r.entry(rule, it, "then")
	case isList:
		if len(it.list) == 0 {
			r.fail(it.off, "then", "is empty (leave it out, and the rule is a signal)")
		}
		if len(it.list) > maxLadder {
			r.fail(it.off, "then", "%d entries, must be at most %d", len(it.list), maxLadder)
			return
		}
		for i, e := range it.list {
			key := fmt.Sprintf("then[%d]", i)
			if e.kind != isMap {
				r.fail(e.off, key, "is %s, must be a map such as {block: ip, for: 1h}", e.kind)
				continue
			}
			r.entry(rule, e, key)
		}
	default:
		r.fail(it.off, "then", "is %s, must be a map such as {block: ip, for: 1h}, or a list of them", it.kind)
	}
}

// entry reads one consequence.
func (r *reader) entry(rule *Rule, it *item, key string) {
	c := Consequence{}
	var action *pair
	unknown := false
	have := map[string]*item{}
	for i, p := range it.pairs {
		name := p.key.text
		switch {
		case slices.Contains(actionNames, name):
			if action != nil {
				r.fail(p.key.off, key, "%s and %s: one action an entry", action.key.text, name)
				continue
			}
			action = &it.pairs[i]
		case slices.Contains(consequenceKeys, name):
			have[name] = p.value
		default:
			all := append(slices.Clone(actionNames), consequenceKeys...)
			r.fail(p.key.off, key, "unknown action or key %s%s; actions are %s", name, didYouMean(name, all), among(actionNames))
			unknown = true
		}
	}
	switch {
	case action == nil && !unknown:
		r.fail(it.off, key, "has no action: %s", list(actionNames))
	case action != nil:
		c.Action, _ = event.ActionByName(action.key.text)
		r.target(rule, &c, action, key)
	}
	if e := have["if"]; e != nil {
		c.If = r.cond(e, key+".if", rule.Features, true)
	}
	if e := have["except"]; e != nil {
		c.Except = r.except(e, key+".except")
	}
	if e := have["for"]; e != nil {
		c.For = r.steps(e, key+".for")
	}
	r.rate(&c, have["to"], it, key)
	if action != nil {
		r.harm(rule, &c, action.key, have["if"], key)
	}
	if c.If != nil {
		r.surges(c.If.Inline, append(c.Members(rule.Key), rule.Key...), have["if"].off, key+".if")
	}
	rule.Then = append(rule.Then, c)
}

// target reads what an entry acts on.
func (r *reader) target(rule *Rule, c *Consequence, action *pair, key string) {
	if v := action.value; c.Action == event.Alert && (v.kind == isNull || v.kind == isList && len(v.list) == 0) {
		c.Dims = slices.Clone(rule.Key)
		return
	} else if v.kind == isNull {
		r.fail(action.key.off, key+"."+action.key.text, "has no target: name the fields to act on, such as ip")
		return
	}
	c.Dims = r.fields(action.value, key+"."+action.key.text)
}

// except reads known(field).
func (r *reader) except(it *item, key string) event.Field {
	s, ok := r.scalar(it, key)
	if !ok {
		return event.NoField
	}
	name, opened := strings.CutPrefix(strings.TrimSpace(s), "known(")
	name, closed := strings.CutSuffix(name, ")")
	name = strings.TrimSpace(name)
	if !opened || !closed {
		r.fail(it.off, key, "%s, must be known(field), such as known(ip)", s)
		return event.NoField
	}
	f := event.FieldByName(name)
	if extra, isExtra := strings.CutPrefix(name, "x."); isExtra {
		f = r.opt.Extras.Field(extra)
	}
	switch {
	case f == event.NoField:
		r.fail(it.off, key, "unknown field %s%s", name, fieldHint(name, r.opt.Extras))
	case !f.Keyable():
		r.fail(it.off, key, "known of %s: %s", name, notKeyable)
		return event.NoField
	}
	return f
}

// steps reads how long decisions hold.
func (r *reader) steps(it *item, key string) []time.Duration {
	if it.kind == isList && len(it.list) == 0 {
		r.fail(it.off, key, "is empty")
	}
	if n := len(elements(it)); n > maxSteps {
		r.fail(it.off, key, "%d steps, must be at most %d", n, maxSteps)
		return nil
	}
	var steps []time.Duration
	for _, e := range elements(it) {
		s, ok := r.scalar(e, key)
		if !ok {
			continue
		}
		d, err := parseDuration(s)
		if err != nil {
			r.fail(e.off, key, "%s", err)
			continue
		}
		steps = append(steps, d)
	}
	return steps
}

// rate reads the to of a limit.
func (r *reader) rate(c *Consequence, to, entry *item, key string) {
	switch {
	case to == nil && c.Action == event.Limit:
		r.fail(entry.off, key, "limit needs a rate, such as to: 10/1m")
	case to == nil:
	case c.Action != event.Limit && c.Action != event.NoAction:
		r.fail(to.off, key+".to", "is only for limit")
	default:
		s, ok := r.scalar(to, key+".to")
		if !ok {
			return
		}
		if _, _, err := limitRate(s); err != nil {
			r.fail(to.off, key+".to", "%s", err)
		}
		c.To = s
	}
}

// harm refuses what would hurt the people that a rule is to protect.
func (r *reader) harm(rule *Rule, c *Consequence, action, condition *item, key string) {
	if c.Action == event.Alert || len(c.Dims) == 0 {
		return
	}
	key += "." + c.Action.String()
	if c.Action != event.Challenge && len(c.Dims) == 1 && (c.Dims[0] == event.FieldCredential || c.Dims[0] == event.FieldActor) {
		r.fail(action.off, key, "a bare %s: who attacks an account would lock its owner out (name also where it comes from, such as [%s, ip])",
			c.Dims[0], c.Dims[0])
	}
	if rule.Stage != event.Enforce || condition != nil && c.If == nil {
		return // nothing is enforced; or the if is wrong, and was reported
	}
	if fault := rule.populationBlock(c); fault != "" {
		r.fail(action.off, key, "%s", fault)
	}
}

// populationBlock says what is wrong with a block, or a deception, of what many
// people may share, once it is enforced.
func (r *Rule) populationBlock(c *Consequence) string {
	if c.Action != event.Block && c.Action != event.Deceive || c.If.judges() || len(c.Dims) == 0 || len(r.Key) == 0 {
		return ""
	}
	why := ""
	switch members := c.Members(r.Key); {
	case len(members) > 0:
		why = "it has members (" + r.extras.Name(members[0]) + " is not in the key)"
	case !contains(c.Dims, event.FieldIP) && !contains(c.Dims, event.FieldCredential) && !contains(c.Dims, event.FieldSession):
		why = "its target names no ip, credential or session"
	default:
		return ""
	}
	return "a " + c.Action.String() + " that is enforced on a population (" + why + ") needs clean or good in its if"
}

// RefusedAtEnforce says what the checker does not mind at the rule's stage and
// would refuse at enforce.
func (r *Rule) RefusedAtEnforce() (faults []string) {
	if r.Stage == event.Enforce {
		return nil // it was checked
	}
	for i := range r.Then {
		fault := r.populationBlock(&r.Then[i])
		if fault == "" {
			continue
		}
		entry := "then"
		if len(r.Then) > 1 {
			entry = fmt.Sprintf("then[%d]", i)
		}
		faults = append(faults, entry+"."+r.Then[i].Action.String()+": "+fault)
	}
	return faults
}
