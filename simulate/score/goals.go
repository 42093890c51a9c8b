package score

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"weir/simulate"
)

// Verdict is one demand of a goal and what came of it.
type Verdict struct {
	Labels    string  `json:"labels"`              // the goal's pattern
	Logins    bool    `json:"logins,omitempty"`    // of tries to log in alone
	Attacking bool    `json:"attacking,omitempty"` // of what most: on addresses that also attack; else on the others
	Anywhere  bool    `json:"anywhere,omitempty"`  // of what most: on both
	Above     float64 `json:"above,omitempty"`     // of what stopped: of what exceeds so many times the normal
	What      string  `json:"what"`                // what is demanded
	Must      float64 `json:"must"`                // a share, or seconds; of an alert 0: at any time
	Is        float64 `json:"is"`                  // -1: never
	Pass      bool    `json:"pass"`
	Note      string  `json:"note,omitempty"` // why nothing could be measured
}

// What goals demand.
const (
	wantBlocked      = "blocked"
	wantStopped      = "stopped"
	wantPasses       = "passes"
	wantFirst        = "first stop"
	wantAlert        = "alert"
	wantMostBlocked  = "most blocked"
	wantMostMilder   = "most milder"
	wantMostAccounts = "most accounts"
)

// leastFirst is the least time that a first stop is given.
const leastFirst = 30 * time.Second

// verdicts holds the goals against what was counted, the failed first.
func (r *run) verdicts() (out []Verdict) {
	for i := range r.log.Truth.Goals {
		g := &r.log.Truth.Goals[i]
		out = append(out, r.goal(g, r.labelled(g.Labels))...)
	}
	slices.SortStableFunc(out, func(a, b Verdict) int {
		if a.Pass == b.Pass {
			return strings.Compare(a.Labels, b.Labels)
		}
		if b.Pass {
			return -1
		}
		return 1
	})
	return out
}

// labelled returns what was counted of the labels that a pattern fits.
func (r *run) labelled(pattern string) (ys []*tally) {
	for _, y := range r.tallies {
		if ok, err := path.Match(pattern, y.label.Name); ok && err == nil {
			ys = append(ys, y)
		}
	}
	return ys
}

func (r *run) goal(g *simulate.Goal, ys []*tally) (out []Verdict) {
	var requests int64
	var hits Hits
	for _, y := range ys {
		n, h := y.requests, &y.hits[byWeir]
		if g.Logins {
			n, h = y.tries, &y.tried
		}
		requests += n
		hits.plus(h)
	}
	demand := func(what string, must *float64, of int64, is func() float64) {
		if must == nil {
			return
		}
		most := what != wantBlocked && what != wantStopped && what != wantPasses
		v := Verdict{Labels: g.Labels, Attacking: g.Attacking, Anywhere: g.Anywhere, What: what, Must: *must, Logins: g.Logins && !most}
		if what == wantStopped {
			v.Above = g.Above
		}
		switch {
		case len(ys) == 0 || g.With != "" && len(r.labelled(g.With)) == 0: // a slip of the pen must not pass
			v.Note = "no label is meant"
		case of == 0:
			v.Note, v.Pass = "no requests", most
		default:
			v.Is = is()
			v.Pass = v.Is >= v.Must
			if most {
				v.Pass = v.Is <= v.Must
			}
		}
		out = append(out, v)
	}
	demand(wantBlocked, g.Blocked, requests, func() float64 { return share(hits.Hard(), requests) })
	demand(wantStopped, g.Stopped, requests, func() float64 {
		if g.Above > 0 {
			return r.volumeOf(g, ys).above(g.Above)
		}
		return share(hits.Stopped(), requests)
	})
	demand(wantPasses, g.Passes, requests, func() float64 { return r.volumeOf(g, ys).passes() })
	if g.MostBlocked != nil || g.MostMilder != nil {
		on := r.sharing(ys, g)
		demand(wantMostBlocked, g.MostBlocked, on.Requests, func() float64 { return share(on.Hits.Hard(), on.Requests) })
		demand(wantMostMilder, g.MostMilder, on.Requests, func() float64 { return share(on.Hits.Milder(), on.Requests) })
	}
	if g.MostAccounts != nil {
		all := int64(len(accountsOf(ys)))
		demand(wantMostAccounts, g.MostAccounts, all, func() float64 { return share(r.keptOut(ys, g), all) })
	}
	if requests > 0 && !g.Alerted && (g.Blocked != nil || g.Stopped != nil || g.FirstStop > 0) {
		out = append(out, firstStop(g, ys))
	}
	if g.Alerted {
		out = append(out, firstAlert(g, ys))
	}
	return out
}

