package pipeline_test

import (
	"math"
	"sort"
	"strings"

	"weir/event"
	"weir/rules"
	"weir/windows"
)

// oracleRow is an event together with what was true of it when it was read:
// the conditions that ask for standing facts are answered by its own hour's.
type oracleRow struct {
	*oracleEvent
	where map[*rules.Rule]bool
	conds map[*rules.EventCond]bool
}

// oracleKey is a key: fields ascending, and their values as text.
type oracleKey struct {
	fields []event.Field
	values []string
}

// keyOf returns the event's key of these fields; ok is false where it lacks one.
func keyOf(ev *event.Event, fields []event.Field) (k oracleKey, ok bool) {
	k.fields = fields
	for _, f := range fields {
		v := ev.Str(f)
		if v == "" {
			return k, false
		}
		k.values = append(k.values, v)
	}
	return k, true
}

// String identifies the key in maps and orders keys of the same fields.
func (k oracleKey) String() string {
	var b strings.Builder
	for i, f := range k.fields {
		b.WriteString(f.String() + "=" + k.values[i] + "\x00")
	}
	return b.String()
}

// project returns the part of the key that these fields are.
func (k oracleKey) project(fields []event.Field) oracleKey {
	p := oracleKey{fields: fields}
	for _, f := range fields {
		for i, g := range k.fields {
			if f == g {
				p.values = append(p.values, k.values[i])
			}
		}
	}
	if len(p.values) != len(fields) {
		panic("oracle: " + k.String() + " lacks a field")
	}
	return p
}

// target writes the key as decisions do.
func (k oracleKey) target() event.Target {
	t := make(event.Target, len(k.fields))
	for i, f := range k.fields {
		t[i] = event.Value{Field: f.String(), Text: k.values[i]}
	}
	return t
}

// within returns those of rows, ordered by second, that lie in [from, to).
func within(rows []*oracleRow, from, to int64) []*oracleRow {
	i := sort.Search(len(rows), func(i int) bool { return rows[i].Second >= from })
	j := sort.Search(len(rows), func(i int) bool { return rows[i].Second >= to })
	return rows[i:j]
}

// aggregate computes a over the rows that a rule sees of one key, as of tick.
func aggregate(a *rules.Aggregate, rows []*oracleRow, tick int64) float64 {
	var all []*oracleRow // those that a share is of
	for _, r := range within(rows, a.Window.Start(tick), tick) {
		if a.Of == nil || r.conds[a.Of] {
			all = append(all, r)
		}
	}
	var some []*oracleRow // those for which the condition holds
	for _, r := range all {
		if a.Cond == nil || r.conds[a.Cond] {
			some = append(some, r)
		}
	}
	switch a.Func {
	case rules.Count:
		return float64(len(some))
	case rules.Rate:
		return float64(len(some)) / float64(a.Window)
	case rules.Ratio:
		if len(all) == 0 {
			return math.NaN()
		}
		return float64(len(some)) / float64(len(all))
	case rules.RatioLow:
		return wilsonLow(float64(len(some)), float64(len(all)))
	case rules.Sum, rules.Min, rules.Max:
		return ofNumbers(a, some)
	case rules.Distinct:
		return float64(len(values(some, a.Field)))
	case rules.Top:
		return top(values(some, a.Field))
	case rules.Entropy:
		return entropy(values(some, a.Field))
	case rules.Cadence:
		return cadence(some)
	case rules.Surge:
		return surge(a, rows, tick)
	case rules.First:
		if len(some) == 0 {
			return math.NaN()
		}
		return float64(tick - some[0].Second)
	case rules.Last:
		if len(some) == 0 {
			return math.NaN()
		}
		return float64(tick - some[len(some)-1].Second)
	}
	panic("oracle: unknown aggregate")
}

// values counts the values of f that are not empty.
func values(rows []*oracleRow, f event.Field) map[string]int {
	n := map[string]int{}
	for _, r := range rows {
		if v := r.Str(f); v != "" {
			n[v]++
		}
	}
	return n
}

func ofNumbers(a *rules.Aggregate, rows []*oracleRow) float64 {
	sum, lo, hi, n := 0.0, math.Inf(1), math.Inf(-1), 0
	for _, r := range rows {
		if v, ok := r.Num(a.Field); ok {
			sum, lo, hi, n = sum+v, math.Min(lo, v), math.Max(hi, v), n+1
		}
	}
	switch {
	case a.Func == rules.Sum:
		return sum
	case n == 0:
		return math.NaN()
	case a.Func == rules.Min:
		return lo
	}
	return hi
}

// wilsonLow is the lower bound of the Wilson score interval at 99 %: Wilson,
// "Probable inference, the law of succession, and statistical inference", 1927.
func wilsonLow(k, n float64) float64 {
	if n == 0 {
		return math.NaN()
	}
	const z = 2.5758293035489004
	p := k / n
	return max(0, (p+z*z/(2*n)-z*math.Sqrt(p*(1-p)/n+z*z/(4*n*n)))/(1+z*z/n))
}

// top and entropy are of the values themselves. The engine keeps 64 buckets,
// so the streams it is compared on have few values, which do not share one.
func top(n map[string]int) float64 {
	most, all := 0, 0
	for _, c := range n {
		most, all = max(most, c), all+c
	}
	if all == 0 {
		return math.NaN()
	}
	return float64(most) / float64(all)
}

func entropy(n map[string]int) float64 {
	all := 0
	for _, c := range n {
		all += c
	}
	if all == 0 {
		return math.NaN()
	}
	bits := 0.0
	for _, c := range n {
		p := float64(c) / float64(all)
		bits -= p * math.Log2(p)
	}
	return bits
}

// cadence is the coefficient of variation of the gaps between active seconds.
func cadence(rows []*oracleRow) float64 {
	var gaps []float64
	for i, r := range rows {
		if i > 0 && r.Second != rows[i-1].Second {
			gaps = append(gaps, float64(r.Second-rows[i-1].Second))
		}
	}
	if len(gaps) < 2 {
		return math.NaN()
	}
	sum := 0.0
	for _, g := range gaps {
		sum += g
	}
	mean := sum / float64(len(gaps))
	variance := 0.0
	for _, g := range gaps {
		variance += (g - mean) * (g - mean) / float64(len(gaps))
	}
	return math.Sqrt(variance) / mean
}

// retained is the longest window of a rule: how far back it looks for members.
func retained(r *rules.Rule) windows.Window {
	longest := windows.Window(0)
	for _, f := range r.Features {
		longest = max(longest, f.Window)
	}
	for _, c := range append([]rules.Consequence{{If: r.When}}, r.Then...) {
		if c.If != nil {
			for _, a := range c.If.Inline {
				longest = max(longest, a.Window)
			}
		}
	}
	return longest
}
