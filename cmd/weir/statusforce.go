package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/api"
	"weir/emit"
	"weir/event"
)

// printForce writes what is in force and what keeps other decisions from it:
// as a weir says that runs, or as the ledger's files do.
func printForce(p *page, f *api.Force, now time.Time, running bool) {
	p.heading("What is in force")
	if s := f.Stopped; s != nil {
		p.wrapped("STOPPED", forceIndent, fmt.Sprintf("since %s by %s: %s; every list is empty until weir stop-blocking --resume",
			dayText(s.At, now), shown(s.By, 128), shown(s.Reason, 300)))
	}
	if !f.Well {
		p.wrapped("LEDGER", forceIndent, "it could not be read or written; nothing new comes into force, and what is in force runs out")
	}
	var parts []string
	for a := event.Block; a < event.Alert; a++ {
		if n := f.InForce[a.String()]; n > 0 {
			parts = append(parts, count(int64(n))+" "+deedOf(a, "a rate"))
		}
	}
	if len(parts) == 0 {
		parts = []string{"nothing"}
	}
	if f.Queued > 0 {
		parts = append(parts, count(int64(f.Queued))+" waiting")
	}
	p.wrapped("targets", forceIndent, strings.Join(parts, ", "))
	if running { // of what a ledger's files say nothing is new
		p.wrapped("decided", forceIndent, decidedText(f.Decisions))
	}
	if f.Spared > 0 {
		p.wrapped("unblocked", forceIndent, fmt.Sprintf("%s, new decisions on which are held (weir why TARGET says by whom)", plural(int64(f.Spared), "target")))
	}
	if text := heldText(f.Held); text != "" {
		p.wrapped("held", forceIndent, text)
	}
	for i, a := range f.Allowed {
		if i == maxShownRules {
			p.wrapped("", forceIndent, fmt.Sprintf("and %s more of allow:", entries(len(f.Allowed)-i)))
			break
		}
		p.wrapped("allowed", forceIndent, fmt.Sprintf("%s hidden by allow: %s", plural(int64(a.N), "decision"), shown(a.Entry, 300)))
	}
	for i, t := range f.Tripped {
		if i == maxShownRules {
			p.wrapped("", forceIndent, fmt.Sprintf("and %s more", several(len(f.Tripped)-i, "rule")))
			break
		}
		p.wrapped("TRIPPED", forceIndent, fmt.Sprintf("%s since %s: %s (to let it go on: weir approve %s)", shown(t.Rule, 80), dayText(t.At, now), shown(t.Reason, 300), shown(t.Rule, 80)))
	}
}

const (
	forceIndent   = 16
	maxShownRules = 5
)

// decidedText counts new decisions by mode, and names the rules that made most.
func decidedText(counts []api.DecisionCount) string {
	modes, rules := map[string]int64{}, map[string]int64{}
	for _, c := range counts {
		if c.Step == emit.LineNew || c.Step == emit.LineHeld {
			modes[c.Mode] += int64(c.N)
			rules[c.Rule] += int64(c.N)
		}
	}
	var parts []string
	for _, m := range []struct{ mode, text string }{
		{event.Enforce.String(), "to enforce"}, {event.AlertOnly.String(), "to tell people"}, {event.Shadow.String(), "in shadow"}, {modeLate, "too late"},
	} {
		if n := modes[m.mode]; n > 0 {
			parts = append(parts, count(n)+" "+m.text)
		}
	}
	if len(parts) == 0 {
		return "nothing since this start"
	}
	return strings.Join(parts, ", ") + " since this start; most by " + strings.Join(most(rules, 3), ", ")
}

// most returns the commonest words with their counts.
func most(n map[string]int64, few int) (texts []string) {
	words := slices.SortedFunc(maps.Keys(n), func(a, b string) int {
		return cmp.Or(cmp.Compare(n[b], n[a]), cmp.Compare(a, b))
	})
	for _, w := range words[:min(few, len(words))] {
		texts = append(texts, fmt.Sprintf("%s (%s)", shown(w, 80), count(n[w])))
	}
	return texts
}

// heldText counts what the guards held.
func heldText(held map[string]uint64) string {
	n, total := map[string]int64{}, int64(0)
	for guard, k := range held {
		n[guard] += int64(k)
		total += int64(k)
	}
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%s held by guards: %s", plural(total, "decision"), strings.Join(most(n, len(n)), ", "))
}

func printPoints(p *page, points []api.PointStatus, now time.Time) {
	p.heading("What the points hold")
	if len(points) == 0 {
		p.wrapped("", 2, "There are no points in the configuration: decisions are written to the state's directory, and that is all.")
	}
	for i := range points {
		p.wrapped(shown(points[i].Name, 40), forceIndent, pointText(&points[i], now))
		if points[i].Inexpressible > 0 && len(points[i].Why) > 0 {
			p.wrapped("", forceIndent, "for example "+shown(points[i].Why[0], 300))
		}
	}
}

// pointText says how a point stands, in a sentence.
func pointText(s *api.PointStatus, now time.Time) string {
	var parts []string
	holds := "holds"
	if s.File {
		holds = "the file holds"
	}
	switch {
	case s.Drift < 0:
		parts = append(parts, fmt.Sprintf("is to hold %s; what it holds is NOT KNOWN", entries(s.Desired)))
	case s.Drift == 0 && s.Held == 0:
		parts = append(parts, holds+" nothing, as it is to")
	case s.Drift == 0:
		parts = append(parts, fmt.Sprintf("%s %s, as it is to", holds, entries(s.Held)))
	default:
		// As many may be held, and yet be others, or not known to be in use.
		parts = append(parts, fmt.Sprintf("is to hold %s; what it was seen to enforce differs in %s", entries(s.Desired), count(int64(s.Drift))))
	}
	if !s.Seen.IsZero() {
		parts = append(parts, "read "+ago(s.Seen, now))
	}
	if s.Error != "" {
		parts = append(parts, "ERROR: "+shown(s.Error, 400))
	}
	if s.Shed > 0 {
		parts = append(parts, fmt.Sprintf("no room for %s", count(int64(s.Shed))))
	}
	if s.Inexpressible > 0 {
		parts = append(parts, fmt.Sprintf("cannot express %s", count(int64(s.Inexpressible))))
	}
	if s.Instead > 0 {
		parts = append(parts, fmt.Sprintf("deceives %s by a block", count(int64(s.Instead))))
	}
	if s.Faults > 0 {
		parts = append(parts, fmt.Sprintf("FAULT: the guards took %s out of the compiled list, see the log", entries(s.Faults)))
	}
	return strings.Join(parts, "; ")
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return count(int64(n)) + " entries"
}

// clock writes a time of today, in UTC as all times of weir are.
func clock(t time.Time) string { return t.UTC().Format("15:04:05 UTC") }

// dayText writes a time with its day where that is not today's.
func dayText(t, now time.Time) string {
	if t.UTC().Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		return clock(t)
	}
	return dateText(t)
}

// lineTime is dayText for lists with a line each, which have no room to say UTC in
// every one.
func lineTime(t, now time.Time) string { return strings.TrimSuffix(dayText(t, now), " UTC") }

// dateText writes a time with its day.
func dateText(t time.Time) string { return t.UTC().Format(time.DateTime + " UTC") }
