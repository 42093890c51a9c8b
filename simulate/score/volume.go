package score

import (
	"slices"

	"weir/simulate"
)

// volume is what a client sends by the hour, beside what it sent before anybody
// attacked.
type volume struct {
	normal float64    // requests an hour before the first attack; 0 where there is no hour before
	hours  [][2]int64 // requests and stopped ones
	there  []bool     // the hours in which the goal's own labels send anything
}

// volumeOf adds up a goal's labels and those of the same client.
func (r *run) volumeOf(g *simulate.Goal, ys []*tally) *volume {
	var v volume
	v.there = make([]bool, len(r.tallies[0].hourly))
	for _, y := range ys {
		for h := range y.hourly {
			v.there[h] = v.there[h] || y.hourly[h][0] > 0
		}
	}
	v.hours = make([][2]int64, len(v.there))
	var with []*tally
	if g.With != "" {
		with = r.labelled(g.With)
	}
	for _, y := range r.tallies {
		if !slices.Contains(ys, y) && !slices.Contains(with, y) {
			continue
		}
		for h := range y.hourly {
			v.hours[h][0], v.hours[h][1] = v.hours[h][0]+y.hourly[h][0], v.hours[h][1]+y.hourly[h][1]
		}
	}
	first := min(r.firstAttack(), len(v.hours))
	for _, h := range v.hours[:first] {
		v.normal += float64(h[0])
	}
	if first > 0 {
		v.normal /= float64(first)
	}
	return &v
}

// firstAttack returns the hour of the log in which the first attack begins.
func (r *run) firstAttack() int {
	first := r.line.n
	for _, y := range r.tallies {
		if y.label.Attack && y.requests > 0 {
			first = min(first, int((y.pace.from-r.line.from)/(hour*1e9)))
		}
	}
	return first
}

// above returns the share that was stopped of what exceeds so many times the
// normal. Without any normal, everything exceeds.
func (v *volume) above(times float64) float64 {
	var exceeds, stopped float64
	for _, h := range v.hours {
		if over := float64(h[0]) - times*v.normal; over > 0 {
			exceeds += over
			stopped += min(over, float64(h[1]))
		}
	}
	if exceeds == 0 {
		return 1
	}
	return stopped / exceeds
}

// passes returns the share of the normal that passes in the hours in which the
// goal's own labels send something.
func (v *volume) passes() float64 {
	var normal, passed float64
	for h, there := range v.there {
		if !there {
			continue
		}
		usual := min(v.normal, float64(v.hours[h][0]))
		normal += usual
		passed += min(usual, float64(v.hours[h][0]-v.hours[h][1]))
	}
	if normal == 0 {
		return 1
	}
	return passed / normal
}
