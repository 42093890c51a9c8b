package score

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Percent writes a share with as many digits as decide: what is there is never
// shown as 0, nor what lacks something as 100.
func Percent(share float64) string {
	p := share * 100
	switch {
	case p == 0:
		return "0 %"
	case p == 100:
		return "100 %"
	case p < 0.0001:
		return "<0.0001 %"
	case p < 0.1:
		return strconv.FormatFloat(p, 'g', 2, 64) + " %"
	case p < 10:
		return fmt.Sprintf("%.2f %%", p)
	case p > 99.99:
		return ">99.99 %"
	case p > 99:
		return fmt.Sprintf("%.2f %%", math.Floor(p*100)/100)
	}
	return fmt.Sprintf("%.1f %%", p)
}

// Seconds writes a length of time in the unit that a person would take.
func Seconds(s float64) string {
	switch d := time.Duration(s * 1e9); {
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 180:
		return fmt.Sprintf("%.0f s", s)
	case d < 3*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 72*time.Hour:
		return fmt.Sprintf("%.1f h", d.Hours())
	default:
		return fmt.Sprintf("%.1f d", d.Hours()/24)
	}
}

// count writes a number with its thousands apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Title says which log was scored.
func Title(r *Result) string {
	s := fmt.Sprintf("%s, seed %d", r.Scenario, r.Seed)
	if r.Scale != 0 && r.Scale != 1 {
		s += fmt.Sprintf(", at %g of its size", r.Scale)
	}
	if r.Variant != "" {
		s += ", " + r.Variant
	}
	return s
}

// MissedText says why requests passed, the commonest reason first.
func MissedText(m *Missed) string {
	if m.Requests == 0 {
		return "nothing"
	}
	reasons := []struct {
		n    int64
		text string
	}{
		{m.Never, "that no decision was ever about"},
		{m.TooSoon, "before the decision about them was made"},
		{m.OnItsWay, "while it was on its way to the points"},
		{m.RanOut, "after it had ended"},
		{m.Shadow, "about which there was one in shadow only"},
		{m.Held, "of which a guard held it"},
		{m.Alert, "about which people were told only"},
		{m.Excepted, "excepted as known"},
		{m.Within, "within a limit's rate"},
	}
	slices.SortStableFunc(reasons, func(a, b struct {
		n    int64
		text string
	}) int {
		return cmp.Compare(b.n, a.n)
	})
	var parts []string
	for _, r := range reasons {
		if r.n > 0 {
			parts = append(parts, count(r.n)+" "+r.text)
		}
	}
	before := count(m.BeforeAny) + " of them"
	if m.BeforeAny == m.Requests {
		before = "all"
	}
	return fmt.Sprintf("%s, %s before anything was stopped: ", count(m.Requests), before) + strings.Join(parts, "; ")
}

// NearestText says how near a rule came.
func NearestText(w *Nearest) string {
	s := fmt.Sprintf("sees %s of %s", count(w.Sees), count(w.Of))
	if w.Held > 0 {
		s += fmt.Sprintf("; its condition held %s times for the keys of most of them: what passed came before what it decided, or beside it", count(w.Held))
	}
	if len(w.Keys) > 0 {
		k := &w.Keys[0]
		s += fmt.Sprintf("; nearest (%s of the way) %s: %s", Percent(k.Score), k.Key, k.Values)
		if len(k.Lacks) > 0 {
			s += ", lacks " + strings.Join(k.Lacks, " and ")
		}
	}
	return s
}
