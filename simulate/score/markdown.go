package score

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the tables that a document shows.
func (m *Merged) WriteMarkdown(out io.Writer) error {
	w := bufio.NewWriter(out)
	fmt.Fprintf(w, "### %s\n\n", markdown(Title(&Result{Scenario: m.Scenario, Variant: m.Variant, Scale: m.Scale, Seed: m.Seeds[0]})+more(m.Seeds)))
	if len(m.Attacks) > 0 {
		fmt.Fprint(w, "| attack | requests | blocked | blocked or milder | first stop | perfect address list | 10 failures in 10 min | 5 in 10 |\n|---|--:|--:|--:|--:|--:|--:|--:|\n")
		for _, a := range m.Attacks {
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", markdown(strings.TrimPrefix(a.Label, "attack/")), count(int64(a.Requests.Median)),
				a.Blocked.shares(), a.Stopped.shares(), a.First.times(), Percent(a.AddressBound.Median), a.Naive[0].shares(), a.Naive[1].shares())
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "| honest | blocked | challenged or limited | accounts blocked | on addresses that also attack | 10 failures in 10 min | 5 in 10 |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, p := range m.Populations {
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s |\n", markdown(strings.TrimPrefix(p.Label, "honest/")), p.Blocked.shares(), p.Milder.shares(),
			p.Accounts.shares(), p.SharedBlocked.shares(), p.Naive[0].shares(), p.Naive[1].shares())
	}
	fmt.Fprintf(w, "\nMedian, and behind the slash the worst, of %d. Entries in force: at most %s / %s.\n", len(m.Seeds), count(int64(m.List.Median)), count(int64(m.List.Worst)))
	if len(m.Goals) > 0 {
		fmt.Fprint(w, "\n| goal | of | median | worst | reached |\n|---|---|--:|--:|--:|\n")
		for i := range m.Goals {
			g := &m.Goals[i]
			median, worst := g.Verdict, g.Verdict
			median.Is, worst.Is = g.Is.Median, g.Is.Worst
			fmt.Fprintf(w, "| %s | %s | %s | %s | %d of %d |\n", g.String(), markdown(g.Labels), median.Value(), worst.Value(), g.Passed, g.Runs)
		}
	}
	return w.Flush()
}

func more(seeds []uint64) string {
	if len(seeds) == 1 {
		return ""
	}
	return fmt.Sprintf(" and %d more", len(seeds)-1)
}

// markdown makes a text one that cannot end a cell or begin a tag.
func markdown(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;", "&", "&amp;", "`", "'", "*", `\*`, "_", `\_`, "[", `\[`).Replace(s)
}

func (s *Spread) shares() string {
	if s.Median == s.Worst {
		return Percent(s.Median)
	}
	return Percent(s.Median) + " / " + Percent(s.Worst)
}

func (s *Spread) times() string {
	text := func(v float64) string {
		if v < 0 {
			return "never"
		}
		return Seconds(v)
	}
	if s.Median == s.Worst {
		return text(s.Median)
	}
	return text(s.Median) + " / " + text(s.Worst)
}
