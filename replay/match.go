package replay

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"weir/event"
)

// verdict is how the decisions of a story lie against its expectations.
type verdict struct {
	*story
	stage    *stage
	ds       []event.Decision // of the rule under test, new and renewed, by time
	taken    []bool           // fit an expectation, or were shown beside one
	failures []*Failure
}

// compare holds the decisions of the rule under test against the expects.
func (st *story) compare(s *stage, all []event.Decision) []*Failure {
	v := verdict{story: st, stage: s}
	for i := range all {
		if all[i].Rule == st.rule.ID && all[i].Step != event.End {
			v.ds = append(v.ds, all[i])
		}
	}
	slices.SortStableFunc(v.ds, func(a, b event.Decision) int { return a.Time.Compare(b.Time) })
	v.taken = make([]bool, len(v.ds))

	var missed []*expect
	for _, e := range st.bySharpness() {
		if !e.none && !v.take(e) {
			missed = append(missed, e)
		}
	}
	slices.SortFunc(missed, func(a, b *expect) int { return cmp.Compare(a.line.number, b.line.number) })
	for _, e := range missed {
		v.miss(e)
	}
	v.nones()
	v.unlisted()
	slices.SortStableFunc(v.failures, func(a, b *Failure) int { return cmp.Compare(a.Line, b.Line) })
	return v.failures
}

// bySharpness returns the expects with those that fit the fewest decisions
// first, so that ip=* does not take what another asks for by name.
func (st *story) bySharpness() []*expect {
	es := slices.Clone(st.expects)
	slices.SortStableFunc(es, func(a, b *expect) int {
		return cmp.Or(cmp.Compare(a.looseness(), b.looseness()), -cmp.Compare(len(a.figures), len(b.figures)))
	})
	return es
}

func (e *expect) looseness() (n int) {
	if e.count > 0 || e.to != e.from {
		n = 1
	}
	for _, w := range e.target {
		if w.prefix {
			n += max(2, 100-len(w.text))
		}
	}
	return n
}

// take takes the decisions that the expect asks for.
func (v *verdict) take(e *expect) bool {
	var fit []int
	for i := range v.ds {
		if !v.taken[i] && v.differences(e, &v.ds[i]) == nil {
			if fit = append(fit, i); e.count == 0 {
				break
			}
		}
	}
	var got []string
	for _, i := range fit {
		v.taken[i] = true
		got = append(got, v.stage.describe(v.story, &v.ds[i]))
	}
	if e.count > 0 && len(fit) > 0 && len(fit) != e.count {
		v.fail(e, fmt.Sprintf("expected %s, there came %d", several(e.count, "such decision"), len(fit)), got...)
		return true
	}
	return len(fit) > 0
}

// fail adds a failure of an expect.
func (v *verdict) fail(e *expect, message string, got ...string) {
	f := &Failure{File: e.line.file, Line: e.line.number, Message: message, Source: strings.TrimSpace(e.line.text), Got: got}
	v.failures = append(v.failures, f.shorten())
}

// miss says what came instead of an expected decision.
func (v *verdict) miss(e *expect) {
	best, least := -1, math.MaxInt
	var why []string
	for i := range v.ds {
		if v.taken[i] {
			continue
		}
		if d := v.differences(e, &v.ds[i]); v.distance(e, &v.ds[i], d) < least {
			best, least, why = i, v.distance(e, &v.ds[i], d), d
		}
	}
	if best < 0 {
		v.fail(e, "expected, but not decided")
		v.failures[len(v.failures)-1].nothing = true
		return
	}
	v.taken[best] = true
	v.fail(e, "expected otherwise: "+strings.Join(why, ", "), v.stage.describe(v.story, &v.ds[best]), "  ("+figuresText(&v.ds[best])+")")
}

// distance orders decisions by how like the expected one they are: first by
// what differs, then by how far they are in time.
func (v *verdict) distance(e *expect, d *event.Decision, differences []string) int {
	off := d.Time.Sub(e.from).Abs().Seconds()
	n := 100 * len(differences)
	if !v.sameTarget(e, d) {
		n += 1000
	}
	return n + int(min(off/60, 90))
}