// sharing returns what befell the requests on those addresses that a goal is about.
func (r *run) sharing(ys []*tally, g *simulate.Goal) (s Sharing) {
	bad := r.attackers()
	for _, y := range ys {
		for v, b := range y.addresses {
			if g.Anywhere || among(bad.addresses, v) == g.Attacking {
				s.add(&b, byWeir)
			}
		}
	}
	return s
}

// keptOut returns how many accounts were blocked on such addresses.
func (r *run) keptOut(ys []*tally, g *simulate.Goal) int64 {
	bad, accounts := r.attackers(), map[uint64]struct{}{}
	for _, y := range ys {
		for k := range y.kept {
			if g.Anywhere || among(bad.addresses, k.address) == g.Attacking {
				accounts[k.account] = struct{}{}
			}
		}
	}
	return int64(len(accounts))
}

// firstAlert says how soon somebody was told of the requests of a goal's
// labels, or more was done.
func firstAlert(g *simulate.Goal, ys []*tally) Verdict {
	var from, told int64 = maxTime, maxTime
	for _, y := range ys {
		if y.requests > 0 {
			from = min(from, y.pace.from)
		}
		if y.pace.told {
			told = min(told, y.pace.toldAt)
		}
	}
	v := Verdict{Labels: g.Labels, What: wantAlert, Must: g.FirstStop.Seconds(), Is: -1}
	if told < maxTime {
		v.Is = max(0, float64(told-from)/1e9)
		v.Pass = g.FirstStop == 0 || v.Is <= v.Must
	}
	return v
}

// firstStop says how soon the first request of a goal's labels was stopped.
// Where the goal gives no time, it is that of their first 60 requests, or 30 s.
func firstStop(g *simulate.Goal, ys []*tally) Verdict {
	var from, first int64 = maxTime, maxTime
	for _, y := range ys {
		if y.requests == 0 {
			continue
		}
		from = min(from, y.pace.from)
		if s := &y.pace.stops[byWeir]; s.stopped {
			first = min(first, s.first.at)
		}
	}
	must := g.FirstStop
	if must == 0 {
		must = leastFirst
		for _, y := range ys {
			if y.requests > 0 && y.pace.from == from && y.pace.sixtieth > 0 {
				must = max(must, time.Duration(y.pace.sixtieth-from))
			} else if y.requests > 0 && y.pace.from == from {
				must = max(must, time.Duration(y.pace.until-from))
			}
		}
	}
	v := Verdict{Labels: g.Labels, What: wantFirst, Must: must.Seconds(), Is: -1}
	if first < maxTime {
		v.Is = max(0, float64(first-from)/1e9)
		v.Pass = v.Is <= v.Must
	}
	return v
}

// Failed returns how many goals were not reached.
func (r *Result) Failed() (n int) {
	for _, v := range r.Goals {
		if !v.Pass {
			n++
		}
	}
	return n
}

// String says what was demanded.
func (v *Verdict) String() string {
	where := ""
	if v.Attacking {
		where = ", on addresses that also attack"
	} else if v.Anywhere {
		where = ", on any address"
	}
	what := ""
	if v.Logins {
		what = " of the tries to log in"
	}
	if v.Above > 0 {
		what = fmt.Sprintf(" of what exceeds %g times the normal", v.Above)
	}
	switch v.What {
	case wantFirst:
		return "first stop within " + Seconds(v.Must)
	case wantAlert:
		if v.Must == 0 {
			return "an alert or more"
		}
		return "an alert or more within " + Seconds(v.Must)
	case wantBlocked:
		return "blocked at least " + Percent(v.Must) + what
	case wantStopped:
		return "blocked or milder at least " + Percent(v.Must) + what
	case wantPasses:
		return "of the normal volume passes at least " + Percent(v.Must)
	case wantMostBlocked:
		return "blocked at most " + Percent(v.Must) + where
	case wantMostMilder:
		return "challenged or limited at most " + Percent(v.Must) + where
	}
	return "accounts blocked at most " + Percent(v.Must) + where
}

// OfAll reports whether it is about shares of all requests of its labels, or
// the time to the first that was stopped.
func (v *Verdict) OfAll() bool {
	return !v.Logins && v.Above == 0 && v.What != wantPasses && v.What != wantAlert
}

// Value says what came of it.
func (v *Verdict) Value() string {
	switch {
	case v.Is < 0:
		return "never"
	case v.What == wantFirst || v.What == wantAlert:
		return Seconds(v.Is)
	}
	return Percent(v.Is)
}
