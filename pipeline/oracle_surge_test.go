package pipeline_test

import (
	"math"
	"sort"

	"weir/rules"
)

// surge is surge(w, cond) of a key as of tick, as docs/adr/0012 has it: rows are
// all that the rule sees of the key.
func surge(a *rules.Aggregate, rows []*oracleRow, tick int64) float64 {
	const hour, day = int64(3600), int64(24 * 3600)
	hourOf := func(s int64) int64 { return s - ((s%hour)+hour)%hour }
	w := int64(a.Window)
	counts := map[int64]float64{}
	now := 0.0
	from, end := hourOf(tick-7*day), hourOf(tick-3*hour)
	first := end
	for _, r := range within(rows, min(from, a.Window.Start(tick)), tick) {
		if a.Cond != nil && !r.conds[a.Cond] {
			continue
		}
		if r.Second >= a.Window.Start(tick) {
			now++
		}
		if h := hourOf(r.Second); h >= from && h < end {
			counts[h]++
			first = min(first, h)
		}
	}
	if end-first < day {
		return 0
	}
	span := max(hour, w)         // what a sample counts
	ended := map[int64]float64{} // samples by the hour in which they ended
	var all, same []float64
	for last := first + span - hour; last < end; last += hour {
		n := 0.0
		for h := last - span + hour; h <= last; h += hour {
			n += counts[h]
		}
		ended[last] = n * float64(min(w, hour)) / float64(hour)
		all = append(all, ended[last])
	}
	for ago := range int64(8) {
		last := hourOf(tick-1) - ago*day
		if n, ok := ended[last]; ok && ago > 0 {
			same = append(same, max(n, ended[last-hour]))
		}
	}
	if len(same) >= 3 {
		all = same
	}
	if len(all) == 0 {
		return 0
	}
	median := middle(all)
	var apart []float64
	for _, n := range all {
		apart = append(apart, math.Abs(n-median))
	}
	spread := max(1.4826*middle(apart), math.Sqrt(median), median/10, 1)
	return max(0, (now-median)/spread)
}

func middle(v []float64) float64 {
	sort.Float64s(v)
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}
