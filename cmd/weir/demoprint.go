package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"weir/event"
	"weir/internal/testkit"
)

// attackTexts say what the attacks of a made-up log do.
var attackTexts = map[string]string{
	testkit.Stuffing:   "one address tries one stolen password after the other",
	testkit.LowAndSlow: "hundreds of addresses log in with stolen passwords, three tries each in a day",
	testkit.Scraper:    "one address reads the whole catalogue",
}

// print tells a person what happened.
func (d *demo) print(w io.Writer) error {
	p := &page{w: w}
	p.heading("What came in")
	p.wrapped("", 2, fmt.Sprintf("The access log of a shop that does not exist: %s in %s from %s, with %s in it.",
		several(d.truth.Lines, "request"), spanText(d.truth.Last.Sub(d.truth.First)), several(d.truth.Addresses, "address"), several(len(d.truth.Attacks), "attack")))
	p.line("  %s (%s)", d.log, bytesText(d.bytes))
	p.wrapped("", 2, fmt.Sprintf("weir read it in %.1f s and knew nothing but what is in it: no list of bad addresses, no learning beforehand.", d.summary.Seconds))

	p.heading("What was in it, and what was found")
	for _, a := range d.score.attacks {
		d.printAttack(p, a)
	}
	rule := "ato.stuffing_source"
	if dec := d.shownDecision(); dec != nil {
		rule = dec.Rule
		if err := d.printDecision(p, dec); err != nil {
			return err
		}
	}
	d.printHonest(p)

	p.heading("The same on a log of your own")
	p.line("  weir inspect access.log              what weir reads in it, and which rules can work")
	p.line("  weir replay --out found access.log   what the rules would have decided")
	p.line("  weir rules explain %s access.log", rule)
	p.line("                                       what one rule looks for, and how near the log came")
	p.line("")
	p.line("  Everything is in %s:", d.dir)
	p.line("  access.log, decisions.jsonl (a line each), summary.json. It can be deleted.")
	return p.err
}

func (d *demo) printAttack(p *page, a *attackScore) {
	from := several(len(a.Addresses), "address")
	p.line("")
	p.line("  %s: %s", a.Name, attackTexts[a.Name])
	const indent = 12
	p.wrapped("  in it", indent, fmt.Sprintf("%s from %s, %s to %s", several(a.Lines, "request"), from, clockText(a.First), clockText(a.Last)))
	if a.found == nil {
		p.wrapped("  found", indent, "not at all")
		return
	}
	p.wrapped("  found", indent, fmt.Sprintf("%s after its first request, by %s: %s %s", spanText(a.found.Time.Sub(a.First)), a.found.Rule, a.found.would(), a.found.target()))
	if a.blow != nil && a.blow != a.found {
		p.wrapped("", indent, fmt.Sprintf("%s after its first request: %s %s", spanText(a.blow.Time.Sub(a.First)), a.blow.would(), a.blow.target()))
	}
	var met []string
	for _, act := range []event.Action{event.Block, event.Challenge, event.Limit} {
		if n := a.met[act]; n > 0 {
			met = append(met, fmt.Sprintf("%s would have met the %s", count(n), act))
		}
	}
	p.wrapped("  so that", indent, fmt.Sprintf("%s of its requests came before, %s", count(a.met[event.NoAction]), strings.Join(met, ", ")))
}

// shownDecision returns the one to show in full: the first block.
func (d *demo) shownDecision() *demoDecision {
	for _, a := range d.score.attacks {
		if a.blow != nil {
			return a.blow
		}
	}
	return nil
}

// printDecision shows a decision, its evidence in words and its line.
func (d *demo) printDecision(p *page, dec *demoDecision) error {
	x, err := d.prepared.plan.Explain(dec.Rule)
	if err != nil {
		return err
	}
	p.heading("One decision in full")
	p.wrapped("", 2, fmt.Sprintf("%s: %s %s until %s.", clockText(dec.Time), dec.would(), dec.target(), clockText(dec.Until)))
	p.wrapped("", 2, fmt.Sprintf("The rule %s, version %d (%s), fires where", dec.Rule, dec.Version, x.Rule.Title))
	p.wrapped("", 4, x.Rule.When.Text)
	p.wrapped("", 2, fmt.Sprintf("and at that second it read, for this %s:", strings.Join(x.Key, " and ")))
	var rows [][]string
	for _, f := range x.Features {
		if v, ok := dec.Evidence[f.Name]; ok {
			rows = append(rows, []string{"", f.Name, fmt.Sprintf("%.4g", v), "= " + f.Text})
		}
	}
	p.table("llrl", rows...)
	p.wrapped("", 2, fmt.Sprintf("Of %s tried from there in seven days, %s got in. As a line of decisions.jsonl:", plural(int64(dec.Tried), "account"), count(int64(dec.Good))))
	for rest := string(dec.line); rest != ""; {
		at := len(rest)
		if room := screen - 4; at > room {
			at = 1 + max(strings.LastIndexByte(rest[:room], ','), 0)
		}
		p.line("    %s", rest[:at])
		rest = rest[at:]
	}
	return nil
}

func (d *demo) printHonest(p *page) {
	h := &d.score.honest
	p.heading("Whom it left alone")
	n := func(a event.Action) string { return count(int64(len(h.met[a]))) }
	p.wrapped("", 2, fmt.Sprintf("%s of %s, among them %s that failed: %s blocked, %s challenged, %s limited.",
		plural(h.requests, "request"), several(len(h.addresses), "honest address"), plural(h.failures, "log-in"),
		several(len(h.met[event.Block]), "address"), n(event.Challenge), n(event.Limit)))
}

// would says what a decision asks for.
func (d *demoDecision) would() string {
	if d.To != "" {
		return d.Would + " to " + d.To
	}
	return d.Would
}

// target writes the target in the order of the fields.
func (d *demoDecision) target() string {
	var t event.Target
	for f := event.FieldTime; f < event.FieldX0; f++ {
		if v, ok := d.Target[f.String()]; ok {
			t = append(t, event.Value{Field: f.String(), Text: v})
		}
	}
	s := targetText(t)
	if d.Except != "" {
		s += " except " + d.Except
	}
	return s
}

func clockText(t time.Time) string { return t.UTC().Format("2 January 15:04:05") }
