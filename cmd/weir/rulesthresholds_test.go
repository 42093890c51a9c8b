package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weir/replay"
	"weir/rules"
	"weir/rulesets"
)

// mutation is a shipped rule with one of its thresholds a fifth larger or smaller.
type mutation struct {
	rule     *rules.Rule
	src      []byte
	from, to string
	line     int
}

func (m *mutation) String() string {
	return fmt.Sprintf("%s:%d: %s instead of %s", m.rule.File, m.line, m.to, m.from)
}

// changed returns the rule as it is with the other threshold.
func (m *mutation) changed(t *testing.T) *rules.Rule {
	t.Helper()
	r, err := rules.Parse(m.rule.File, m.src, rules.Options{})
	if err != nil {
		t.Fatalf("%v: %v", m, err)
	}
	return r
}

var (
	topKey = regexp.MustCompile(`^([a-z_]+):`)
	ifKey  = regexp.MustCompile(`\bif:`)
	// word is a text in quotes, which may be a window, a name with digits, or a number.
	word = regexp.MustCompile(`"[^"]*"|[A-Za-z_][A-Za-z0-9_.]*|[0-9]+(\.[0-9]+)?`)
)

// mutationsOf finds the numbers in a rule's when and ifs, and changes each.
func mutationsOf(r *rules.Rule, src []byte) (all []*mutation) {
	section := ""
	offset := 0
	for n, line := range strings.SplitAfter(string(src), "\n") {
		if k := topKey.FindStringSubmatch(line); k != nil {
			section = k[1]
		}
		text, _, _ := strings.Cut(line, "#")
		begin := 0
		switch {
		case section == "when":
			begin = strings.Index(text, "when:") + len("when:")
			if !strings.HasPrefix(text, "when:") {
				begin = 0
			}
		case section == "then" && ifKey.MatchString(text):
			begin = ifKey.FindStringIndex(text)[1]
		default:
			begin = len(text)
		}
		end := len(text)
		if section == "then" { // up to the entry's next key
			if i := strings.Index(text[begin:], ", for:"); i >= 0 {
				end = begin + i
			}
		}
		for _, at := range word.FindAllStringIndex(text[begin:max(begin, end)], -1) {
			from := text[begin+at[0] : begin+at[1]]
			if from[0] < '0' || from[0] > '9' {
				continue
			}
			for _, to := range otherThan(from) {
				m := &mutation{rule: r, from: from, to: to, line: n + 1}
				m.src = bytes.Join([][]byte{src[:offset+begin+at[0]], []byte(to), src[offset+begin+at[1]:]}, nil)
				all = append(all, m)
			}
		}
		offset += len(line)
	}
	return all
}

// otherThan returns a number a fifth larger and a fifth smaller: at least 1 of
// a whole one. A 0 can only be larger.
func otherThan(from string) []string {
	v, err := strconv.ParseFloat(from, 64)
	switch {
	case err != nil:
		return nil
	case v == 0:
		return []string{"1"}
	case strings.Contains(from, "."):
		return []string{strconv.FormatFloat(v*1.2, 'f', 4, 64), strconv.FormatFloat(v*0.8, 'f', 4, 64)}
	}
	step := max(1, math.Round(v*0.2))
	return []string{strconv.Itoa(int(v + step)), strconv.Itoa(int(v - step))}
}

// sampledMutations is how many are tried where not all are.
const sampledMutations = 12

func TestEveryThresholdOfAShippedRuleIsHeldByItsScripts(t *testing.T) {
	rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []*mutation
	for _, r := range rs {
		src, err := fs.ReadFile(rulesets.FS, r.File)
		if err != nil {
			t.Fatal(err)
		}
		of := mutationsOf(r, src)
		if len(of) == 0 {
			t.Errorf("%s: no threshold was found", r.File)
		}
		all = append(all, of...)
	}
	if len(all) < 2*len(rs) {
		t.Fatalf("%d thresholds in %d rules, want more: they are not found", len(all)/2, len(rs))
	}
	tried := all
	if os.Getenv("WEIR_TORTURE") == "" {
		// Evenly over all rules; which ones follows from how many there are, so
		// that each new threshold shifts the sample.
		tried = nil
		for i := range sampledMutations {
			tried = append(tried, all[(i*len(all)/sampledMutations+len(all))%len(all)])
		}
	}
	for _, m := range tried {
		t.Run(fmt.Sprintf("%s %s to %s", m.rule.ID, m.from, m.to), func(t *testing.T) {
			t.Parallel()
			if !noticed(t, rs, m) {
				t.Errorf("%v: no script fails, so nothing holds this threshold", m)
			}
		})
	}
}

// noticed reports whether the rule's own script, or one that plays it beside
// others, fails with the other threshold.
func noticed(t *testing.T, rs []*rules.Rule, m *mutation) bool {
	t.Helper()
	changed := slices.Clone(rs)
	changed[slices.Index(rs, m.rule)] = m.changed(t)
	lib := &replay.Library{Rules: changed}
	scripts, err := fs.Glob(rulesets.FS, "*/*.test")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("%d scripts: %v", len(scripts), err)
	}
	own := scriptOf(m.rule)
	slices.SortStableFunc(scripts, func(a, b string) int { return btoi(b == own) - btoi(a == own) })
	for _, name := range scripts {
		script, err := replay.Load(rulesets.FS, name, lib)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(script.Rules(), m.rule.ID) {
			continue
		}
		failures, err := script.Play(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(failures) > 0 {
			return true
		}
	}
	return false
}

func TestAThresholdThatStaysFailsNoScript(t *testing.T) {
	rs, err := rules.LoadFS(rulesets.FS, ".", rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := rs[0]
	src, err := fs.ReadFile(rulesets.FS, r.File)
	if err != nil {
		t.Fatal(err)
	}
	if noticed(t, rs, &mutation{rule: r, src: src}) {
		t.Errorf("%s: a script fails by itself, so nothing can be said about thresholds", r.File)
	}
}
