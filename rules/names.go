package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"weir/event"
	"weir/windows"
)

// Names say what tables and series are, whatever rules there are besides: they
// are how a state finds its way from one set of rules to another. Changing how
// one is written makes every state begin anew.

// tableName returns the fields of a table and, behind "of", its parent's name:
// rows carry a hash of the parent's key, in which that name is.
func (p *planner) tableName(fields []event.Field, parent int) string {
	if parent < 0 {
		return p.keyName(fields)
	}
	return p.keyName(fields) + " of " + p.Layout.Tables[parent].Name
}

// keyName returns how a key of these fields is called; without any, nothing.
func (p *Plan) keyName(fs []event.Field) string { return strings.Join(p.fieldTexts(fs), " ") }

// keptNames are the kinds of series in their names.
var keptNames = map[windows.Kind]string{
	windows.Count: "count", windows.Sum: "sum", windows.MinMax: "minmax", windows.Distinct: "distinct",
	windows.Buckets: "buckets", windows.Active: "active", windows.Span: "span",
}

// seriesName returns what a series of a table keeps, as `distinct credential
// where kind == "login" if outcome == "failure"`. The planner's own conditions
// on kinds are left open in it; kinds are those that it lets through.
func (p *planner) seriesName(t int, kind windows.Kind, bit, obs uint8) (name string, kinds uint32) {
	name = keptNames[kind]
	switch kind {
	case windows.Sum, windows.MinMax, windows.Distinct, windows.Buckets:
		name += " " + p.extras.Name(p.obs[obs].field)
	}
	b := p.tables[t].bits[bit]
	if b.where == refusedBit {
		name += " refused"
	} else {
		name, kinds = p.condName(name, " where ", b.where, kinds)
	}
	return p.condName(name, " if ", b.cond, kinds)
}

func (p *planner) condName(name, word string, cond int, kinds uint32) (string, uint32) {
	if cond == noCond {
		return name, kinds
	}
	if only, ok := p.ofKinds[cond]; ok {
		return name + word + "target", only
	}
	return name + word + p.conds[cond].Text, kinds
}

// Hash identifies what a rule does. Title and tags, comments and spacing are
// not in it, nor are version and stage; two rules with the same hash decide
// the same.
func (r *Rule) Hash() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	names := func(fs []event.Field) string {
		s := make([]string, len(fs))
		for i, f := range fs {
			s[i] = r.extras.Name(f)
		}
		return strings.Join(s, " ")
	}
	line("rule 1 %s %s", r.ID, r.Severity)
	line("key %s", names(r.Key))
	line("where %s", condText(r.Where))
	for i := range r.Features {
		f := &r.Features[i]
		line("feature %s %s", f.Name, f.text(r.extras))
	}
	if r.When != nil {
		line("when %s", r.When.Text)
	}
	for i := range r.Then {
		c := &r.Then[i]
		line("then %s %s except %s to %q for %v", c.Action, names(c.Dims), r.extras.Name(c.Except), c.To, c.For)
		if c.If != nil {
			line("if %s", c.If.Text)
		}
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:16])
}

func condText(c *EventCond) string {
	if c == nil {
		return trueNode.String()
	}
	return c.Text
}
