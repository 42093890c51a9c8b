package event

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// ReadDecision reads a line that AppendJSON wrote, without its newline. It
// takes nothing else: what it returns is written as the same bytes again.
func ReadDecision(line []byte) (Decision, error) {
	d, w, rest, err := ReadDecisionOpen(line)
	switch {
	case err != nil:
		return Decision{}, err
	case len(rest) != 1 || rest[0] != '}':
		return Decision{}, fmt.Errorf("decision: %d bytes behind its last field", len(rest))
	case w != d.Words():
		return Decision{}, fmt.Errorf("decision: event %q, mode %q, action %q do not go together", w.Event, w.Mode, w.Action)
	case !bytes.Equal(d.AppendJSON(make([]byte, 0, len(line))), line):
		return Decision{}, errors.New("decision: not written as decisions are")
	}
	return d, nil
}

// ReadDecisionOpen reads a line that begins as AppendOpen writes it, and
// returns the words that it says and what follows the decision's last field.
// The decision's step and mode are those of the words where there are such,
// else New and Enforce.
func ReadDecisionOpen(line []byte) (d Decision, w Words, rest []byte, err error) {
	r := reader{rest: line}
	r.literal(`{"v":` + strconv.Itoa(DecisionVersion) + `,"event":`)
	w.Event = r.text()
	d.Step = New
	if i := slices.Index(stepNames[:], w.Event); i >= 0 {
		d.Step = Step(i)
	}
	d.ID = r.member("id")
	d.Renews = r.optional("renews")
	d.Time, d.Until = r.time("time"), r.time("until")
	w.Mode = r.member("mode")
	var ok bool
	if d.Mode, ok = StageByName(w.Mode); !ok {
		d.Mode = Enforce
	}
	w.Action = r.member("action")
	d.Would, ok = ActionByName(r.member("would"))
	r.check(ok, "an action")
	d.To = r.optional("to")
	r.literal(`,"target":`)
	d.Target = r.target()
	d.Except = r.optional("except")
	r.literal(`,"key":`)
	d.Key = r.target()
	d.Rule = r.member("rule")
	r.literal(`,"version":`)
	d.Version = int(r.integer())
	d.Severity, ok = SeverityByName(r.member("severity"))
	r.check(ok, "a severity")
	if r.skip(`,"incomplete":`) {
		d.Incomplete = r.instant()
		r.literal(`,"evidence":{`)
		r.evidence(&d)
	} else if r.skip(`,"evidence":{`) {
		r.evidence(&d)
	}
	if r.err != nil {
		return Decision{}, Words{}, nil, fmt.Errorf("decision: byte %d: %w", len(line)-len(r.rest), r.err)
	}
	return d, w, r.rest, nil
}

// ReadJSONString reads what AppendJSONString wrote at the beginning of b, and
// returns what follows it.
func ReadJSONString(b []byte) (s string, rest []byte, err error) {
	r := reader{rest: b}
	s = r.text()
	return s, r.rest, r.err
}

// ReadTarget reads what Target.AppendJSON wrote at the beginning of b, and
// returns what follows it.
func ReadTarget(b []byte) (t Target, rest []byte, err error) {
	r := reader{rest: b}
	t = r.target()
	return t, r.rest, r.err
}

// reader takes a line from left to right and keeps the first error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) check(ok bool, what string) {
	if r.err == nil && !ok {
		r.err = fmt.Errorf("not %s", what)
	}
}

// skip passes over s, if it stands here.
func (r *reader) skip(s string) bool {
	if r.err != nil || len(r.rest) < len(s) || string(r.rest[:len(s)]) != s {
		return false
	}
	r.rest = r.rest[len(s):]
	return true
}

func (r *reader) literal(s string) { r.check(r.skip(s), s) }

func (r *reader) member(name string) string {
	r.check(r.skip(`,"`) && r.skip(name) && r.skip(`":`), "a member "+name)
	return r.text()
}

// optional reads a member that is only written where it is not empty.
func (r *reader) optional(name string) string {
	before := r.rest
	if r.skip(`,"`) && r.skip(name) && r.skip(`":`) {
		return r.text()
	}
	r.rest = before
	return ""
}

