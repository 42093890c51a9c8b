package ingest

import (
	"encoding/binary"
	"slices"
)

// A plan is the order in which one line had its keys. Writers keep to their
// order, so the next line is read by comparing instead of parsing: what stands
// between two values is compared as a whole, `,"status":`, and was found to be
// well-formed when it was learned. A plan only predicts. A key that is not
// where it was expected is read by the grammar, so that whatever a plan holds,
// a line means the same.

// The limits on what is learned, whatever the lines look like.
const (
	maxPlans    = 4       // one for each first key
	maxPlanText = 4 << 10 // bytes of a plan's texts
	planAhead   = 4       // keys that a line may leave out before the plan is asked by name
	learnAtOnce = 8       // lines that miss from which a plan is made at once
	learnMore   = 64      // lines that miss before one more plan is made
	relearn     = 4096    // lines that miss before a plan is replaced
)

// jsonPlan predicts the members of one object.
type jsonPlan struct {
	steps []jsonStep
	after map[*jsonNode]int // by node: the step behind it
}

// jsonStep is one member: the text from the end of the value before it (or from
// the opening brace) up to its value, and what it means. sub predicts its
// members, if it is an object that matters.
type jsonStep struct {
	text       string
	head, tail uint64 // the first and the last eight bytes of a text that has as many
	node       *jsonNode
	sub        *jsonPlan
}

// at reports whether the step's text stands in b at i: two words decide most.
func (s *jsonStep) at(b []byte, i int) bool {
	n := len(s.text)
	if n < 8 || len(b)-i < n {
		return hasAt(b, i, s.text)
	}
	return binary.LittleEndian.Uint64(b[i:]) == s.head && binary.LittleEndian.Uint64(b[i+n-8:]) == s.tail &&
		(n <= 16 || string(b[i+8:i+n-8]) == s.text[8:n-8])
}

// jsonPlans are the plans of a decoder. They are replaced, never changed.
type jsonPlans struct {
	plans []*jsonPlan
	next  int // which is replaced next
}

var noPlan = &jsonPlan{}

// choose returns the plan that begins as the line does, else the first.
func (p *jsonPlans) choose(line []byte) *jsonPlan {
	if p == nil {
		return noPlan
	}
	for _, plan := range p.plans {
		if hasAt(line, 0, plan.steps[0].text) {
			return plan
		}
	}
	return p.plans[0]
}

// ahead returns the step, a few behind next, that the member at i is, or -1. An
// object's first member, where next is 0, begins as no other step does.
func (p *jsonPlan) ahead(b []byte, i, next int) int {
	if next == 0 {
		return -1
	}
	for k := next + 1; k < len(p.steps) && k <= next+planAhead; k++ {
		if p.steps[k].at(b, i) {
			return k
		}
	}
	return -1
}

// resume returns the step that follows a node, which was found where it was not
// expected, and the node's own plan. It is never step 0, which is an object's first.
func (p *jsonPlan) resume(n *jsonNode, next int) (int, *jsonPlan) {
	if n != nil {
		if k, ok := p.after[n]; ok {
			return k, p.steps[k-1].sub
		}
	}
	return max(next, 1), noPlan
}

// learn makes a plan of a line that was read, if it is among the first or
// enough lines missed since the last. Lines that shuffle their keys, or cannot
// be learned at all, thus cost a plan now and then and never more.
func (d *jsonDecoder) learn(line []byte, old *jsonPlans) {
	misses := d.misses.Add(1)
	at := -1 // the plan that is to be replaced; -1 is one more
	if old != nil {
		at = slices.IndexFunc(old.plans, func(p *jsonPlan) bool { return hasAt(line, 0, p.steps[0].text) })
		if at < 0 && len(old.plans) == maxPlans {
			at = old.next
		}
	}
	wait := uint64(learnMore)
	if at >= 0 {
		wait = relearn
	}
	if misses > learnAtOnce && misses%wait != 0 {
		return
	}
	room := maxPlanText
	plan, _ := planOf(line, 0, d.root, &room)
	if room < 0 || len(plan.steps) == 0 {
		return
	}
	now := &jsonPlans{}
	if old != nil {
		now.plans, now.next = slices.Clone(old.plans), old.next
	}
	if at < 0 {
		now.plans = append(now.plans, plan)
	} else {
		now.plans[at] = plan
		now.next = (at + 1) % maxPlans
	}
	d.plans.CompareAndSwap(old, now) // whoever was faster has learned as much
}

// planOf returns the plan of the object at i, which was read before, and the
// index behind it. room is how many bytes of text the plan may hold; once it is
// negative the plan is of no use.
func planOf(b []byte, i int, n *jsonNode, room *int) (*jsonPlan, int) {
	plan := &jsonPlan{after: map[*jsonNode]int{}}
	for {
		from, to, value, escaped, done := jsonMember(b, i, len(plan.steps) == 0)
		if done || value < 0 {
			return plan, value
		}
		step := jsonStep{node: n.kids.lookup(b[from:to], escaped), sub: noPlan}
		if *room -= value - i; *room >= 0 {
			step.text = string(b[i:value])
			if value-i >= 8 {
				step.head, step.tail = binary.LittleEndian.Uint64(b[i:]), binary.LittleEndian.Uint64(b[value-8:])
			}
		}
		if step.node != nil && step.node.kids != nil && b[value] == '{' {
			step.sub, i = planOf(b, value, step.node, room)
		} else {
			i, _ = jsonSkip(b, value, 0)
		}
		plan.steps = append(plan.steps, step)
		if step.node != nil {
			plan.after[step.node] = len(plan.steps)
		}
	}
}
