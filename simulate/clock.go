package simulate

import (
	"fmt"
	"time"
)

const (
	second = int64(time.Second)
	minute = int64(time.Minute)
	hour   = int64(time.Hour)
	day    = 24 * hour
)

// Curve is how many come at each hour of a day, and how many on each day of a
// week; only the proportions count.
type Curve struct {
	Hours []float64 `yaml:"hours"` // 24, from midnight
	Days  []float64 `yaml:"days"`  // 7, from Monday
}

// level gives the curve a mean of 1.
func (c *Curve) level() error {
	for _, part := range []struct {
		name   string
		n      int
		values []float64
	}{{"hours", 24, c.Hours}, {"days", 7, c.Days}} {
		if len(part.values) != part.n {
			return fmt.Errorf("%s: %d numbers, must be %d", part.name, len(part.values), part.n)
		}
		var sum float64
		for _, v := range part.values {
			if !(v >= 0 && v <= 1e6) {
				return fmt.Errorf("%s: %v, must be from 0 to 1e6", part.name, v)
			}
			sum += v
		}
		if sum == 0 {
			return fmt.Errorf("%s: all zero", part.name)
		}
		for i := range part.values {
			part.values[i] = float64(part.values[i]*float64(part.n)) / sum
		}
	}
	return nil
}

// at returns the height of a levelled curve, which runs straight from the
// middle of an hour to that of the next one. Times begin on a Monday at
// midnight plus the shift.
func (c *Curve) at(t, shift int64) float64 {
	t += shift
	sinceMidnight := t % day
	h := sinceMidnight / hour
	part := float64(sinceMidnight%hour) / float64(hour)
	here, next := c.Hours[h], c.Hours[(h+1)%24]
	height := here + float64((next-here)*part)
	return height * c.Days[t/day%7]
}

// For how long a rate is taken to be the same: of people, and of programs that
// are switched on and off.
const (
	slowStep  = 5 * minute
	quickStep = 10 * second
)

// arrivals are moments at which something begins: independent of each other,
// as many as the rate says, which follows a curve.
type arrivals struct {
	random random
	rate   float64 // a nanosecond, where the curve is 1
	height func(t int64) float64
	now    int64
	until  int64
	step   int64 // 0: slowStep
}

// next returns the next moment, and false when they are over.
func (a *arrivals) next() (int64, bool) {
	left := float64(a.random.wait(tableOne)) / tableOne // of the work until the next one
	step := a.step
	if step == 0 {
		step = slowStep
	}
	for a.now < a.until {
		end := min(a.now-a.now%step+step, a.until)
		rate := a.rate * a.height(a.now)
		span := float64(end - a.now)
		if work := float64(rate * span); work < left {
			left -= work
			a.now = end
			continue
		}
		a.now += max(int64(left/rate), 1)
		if a.now >= a.until {
			break
		}
		return a.now, true
	}
	return 0, false
}
