package rules

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"weir/event"
)

// CompileEvent checks and compiles a condition on the fields of one event: a
// rule's where, a source's only, a site file's failure.
func CompileEvent(text string, opt Options) (*EventCond, error) {
	p := loose(text)
	c := &checker{phrase: p, opt: opt, spent: &budget{}}
	n := c.condition()
	if n == nil {
		return nil, p.doc.err()
	}
	return newEventCond(n), nil
}

// Compiler returns what makes the conditions of a site file, with the lookups that
// they may ask.
func Compiler(opt Options, lookups map[string]func(string) bool) func(text string) (func(ev *event.Event) bool, error) {
	return func(text string) (func(ev *event.Event) bool, error) {
		c, err := CompileEvent(text, opt)
		if err != nil {
			return nil, err
		}
		return func(ev *event.Event) bool { return c.Match(ev, &Facts{Lookups: lookups}) }, nil
	}
}

// And returns the condition that both hold. One that is nil says nothing.
func And(a, b *EventCond) *EventCond {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return newEventCond(and(a.tree, b.tree))
}

// newEventCond compiles a checked condition.
func newEventCond(n *node) *EventCond {
	e := &EventCond{Text: n.String(), tree: n}
	e.Kinds, _ = n.kinds()
	facts := false
	n.each(func(m *node) {
		switch m.op {
		case opFieldNum, opFieldText, opEnumIn, opAddrIn, opInside, opFlag, opLookup:
			e.Fields = append(e.Fields, m.field)
		case opStanding:
			e.Fields, e.Standing[m.index] = append(e.Fields, m.field), append(e.Standing[m.index], m.field)
		}
		switch m.op {
		case opFieldNum, opStanding, opLookup, opAdd, opSub, opMul, opDiv, opMod:
			facts = true
		case opFieldText:
			facts = facts || !held(m.field)
		}
	})
	sorted := func(fs *[]event.Field) {
		slices.Sort(*fs)
		*fs = slices.Compact(*fs)
	}
	sorted(&e.Fields)
	for k := range e.Standing {
		sorted(&e.Standing[k])
	}
	e.Match = compileMatch(n, facts)
	if n.op != opAnd {
		e.Conjuncts = []*EventCond{e}
		return e
	}
	for _, m := range n.list {
		e.Conjuncts = append(e.Conjuncts, newEventCond(m))
	}
	return e
}

// AsksStanding reports whether the condition reads a standing fact.
func (e *EventCond) AsksStanding() bool { return e.Standing.any() }

// compileMatch returns the condition as a function; facts says that it uses
// them, be it to note that it read what is not there.
func compileMatch(n *node, facts bool) func(*event.Event, *Facts) bool {
	p := compile(n, eventLeaves{})
	if p == nil {
		return vmMatch(n)
	}
	if !facts {
		return func(ev *event.Event, st *Facts) bool { return p(moment{ev, st}) }
	}
	return func(ev *event.Event, st *Facts) bool {
		if st == nil { // who has no facts still asks about fields
			st = new(Facts)
		}
		st.undefined = false
		return p(moment{ev, st}) && !st.undefined
	}
}

// moment is what a condition on one event is evaluated in.
type moment struct {
	ev *event.Event
	st *Facts
}

func (m moment) undefine() { m.st.undefined = true }

// text returns a field that is not held as text, in memory that the next call
// uses again.
func (m moment) text(f event.Field) string {
	m.st.text = appendText(m.st.text[:0], m.ev, f)
	return event.View(m.st.text)
}

// appendText appends a field as conditions see it.
func appendText(dst []byte, ev *event.Event, f event.Field) []byte {
	switch f {
	case event.FieldIP, event.FieldNet:
		var value [16]byte
		return event.FormatValue(dst, f, appendAddr(value[:0], ev, f))
	}
	return ev.AppendText(dst, f)
}

// appendAddr appends the bytes that a key keeps of an ip or net. It is what
// Event.AppendValue does, in a form that stays on the stack.
func appendAddr(dst []byte, ev *event.Event, f event.Field) []byte {
	short := 0
	if f == event.FieldNet {
		short = 1
	}
	switch {
	case !ev.IP.IsValid():
		return dst
	case ev.IP.Is4():
		a := ev.IP.As4()
		return append(dst, a[:4-short]...)
	}
	a := ev.IP.As16()
	return append(dst, a[:8-2*short]...)
}

// eventLeaves compiles what conditions read of an event.
type eventLeaves struct{}

func (eventLeaves) value(n *node) value[moment] {
	if n.op != opFieldNum {
		return nil
	}
	f := n.field
	return func(m moment) float64 {
		v, ok := m.ev.Num(f)
		if !ok {
			m.st.undefined = true
		}
		return v
	}
}

