package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/emit"
	"weir/event"
)

// Why is the answer of /api/v1/why: every line of the ledger that may concern a
// target, oldest first.
type Why struct {
	Target  string              `json:"target"` // as it was understood; see FormatTarget
	Now     time.Time           `json:"now"`
	Stopped bool                `json:"stopped"`
	Lines   []Line              `json:"lines"`
	More    bool                `json:"more"`  // there are older ones
	Lacks   map[string][]string `json:"lacks"` // by a decision's id, what of its target the question did not say
	Where   map[string][]Where  `json:"where"` // by the id of a decision in force
}

// Where is how one point stands to one decision in force.
type Where struct {
	Point string `json:"point"`
	State State  `json:"state"`
	Text  string `json:"text"`
}

// State is how far a point has come with a decision.
type State string

// The states of a decision at a point.
const (
	Holds   State = "holds"   // it was seen to
	Pending State = "pending" // it is to
	Failing State = "failing" // it is to, and the last attempt failed
	Cannot  State = "cannot"  // it is not to, or cannot be told
)

func (a *Server) why(r *http.Request) (any, error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	if err := known(v, "target"); err != nil {
		return nil, err
	}
	t, err := ParseTarget(v.Get("target"))
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	select {
	case a.searches <- struct{}{}:
		defer func() { <-a.searches }()
	case <-r.Context().Done():
		return nil, refuse(http.StatusServiceUnavailable, "the client went away while others searched the ledger")
	}
	w := WhyOf(a.cfg.Ledger, t, a.cfg.ASN, a.cfg.Now())
	for _, in := range a.cfg.Ledger.InForce().Entries {
		if _, asked := w.Where[in.Decision.ID]; asked {
			w.Where[in.Decision.ID] = a.where(in)
		}
	}
	return w, nil
}

// WhyOf asks a ledger about a target. What is in force has an entry in Where,
// without any point: the ledger knows none.
func WhyOf(l *emit.Ledger, t event.Target, asn func(netip.Addr) uint32, now time.Time) *Why {
	force := l.InForce()
	w := &Why{
		Target: FormatTarget(t), Now: now.UTC(), Stopped: force.Stopped,
		Lines: []Line{}, Lacks: map[string][]string{}, Where: map[string][]Where{},
	}
	lines := l.Covering(emit.Question{Target: withASN(t, asn), Limit: MaxLines})
	w.More = len(lines) == MaxLines
	about := map[string]bool{}
	for _, line := range lines {
		w.Lines = append(w.Lines, Line{line})
		if len(line.Lacks) > 0 {
			w.Lacks[line.Decision.ID] = line.Lacks
		}
		about[line.Decision.ID] = true
	}
	for _, in := range force.Entries {
		if about[in.Decision.ID] {
			w.Where[in.Decision.ID] = []Where{}
		}
	}
	return w
}

// withASN adds the autonomous system of the address that a target names.
func withASN(t event.Target, asn func(netip.Addr) uint32) event.Target {
	if asn == nil {
		return t
	}
	var addr netip.Addr
	for _, v := range t {
		switch v.Field {
		case "asn":
			return t
		case "ip", "net":
			if p, err := prefixOf(v.Text); err == nil {
				addr = p.Addr()
			}
		}
	}
	if !addr.IsValid() {
		return t
	}
	n := asn(addr)
	if n == 0 {
		return t
	}
	return append(slices.Clip(t), event.Value{Field: "asn", Text: strconv.FormatUint(uint64(n), 10)})
}

// where says which points enforce what is in force.
func (a *Server) where(in *emit.InForce) []Where {
	all := []Where{}
	for i, r := range a.cfg.Points {
		s := r.Status()
		w := Where{Point: s.Name}
		if i < len(a.capabilities) {
			if why := cannot(in, a.capabilities[i], a.cfg.Now()); why != "" {
				w.State, w.Text = Cannot, why
				all = append(all, w)
				continue
			}
		}
		w.State, w.Text = standing(&s, in, a.cfg.Now())
		if i < len(a.capabilities) && blocksInstead(in, a.capabilities[i]) {
			w.Text = "as a block, since it cannot deceive; " + w.Text
		}
		all = append(all, w)
	}
	return all
}

// blocksInstead reports whether a point blocks what is to be deceived.
func blocksInstead(in *emit.InForce, caps emit.Capabilities) bool {
	return in.Action == event.Deceive && !slices.Contains(caps.Actions, event.Deceive)
}

// cannot says why a point is not given what is in force; empty where it is.
func cannot(in *emit.InForce, caps emit.Capabilities, now time.Time) string {
	_, report := emit.Compile(&emit.Force{Entries: []*emit.InForce{in}, Well: true}, caps, nil, now)
	switch {
	case report.Others > 0:
		var given []string
		for _, act := range caps.Actions {
			given = append(given, act.String())
		}
		return fmt.Sprintf("not there: %s is none of its actions (actions: [%s])", in.Action, strings.Join(given, ", "))
	case len(report.Examples) > 0:
		return "not there: " + strings.TrimPrefix(report.Examples[0], in.Decision.Rule+": ")
	case report.Inexpressible > 0:
		return "not there: the point cannot tell such a target"
	}
	return ""
}

// holder is who was read back: the program itself, or only its file.
func holder(s *emit.PointStatus) string {
	if s.File {
		return "the file"
	}
	return "it"
}

// standing says how far a point has come with an entry that it can hold.
func standing(s *emit.PointStatus, in *emit.InForce, now time.Time) (State, string) {
	switch {
	case s.Error != "":
		return Failing, "it is to, but: " + s.Error
	case s.Drift == 0 && s.Shed > 0:
		return Pending, fmt.Sprintf("it holds as many entries as it has room for; %d had none, this one may be among them", s.Shed)
	case s.Drift == 0 && !s.Seen.Before(in.Since):
		return Holds, fmt.Sprintf("%s holds it, as read back %s ago", holder(s), now.Sub(s.Seen).Round(time.Second))
	case s.Drift < 0:
		return Pending, "it is to; what it holds has not been read yet"
	}
	return Pending, "it is to; its next list has it"
}