// differences says how a decision is not what the expect asks for; nil where
// it is.
func (v *verdict) differences(e *expect, d *event.Decision) (diff []string) {
	add := func(format string, args ...any) { diff = append(diff, fmt.Sprintf(format, args...)) }
	if d.Time.Before(e.from) || d.Time.After(e.to) {
		add("it came at %s", showTime(d.Time))
	}
	switch {
	case d.Step == e.step:
	case d.Step == event.Renew:
		add("it is a renewal")
	default:
		add("it is new")
	}
	if d.Would != e.action {
		add("it is a %s", d.Would)
	}
	if !v.sameTarget(e, d) {
		add("its target is another")
	}
	switch {
	case d.Except == e.except:
	case d.Except == "":
		add("it has no exception")
	default:
		add("it has except %s", d.Except)
	}
	if e.mode != nil && d.Mode != *e.mode {
		add("mode is %s", d.Mode)
	}
	if e.limit != nil && d.To != *e.limit {
		add("to is %s", cmp.Or(d.To, "not set"))
	}
	if e.length != nil && d.Until.Sub(d.Time) != *e.length {
		add("for is %s", showDuration(d.Until.Sub(d.Time)))
	}
	for _, f := range e.figures {
		if got := figureOf(d, f.name); !(math.Abs(got-f.value) < 0.00005) {
			add("%s is %s", f.name, showNumber(got))
		}
	}
	return diff
}

// figureOf returns a figure of a decision by its name.
func figureOf(d *event.Decision, name string) float64 {
	switch name {
	case "good":
		return d.Good
	case "tried":
		return d.Tried
	case "clean":
		if d.Clean {
			return 1
		}
		return 0
	}
	for _, m := range d.Evidence {
		if m.Name == name {
			return m.Value
		}
	}
	if name == "regulars" {
		return d.Regulars
	}
	return math.NaN()
}

func (v *verdict) sameTarget(e *expect, d *event.Decision) bool {
	if len(e.target) != len(d.Target) {
		return false
	}
	for _, t := range d.Target {
		if !slices.ContainsFunc(e.target, func(w want) bool { return w.name == t.Field && v.fits(w, t) }) {
			return false
		}
	}
	return true
}

// fits reports whether a target's value is the wanted one.
func (v *verdict) fits(w want, t event.Value) bool {
	if w.prefix {
		return strings.HasPrefix(v.plain(v.stage, t), w.text)
	}
	return slices.Contains(v.stage.carried(w.field, w.text), t.Text)
}

// nones checks that up to an `expect none` nothing is decided.
func (v *verdict) nones() {
	for i, e := range v.expects {
		if !e.none {
			continue
		}
		var got []string
		for k := range v.ds {
			d := &v.ds[k]
			if v.taken[k] {
				continue
			}
			if i > 0 && !d.Time.After(v.until(v.expects[i-1].sends)) {
				continue
			}
			if i+1 < len(v.expects) && d.Time.After(v.until(e.sends)) {
				continue
			}
			got = append(got, v.stage.describe(v.story, d))
			v.taken[k] = true
		}
		if len(got) > 0 {
			v.fail(e, fmt.Sprintf("nothing was expected, but there came %s", several(len(got), "decision")), got...)
		}
	}
}

// unlisted reports what no expect lists.
func (v *verdict) unlisted() {
	var got []string
	for i := range v.ds {
		if !v.taken[i] {
			got = append(got, v.stage.describe(v.story, &v.ds[i]))
		}
	}
	if len(got) > 0 && len(v.expects) > 0 {
		e := v.expects[len(v.expects)-1]
		f := &Failure{File: e.line.file, Line: e.line.number, Message: several(len(got), "decision") + " that no expect of this story lists", Got: got}
		v.failures = append(v.failures, f.shorten())
	}
}

// several writes a number of things.
func several[N int | int64](n N, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
