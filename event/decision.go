package event

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// DecisionVersion is the format version of a decision line.
const DecisionVersion = 1

// Step is what a decision line says happened.
type Step uint8

// The steps in the life of a decision, in the order in which one tick writes them.
const (
	End Step = iota
	New
	Renew
	numSteps
)

var stepNames = [numSteps]string{"end", "new", "renew"}

// String returns the step as decision lines write it.
func (s Step) String() string { return stepNames[s] }

// Value is one dimension of a key or target.
type Value struct {
	Field string // as rules write it
	Text  string
}

// Target is a conjunction of values, ordered by field.
type Target []Value

// Measure is one figure of a decision's evidence, under its name in the rule.
type Measure struct {
	Name  string
	Value float64
}

// Span is where the events of one source partition lie that a decision rests on.
type Span struct {
	Source      string
	Partition   int32
	First, Last int64 // offsets
}

// Decision is one line of what the engine decides, before guards.
type Decision struct {
	Step     Step
	ID       string
	Renews   string    // the first decision's id, of a renewal
	Time     time.Time // the tick
	Until    time.Time
	Mode     Stage
	Would    Action // what the rule asks for; the action is none in shadow
	To       string // of limit: 10/1m
	Target   Target
	Except   string // known(ip)
	Key      Target
	Rule     string
	Version  int
	Severity Severity
	Evidence []Measure
	Good     float64
	Tried    float64
	// Regulars are, of the good ones, at most as many as succeeded in the week
	// before an attack could have begun and as the exception would not have
	// spared: whom the decision hits. Written where it is not all of them.
	Regulars float64
	Clean    bool
	Sources  []Span
	// Incomplete, where it is not zero, says that the rule looked back to before
	// all that it reads was collected, and from when on that will be so.
	Incomplete time.Time
}

// Action returns what an enforcement point may do about the decision: none in
// shadow, alert where people are only told.
func (d *Decision) Action() string {
	switch d.Mode {
	case Shadow:
		return "none"
	case AlertOnly:
		return Alert.String()
	}
	return d.Would.String()
}

// DecisionID derives the id of a new or renewed decision from what makes it
// one: rule, version, action, target and time.
func DecisionID(step Step, rule string, version int, would Action, target Target, except string, at time.Time) string {
	b := make([]byte, 0, 256)
	for _, s := range []string{step.String(), rule, strconv.Itoa(version), would.String(), except} {
		b = appendSized(b, s)
	}
	for _, v := range target {
		b = appendSized(appendSized(b, v.Field), v.Text)
	}
	b = strconv.AppendInt(b, at.Unix(), 10)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

func appendSized(b []byte, s string) []byte {
	b = strconv.AppendInt(b, int64(len(s)), 10)
	b = append(b, ':')
	return append(b, s...)
}

// Words are what a line says of a decision that is not the engine's alone to
// say: what happened, how far it goes and what is done.
type Words struct{ Event, Mode, Action string }

// Words returns what the engine itself says.
func (d *Decision) Words() Words {
	return Words{Event: d.Step.String(), Mode: d.Mode.String(), Action: d.Action()}
}

// AppendJSON appends the decision as one line of JSON, without the newline.
// Fields stand in a fixed order, so that equal decisions are equal bytes.
func (d *Decision) AppendJSON(b []byte) []byte {
	return append(d.AppendOpen(b, d.Words(), d.Step != End), '}')
}

// AppendOpen appends the line with other words and without the bracket at its
// end, so that more can follow. An end has no evidence.
func (d *Decision) AppendOpen(b []byte, w Words, evidence bool) []byte {
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, DecisionVersion, 10)
	b = appendStringField(b, "event", w.Event)
	b = appendStringField(b, "id", d.ID)
	if d.Renews != "" {
		b = appendStringField(b, "renews", d.Renews)
	}
	b = appendTimeField(b, "time", d.Time)
	b = appendTimeField(b, "until", d.Until)
	b = appendStringField(b, "mode", w.Mode)
	b = appendStringField(b, "action", w.Action)
	b = appendStringField(b, "would", d.Would.String())
	if d.To != "" {
		b = appendStringField(b, "to", d.To)
	}
	b = append(b, `,"target":`...)
	b = d.Target.AppendJSON(b)
	if d.Except != "" {
		b = appendStringField(b, "except", d.Except)
	}
	b = append(b, `,"key":`...)
	b = d.Key.AppendJSON(b)
	b = appendStringField(b, "rule", d.Rule)
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, int64(d.Version), 10)
	b = appendStringField(b, "severity", d.Severity.String())
	if evidence {
		b = d.appendEvidence(b)
	}
	return b
}

