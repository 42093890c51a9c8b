package score

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir/event"
)

// shape is the fields that targets have.
type shape struct {
	fields []event.Field
	first  int64 // when the first target of the shape comes into force
	last   int64 // when the last one ends
}

// maxUnmet is how many endpoints of decisions are looked for in the log.
const maxUnmet = 10_000

// targetOf returns the shape of a target and the hash under which it is found.
func (l *Ledger) targetOf(t event.Target) (shape uint16, hash uint64, err error) {
	if len(t) == 0 {
		return 0, 0, errors.New("a decision without a target")
	}
	fields := make([]event.Field, 0, len(t))
	var text []byte
	for i, v := range t {
		f := event.FieldByName(v.Field)
		if name, ok := strings.CutPrefix(v.Field, "x."); ok {
			f = l.how.Extras.Field(name)
		}
		switch {
		case f == event.NoField || !f.Keyable():
			return 0, 0, fmt.Errorf("target: %.40q is no field of the log", v.Field)
		case i > 0 && f <= fields[i-1]:
			return 0, 0, fmt.Errorf("target: %.40q is not in its place", v.Field)
		case v.Text == "":
			return 0, 0, fmt.Errorf("target: %s is empty", v.Field)
		case f == event.FieldIP:
			if p, err := netip.ParsePrefix(v.Text); err == nil && (p.Addr().Is4() || p.Bits() != 64) {
				return 0, 0, fmt.Errorf("target: ip %s is a prefix, must be an address or a /64", v.Text)
			}
		}
		if f == event.FieldEndpoint && len(l.unmet) < maxUnmet {
			if l.unmet == nil {
				l.unmet = map[string]bool{}
			}
			l.unmet[v.Text] = true
		}
		fields = append(fields, f)
		text = append(append(text, v.Text...), 0)
	}
	shape, err = l.shapeOf(fields)
	return shape, l.how.hash(shape, text), err
}

// sampled is one of a rule's first decisions.
type sampled struct {
	at     int64
	target uint64
	text   string
}

// sample keeps the texts of the targets of a rule's first decisions.
func (l *Ledger) sample(a *act, target event.Target) {
	for len(l.first) <= int(a.rule) {
		l.first = append(l.first, nil)
	}
	first := l.first[a.rule]
	if len(first) == maxSamples && a.at > first[maxSamples-1].at {
		return
	}
	s := sampled{a.at, a.target, targetText(target)}
	i, found := slices.BinarySearchFunc(first, s, func(a, b sampled) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.target, b.target))
	})
	if !found {
		first = slices.Insert(first, i, s)
		l.first[a.rule] = first[:min(len(first), maxSamples)]
	}
}

// texts returns the texts of the targets of the rules' first decisions.
func (l *Ledger) texts() map[uint64]string {
	texts := map[uint64]string{}
	for _, first := range l.first {
		for _, s := range first {
			texts[s.target] = s.text
		}
	}
	return texts
}

// targetText writes a target for people: nothing in it can move a cursor.
func targetText(t event.Target) string {
	var b []byte
	for i, v := range t {
		if i > 0 {
			b = append(b, ", "...)
		}
		text := event.AppendJSONString(nil, v.Text)
		if len(text) == len(v.Text)+2 && !strings.Contains(v.Text, " ") {
			text = text[1 : len(text)-1]
		}
		b = append(append(append(b, v.Field...), '='), text[:min(len(text), 80)]...)
	}
	return string(b)
}

// hash is under what a target of a shape is found, by the texts of its values
// with a zero byte behind each.
func (r *Reading) hash(shape uint16, text []byte) uint64 {
	return event.Mix(r.Key.Hash(text) + uint64(shape))
}

func (l *Ledger) shapeOf(fields []event.Field) (uint16, error) {
	for i := range l.shapes {
		if string(fieldBytes(l.shapes[i].fields)) == string(fieldBytes(fields)) {
			return uint16(i), nil
		}
	}
	if len(l.shapes) == maxShapes {
		return 0, fmt.Errorf("targets of more than %d shapes", maxShapes)
	}
	l.shapes = append(l.shapes, shape{fields: fields, first: maxTime})
	return uint16(len(l.shapes) - 1), nil
}

func fieldBytes(fs []event.Field) (b []byte) {
	for _, f := range fs {
		b = append(b, byte(f))
	}
	return b
}

// names numbers texts.
type names struct {
	all []string
	at  map[string]uint16
}

func (n *names) number(s, what string) (uint16, error) {
	if i, ok := n.at[s]; ok {
		return i, nil
	}
	if len(n.all) == maxRules {
		return 0, fmt.Errorf("more than %d %s", maxRules, what)
	}
	if n.at == nil {
		n.at = map[string]uint16{}
	}
	i := uint16(len(n.all))
	n.all, n.at[s] = append(n.all, s), i
	return i, nil
}

// excepts are the fields that exceptions ask about.
type excepts struct{ known []event.Field }

// field reads known(FIELD); an empty text is no exception.
func (x *excepts) field(text string, extras event.Extras) (event.Field, error) {
	if text == "" {
		return event.NoField, nil
	}
	name, ok := strings.CutPrefix(text, "known(")
	name, closed := strings.CutSuffix(name, ")")
	f := event.FieldByName(name)
	if extra, is := strings.CutPrefix(name, "x."); is {
		f = extras.Field(extra)
	}
	if !ok || !closed || !f.Keyable() {
		return event.NoField, fmt.Errorf("except %.60q, must be known(FIELD)", text)
	}
	if !slices.Contains(x.known, f) {
		x.known = append(x.known, f)
	}
	return f, nil
}
