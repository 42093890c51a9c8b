package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"weir/simulate/score"
)

// figure is one number of the document, for each seed from 1 on.
type figure []float64

// figures are all of them, by trial and what they say: "stuffing: stopped
// attack/stuffing".
type figures map[string]map[string]figure

// record is the file of record: what the document's tables show.
type record struct {
	Version int                `json:"v"`
	Parts   map[string]string  `json:"rules"` // by part, with which rules
	Figures map[string]figures `json:"figures"`
}

const recordVersion = 1

// What figures say.
const (
	saysBlocked = "blocked "
	saysStopped = "stopped "
	saysFirst   = "first stop "
	saysHurt    = "hurt "
	saysMilder  = "milder "
	saysShared  = "hurt beside an attack "
	saysGoal    = "goal "
)

// figuresOf takes what is compared from what was scored: of the attacks all, of
// honest people those of everybody, and of goals those that were missed, for
// populations have goals of their own.
func figuresOf(found *scored) figures {
	all := figures{}
	for i := range found.trials {
		t, of := &found.trials[i], map[string]figure{}
		for seed, r := range found.runs[i] {
			note := func(says string, v float64) {
				const digits = 1e6 // as many as anybody compares
				for len(of[says]) < seed {
					of[says] = append(of[says], absent(says))
				}
				of[says] = append(of[says], math.Round(v*digits)/digits)
			}
			for k := range r.Campaigns {
				c := &r.Campaigns[k]
				for _, p := range append([]score.Part{c.Part}, c.Phases...) {
					if len(c.Phases) == 1 && p.Phase != "" {
						continue
					}
					note(saysBlocked+p.Label, p.Stopped[0].BlockedShare)
					note(saysStopped+p.Label, p.Stopped[0].StoppedShare)
					first := -1.0
					if f := p.Stopped[0].First; f != nil {
						first = f.After
					}
					note(saysFirst+p.Label, first)
				}
			}
			weir := &r.Honest.Hurt[0]
			note(saysHurt+"honest", weir.Clean.BlockedShare)
			note(saysMilder+"honest", weir.MilderShare)
			note(saysShared+"honest", weir.Shared.BlockedShare)
			for k := range r.Goals {
				if !r.Goals[k].Pass {
					note(goalName(&r.Goals[k]), 0)
				}
			}
		}
		for says := range of {
			for len(of[says]) < t.seeds {
				of[says] = append(of[says], absent(says))
			}
		}
		all[t.part+"/"+t.name()] = of
	}
	return all
}

// absent is a figure of which a seed's score says nothing: a goal that is not
// among the missed was reached, and an attack that did not come needs no stop.
func absent(says string) float64 {
	switch {
	case strings.HasPrefix(says, saysGoal), strings.HasPrefix(says, saysBlocked), strings.HasPrefix(says, saysStopped):
		return 1
	}
	return 0
}

func goalName(g *score.Verdict) string {
	name := saysGoal + g.What + " of " + g.Labels
	if g.Attacking {
		name += " where attackers are"
	}
	return name
}

// allowance is by how much a figure may get worse before that is told.
func allowance(says string, was float64) float64 {
	switch {
	case strings.HasPrefix(says, saysBlocked), strings.HasPrefix(says, saysStopped):
		return 0.02
	case strings.HasPrefix(says, saysHurt), strings.HasPrefix(says, saysShared):
		return 0.0001
	case strings.HasPrefix(says, saysMilder):
		return 0.002
	case strings.HasPrefix(says, saysFirst):
		return max(30, was/5)
	}
	return 0 // goals
}

// moreIsWorse reports which way a figure gets worse.
func moreIsWorse(says string) bool {
	return !strings.HasPrefix(says, saysBlocked) && !strings.HasPrefix(says, saysStopped) && !strings.HasPrefix(says, saysGoal)
}

