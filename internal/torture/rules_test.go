package torture

import (
	"fmt"
	"slices"
	"strings"

	"weir/event"
)

// rule is a rule in weir's language and, beside it, what it means in Go.
type rule struct {
	id      string
	key     []string // fields, in the order of decisions
	of      func(r *request) []string
	where   string
	sees    func(f *facts, r *request) bool
	feature []feature
	when    string
	holds   func(v []float64) bool
	lasts   []int64 // the steps of its decisions, seconds
	crowd   bool    // so many actors that they are only estimated
	blocks  bool    // it blocks, else it alerts
}

// action is what the rule does, and at most in which stage.
func (r *rule) action() (a event.Action, stage string) {
	if r.blocks {
		return event.Block, "enforce"
	}
	return event.Alert, "alert"
}

// feature is an aggregate over the rows of a key that lie in its window.
type feature struct {
	name, text string
	window     int64 // seconds
	value      func(f *facts, rows []row) float64
}

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
	week   = 7 * day
)

// yaml writes the rule as an operator does.
func (r *rule) yaml() string {
	var b strings.Builder
	key := "[" + strings.Join(r.key, ", ") + "]"
	fmt.Fprintf(&b, "id: %s\nversion: 1\ntitle: What the windows of a key hold\nseverity: info\nkey: %s\nwhere: %s\nfeatures:\n", r.id, key, quoted(r.where))
	for _, f := range r.feature {
		fmt.Fprintf(&b, "  %s: %s\n", f.name, f.text)
	}
	steps := make([]string, len(r.lasts))
	for i, s := range r.lasts {
		steps[i] = fmt.Sprintf("%ds", s)
	}
	action, stage := r.action()
	fmt.Fprintf(&b, "when: %s\nthen: {%v: %s, for: [%s]}\nstage: %s\n", r.when, action, key, strings.Join(steps, ", "), stage)
	return b.String()
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func byAddress(r *request) []string { return []string{r.ip()} }

func logins(_ *facts, r *request) bool { return r.login() }

func all(*facts, *request) bool { return true }

func some(v []float64) bool { return v[0] >= 1 }

func count(_ *facts, rows []row) float64 { return float64(len(rows)) }

func counting(holds func(f *facts, r *request) bool) func(f *facts, rows []row) float64 {
	return func(f *facts, rows []row) (n float64) {
		for i := range rows {
			if holds(f, rows[i].request) {
				n++
			}
		}
		return n
	}
}

func failed(_ *facts, r *request) bool { return r.outcome() == failure }

// sent is the sum of the bytes.
func sent(_ *facts, rows []row) float64 {
	if len(rows) == 0 {
		return 0
	}
	return float64(rows[len(rows)-1].sum - rows[0].sum + rows[0].bytes)
}

func most(_ *facts, rows []row) float64 {
	return float64(slices.MaxFunc(rows, func(a, b row) int { return int(a.bytes - b.bytes) }).bytes)
}

func distinct(of func(r *request) string) func(f *facts, rows []row) float64 {
	return func(_ *facts, rows []row) float64 {
		values := map[string]bool{}
		for i := range rows {
			if v := of(rows[i].request); v != "" {
				values[v] = true
			}
		}
		if len(values) > 96 {
			panic("more distinct values than are counted exactly: the log is not what this was made for")
		}
		return float64(len(values))
	}
}

func user(r *request) string { return strings.ToLower(r.user) }

// exact are rules that show, for nearly every touch of some keys and at the end
// for every key, exactly what their windows hold.
func exact() []*rule {
	return []*rule{
		{
			id: "exact.touch", key: []string{"ip"}, of: byAddress, where: `kind == "login"`, sees: logins,
			feature: []feature{
				{"n", `count("7d")`, week, count},
				{"last_hour", `count("1h")`, hour, count},
				{"last_minute", `count("1m")`, minute, count},
				{"failures", `count("24h", outcome == "failure")`, day, counting(failed)},
				{"names", `distinct("24h", credential)`, day, distinct(user)},
				{"sent", `sum("24h", bytes)`, day, sent},
				{"most", `max("10m", bytes)`, 10 * minute, most},
			},
			when: "n >= 1", holds: some, lasts: []int64{1},
		},
		{
			id: "exact.account", key: []string{"credential"}, of: func(r *request) []string { return []string{pseudonym(r.user)} },
			where: `kind == "login"`, sees: logins,
			feature: []feature{
				{"n", `count("7d")`, week, count},
				{"sources", `distinct("24h", ip)`, day, distinct((*request).ip)},
				{"failures", `count("10m", outcome == "failure")`, 10 * minute, counting(failed)},
			},
			when: "n >= 1", holds: some, lasts: []int64{2, 5, 20},
		},
		{
			id: "exact.pair", key: []string{"ip", "endpoint"}, of: func(r *request) []string { return []string{r.ip(), r.endpoint()} },
			where: `outcome != ""`, sees: func(_ *facts, r *request) bool { return r.outcome() != nothing },
			feature: []feature{
				{"n", `count("7d")`, week, count},
				{"lately", `count("5m")`, 5 * minute, count},
			},
			when: "lately >= 2", holds: func(v []float64) bool { return v[1] >= 2 }, lasts: []int64{30, 60, 120},
		},
		{ // in force for so short a time that it is renewed, ended and made anew
			id: "exact.block", key: []string{"ip"}, of: byAddress, where: `kind == "login"`, sees: logins,
			feature: []feature{
				{"failures", `count("10m", outcome == "failure")`, 10 * minute, counting(failed)},
				{"names", `distinct("10m", credential)`, 10 * minute, distinct(user)},
			},
			when: "failures >= 5", holds: func(v []float64) bool { return v[0] >= 5 }, lasts: []int64{10, 20, 40}, blocks: true,
		},
		{
			id: "exact.stranger", key: []string{"ip"}, of: byAddress, where: `kind == "login"`, sees: logins,
			feature: []feature{
				{"regular", `count("24h", known(ip))`, day, counting((*facts).known)},
				{"strange", `count("24h", not known(ip))`, day, counting((*facts).strange)},
				{"again", `count("24h", denied(ip))`, day, counting((*facts).denied)},
				{"met", `count("24h", seen(ip))`, day, counting((*facts).seen)},
			},
			when: "regular + strange >= 1", holds: func(v []float64) bool { return v[0]+v[1] >= 1 }, lasts: []int64{1},
		},
		{
			id: "exact.site", key: []string{"site"}, of: func(*request) []string { return []string{site} }, where: "true", sees: all,
			feature: []feature{
				{"n", `count("7d")`, week, count},
				{"last_hour", `count("1h")`, hour, count},
				{"sent", `sum("24h", bytes)`, day, sent},
			},
			when: "n >= 1", holds: some, lasts: []int64{1}, crowd: true,
		},
		{
			id: "exact.sweep", key: []string{"ip"}, of: byAddress, where: "true", sees: all,
			feature: []feature{
				{"n", `count("7d")`, week, count},
				{"sent", `sum("7d", bytes)`, week, sent},
				{"names", `distinct("24h", credential)`, day, distinct(user)},
				{"swept", `count("10m", path == "` + sweepPath + `")`, 10 * minute, counting(func(_ *facts, r *request) bool { return r.path == sweepPath })},
			},
			when: "swept >= 1", holds: func(v []float64) bool { return v[3] >= 1 }, lasts: []int64{hour},
		},
	}
}

// pane is how coarse a window is: it begins at a whole pane.
func pane(window int64) int64 {
	switch {
	case window <= minute:
		return 1
	case window <= 10*minute:
		return 10
	case window <= hour:
		return minute
	case window <= 6*hour:
		return 10 * minute
	}
	return hour
}
