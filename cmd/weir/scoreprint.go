package main

import (
	"fmt"
	"strings"

	scoring "weir/simulate/score"
)

// printScore tells a person what a ledger did to a log, the worst first.
func printScore(p *page, r *scoring.Result) error {
	p.line("%s", shown(scoring.Title(r), screen))
	note := fmt.Sprintf("%s from %s to %s; a decision is enforced %s after it was made",
		plural(r.Events, "request"), r.From.UTC().Format("2006-01-02 15:04"), r.Until.UTC().Format("2006-01-02 15:04"), scoring.Seconds(r.Delay))
	if r.AsIf {
		note += "; what was in shadow counts as enforced"
	}
	p.wrapped("", 2, note)
	if r.Shed > 0 {
		p.wrapped("", 2, fmt.Sprintf("INCOMPLETE: %s forgotten for want of room", plural(r.Shed, "value")))
	}
	if n := len(r.Unmet); n > 0 {
		p.wrapped("", 2, fmt.Sprintf("DOUBTFUL: decisions are about %s that no line has, such as %s: was the replay made with another site file than the one beside the log?",
			plural(int64(n), "endpoint"), shown(r.Unmet[0], labelWidth)))
	}
	for _, t := range r.Tripped {
		p.wrapped("", 2, fmt.Sprintf("TRIPPED: from %s on the breaker held %s, which hit %s of the site's %s; a person would have to look (weir approve)",
			t.At.UTC().Format("2006-01-02 15:04:05"), shown(t.Rule, 64), plural(int64(t.Regulars+0.5), "regular"), count(int64(t.Site+0.5))))
	}
	if len(r.Campaigns) > 0 {
		printStopped(p, r)
		printBounds(p, r)
		printMissed(p, r)
	} else {
		p.heading("No attack is in it")
	}
	printHurt(p, r)
	printNearest(p, r)
	printRuleShares(p, r)
	printGoals(p, r)
	return p.err
}

// labelWidth is how much of a name is shown.
const labelWidth = 30

func printStopped(p *page, r *scoring.Result) {
	p.heading("Attacks, the least stopped first: how much was stopped, and how soon (after the first request)")
	rows := [][]string{{"", "requests", "blocked", "or milder", "first stop", "nine in ten"}}
	row := func(name string, a *scoring.Part) {
		s := &a.Stopped[0]
		rows = append(rows, []string{
			shown(name, labelWidth), count(a.Requests), scoring.Percent(s.BlockedShare), scoring.Percent(s.StoppedShare),
			reachedText(s.First), reachedText(s.Ninety),
		})
	}
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		row(c.Campaign, &c.Part)
		if len(c.Phases) > 1 {
			for j := range c.Phases {
				row("  "+c.Phases[j].Phase, &c.Phases[j])
			}
		}
	}
	p.table("lrrrrr", rows...)
	p.wrapped("", 2, "nine in ten: when 90 of the last 100 requests were stopped for the first time. In brackets: requests let through until then. Deceived counts as blocked.")
}

func reachedText(m *scoring.Reached) string {
	if m == nil {
		return "never"
	}
	return fmt.Sprintf("%s (%s)", scoring.Seconds(m.After), count(m.Through))
}

func printBounds(p *page, r *scoring.Result) {
	p.heading("Beside it, what lists of addresses stop")
	head := []string{"", "weir"}
	for _, s := range r.Campaigns[0].Stopped[1:] {
		head = append(head, strings.Replace(s.By, " failures in ", " in ", 1))
	}
	rows := [][]string{append(head, "addresses", "best list", "of networks")}
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		row := []string{shown(c.Campaign, labelWidth)}
		for _, s := range c.Stopped {
			row = append(row, scoring.Percent(s.StoppedShare))
		}
		rows = append(rows, append(row, count(c.Addresses), scoring.Percent(c.AddressBound), scoring.Percent(c.NetworkBound)))
	}
	p.table("lrrrrrr", rows...)
	p.wrapped("", 2, "best list: of addresses, each learned from its first request, at once and without a mistake; of networks: the same of /24 and /48.")
	for _, l := range r.Lists {
		p.wrapped("", 2, fmt.Sprintf("entries in force, %s: %s at most, %s on average", l.By, count(l.Max), count(int64(l.Mean+0.5))))
	}
}

func printMissed(p *page, r *scoring.Result) {
	p.heading("What passed, and why")
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		p.wrapped(shown(c.Campaign, labelWidth), labelWidth+4, scoring.MissedText(&c.Missed))
	}
}