func (l eventLeaves) pred(n *node) pred[moment] {
	f := n.field
	switch n.op {
	case opTextIn:
		return l.textIn(n)
	case opTextSame, opContains, opStarts, opEnds:
		return l.textPair(n)
	case opMatches:
		re := regexp.MustCompile(n.text) // the checker compiled it before
		return l.text1(n.a, re.MatchString)
	case opEnumIn:
		mask := n.mask
		switch f {
		case event.FieldKind:
			return func(m moment) bool { return mask>>m.ev.Kind&1 != 0 }
		case event.FieldOutcome:
			return func(m moment) bool { return mask>>m.ev.Outcome&1 != 0 }
		}
		return func(m moment) bool { return mask>>m.ev.Refused&1 != 0 }
	case opAddrIn:
		return addrIn(f, n.texts)
	case opInside:
		p := n.prefix
		return func(m moment) bool { return p.Contains(m.ev.IP) }
	case opFlag:
		return func(m moment) bool { return m.ev.Deprecated }
	case opStanding:
		k := Fact(n.index)
		return func(m moment) bool {
			if !m.st.Standing.Tells(k, f) {
				m.st.undefined = true
				return false
			}
			return m.st.Standing.Is(k, m.ev, f)
		}
	case opLookup:
		return lookupIn(n.texts[0], f)
	case opEqual, opLess, opLessEq, opMore, opMoreEq:
		if n.a.op != opFieldNum || n.a.field != event.FieldStatus || n.b.op != opNum {
			return nil
		}
		o, k := n.op, n.b.num // the number that most conditions read
		return func(m moment) bool {
			if m.ev.Status == 0 {
				m.st.undefined = true
			}
			return ordered(o, float64(m.ev.Status), k)
		}
	}
	return nil
}

// held reports whether a field stands in the event as text.
func held(f event.Field) bool {
	var ev event.Event
	return ev.SetText(f, "")
}

// textIn compiles a comparison of a text with constants.
func (l eventLeaves) textIn(n *node) pred[moment] {
	texts := n.texts
	if f := n.a.field; len(texts) == 1 && n.a.op == opFieldText && held(f) {
		want := texts[0]
		return func(m moment) bool { return m.ev.Str(f) == want }
	}
	if len(texts) == 1 {
		want := texts[0]
		return l.text1(n.a, func(s string) bool { return s == want })
	}
	if len(texts) <= few {
		return l.text1(n.a, func(s string) bool { return slices.Contains(texts, s) })
	}
	set := make(map[string]struct{}, len(texts))
	for _, t := range texts {
		set[t] = struct{}{}
	}
	return l.text1(n.a, func(s string) bool { _, ok := set[s]; return ok })
}

// text1 compiles a test of one text.
func (eventLeaves) text1(a *node, test func(string) bool) pred[moment] {
	f := a.field
	switch {
	case a.op == opText:
		result := test(a.text)
		return func(moment) bool { return result }
	case held(f):
		return func(m moment) bool { return test(m.ev.Str(f)) }
	}
	return func(m moment) bool { return test(m.text(f)) }
}

var textTests = map[op]func(a, b string) bool{
	opTextSame: func(a, b string) bool { return a == b },
	opContains: strings.Contains, opStarts: strings.HasPrefix, opEnds: strings.HasSuffix,
}

// textPair compiles a comparison of two texts. Only one field, actor, is not
// held as text, so that one scratch memory is enough.
func (l eventLeaves) textPair(n *node) pred[moment] {
	if n.b.op == opText {
		want := n.b.text
		if f := n.a.field; n.a.op == opFieldText && held(f) {
			switch n.op {
			case opContains:
				return func(m moment) bool { return strings.Contains(m.ev.Str(f), want) }
			case opStarts:
				return func(m moment) bool { return strings.HasPrefix(m.ev.Str(f), want) }
			case opEnds:
				return func(m moment) bool { return strings.HasSuffix(m.ev.Str(f), want) }
			}
		}
		test := textTests[n.op]
		return l.text1(n.a, func(s string) bool { return test(s, want) })
	}
	test, a, b := textTests[n.op], textOf(n.a), textOf(n.b)
	return func(m moment) bool { return test(a(m), b(m)) }
}

func textOf(n *node) func(moment) string {
	f, constant := n.field, n.text
	switch {
	case n.op == opText:
		return func(moment) string { return constant }
	case held(f):
		return func(m moment) string { return m.ev.Str(f) }
	}
	return func(m moment) string { return m.text(f) }
}

// addrIn compiles a comparison of an ip or net with constants, which become
// the bytes that an event's is compared with.
func addrIn(f event.Field, texts []string) pred[moment] {
	absent := false
	var four []([4]byte)
	var six []([8]byte)
	for _, t := range texts {
		addr, err := netip.ParseAddr(t)
		if p, errPrefix := netip.ParsePrefix(t); errPrefix == nil {
			addr, err = p.Addr(), nil
		}
		switch {
		case err != nil: // the checker lets only the empty text through
			absent = true
		case addr.Is4():
			four = append(four, addr.As4())
		default:
			a := addr.As16()
			six = append(six, [8]byte(a[:8]))
		}
	}
	net := f == event.FieldNet
	return func(m moment) bool {
		switch ip := m.ev.IP; {
		case !ip.IsValid():
			return absent
		case ip.Is4():
			a := ip.As4()
			if net {
				a[3] = 0
			}
			return slices.Contains(four, a)
		default:
			a := ip.As16()
			b := [8]byte(a[:8])
			if net {
				b[6], b[7] = 0, 0
			}
			return slices.Contains(six, b)
		}
	}
}

// lookupIn compiles a question to one of the operator's sets. A field that is
// absent is in none.
func lookupIn(name string, f event.Field) pred[moment] {
	text := held(f)
	return func(m moment) bool {
		has := m.st.Lookups[name]
		if has == nil {
			return false
		}
		s := ""
		if text {
			s = m.ev.Str(f)
		} else {
			s = m.text(f)
		}
		return s != "" && has(s)
	}
}
