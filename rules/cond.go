package rules

import "slices"

// newCond compiles a checked condition on features.
func newCond(n *node, s *scope) *Cond {
	c := &Cond{Text: n.String(), Inline: s.inline, Signals: s.signals, tree: n, places: s.places}
	n.each(func(m *node) {
		switch m.op {
		case opFeature:
			if m.index < len(s.features) {
				c.Features = append(c.Features, m.index)
			}
		case opGood, opTried, opClean:
			c.Target = true
		}
	})
	slices.Sort(c.Features)
	c.Features = slices.Compact(c.Features)
	c.Eval = evalOf(n)
	if h := halved(n); h != n {
		c.near = evalOf(h)
	}
	return c
}

// evalOf compiles a condition; what there are no closures for runs in the
// machine.
func evalOf(n *node) func(*Env) bool {
	p := compile(n, featureLeaves{})
	if p == nil {
		return vmEval(n)
	}
	return func(env *Env) bool {
		env.undefined = false
		return p(env) && !env.undefined
	}
}

// judges reports whether the condition reads good or clean.
func (c *Cond) judges() bool {
	found := false
	if c != nil {
		c.tree.each(func(n *node) { found = found || n.op == opGood || n.op == opClean })
	}
	return found
}

func (e *Env) undefine() { e.undefined = true }

// featureLeaves compiles what conditions read of a key.
type featureLeaves struct{}

func (featureLeaves) value(n *node) value[*Env] {
	switch i := n.index; n.op {
	case opFeature:
		return func(e *Env) float64 {
			v := e.Read(i)
			if v-v != 0 {
				e.undefined = true
				return 0
			}
			return v
		}
	case opGood:
		return func(e *Env) float64 { return finite(e, e.Good) }
	case opTried:
		return func(e *Env) float64 { return finite(e, e.Tried) }
	}
	return nil
}

func (featureLeaves) pred(n *node) pred[*Env] {
	switch i := n.index; n.op {
	case opSignal:
		return func(e *Env) bool { return e.Signal(i) }
	case opClean:
		return func(e *Env) bool { return e.Clean }
	}
	if n.a == nil || n.a.op != opFeature || n.b == nil || n.b.op != opNum {
		return nil
	}
	// A feature against a constant, as nearly every condition has it.
	o, i, k := n.op, n.a.index, n.b.num
	return func(e *Env) bool {
		v := e.Read(i)
		if v-v != 0 {
			e.undefined = true
			return false
		}
		return ordered(o, v, k)
	}
}