func (d *Decision) appendEvidence(b []byte) []byte {
	if !d.Incomplete.IsZero() {
		b = appendTimeField(b, "incomplete", d.Incomplete)
	}
	b = append(b, `,"evidence":{`...)
	for i, m := range d.Evidence {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendJSONString(b, m.Name), ':')
		b = appendNumber(b, m.Value)
	}
	b = append(b, `},"good":`...)
	from := len(b)
	b = appendNumber(b, d.Good)
	good := b[from:len(b):len(b)]
	b = append(b, `,"tried":`...)
	b = appendNumber(b, d.Tried)
	var room [32]byte
	if regulars := appendNumber(room[:0], d.Regulars); !bytes.Equal(regulars, good) {
		b = append(append(b, `,"regulars":`...), regulars...)
	}
	b = append(b, `,"clean":`...)
	b = strconv.AppendBool(b, d.Clean)
	b = append(b, `,"sources":[`...)
	for i, s := range d.Sources {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = AppendJSONString(b, s.Source)
		b = append(b, `,"partition":`...)
		b = strconv.AppendInt(b, int64(s.Partition), 10)
		b = append(b, `,"offsets":[`...)
		b = strconv.AppendInt(b, s.First, 10)
		b = append(b, ',')
		b = strconv.AppendInt(b, s.Last, 10)
		b = append(b, "]}"...)
	}
	return append(b, ']')
}

// AppendJSON appends the target as an object, in its order.
func (t Target) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	for i, v := range t {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendJSONString(b, v.Field), ':')
		b = AppendJSONString(b, v.Text)
	}
	return append(b, '}')
}

// appendNumber writes at most four decimals: evidence is for reading, and a
// number that is not finite has no JSON form.
func appendNumber(b []byte, v float64) []byte {
	if v != v || v > 1e300 || v < -1e300 {
		return append(b, "null"...)
	}
	if v == float64(int64(v)) {
		return strconv.AppendInt(b, int64(v), 10)
	}
	if math.Abs(v) < 1<<36 { // beyond it, rounding twice would not be rounding once
		v = math.Round(v*1e4) / 1e4
	}
	if v == 0 {
		return append(b, '0') // not -0
	}
	b = strconv.AppendFloat(b, v, 'f', 4, 64)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

func appendStringField(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return AppendJSONString(b, value)
}

func appendTimeField(b []byte, name string, t time.Time) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':', '"')
	b = t.UTC().AppendFormat(b, time.RFC3339)
	return append(b, '"')
}

// AppendJSONString appends s as a JSON string. Whatever an attacker wrote, the
// result is valid JSON in printable ASCII where s is not valid text: control
// characters and everything that could move a terminal's cursor or hide
// (bidirectional marks, invalid bytes) is escaped.
func AppendJSONString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				b = append(b, '\\', c)
			case c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&':
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			default:
				b = append(b, c)
			}
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			// The byte stays visible, and two different ones stay different.
			b = append(b, `\ufffd`...)
			b = append(b, hexDigits[c>>4], hexDigits[c&15])
			i++
			continue
		}
		if r == utf8.RuneError {
			b = append(b, `\ufffd\ufffd`...) // once alone it announces a byte
		} else if hidden(r) {
			b = append(b, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
		} else {
			b = append(b, s[i:i+n]...)
		}
		i += n
	}
	return append(b, '"')
}

// hidden reports whether a rune changes how the text around it is shown.
func hidden(r rune) bool {
	switch {
	case r >= 0x80 && r < 0xa0, r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e,
		r >= 0x2060 && r <= 0x206f, r == 0xfeff, r == 0x061c:
		return true
	}
	return false
}
