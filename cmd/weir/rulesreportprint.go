package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"weir/api"
)

// sorted returns the reports, those with the most good accounts behind a target
// first, each with the exception for its worst target.
func (r *reporter) sorted() []*ruleReport {
	all := slices.Collect(maps.Values(r.rules))
	slices.SortFunc(all, func(a, b *ruleReport) int {
		return cmp.Or(cmp.Compare(b.Hurt.Most, a.Hurt.Most), cmp.Compare(b.Decisions["new"], a.Decisions["new"]), cmp.Compare(a.Rule, b.Rule))
	})
	for _, rr := range all {
		if len(rr.Worst) > 0 {
			rr.Exception = exceptionOf(&rr.Worst[0].decision, r.config)
		}
	}
	return all
}

func (r *reporter) print(p *page, all []*ruleReport) {
	if len(all) == 0 {
		if r.pattern == "" {
			p.line("no decision")
		} else {
			p.line("no decision of such a rule")
		}
	}
	for i, rr := range all {
		if i > 0 {
			p.line("")
		}
		rr.print(p)
	}
	if r.unreadable > 0 {
		p.line("\n%s could not be read", plural(r.unreadable, "line"))
	}
	if r.others > 0 {
		p.line("\n%s of further rules are left out", plural(r.others, "line"))
	}
}

func (rr *ruleReport) print(p *page) {
	const indent = 16
	p.line("%s", rr.Rule)
	p.wrapped("  decided", indent, fmt.Sprintf("%s, renewed %s, ended %s", plural(rr.Decisions["new"], "time"), count(rr.Decisions["renew"]), count(rr.Decisions["end"])))
	p.wrapped("  stage", indent, counted(rr.Modes))
	p.wrapped("  asks for", indent, counted(rr.Actions))
	if len(rr.Guarded) > 0 {
		p.wrapped("  came of it", indent, counted(rr.Guarded))
	}
	if rr.Tripped {
		p.wrapped("  breaker", indent, "it is tripped: weir approve "+rr.Rule)
	}
	h := rr.Hurt
	switch {
	case h.Targets == 0:
		p.wrapped("  would hurt", indent, "nobody: it only tells people")
	case h.Good == 0:
		p.wrapped("  would hurt", indent, fmt.Sprintf("nobody who is known: of %s none has an account behind it that succeeded in seven days", plural(h.Targets, "target")))
	default:
		p.wrapped("  would hurt", indent, fmt.Sprintf("of %s %s have accounts behind them that succeeded in seven days, at most %s of %s that tried; "+
			"%s shared (a guard makes them milder), %s not clean; %s spare whoever is known",
			plural(h.Targets, "target"), count(h.Good), figure(h.Most), figure(h.Tried), count(h.Shared), count(h.Unclean), count(h.Excepts)))
	}
	for _, text := range slices.Sorted(maps.Keys(rr.Hidden)) {
		p.wrapped("  allowed", indent, plural(rr.Hidden[text], "time")+": "+text)
	}
	for i := range rr.Worst {
		rr.Worst[i].print(p, "  worst", indent)
	}
	for i := range rr.First {
		rr.First[i].print(p, "  first", indent)
	}
	if rr.Exception != "" {
		p.line("    to spare it %s", rr.Exception)
		p.line("                or in a run, for a while: weir unblock %s --reason '…'", quoted(api.FormatTarget(rr.Worst[0].decision.Target)))
	}
}

func (x *reportedTarget) print(p *page, label string, indent int) {
	clean := ""
	if !x.Clean {
		clean = ", not clean"
	}
	p.wrapped(label, indent, fmt.Sprintf("%s %s %s (good %s of %s%s) %s", x.Time, x.Action, x.Target, figure(x.Good), figure(x.Tried), clean, evidenceText(&x.decision)))
}

func figure(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// counted writes counts, the largest first.
func counted(m map[string]int64) string {
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int { return cmp.Or(cmp.Compare(m[b], m[a]), cmp.Compare(a, b)) })
	var parts []string
	for _, k := range keys {
		parts = append(parts, count(m[k])+" "+k)
	}
	return strings.Join(parts, ", ")
}
