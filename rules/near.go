package rules

// halved returns the condition that holds where n would hold with half of each
// number that it demands: x >= 20 becomes x >= 10. It holds wherever n does.
// Only "and" and "or" are looked into. What says that a number must be small,
// and whatever does not compare with a constant, stays as it is; where that is
// all, so does n itself.
func halved(n *node) *node {
	switch n.op {
	case opAnd, opOr:
		list := make([]*node, len(n.list))
		changed := false
		for i, m := range n.list {
			list[i] = halved(m)
			changed = changed || list[i] != m
		}
		if !changed {
			return n
		}
		h := *n
		h.list = list
		return &h
	case opMore, opMoreEq:
		// Half of a number below 0 would demand more.
		if n.b.op != opNum || n.b.num <= 0 {
			return n
		}
		k, h := *n.b, *n
		k.num /= 2
		h.b = &k
		return &h
	}
	return n
}
