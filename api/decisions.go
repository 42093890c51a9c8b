package api

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"time"

	"weir/emit"
)

// MaxLines is how many lines one answer has at most.
const MaxLines = 1000

const defaultLines = 100

// DecisionsQuery chooses lines of the ledger: the newest that fit.
type DecisionsQuery struct {
	Rule  string    // an id, or a pattern such as ato.*; empty: any
	Since time.Time // zero: any time; by the ledger's clock
	All   bool      // renewals, ends and what befell rules too
	Limit int       // 0: defaultLines
}

func (q DecisionsQuery) values() url.Values {
	v := url.Values{}
	if q.Rule != "" {
		v.Set("rule", q.Rule)
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339))
	}
	if q.All {
		v.Set("all", "true")
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return v
}

// parseQuery reads what values wrote.
func parseQuery(v url.Values) (q DecisionsQuery, err error) {
	if err := known(v, "rule", "since", "all", "limit"); err != nil {
		return q, err
	}
	q.Rule = v.Get("rule")
	if _, err := path.Match(q.Rule, ""); err != nil || len(q.Rule) > 200 {
		return q, refuse(http.StatusBadRequest, "rule: %q, must be an id such as ato.stuffing_source or ato.*", q.Rule)
	}
	if s := v.Get("since"); s != "" {
		if q.Since, err = time.Parse(time.RFC3339, s); err != nil {
			return q, refuse(http.StatusBadRequest, "since: %q, must be like 2026-03-01T10:00:00Z", s)
		}
	}
	if s := v.Get("all"); s != "" {
		if q.All, err = strconv.ParseBool(s); err != nil {
			return q, refuse(http.StatusBadRequest, "all: %q, must be true or false", s)
		}
	}
	if s := v.Get("limit"); s != "" {
		q.Limit, err = strconv.Atoi(s)
		if err != nil || q.Limit < 1 || q.Limit > MaxLines {
			return q, refuse(http.StatusBadRequest, "limit: %q, must be a number from 1 to %d", s, MaxLines)
		}
	}
	return q, nil
}

// known refuses parameters that mean nothing, and those that are there twice.
func known(v url.Values, names ...string) error {
	for name, values := range v {
		if !slices.Contains(names, name) {
			return refuse(http.StatusBadRequest, "there is no parameter %q here", name)
		}
		if len(values) > 1 {
			return refuse(http.StatusBadRequest, "%s: is there %d times", name, len(values))
		}
	}
	return nil
}

// Decisions is the answer of /api/v1/decisions: lines of the ledger, oldest first.
type Decisions struct {
	Lines []Line `json:"lines"`
	More  bool   `json:"more"` // there are older ones that fit
}

func (a *Server) decisions(r *http.Request) (any, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	q, err := parseQuery(v)
	if err != nil {
		return nil, err
	}
	return DecisionsOf(a.cfg.Ledger, q), nil
}

// DecisionsOf chooses lines of a ledger.
func DecisionsOf(l *emit.Ledger, q DecisionsQuery) *Decisions {
	limit := q.Limit
	if limit == 0 {
		limit = defaultLines
	}
	d := &Decisions{Lines: []Line{}}
	recent := l.Recent(maxRecent)
	for i := len(recent) - 1; i >= 0; i-- {
		if !q.fits(&recent[i]) {
			continue
		}
		if len(d.Lines) == limit {
			d.More = true
			break
		}
		d.Lines = append(d.Lines, Line{recent[i]})
	}
	slices.Reverse(d.Lines)
	return d
}

// maxRecent is how many of the ledger's newest lines are looked through.
const maxRecent = 10000

func (q *DecisionsQuery) fits(l *emit.Line) bool {
	if !q.All && !noteworthy(l.Event) || l.At.Before(q.Since) {
		return false
	}
	if q.Rule == "" {
		return true
	}
	rule := l.Rule
	if rule == "" {
		rule = l.Decision.Rule
	}
	ok, err := path.Match(q.Rule, rule)
	return ok && err == nil
}

// noteworthy reports whether a line says something new: that a decision goes on
// or is over follows from the one before.
func noteworthy(event string) bool {
	switch event {
	case emit.LineRenew, emit.LineEnd, emit.LineStanding, emit.LineOpened, emit.LineQueued, emit.LineClock:
		return false
	}
	return true
}