func (r *reader) time(name string) time.Time {
	r.check(r.skip(`,"`) && r.skip(name) && r.skip(`":`), "a member "+name)
	return r.instant()
}

func (r *reader) instant() time.Time {
	t, err := time.Parse(time.RFC3339, r.text())
	r.check(err == nil, "a time")
	return t
}

// token takes the bytes of a number or word.
func (r *reader) token() []byte {
	n := bytes.IndexAny(r.rest, ",]}")
	if r.err != nil || n < 0 {
		r.check(false, "a number")
		return nil
	}
	t := r.rest[:n]
	r.rest = r.rest[n:]
	return t
}

func (r *reader) integer() int64 {
	v, err := strconv.ParseInt(string(r.token()), 10, 64)
	r.check(err == nil, "an integer")
	return v
}

func (r *reader) number() float64 {
	if r.skip("null") {
		return math.NaN()
	}
	v, err := strconv.ParseFloat(string(r.token()), 64)
	r.check(err == nil, "a number")
	return v
}

func (r *reader) target() (t Target) {
	r.literal("{")
	for r.err == nil && !r.skip("}") {
		if len(t) > 0 {
			r.literal(",")
		}
		field := r.text()
		r.literal(":")
		t = append(t, Value{Field: field, Text: r.text()})
	}
	return t
}

// evidence reads what is only written of steps that have some.
func (r *reader) evidence(d *Decision) {
	for r.err == nil && !r.skip("}") {
		if len(d.Evidence) > 0 {
			r.literal(",")
		}
		name := r.text()
		r.literal(":")
		d.Evidence = append(d.Evidence, Measure{Name: name, Value: r.number()})
	}
	r.literal(`,"good":`)
	d.Good = r.number()
	r.literal(`,"tried":`)
	d.Tried = r.number()
	if d.Regulars = d.Good; r.skip(`,"regulars":`) {
		d.Regulars = r.number()
	}
	r.literal(`,"clean":`)
	d.Clean = r.skip("true")
	r.check(d.Clean || r.skip("false"), "true or false")
	r.literal(`,"sources":[`)
	for r.err == nil && !r.skip("]") {
		if len(d.Sources) > 0 {
			r.literal(",")
		}
		var s Span
		r.literal(`{"name":`)
		s.Source = r.text()
		r.literal(`,"partition":`)
		p := r.integer()
		s.Partition = int32(p)
		r.check(int64(s.Partition) == p, "a partition")
		r.literal(`,"offsets":[`)
		s.First = r.integer()
		r.literal(",")
		s.Last = r.integer()
		r.literal("]}")
		d.Sources = append(d.Sources, s)
	}
}

// text reads a string as AppendJSONString writes it.
func (r *reader) text() string {
	r.literal(`"`)
	if r.err != nil {
		return ""
	}
	// Most have nothing in them that was escaped.
	if n := bytes.IndexAny(r.rest, `"\`); n >= 0 && r.rest[n] == '"' {
		s := string(r.rest[:n])
		r.rest = r.rest[n+1:]
		return s
	}
	var b []byte
	for len(r.rest) > 0 {
		c := r.rest[0]
		r.rest = r.rest[1:]
		switch c {
		case '"':
			return string(b)
		case '\\':
			b = r.escape(b)
			if r.err != nil {
				return ""
			}
		default:
			b = append(b, c)
		}
	}
	r.check(false, "a string that ends")
	return ""
}

func (r *reader) escape(b []byte) []byte {
	if r.skip(`"`) {
		return append(b, '"')
	}
	if r.skip(`\`) {
		return append(b, '\\')
	}
	r.check(r.skip("u"), "an escape")
	c := rune(r.hex(4))
	if c != utf8.RuneError {
		return utf8.AppendRune(b, c)
	}
	if r.skip(`\ufffd`) {
		return utf8.AppendRune(b, c) // the character itself
	}
	return append(b, byte(r.hex(2))) // a byte that is no text
}

// hex takes n hexadecimal digits.
func (r *reader) hex(n int) uint64 {
	if r.err != nil || len(r.rest) < n {
		r.check(false, "an escape")
		return 0
	}
	v, err := strconv.ParseUint(string(r.rest[:n]), 16, 32)
	r.check(err == nil, "an escape")
	r.rest = r.rest[n:]
	return v
}
