package score

import (
	"cmp"
	"math"
	"slices"
)

// never1 stands for a time that was never reached: later than all others.
const never1 = math.MaxFloat64

func most(a, b float64) float64  { return max(a, b) }
func least(a, b float64) float64 { return min(a, b) }

// spread returns the median of a figure and its worst. Of an even number the
// median is the mean of the two in the middle.
func spread[T any](all []T, of func(T) float64, worst func(a, b float64) float64) (s Spread) {
	figures := make([]float64, len(all))
	for i, v := range all {
		figures[i] = of(v)
	}
	slices.Sort(figures)
	n := len(figures)
	s.Worst = worst(figures[0], figures[n-1])
	if s.Median = figures[n/2]; n%2 == 0 && s.Median != never1 {
		s.Median = (s.Median + figures[n/2-1]) / 2
	}
	return s
}

func compareTexts(a, b, c, d string) int { return cmp.Or(cmp.Compare(a, b), cmp.Compare(c, d)) }
