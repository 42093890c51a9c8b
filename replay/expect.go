package replay

import (
	"math"
	"strconv"
	"strings"
	"time"

	"weir/event"
)

// expect is one statement that says what must be decided, or that nothing may.
type expect struct {
	line    *line
	none    bool
	count   int       // how many such decisions; 0: one
	from    time.Time // the tick, or the first of several
	to      time.Time // the last
	step    event.Step
	action  event.Action
	target  []want
	except  string
	figures []figure
	mode    *event.Stage
	limit   *string        // to=10/1m
	length  *time.Duration // for=1h

	sends int // of the story stand above it
}

// want is one dimension of a target.
type want struct {
	field  event.Field
	name   string
	text   string
	prefix bool // text is what the value begins with: ip=* and ip=198.18.*
}

// figure is one number of the evidence, or good or tried, or clean.
type figure struct {
	name  string
	value float64
}

// expect reads `expect none` and `expect [xN] [day N] HH:MM:SS[+DUR]
// [new|renew] ACTION dim=value … [except known(ip)] [evidence=value …]`.
func (p *parser) expect(ws []word) *expect {
	l := p.line
	e := &expect{line: l, step: event.New}
	if len(ws) > 0 && ws[0].text == "none" {
		e.none = true
		if len(ws) > 1 {
			l.fail(ws[1].off, "%s behind none: nothing may stand there", ws[1].text)
		}
		return e
	}
	if len(ws) > 0 && isRepeat(ws[0].text) {
		e.count, ws = l.repeat(ws[0]), ws[1:]
	}
	d, ws := l.day(ws, false)
	if len(ws) < 2 {
		l.fail(len(l.text), "expect needs a time and an action, such as: expect 10:03:11 block ip=192.0.2.7, or none")
		return e
	}
	p.when(e, d, ws[0])
	ws = ws[1:]
	switch ws[0].text {
	case "renew":
		e.step, ws = event.Renew, ws[1:]
	case "new":
		ws = ws[1:]
	}
	if len(ws) == 0 {
		l.fail(len(l.text), "expect without an action, must be one of %s", strings.Join(actionNames, ", "))
		return e
	}
	action, ok := event.ActionByName(ws[0].text)
	if !ok || action == event.NoAction {
		l.fail(ws[0].off, "unknown action %s%s; there are %s", ws[0].text, hint(ws[0].text, actionNames), strings.Join(actionNames, ", "))
	}
	e.action = action
	p.wanted(e, ws[1:])
	return e
}

var actionNames = func() (names []string) {
	for a := event.Block; a < event.NumActions; a++ {
		names = append(names, a.String())
	}
	return names
}()

// when reads the tick, or the ticks from one on: 10:00:30+5m.
func (p *parser) when(e *expect, d days, w word) {
	l := p.line
	at, more, span := strings.Cut(w.text, "+")
	since := l.clock(word{at, w.off})
	if since%time.Second != 0 {
		l.fail(w.off, "%s: decisions are made at whole seconds", at)
	}
	e.from = firstDay.AddDate(0, 0, d.first-1).Add(since)
	e.to = e.from
	if span {
		e.to = e.from.Add(l.duration(more, w.off+len(at)+1))
	}
}

// wanted reads the target and what else must be so.
func (p *parser) wanted(e *expect, ws []word) {
	l := p.line
	for i := 0; i < len(ws); i++ {
		if ws[i].text == "except" {
			if i++; i == len(ws) {
				l.fail(len(l.text), "except without anything, must be like except known(ip)")
				return
			}
			e.except = ws[i].text
			if inner, ok := strings.CutPrefix(e.except, "known("); !ok || !strings.HasSuffix(inner, ")") {
				l.fail(ws[i].off, "except %s, must be like except known(ip)", e.except)
			}
			continue
		}
		name, value, off, ok := l.pair(ws[i])
		if !ok {
			l.fail(ws[i].off, "unknown word %s in expect; there are dim=value, evidence=value and except known(ip)", name)
			continue
		}
		p.want(e, name, value, ws[i].off, off)
	}
}

// want reads one name=value.
func (p *parser) want(e *expect, name, value string, at, off int) {
	l := p.line
	switch name {
	case "mode":
		if s, ok := event.StageByName(value); ok {
			e.mode = &s
		} else {
			l.fail(off, "mode %s, must be shadow, alert or enforce", value)
		}
		return
	case "to":
		e.limit = &value
		return
	case "for":
		d := l.duration(value, off)
		e.length = &d
		return
	case "clean":
		v, ok := map[string]float64{"true": 1, "false": 0}[value]
		if !ok {
			l.fail(off, "clean=%s, must be true or false", value)
		}
		e.figures = append(e.figures, figure{name, v})
		return
	}
	if p.isFigure(name) {
		v, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
			l.fail(off, "%s=%s, must be a number", name, value)
		}
		e.figures = append(e.figures, figure{name, v})
		return
	}
	f := event.FieldByName(name)
	if rest, ok := strings.CutPrefix(name, "x."); ok {
		f = p.lib.Extras.Field(rest)
	}
	if f == event.NoField {
		l.fail(at, "%s is neither a field nor evidence of %s%s", name, p.story.rule.ID, hint(name, p.nameable()))
		return
	}
	w := want{field: f, name: name, text: value}
	if rest, ok := strings.CutSuffix(value, "*"); ok {
		w.text, w.prefix = rest, true
	}
	e.target = append(e.target, w)
}

// isFigure reports whether a name is a number of the rule's decisions.
func (p *parser) isFigure(name string) bool {
	if name == "good" || name == "tried" || name == "regulars" {
		return true
	}
	for _, f := range p.story.rule.Features {
		if f.Name == name {
			return true
		}
	}
	return false
}

// nameable are the names that may stand in an expect.
func (p *parser) nameable() []string {
	names := []string{"good", "tried", "regulars", "clean", "mode", "to", "for"}
	for _, f := range p.story.rule.Features {
		names = append(names, f.Name)
	}
	for f := event.FieldIP; f < event.FieldX0; f++ {
		names = append(names, f.String())
	}
	for _, x := range p.lib.Extras {
		names = append(names, "x."+x)
	}
	return names
}
