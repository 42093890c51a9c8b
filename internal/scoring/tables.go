package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"weir/simulate"
	"weir/simulate/score"
)

// poisoning reports whether a scenario is about attackers who want others
// blocked, or want to look like customers.
func poisoning(scenario string) bool { return strings.HasPrefix(scenario, "poison_") }

// campaignTables writes what every scenario came to.
func campaignTables(found *scored, w io.Writer) {
	describe(found, w)
	fmt.Fprint(w, "### Attacks\n\n")
	attackHead(w)
	attackRows(found, w, func(t *trial) bool { return !poisoning(t.scenario) })
	fmt.Fprint(w, "\n### Goals that are missed\n\n")
	goalRows(found, w)
	fmt.Fprint(w, "\n### Goals that the table of attacks does not show\n\n")
	apartRows(found, w)
	fmt.Fprint(w, "\n### Honest people\n\n")
	honestRows(found, w)
	fmt.Fprint(w, "\n### Poisoning\n\n")
	attackHead(w)
	attackRows(found, w, func(t *trial) bool { return poisoning(t.scenario) })
	fmt.Fprint(w, "\n| scenario | who | requests | blocked | challenged or limited | accounts blocked | 10 in 10 | 5 in 10 |\n|---|---|--:|--:|--:|--:|--:|--:|\n")
	for i := range found.trials {
		if poisoning(found.trials[i].scenario) {
			victimRow(found, i, w)
		}
	}
}

// describe says how large the logs are.
func describe(found *scored, w io.Writer) {
	lines := int64(0)
	of, scales := map[float64][]string{}, []float64{}
	for i := range found.trials {
		t := &found.trials[i]
		if of[t.scale] == nil {
			scales = append(scales, t.scale)
		}
		if name := strings.ReplaceAll(t.scenario, "_", " "); !slices.Contains(of[t.scale], name) {
			of[t.scale] = append(of[t.scale], name)
		}
		for _, r := range found.runs[i] {
			lines += r.Lines
		}
	}
	slices.SortFunc(scales, func(a, b float64) int { return len(of[b]) - len(of[a]) })
	var others []string
	for _, scale := range scales[1:] {
		others = append(others, fmt.Sprintf(" (%s: at %g)", strings.Join(of[scale], ", "), scale))
	}
	text := fmt.Sprintf("%s of each log, at %g of the size%s", seeds(found.trials[0].seeds), scales[0], strings.Join(others, ""))
	fmt.Fprintf(w, "%s; %s logs with %s lines. Median, and behind the slash the worst seed, where they differ.\n\n", text, count(int64(logs(found.trials))), count(lines))
}

func seeds(n int) string {
	if n == 1 {
		return "one seed"
	}
	return fmt.Sprintf("%d seeds", n)
}

func attackHead(w io.Writer) {
	fmt.Fprint(w, "| attack | requests | blocked | blocked or milder | first stop | 10 in 10 | 5 in 10 | perfect list |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
}

// attackRows writes a row for each phase of each campaign, or for the campaign
// where it has one phase.
func attackRows(found *scored, w io.Writer, which func(*trial) bool) {
	for i := range found.trials {
		t := &found.trials[i]
		if !which(t) {
			continue
		}
		for _, a := range parted(found.merged[i].Attacks) {
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", attackName(t.scenario, a.Label, found.merged[i].Attacks), count(int64(a.Requests.Median)),
				shares(a.Blocked), shares(a.Stopped), times(a.First), shares(a.Naive[0]), shares(a.Naive[1]), score.Percent(a.AddressBound.Median))
		}
	}
}

// parted leaves out campaigns whose phases are there.
func parted(all []score.MergedAttack) (out []score.MergedAttack) {
	for _, a := range all {
		if !slices.ContainsFunc(all, func(p score.MergedAttack) bool { return strings.HasPrefix(p.Label, a.Label+"/") }) {
			out = append(out, a)
		}
	}
	return out
}

// attackName is the scenario, with the campaign where it has others, and the
// phase where that has others.
func attackName(scenario, label string, all []score.MergedAttack) string {
	name := scenario
	campaign, phase, _ := strings.Cut(strings.TrimPrefix(label, "attack/"), "/")
	campaigns := map[string]bool{}
	for _, a := range all {
		of, _, _ := strings.Cut(strings.TrimPrefix(a.Label, "attack/"), "/")
		campaigns[of] = true
	}
	if len(campaigns) > 1 {
		name += ", " + campaign
	}
	if phase != "" {
		name += ", " + phase
	}
	return strings.ReplaceAll(name, "_", " ")
}

// goalRows writes the goals that some seed misses, and how many none does.
func goalRows(found *scored, w io.Writer) {
	reached, all := 0, 0
	var rows strings.Builder
	for i := range found.trials {
		for k := range found.merged[i].Goals {
			g := &found.merged[i].Goals[k]
			if g.Pass && g.Note != "" {
				continue // of nobody who is in the log
			}
			if all++; g.Pass {
				reached++
				continue
			}
			goalRow(&found.trials[i], g, &rows)
		}
	}
	fmt.Fprintf(w, "%d of %d goals are reached by every seed.\n\n", reached, all)
	if rows.Len() > 0 {
		fmt.Fprintf(w, "%s%s", goalHead, &rows)
	}
}

const goalHead = "| scenario | of | goal | median | worst | seeds that reach it |\n|---|---|---|--:|--:|--:|\n"

