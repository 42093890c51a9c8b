package ingest

import "weir/event"

// jsonScan walks one line. It lives on the decoder's stack.
type jsonScan struct {
	b      []byte
	layout string
	ev     *event.Event
	out    fields // cuts and keeps texts
	seen   [maxNodes / 64]uint64
	best   [numJSONSlots]uint8 // by slot: the rank of what fills it, plus one
	read   jsonRead
	missed bool // a key was not where the plan had it
	err    *Malformed
}

// fail keeps the reason.
func (s *jsonScan) fail(why *Malformed) int {
	if s.err == nil {
		s.err = why
	}
	return -1
}

// object walks the object at i, which has that depth, and returns the index
// behind it, or -1. n is its node. Where the next key is the one that the plan
// expects, one comparison finds it; anything else goes through the grammar.
func (s *jsonScan) object(i int, n *jsonNode, depth int, plan *jsonPlan) int {
	b := s.b
	next := 0
	for members := 0; ; members++ {
		var kid *jsonNode
		var sub *jsonPlan
		k := next
		if k >= len(plan.steps) || !plan.steps[k].at(b, i) {
			if members > 0 && i < len(b) && b[i] == '}' {
				return i + 1
			}
			k = plan.ahead(b, i, next)
		}
		if k >= 0 {
			step := &plan.steps[k]
			i += len(step.text)
			kid, sub, next = step.node, step.sub, k+1
		} else {
			from, to, value, escaped, done := jsonMember(b, i, members == 0)
			if value < 0 {
				return s.fail(errJSON)
			}
			if done {
				return value
			}
			s.missed = true
			kid = n.kids.lookup(b[from:to], escaped)
			next, sub = plan.resume(kid, next)
			i = value
		}
		if members >= maxMembers {
			return s.fail(errJSONMembers)
		}
		if kid != nil {
			word, bit := &s.seen[kid.id/64], uint64(1)<<(kid.id%64)
			if *word&bit != 0 {
				return s.fail(errJSONDuplicate)
			}
			*word |= bit
		}
		if i < len(b) && b[i] <= ' ' {
			i = jsonSpace(b, i) // the line that the plan is of had less
		}
		// The commonest value, before all others: a text.
		if i < len(b) && b[i] == '"' {
			end, escaped := jsonString(b, i+1)
			if end < 0 {
				return s.fail(errJSON)
			}
			if kid != nil {
				s.take(kid, b[i+1:end], escaped)
			}
			i = end + 1
			continue
		}
		if i = s.value(i, kid, depth, sub); i < 0 {
			return -1
		}
	}
}

// value reads the value at i of n's key; n is nil if the key does not matter.
func (s *jsonScan) value(i int, n *jsonNode, depth int, plan *jsonPlan) int {
	if i >= len(s.b) {
		return s.fail(errJSON)
	}
	c := s.b[i]
	if c == '{' && n != nil && n.kids != nil { // no path is longer than MaxDepth (checkPath)
		end := s.object(i, n, depth+1, plan)
		if end >= 0 {
			s.wrap(n, s.b[i:end])
		}
		return end
	}
	end, err := jsonSkip(s.b, i, depth)
	if err != nil {
		return s.fail(err)
	}
	if n == nil {
		return end
	}
	switch c {
	case '{':
		s.wrap(n, s.b[i:end])
	case '[':
		s.array(n, i)
	case 'n':
	default: // a number, true or false
		s.take(n, s.b[i:end], false)
	}
	return end
}

// array reads the array at i, which is well-formed: its first element, or for
// an address chain all, joined by commas, since each proxy may have added a
// header of its own.
func (s *jsonScan) array(n *jsonNode, i int) {
	if len(n.binds) == 0 {
		return
	}
	if !n.joins {
		value, done := jsonElement(s.b, i, true)
		if done {
			return
		}
		switch s.b[value] {
		case '{', '[', 'n':
		case '"':
			end, escaped := jsonString(s.b, value+1)
			s.take(n, s.b[value+1:end], escaped)
		default:
			end, _ := jsonSkip(s.b, value, 0)
			s.take(n, s.b[value:end], false)
		}
		return
	}
	value, done := jsonElement(s.b, i, true)
	whole, _ := jsonSkip(s.b, i, 0)
	out := s.out.mem.Grow(whole - i)
	for !done {
		end, _ := jsonSkip(s.b, value, 0)
		if s.b[value] == '"' {
			if len(out) > 0 {
				out = append(out, ',')
			}
			out = jsonUnescape(out, s.b[value+1:end-1])
		}
		value, done = jsonElement(s.b, end, false)
	}
	s.out.mem.Keep(out)
	s.take(n, out, false)
}

// lookup returns the node of a raw key, or nil.
func (k *jsonKeys) lookup(raw []byte, escaped bool) *jsonNode {
	if !escaped {
		return k.find(raw)
	}
	if len(raw) > 6*maxKeyName {
		return nil // longer than any key that matters, however it is written
	}
	var buf [6 * maxKeyName]byte
	return k.find(jsonUnescape(buf[:0], raw))
}
