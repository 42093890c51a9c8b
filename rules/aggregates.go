package rules

import (
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"weir/event"
	"weir/windows"
)

// shape is how the arguments behind the window of an aggregate look.
type shape uint8

const (
	optionalCond shape = iota // f(w), f(w, cond)
	neededCond                // f(w, cond), f(w, cond, of)
	numberField               // f(w, x), f(w, x, cond), x a number that adds up
	keyField                  // f(w, field), f(w, field, cond)
)

// aggregates is every aggregate function of the language.
var aggregates = [NumFuncs]struct {
	name  string
	shape shape
}{
	Count: {"count", optionalCond}, Sum: {"sum", numberField}, Min: {"min", numberField}, Max: {"max", numberField},
	Rate: {"rate", optionalCond}, Ratio: {"ratio", neededCond}, RatioLow: {"ratio_low", neededCond},
	Distinct: {"distinct", keyField}, Top: {"top", keyField}, Entropy: {"entropy", keyField},
	Cadence: {"cadence", optionalCond}, First: {"first", optionalCond}, Last: {"last", optionalCond},
	Surge: {"surge", optionalCond},
}

// String returns the function as rules write it.
func (f Func) String() string { return aggregates[f].name }

func funcByName(name string) (Func, bool) {
	for i, a := range aggregates {
		if a.name == name {
			return Func(i), true
		}
	}
	return 0, false
}

// usage shows how each function is called.
var usage = func() map[string]string {
	m := map[string]string{
		"known": "known(ip)", "denied": "denied(ip)", "seen": "seen(session)", "lookup": `lookup("name", field)`,
		"inside": `inside(ip, "203.0.113.0/24")`, "signal": `signal("ato.stuffing_source", "1h")`,
	}
	for _, a := range aggregates {
		m[a.name] = a.name + map[shape]string{
			optionalCond: `("10m") or ` + a.name + `("10m", condition)`,
			neededCond:   `("10m", outcome == "failure") or ` + a.name + `("10m", outcome == "failure", not known(ip))`,
			numberField:  `("10m", bytes) or ` + a.name + `("10m", bytes, condition)`,
			keyField:     `("10m", credential) or ` + a.name + `("10m", credential, condition)`,
		}[a.shape]
	}
	return m
}()

var aggregateNames = func() []string {
	var s []string
	for _, a := range aggregates {
		s = append(s, a.name)
	}
	return s
}()

var conditionFunctions = slices.Concat(factNames[:], []string{"lookup", "inside"})

var functionNames = slices.Concat(aggregateNames, conditionFunctions, []string{"signal"})

// summed are the fields that sum, min and max are for.
var summed = []event.Field{event.FieldBytes, event.FieldDuration, event.FieldStatus}

// aggregate checks a call of an aggregate function; ok is false where a fault
// was reported.
func (c *checker) aggregate(n ast.Node) (a Aggregate, ok bool) {
	call, isCall := n.(*ast.CallNode)
	var callee *ast.IdentifierNode
	if isCall {
		callee, isCall = call.Callee.(*ast.IdentifierNode)
	}
	if !isCall {
		c.bad(n, `must be an aggregate, such as count("10m")`)
		return a, false
	}
	f, known := funcByName(callee.Value)
	switch {
	case !known && slices.Contains(functionNames, callee.Value):
		c.bad(call, "%s is not an aggregate (there are %s)", callee.Value, list(aggregateNames))
		return a, false
	case !known:
		c.bad(call, "unknown aggregate %s%s; there are %s", callee.Value, didYouMean(callee.Value, aggregateNames), list(aggregateNames))
		return a, false
	}
	a.Func = f
	form := aggregates[f].shape
	args := call.Arguments
	least, most := 1, 2
	switch form {
	case neededCond:
		least, most = 2, 3
	case numberField, keyField:
		least, most = 2, 3
	}
	if len(args) > 0 && !isText(args[0]) && slices.ContainsFunc(args[1:], isText) {
		c.bad(args[0], "the window comes first: %s", usage[f.String()])
		return a, false
	}
	if len(args) < least || len(args) > most {
		what := "takes"
		if form == neededCond && len(args) == 1 {
			what = "is a share of the events and needs a condition:"
		}
		c.bad(call, "%s %s %s", f, what, usage[f.String()])
		return a, false
	}
	w, okWindow := c.window(args[0])
	a.Window, ok = w, okWindow
	args = args[1:]
	if form == numberField || form == keyField {
		var okField bool
		a.Field, okField = c.aggregateField(f, form, args[0])
		ok = ok && okField
		args = args[1:]
	}
	if len(args) > 0 {
		cond, okCond := c.aggregateCond(args[0], form == neededCond)
		a.Cond, ok = cond, ok && okCond
		args = args[1:]
	}
	if len(args) > 0 {
		of, okOf := c.aggregateCond(args[0], false)
		a.Of, ok = of, ok && okOf
	}
	return a, ok
}

