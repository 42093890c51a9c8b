package rules

import (
	"slices"
	"time"

	"weir/event"
	"weir/windows"
)

// The limits on a rule.
const (
	MaxSource = 4 << 10 // bytes of a rule file
	MaxNodes  = 500     // syntax nodes of all its expressions together
)

// Rule is one rule file, parsed and checked.
type Rule struct {
	ID             string
	Version        int
	Title          string
	Severity       event.Severity
	Tags           []string
	FalsePositives []string
	BlindSpots     []string

	Key      []event.Field // ascending, without repeats
	Where    *EventCond
	Features []Feature // as the file orders them; names are unique
	When     *Cond
	Then     []Consequence // a ladder; empty: the rule is a signal
	Stage    event.Stage   // the most it asks for

	File string // for messages

	at     *Fault // where the id stands; without a message
	extras event.Extras
}

// Feature is a named aggregate over the rule's key.
type Feature struct {
	Name string
	Aggregate
}

// Func is an aggregate function of the rule language.
type Func uint8

// The aggregate functions.
const (
	Count Func = iota
	Sum
	Min
	Max
	Rate
	Ratio
	RatioLow
	Distinct
	Top
	Entropy
	Cadence
	First
	Last
	Surge
	NumFuncs = iota
)

// Aggregate is a function of the events of a key in a window. Cond, where it
// is not nil, holds back events of the rule's where (count, rate, sum, min,
// max, distinct, top, entropy, cadence, first, last, surge) or is what the share is
// taken of (ratio, ratio_low).
type Aggregate struct {
	Func   Func
	Window windows.Window
	Field  event.Field // of sum, min, max, distinct, top, entropy
	Cond   *EventCond
	Of     *EventCond // of ratio and ratio_low: the events that the share is of; nil: all
}

// Consequence is one entry of a rule's ladder.
type Consequence struct {
	Action event.Action
	Dims   []event.Field // the target, ascending; for an alert without one, the key
	If     *Cond         // nil: holds
	Except event.Field   // except: known(field); NoField: none
	For    []time.Duration
	To     string // of limit: 10/1m
}

// Members returns the dimensions of the target that are not in key, ascending.
// An entry that has some is about each of their values seen under the key.
func (c *Consequence) Members(key []event.Field) []event.Field {
	var m []event.Field
	for _, d := range c.Dims {
		if !contains(key, d) {
			m = append(m, d)
		}
	}
	return m
}

func contains(fs []event.Field, f event.Field) bool {
	return slices.Contains(fs, f)
}

// EventCond is a condition on the fields of one event. Conditions with equal
// Text are equal.
type EventCond struct {
	Text string // in canonical form
	// Match reports whether the condition holds. A condition that reads an
	// undefined value (a standing fact in the first day of a state, a number
	// that the event lacks) does not hold, as a whole.
	Match func(ev *event.Event, st *Facts) bool
	// Kinds are the kinds of endpoints that an event must have for the
	// condition to hold, as bits 1<<kind; all ones where it does not say.
	Kinds uint32
	// Fields are those it reads, ascending.
	Fields []event.Field
	// Standing has by Fact the fields of which it reads it, ascending.
	Standing askedFacts
	// Conjuncts are the conditions that all must hold, where it is an "and" of
	// several; otherwise the condition itself alone.
	Conjuncts []*EventCond

	tree *node
}

// Facts is what an event condition may ask besides the event: the standing of
// values as it was published by the hour, and the operator's sets.
type Facts struct {
	Standing *Standing // nil: undefined
	Lookups  map[string]func(value string) bool
	// undefined is set by a condition that read an undefined value.
	undefined bool
	text      []byte // scratch memory of a condition
}

// Cond is a condition on features: a rule's when, or a consequence's if.
type Cond struct {
	Text string
	// Eval reports whether the condition holds. One that reads an undefined or
	// non-finite number does not hold, as a whole.
	Eval func(env *Env) bool
	// Inline are the aggregates written inside the condition. In a consequence
	// that has members they are of the member's key, else of the rule's.
	Inline []Aggregate
	// Features are the indices in Rule.Features that it may read, ascending.
	Features []int
	// Signals are the other rules that it asks for.
	Signals []Signal
	// Target reports whether it reads good, tried or clean.
	Target bool

	near   func(env *Env) bool // see halved; nil: as Eval
	tree   *node
	places []*Fault // where each of Signals stands; without a message
}

// Signal asks whether another rule was on for these values within a window.
type Signal struct {
	Rule   string
	Window windows.Window
}

// Env is what a Cond is evaluated in. The readers fill it lazily, so that a
// condition whose first term is false reads one window.
type Env struct {
	// Read returns feature i of the rule (i < len(Rule.Features)) or inline
	// aggregate i-len(Rule.Features) of the condition. NaN is undefined.
	Read func(i int) float64
	// Signal returns whether signal i of the condition was on.
	Signal func(i int) bool
	// Good, Tried and Clean are the target's.
	Good, Tried float64
	Clean       bool
	// undefined is set by a condition that read an undefined value.
	undefined bool
}
