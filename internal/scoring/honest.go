package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"weir/simulate/score"
)

// hurt is what befell a population in all runs together.
type hurt struct {
	requests  [2]int64 // on addresses that never attack, and on those that do, too
	blocked   [2]int64
	milder    int64
	all       int64
	accounts  int64 // that were blocked at least once in a run
	ofThem    int64
	naive     [2]int64 // blocked by the two rules
	worst     float64  // share blocked on addresses that never attack, in a run
	worstRun  string
	worstMild float64
}

// add adds a population of a run.
func (h *hurt) add(p *score.Population, run string) {
	weir := &p.Hurt[0]
	for i, s := range []*score.Sharing{&weir.Clean, &weir.Shared} {
		h.requests[i] += s.Requests
		h.blocked[i] += s.Hits.Hard()
	}
	h.all += p.Requests
	h.milder += weir.Requests.Milder()
	h.accounts += weir.Accounts.Hard()
	h.ofThem += p.Accounts
	for i := range h.naive {
		h.naive[i] += p.Hurt[1+i].Requests.Hard()
	}
	if weir.Clean.BlockedShare > h.worst {
		h.worst, h.worstRun = weir.Clean.BlockedShare, run
	}
	h.worstMild = max(h.worstMild, weir.MilderShare)
}

// everybody adds up what befell all honest people.
func (s *scored) everybody() *hurt {
	var h hurt
	for i := range s.trials {
		for _, r := range s.runs[i] {
			h.add(r.Honest, s.trials[i].name())
		}
	}
	return &h
}

func everybodyText(found *scored) string {
	h := found.everybody()
	text := fmt.Sprintf("%s blocked of %s requests on addresses that never attack", share(h.blocked[0], h.requests[0]), count(h.requests[0]))
	if h.worst > 0 {
		text += fmt.Sprintf(" (the worst log: %s, %s)", score.Percent(h.worst), strings.ReplaceAll(h.worstRun, "_", " "))
	}
	if h.requests[1] > 0 {
		text += fmt.Sprintf("; %s on those that also attack", share(h.blocked[1], h.requests[1]))
	}
	return text + fmt.Sprintf("; %s challenged or limited. The naive rules block %s and %s.", share(h.milder, h.all), share(h.naive[0], h.all), share(h.naive[1], h.all))
}

// honestRows writes a row for each population, over all scenarios.
func honestRows(found *scored, w io.Writer) {
	of := map[string]*hurt{}
	for i := range found.trials {
		for _, r := range found.runs[i] {
			for k := range r.Populations {
				p := &r.Populations[k]
				if of[p.Label] == nil {
					of[p.Label] = &hurt{}
				}
				of[p.Label].add(p, found.trials[i].name())
			}
		}
	}
	fmt.Fprint(w, "| | requests | blocked | the worst log | on addresses that also attack | challenged or limited | the worst log | accounts blocked | 10 in 10 | 5 in 10 |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	honestRow(w, "everybody", found.everybody())
	for _, label := range slices.Sorted(maps.Keys(of)) {
		if of[label].all > 0 {
			honestRow(w, strings.ReplaceAll(strings.TrimPrefix(label, "honest/"), "_", " "), of[label])
		}
	}
	fmt.Fprint(w, "\nBlocked: of the requests on addresses that never attack.\n")
}

func honestRow(w io.Writer, name string, h *hurt) {
	worst := score.Percent(h.worst)
	if h.worst > 0 {
		worst += " (" + strings.ReplaceAll(h.worstRun, "_", " ") + ")"
	}
	fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name, count(h.all), share(h.blocked[0], h.requests[0]), worst,
		share(h.blocked[1], h.requests[1]), share(h.milder, h.all), score.Percent(h.worstMild), share(h.accounts, h.ofThem), share(h.naive[0], h.all), share(h.naive[1], h.all))
}

// victimRow says what befell those whom an attacker wants blocked: those behind
// his address, the owner of the account, the victim of a forged header.
func victimRow(found *scored, i int, w io.Writer) {
	for _, label := range []string{"honest/victim", "honest/nat", "honest/homes"} {
		var h hurt
		for _, r := range found.runs[i] {
			for k := range r.Populations {
				if r.Populations[k].Label == label {
					h.add(&r.Populations[k], "")
				}
			}
		}
		if h.all == 0 {
			continue
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", strings.ReplaceAll(found.trials[i].scenario, "_", " "), strings.TrimPrefix(label, "honest/"), count(h.all),
			share(h.blocked[0]+h.blocked[1], h.all), share(h.milder, h.all), share(h.accounts, h.ofThem), share(h.naive[0], h.all), share(h.naive[1], h.all))
	}
}

func share(part, of int64) string {
	if of == 0 {
		return "-"
	}
	return score.Percent(float64(part) / float64(of))
}