func goalRow(t *trial, g *score.MergedGoal, w io.Writer) {
	median, worst := g.Verdict, g.Verdict
	median.Is, worst.Is = g.Is.Median, g.Is.Worst
	fmt.Fprintf(w, "| %s | %s%s | %s | %s | %s | %d of %d |\n", strings.ReplaceAll(t.name(), "_", " "), escaped(g.Labels), where(g),
		g.String(), valueOf(&median), valueOf(&worst), g.Passed, g.Runs)
}

// apartRows writes the goals that are about something else than all requests of
// an attack: what came of its log-ins, or of what is above a client's normal.
func apartRows(found *scored, w io.Writer) {
	fmt.Fprint(w, goalHead)
	for i := range found.trials {
		for k := range found.merged[i].Goals {
			if g := &found.merged[i].Goals[k]; !g.OfAll() {
				goalRow(&found.trials[i], g, w)
			}
		}
	}
}

func where(g *score.MergedGoal) string {
	if g.Attacking {
		return ", where attackers are"
	}
	return ""
}

func valueOf(v *score.Verdict) string {
	if v.Note != "" {
		return v.Note
	}
	return v.Value()
}

// variantTables compares what logs hold.
func variantTables(found *scored, w io.Writer) {
	describe(found, w)
	fmt.Fprintf(w, "Blocked, and behind it blocked or milder, both the median.\n\n| attack | %s |\n|---|%s\n", strings.Join(simulate.Variants, " | "), strings.Repeat("--:|", len(simulate.Variants)))
	type row struct{ scenario, name string }
	cells, order := map[row]map[string]string{}, []row{}
	for i := range found.trials {
		t := &found.trials[i]
		for _, a := range parted(found.merged[i].Attacks) {
			r := row{t.scenario, attackName(t.scenario, a.Label, found.merged[i].Attacks)}
			if cells[r] == nil {
				cells[r], order = map[string]string{}, append(order, r)
			}
			cells[r][t.variant] = score.Percent(a.Blocked.Median) + ", " + score.Percent(a.Stopped.Median)
		}
	}
	for _, r := range order {
		fmt.Fprintf(w, "| %s |", r.name)
		for _, v := range simulate.Variants {
			fmt.Fprintf(w, " %s |", cells[r][v])
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "\n### Goals that are missed\n\n")
	goalRows(found, w)
	fmt.Fprint(w, "\n### Honest people\n\n")
	for _, v := range simulate.Variants {
		of := found.where(func(t *trial) bool { return t.variant == v })
		fmt.Fprintf(w, "- %s: %s\n", v, everybodyText(of))
	}
}

// where returns the trials for which something holds.
func (s *scored) where(holds func(*trial) bool) *scored {
	var out scored
	for i := range s.trials {
		if holds(&s.trials[i]) {
			out.trials, out.merged, out.runs = append(out.trials, s.trials[i]), append(out.merged, s.merged[i]), append(out.runs, s.runs[i])
		}
	}
	return &out
}

// reactingTable says what is stopped of attackers who react.
func reactingTable(found *scored, w io.Writer) {
	describe(found, w)
	attackHead(w)
	attackRows(found, w, func(*trial) bool { return true })
	fmt.Fprintf(w, "\nHonest people: %s\n\n### Goals that are missed\n\nThe goals are those of attackers who do not react.\n\n", everybodyText(found))
	goalRows(found, w)
}

// robustTables says what is left when sizes, pace and people are others.
func robustTables(found *scored, w io.Writer) {
	describe(found, w)
	fmt.Fprint(w, "Blocked, and behind it blocked or milder, both the median of the whole campaign; with a first stop behind them where that came later than ten minutes, or never.\n\n| |")
	for _, k := range knobs {
		fmt.Fprintf(w, " %s |", k.name)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("--:|", len(knobs)))
	for _, name := range robust {
		fmt.Fprintf(w, "| %s |", strings.ReplaceAll(name, "_", " "))
		for _, k := range knobs {
			fmt.Fprintf(w, " %s |", robustCell(found.where(func(t *trial) bool { return t.scenario == name && t.knob == k.name })))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "\nHonest people, over all these scenarios:\n\n")
	for _, k := range knobs {
		fmt.Fprintf(w, "- %s: %s\n", k.name, everybodyText(found.where(func(t *trial) bool { return t.knob == k.name })))
	}
	fmt.Fprint(w, "\n### Goals that are missed\n\nThe goals are those of the campaigns as they are.\n\n")
	goalRows(found, w)
}

// robustCell is of the whole campaign, phases together.
func robustCell(found *scored) string {
	if len(found.merged) == 0 || len(found.merged[0].Attacks) == 0 {
		return ""
	}
	a := &found.merged[0].Attacks[0]
	text := score.Percent(a.Blocked.Median) + ", " + score.Percent(a.Stopped.Median)
	if a.First.Median < 0 || a.First.Median > 600 {
		text += ", " + moment(a.First.Median)
	}
	return text
}

func shares(s score.Spread) string {
	if s.Median == s.Worst {
		return score.Percent(s.Median)
	}
	return score.Percent(s.Median) + " / " + score.Percent(s.Worst)
}

func times(s score.Spread) string {
	if s.Median == s.Worst {
		return moment(s.Median)
	}
	return moment(s.Median) + " / " + moment(s.Worst)
}

func moment(seconds float64) string {
	if seconds < 0 {
		return "never"
	}
	return score.Seconds(seconds)
}

// count writes a number with its thousands apart.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// escaped keeps a pattern from being read as Markdown.
func escaped(s string) string { return strings.NewReplacer("*", `\*`, "_", " ", "|", `\|`).Replace(s) }