func printHurt(p *page, r *scoring.Result) {
	p.heading("Honest people, those most hit first")
	head := []string{"", "requests", "blocked", "beside", "milder", "accounts", "addresses"}
	for _, h := range r.Honest.Hurt[1:] {
		head = append(head, strings.TrimSuffix(strings.Replace(h.By, " failures in ", " in ", 1), " minutes"))
	}
	rows := [][]string{head}
	row := func(name string, o *scoring.Population) {
		h := &o.Hurt[0]
		beside := "-"
		if h.Shared.Requests > 0 {
			beside = scoring.Percent(h.Shared.BlockedShare)
		}
		cells := []string{
			shown(name, 24), count(o.Requests), scoring.Percent(h.Clean.BlockedShare), beside, scoring.Percent(h.MilderShare),
			partText(h.Accounts.Hard(), o.Accounts), partText(h.Addresses.Hard(), o.Addresses),
		}
		for _, b := range o.Hurt[1:] {
			cells = append(cells, scoring.Percent(b.BlockedShare))
		}
		rows = append(rows, cells)
	}
	row("everybody", r.Honest)
	for i := range r.Populations {
		row(strings.TrimPrefix(r.Populations[i].Label, "honest/"), &r.Populations[i])
	}
	p.table("lrrrrrrrr", rows...)
	h := &r.Honest.Hurt[0]
	p.wrapped("", 2, "blocked: of requests on addresses that never attack; beside: of those on addresses that also attack; milder: challenged or limited, of all. "+
		"Accounts and addresses: of which a request was blocked. The last columns: requests blocked by the naive rules, addresses that failed 10 or 5 times in 10 minutes.")
	for _, s := range []struct {
		on string
		s  *scoring.Sharing
	}{{"addresses that never attack", &h.Clean}, {"addresses that also attack", &h.Shared}, {"fingerprints that also attack", &h.Prints}} {
		p.wrapped("", 2, fmt.Sprintf("on %s: %s of %s blocked, %s challenged or limited",
			s.on, scoring.Percent(s.s.BlockedShare), plural(s.s.Requests, "request"), scoring.Percent(s.s.MilderShare)))
	}
}

func partText(n, of int64) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprintf("%s/%s", count(n), count(of))
}

// shownNearest is how many rules are shown of each phase.
const shownNearest = 3

func printNearest(p *page, r *scoring.Result) {
	if len(r.Why) == 0 {
		return
	}
	p.heading("The rules that came nearest to what passed")
	last, n := "", 0
	for i := range r.Why {
		w := &r.Why[i]
		if w.Label != last {
			last, n = w.Label, 0
			p.line("  %s", shown(w.Label, screen-2))
		}
		if n++; n > shownNearest {
			continue
		}
		p.wrapped("  "+w.Rule, 4, "")
		p.wrapped("", 6, scoring.NearestText(w))
	}
}

func printRuleShares(p *page, r *scoring.Result) {
	if len(r.Rules) == 0 {
		return
	}
	p.heading("Which rules did it (where several were about a request, the strongest)")
	rows := [][]string{{"", "attack: blocked", "milder", "honest: blocked", "milder"}}
	for i := range r.Rules {
		s := &r.Rules[i]
		rows = append(rows, []string{shown(s.Rule, 40), count(s.Attacks.Hard()), count(s.Attacks.Milder()), count(s.Honest.Hard()), count(s.Honest.Milder())})
	}
	p.table("lrrrr", rows...)
	for i := range r.Rules {
		if text := honestText(&r.Rules[i]); text != "" {
			p.wrapped("  honest, by "+shown(r.Rules[i].Rule, 40), 4, text)
		}
	}
}

// maxHurt is how many of those whom a rule hit are named.
const maxHurt = 4

// honestText says which honest people a rule hit; empty: none.
func honestText(s *scoring.RuleShare) string {
	var texts []string
	more := 0
	for i := range s.Labels {
		l := &s.Labels[i]
		name, honest := strings.CutPrefix(l.Label, "honest/")
		if !honest || l.Requests.Stopped() == 0 {
			continue
		}
		if len(texts) == maxHurt {
			more++
			continue
		}
		var what []string
		for _, n := range []struct {
			n    int64
			what string
		}{{l.Requests.Hard(), "blocked"}, {l.Requests.Milder(), "challenged or limited"}} {
			if n.n > 0 {
				what = append(what, count(n.n)+" "+n.what)
			}
		}
		texts = append(texts, shown(name, 24)+" ("+strings.Join(what, ", ")+")")
	}
	if more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

func printGoals(p *page, r *scoring.Result) {
	if len(r.Goals) == 0 {
		return
	}
	p.heading(fmt.Sprintf("Goals: %d of %d reached", len(r.Goals)-r.Failed(), len(r.Goals)))
	var rows [][]string
	for i := range r.Goals {
		v := &r.Goals[i]
		mark := "ok"
		if !v.Pass {
			mark = "FAILED"
		}
		is := v.Value()
		if v.Note != "" {
			is = v.Note
		}
		rows = append(rows, []string{mark, shown(v.Labels, 34), v.String(), is})
	}
	p.table("llll", rows...)
}
