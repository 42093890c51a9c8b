package main

import (
	"fmt"
	"io"
	"path/filepath"
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

// calledAs says how a person calls this program again: by the path that it was
// called by, or by its name where that was enough, or where the file does not
// outlive it (go run).
func calledAs(arg0 string) string {
	if !strings.ContainsRune(arg0, filepath.Separator) || strings.Contains(arg0, "go-build") {
		return "weir"
	}
	return arg0
}

// print tells a person what happened; weir is how this program is called.
func (d *demo) print(w io.Writer, weir string) error {
	p := &page{w: w}
	p.heading("What came in")
	p.wrapped("", 2, fmt.Sprintf("The requests of a shop that does not exist, up to now: %s in %s from %s, with %s among them. They "+
		"lay in a topic of a Kafka broker, which for this demonstration was embedded in this very process; weir read it through "+
		"the same client as any other broker's.",
		several(d.truth.Lines, "request"), spanText(d.truth.Last.Sub(d.truth.First)), several(d.truth.Addresses, "address"), several(len(d.truth.Attacks), "attack")))
	p.wrapped("", 2, fmt.Sprintf("weir read them in %.1f s and knew nothing but what is in them and who the crawler is: no list of bad addresses, "+
		"no learning beforehand.", d.read.Seconds()))

	p.heading("What was in it, and what was found")
	for _, a := range d.score.attacks {
		d.printAttack(p, a)
	}

	p.heading("And live")
	l := &d.live
	p.wrapped("", 2, fmt.Sprintf("At %s UTC, while weir ran, %s began to try stolen passwords. %.1f s and %d tries later it was on the list for nginx. "+
		"This is what `weir why %s` said then:", l.begun.UTC().Format("15:04:05"), l.address, l.listed.Sub(l.begun).Seconds(), l.tries, l.address))
	p.line("")
	for line := range strings.Lines(d.why) {
		p.line("    %s", strings.TrimRight(line, "\n"))
	}

	p.heading("What the list for nginx holds")
	p.wrapped("", 2, fmt.Sprintf("%s in force, of which nginx can hold %s. An address, the second in which its block ends (nginx looks at its own "+
		"clock: it ends with weir dead, too) and the decision's id; nothing that a client could write:", several(d.held, "decision"), count(int64(len(d.list)))))
	const shownLines = 6
	for _, line := range d.list[:min(len(d.list), shownLines)] {
		p.line("    %s", line)
	}
	if more := len(d.list) - shownLines; more > 0 {
		p.line("    and %s more", count(int64(more)))
	}
	if others := d.held - len(d.list); others > 0 {
		p.wrapped("", 2, fmt.Sprintf("The other %d ask for something that this list cannot say (a client's fingerprint, a rate), and a list never "+
			"says more than was decided; whoever can do it takes them from a topic of decisions.", others))
	}
	d.printHonest(p)

	p.heading("The same on a log of your own")
	p.line("  %s inspect access.log       what weir reads in it; it prints the parts of a configuration to begin with", weir)
	p.line("  %s check -c weir.yaml       tries brokers, files, proxies; enforces nothing", weir)
	p.line("  %s run -c weir.yaml         live; enforces nothing until the configuration says stage: enforce", weir)
	p.line("")
	p.line("  Everything is in %s:", d.dir)
	p.line("  weir.yaml (the configuration), access.log (the day, %s), state/decisions.jsonl,", bytesText(d.bytes))
	p.line("  state/ledger.jsonl, lists/. It can be deleted.")
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

func (d *demo) printHonest(p *page) {
	h := &d.score.honest
	p.heading("Whom it left alone")
	n := func(a event.Action) string { return count(int64(len(h.met[a]))) }
	p.wrapped("", 2, fmt.Sprintf("%s of %s, among them %s that failed: %s blocked, %s challenged, %s limited.",
		plural(h.requests, "request"), several(len(h.addresses), "honest address"), plural(h.failures, "log-in"),
		several(len(h.met[event.Block]), "address"), n(event.Challenge), n(event.Limit)))
	p.wrapped("", 2, fmt.Sprintf("Among them an office with sixty people behind one address (%s), who mistype their passwords at nine o'clock, "+
		"and a crawler that reads the whole catalogue (%s, by its published addresses).", testkit.OfficeAddress, testkit.CrawlerName))
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
