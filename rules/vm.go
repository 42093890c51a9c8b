package rules

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"sync"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"

	"weir/event"
)

// The VM path runs a checked condition in the machine of expr. It is the
// fallback for the shapes that closures do not cover (see compile) and, in
// tests, what the closures are compared with. What a condition reads comes
// from functions of the environment, so that undefined values are noticed in
// the same way.

// program is a condition compiled for the machine.
type program struct {
	code  *vm.Program
	links sync.Pool // of *link
}

// link is what one evaluation needs. The environment's functions reach the
// event or key through it.
type link struct {
	machine vm.VM
	ev      *event.Event
	st      *Facts
	env     *Env
	bad     bool // an undefined value was read
	names   environment
	boxed   any // names
}

// environment is what the programs can name. It is given by value: expr reads
// the fields of a struct by offset, those of a pointer by name.
type environment struct {
	Num     func(field int) float64           `expr:"num"`
	Text    func(field int) string            `expr:"text"`
	Flag    func() bool                       `expr:"flag"`
	Inside  func(cidr string) bool            `expr:"inside"`
	Fact    func(fact, field int) bool        `expr:"fact"`
	Lookup  func(name string, field int) bool `expr:"lookup"`
	Feature func(index int) float64           `expr:"feature"`
	Signal  func(index int) bool              `expr:"signal"`
	Good    func() float64                    `expr:"good"`
	Tried   func() float64                    `expr:"tried"`
	Clean   func() bool                       `expr:"clean"`
	Finite  func(v float64) float64           `expr:"finite"`
	Mod     func(a, b float64) float64        `expr:"mod"`
	Between func(v, lo, hi float64) bool      `expr:"between"`
}

// newProgram compiles a checked condition for the machine. It cannot fail for
// a tree that the checker made. The optimizer is off: it folds x or true into
// true, and then nobody sees that x is undefined.
func newProgram(n *node) *program {
	p := printer{leaf: vmLeaf}
	p.node(n)
	code, err := expr.Compile(p.b.String(), expr.Env(environment{}), expr.DisableAllBuiltins(), expr.AsBool(), expr.Optimize(false), expr.MaxNodes(8*MaxNodes))
	if err != nil {
		panic(fmt.Sprintf("rules: %q does not compile as %q: %v", n, p.b.String(), err))
	}
	return &program{code: code, links: sync.Pool{New: func() any { return newLink() }}}
}

// vmLeaf writes the parts of a condition that the machine does not know.
func vmLeaf(p *printer, n *node) bool {
	field := strconv.Itoa(int(n.field))
	switch n.op {
	case opFieldNum:
		p.b.WriteString("num(" + field + ")")
	case opFieldText, opEnum, opAddr:
		p.b.WriteString("text(" + field + ")")
	case opFlag:
		p.b.WriteString("flag()")
	case opInside:
		p.b.WriteString("inside(" + quote(n.prefix.String()) + ")")
	case opStanding:
		p.b.WriteString("fact(" + strconv.Itoa(n.index) + ", " + field + ")")
	case opLookup:
		p.b.WriteString("lookup(" + quote(n.texts[0]) + ", " + field + ")")
	case opFeature:
		p.b.WriteString("feature(" + strconv.Itoa(n.index) + ")")
	case opSignal:
		p.b.WriteString("signal(" + strconv.Itoa(n.index) + ")")
	case opGood, opTried, opClean:
		p.b.WriteString(n.text + "()")
	case opNum: // always a float: integers would wrap around
		p.b.WriteString("(" + strconv.FormatFloat(n.num, 'e', -1, 64) + ")")
	case opOneOf:
		p.part(n.a, bindCompare)
		p.b.WriteString(" in [")
		for i, v := range n.nums {
			if i > 0 {
				p.b.WriteString(", ")
			}
			p.b.WriteString(strconv.FormatFloat(v, 'e', -1, 64))
		}
		p.b.WriteByte(']')
	case opBetween:
		p.b.WriteString("between(")
		p.node(n.a)
		p.b.WriteString(", " + strconv.FormatFloat(n.lo, 'e', -1, 64) + ", " + strconv.FormatFloat(n.hi, 'e', -1, 64) + ")")
	case opAdd, opSub, opMul, opDiv:
		p.b.WriteString("finite(")
		p.infix(n.a, infix[n.op], n.b, n.binds())
		p.b.WriteByte(')')
	case opMod:
		p.b.WriteString("finite(mod(")
		p.node(n.a)
		p.b.WriteString(", ")
		p.node(n.b)
		p.b.WriteString("))")
	case opNot: // the machine has no "not in" of a between
		p.b.WriteString("not (")
		p.node(n.a)
		p.b.WriteByte(')')
	default:
		return false
	}
	return true
}

func newLink() *link {
	l := &link{}
	l.names = environment{
		Num: func(f int) float64 {
			v, ok := l.ev.Num(event.Field(f))
			l.bad = l.bad || !ok
			return v
		},
		Text:   func(f int) string { return string(appendText(nil, l.ev, event.Field(f))) },
		Flag:   func() bool { return l.ev.Deprecated },
		Inside: func(cidr string) bool { return netip.MustParsePrefix(cidr).Contains(l.ev.IP) },
		Fact: func(fact, i int) bool {
			s, k, f := l.st.Standing, Fact(fact), event.Field(i)
			return l.defined(s.Tells(k, f)) && s.Is(k, l.ev, f)
		},
		Lookup: func(name string, f int) bool {
			has, s := l.st.Lookups[name], string(appendText(nil, l.ev, event.Field(f)))
			return has != nil && s != "" && has(s)
		},
		Feature: func(i int) float64 { return l.finite(l.env.Read(i)) },
		Signal:  func(i int) bool { return l.env.Signal(i) },
		Good:    func() float64 { return l.finite(l.env.Good) },
		Tried:   func() float64 { return l.finite(l.env.Tried) },
		Clean:   func() bool { return l.env.Clean },
		Finite:  l.finite,
		Mod:     math.Mod,
		Between: func(v, lo, hi float64) bool { return lo <= v && v <= hi },
	}
	l.boxed = l.names
	return l
}

func (l *link) finite(v float64) float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		l.bad = true
		return 0
	}
	return v
}

func (l *link) defined(ok bool) bool {
	l.bad = l.bad || !ok
	return ok
}

// run evaluates the program. What the machine reports as an error is an
// undefined value too.
func (p *program) run(ev *event.Event, st *Facts, env *Env) bool {
	l := p.links.Get().(*link)
	l.ev, l.st, l.env, l.bad = ev, st, env, false
	out, err := l.machine.Run(p.code, l.boxed)
	holds, ok := out.(bool)
	holds = err == nil && ok && holds && !l.bad
	l.ev, l.st, l.env = nil, nil, nil
	p.links.Put(l)
	return holds
}

func vmMatch(n *node) func(*event.Event, *Facts) bool {
	p := newProgram(n)
	return func(ev *event.Event, st *Facts) bool {
		if st == nil {
			st = new(Facts)
		}
		return p.run(ev, st, nil)
	}
}

func vmEval(n *node) func(*Env) bool {
	p := newProgram(n)
	return func(env *Env) bool { return p.run(nil, nil, env) }
}
