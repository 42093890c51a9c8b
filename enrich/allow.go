package enrich

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"weir/event"
)

func (s *Site) readAllow(n ast.Node) {
	d := &s.doc
	at := placeOf(n)
	a := Allow{Line: at.line, Rules: []string{"*"}, Actions: []event.Action{event.Block, event.Limit, event.Challenge, event.Deceive}}
	seen := d.members("allow", d.mapping("allow", n), map[string]func(ast.Node){
		"match": func(n ast.Node) { a.Match = s.readTarget(n) },
		"actions": func(n ast.Node) {
			a.Actions = nil
			for _, name := range d.texts("actions", n) {
				act, ok := event.ActionByName(name)
				if !ok || act == event.NoAction || act == event.Alert {
					d.fault(placeOf(n), "actions: %s, must be block, limit, challenge or deceive", name)
				}
				a.Actions = append(a.Actions, act)
			}
		},
		"rules":  func(n ast.Node) { a.Rules = d.texts("rules", n) },
		"owner":  func(n ast.Node) { a.Owner = d.text("owner", n) },
		"reason": func(n ast.Node) { a.Reason = d.text("reason", n) },
		"until": func(n ast.Node) {
			text := d.text("until", n)
			t, err := time.Parse(time.DateOnly, text)
			if err != nil {
				t, err = time.Parse(time.RFC3339, text)
			}
			if err != nil {
				d.fault(placeOf(n), "until: %s, must be a date such as 2027-01-31 or 2027-01-31T12:00:00Z", text)
			}
			a.Until = t
		},
	})
	for _, name := range []string{"match", "owner", "reason"} {
		if _, ok := seen[name]; !ok {
			d.fault(at, "allow: no %s, each entry needs match, owner and reason", name)
		}
	}
	s.Allow = append(s.Allow, a)
}

// readTarget reads what an exception is for: values of fields.
func (s *Site) readTarget(n ast.Node) (t event.Target) {
	d := &s.doc
	known := map[string]func(ast.Node){}
	for f := event.FieldTime; f < event.FieldX0; f++ {
		if !f.Keyable() {
			continue
		}
		known[f.String()] = func(n ast.Node) {
			text := d.text(f.String(), n)
			if what := checkValue(f, text); what != "" {
				d.fault(placeOf(n), "%s: %s, must be %s", f, text, what)
			}
			t = append(t, event.Value{Field: f.String(), Text: text})
		}
	}
	if d.members("match", d.mapping("match", n), known); len(t) == 0 {
		d.fault(placeOf(n), "match: empty, must name at least one field")
	}
	slices.SortFunc(t, func(a, b event.Value) int { return cmp.Compare(event.FieldByName(a.Field), event.FieldByName(b.Field)) })
	return t
}

// checkValue says what a field's value must be, where text is not.
func checkValue(f event.Field, text string) (must string) {
	_, noAddr := netip.ParseAddr(text)
	_, noPrefix := netip.ParsePrefix(text)
	switch {
	case f == event.FieldIP && noAddr != nil && noPrefix != nil:
		return "an address or a prefix"
	case f == event.FieldNet && noPrefix != nil:
		return "a prefix"
	case f.Number() && strings.Trim(text, "0123456789") != "", text == "":
		return "a value of that field"
	}
	return ""
}