// aggregateCond checks a condition on the events that an aggregate sees; one
// that always holds is nil unless it is needed.
func (c *checker) aggregateCond(n ast.Node, needed bool) (cond *EventCond, ok bool) {
	inner := &checker{phrase: c.phrase, opt: c.opt, spent: c.spent}
	t := inner.cond(n)
	if t.op == opBad {
		return nil, false
	}
	if t.op != opTrue || needed {
		cond = newEventCond(t)
	}
	return cond, true
}

func isText(n ast.Node) bool { _, ok := n.(*ast.StringNode); return ok }

// window checks an argument that is one of the windows.
func (c *checker) window(n ast.Node) (windows.Window, bool) {
	s, ok := n.(*ast.StringNode)
	if !ok {
		c.bad(n, `must be a window in quotes, such as "10m"`)
		return 0, false
	}
	w, ok := windowByName(s.Value)
	if !ok {
		c.bad(n, "unknown window %s; there are %s", quote(s.Value), strings.Join(windowNames, " "))
	}
	return w, ok
}

// aggregateField checks the argument that names what is kept.
func (c *checker) aggregateField(f Func, form shape, n ast.Node) (event.Field, bool) {
	if s, ok := n.(*ast.StringNode); ok {
		if event.FieldByName(s.Value) != event.NoField {
			c.bad(n, "must be a field (write %s without quotes)", s.Value)
		} else {
			c.bad(n, "must be a field, not a text")
		}
		return 0, false
	}
	field, ok := c.fieldArgument(n)
	if !ok {
		return 0, false
	}
	switch {
	case form == numberField && !slices.Contains(summed, field):
		c.bad(n, "%s of %s: must be bytes, duration or status", f, c.opt.Extras.Name(field))
		return 0, false
	case form == keyField && !field.Keyable():
		c.bad(n, "%s of %s: %s", f, c.opt.Extras.Name(field), notKeyable)
		return 0, false
	}
	return field, true
}

// notKeyable says which fields cannot tell keys apart.
const notKeyable = "time, bytes, duration and id cannot be part of a key nor be counted as distinct values"

// fieldArgument checks an argument that names a field.
func (c *checker) fieldArgument(n ast.Node) (event.Field, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if f := event.FieldByName(n.Value); f != event.NoField {
			return f, true
		}
		c.bad(n, "unknown field %s%s", n.Value, fieldHint(n.Value, c.opt.Extras))
		return 0, false
	case *ast.MemberNode:
		inner := &checker{phrase: c.phrase, opt: c.opt, spent: c.spent}
		t := inner.extra(n)
		return t.field, t.op != opBad
	}
	c.bad(n, "must be a field, such as ip")
	return 0, false
}

// text returns the aggregate in canonical form.
func (a *Aggregate) text(x event.Extras) string {
	var b strings.Builder
	b.WriteString(a.Func.String() + "(" + quote(windowName(a.Window)))
	if a.Field != event.NoField {
		b.WriteString(", " + x.Name(a.Field))
	}
	if a.Cond != nil {
		b.WriteString(", " + a.Cond.Text)
	}
	if a.Of != nil {
		b.WriteString(", " + a.Of.Text)
	}
	b.WriteByte(')')
	return b.String()
}