// worse says of each figure that got worse what it was and is, over the seeds
// that both have: their median and their worst.
func (r *record) worse(now figures) (all []string) {
	for _, trial := range slices.Sorted(maps.Keys(now)) {
		part, _, _ := strings.Cut(trial, "/")
		before, known := r.Figures[part][trial]
		if !known {
			continue
		}
		names := maps.Clone(before)
		maps.Copy(names, now[trial])
		for _, says := range slices.Sorted(maps.Keys(names)) {
			if _, measured := now[trial][says]; !measured && !strings.HasPrefix(says, saysGoal) {
				all = append(all, fmt.Sprintf("%s: %s: is not measured any more", trial, says))
				continue
			}
			n := min(seedsOf(before), seedsOf(now[trial]))
			was, is := spreadOf(says, before[says], n), spreadOf(says, now[trial][says], n)
			switch {
			case gotWorse(says, was.Median, is.Median):
				all = append(all, fmt.Sprintf("%s: %s: the median was %s, is %s", trial, says, shown(says, was.Median), shown(says, is.Median)))
			case gotWorse(says, was.Worst, is.Worst):
				all = append(all, fmt.Sprintf("%s: %s: the worst was %s, is %s", trial, says, shown(says, was.Worst), shown(says, is.Worst)))
			}
		}
	}
	return all
}

// seedsOf is for how many seeds there are figures.
func seedsOf(of map[string]figure) (n int) {
	for _, f := range of {
		n = max(n, len(f))
	}
	return n
}

// spreadOf is a figure over the first n seeds.
func spreadOf(says string, f figure, n int) (s score.Spread) {
	sorted := slices.Clone(f[:min(n, len(f))])
	for len(sorted) < n {
		sorted = append(sorted, absent(says))
	}
	for i, v := range sorted {
		if strings.HasPrefix(says, saysFirst) && v < 0 {
			sorted[i] = math.Inf(1)
		}
	}
	slices.Sort(sorted)
	if s.Median = sorted[n/2]; n%2 == 0 && !math.IsInf(s.Median, 1) {
		s.Median = (s.Median + sorted[n/2-1]) / 2
	}
	if s.Worst = sorted[0]; moreIsWorse(says) {
		s.Worst = sorted[n-1]
	}
	return s
}

func gotWorse(says string, was, is float64) bool {
	if math.IsInf(was, 1) || math.IsInf(is, 1) { // never
		return is > was
	}
	by := was - is
	if moreIsWorse(says) {
		by = is - was
	}
	return by > allowance(says, was)+1e-12
}

func shown(says string, v float64) string {
	switch {
	case !strings.HasPrefix(says, saysFirst):
		return score.Percent(v)
	case math.IsInf(v, 1):
		return "never"
	}
	return score.Seconds(v)
}

// readRecord reads the figures of record; none is a record without any.
func readRecord(path string) (*record, error) {
	r := &record{Version: recordVersion}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("%s: format %d, must be %d", path, r.Version, recordVersion)
	}
	return r, nil
}

// with returns the record with a run's figures in place of those of its parts.
func (r *record) with(now figures, rules string) *record {
	out := &record{Version: recordVersion, Parts: maps.Clone(r.Parts), Figures: maps.Clone(r.Figures)}
	if out.Parts == nil {
		out.Parts, out.Figures = map[string]string{}, map[string]figures{}
	}
	fresh := map[string]figures{}
	for trial, of := range now {
		part, _, _ := strings.Cut(trial, "/")
		if fresh[part] == nil {
			fresh[part] = figures{}
		}
		fresh[part][trial] = of
	}
	for part, of := range fresh {
		out.Parts[part], out.Figures[part] = rules, of
	}
	return out
}

// write writes the record, a line a trial, so that changes can be read.
func (r *record) write(path string) error {
	var b bytes.Buffer
	rules, err := json.Marshal(r.Parts)
	if err != nil {
		return err
	}
	fmt.Fprintf(&b, "{\n\"v\": %d,\n\"rules\": %s,\n\"figures\": {", r.Version, rules)
	for i, part := range slices.Sorted(maps.Keys(r.Figures)) {
		fmt.Fprintf(&b, "%s\n%q: {", comma(i), part)
		for k, trial := range slices.Sorted(maps.Keys(r.Figures[part])) {
			text, err := json.Marshal(r.Figures[part][trial])
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s\n%q: %s", comma(k), trial, text)
		}
		b.WriteString("}")
	}
	b.WriteString("}\n}\n")
	return writeWhole(path, b.Bytes())
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ","
}

// writeWhole writes a file whole or not at all.
func writeWhole(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// rulesOf says which rules a lock of versions is of.
func rulesOf(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			n++
		}
	}
	sum := sha256.Sum256(text)
	return fmt.Sprintf("%d rules, `versions.lock` %s", n, hex.EncodeToString(sum[:6])), nil
}
