package emit

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"weir/event"
)

// CompileReport is what became of the entries in force that are not in a list.
type CompileReport struct {
	Inexpressible int      // the point cannot hold their target or exception
	Examples      []string // of them, and what to do; at most maxExamples
	Others        int      // their action is none of the point's
	Instead       int      // of those that it can hold: to be deceived, and blocked, since the point cannot deceive
	Shed          int      // there was no room for them
	Faults        int      // the guards took them out: they should never have come so far
	FaultExamples []string // at most maxExamples
}

const maxExamples = 5

// Compile makes the list that a point is to hold at a moment. It is a function
// of its arguments: the order of the entries in force does not matter.
func Compile(force *Force, caps Capabilities, guards *Guards, now time.Time) (List, CompileReport) {
	c := compiler{caps: caps, guards: guards, now: now, ids: make(map[string]string, len(caps.Endpoints))}
	for _, e := range caps.Endpoints {
		c.ids[e.Pattern] = e.ID
	}
	if !force.Stopped {
		c.room = make([]candidate, 0, len(force.Entries))
		for _, in := range force.Entries {
			c.take(in)
		}
	}
	if !caps.Any {
		c.reduce()
	}
	c.cut()
	slices.SortFunc(c.found, func(a, b *candidate) int { return compareEntries(&a.Entry, &b.Entry) })
	list := List{Meant: force.Meant, Entries: make([]Entry, 0, len(c.found))}
	for _, e := range c.found {
		if c.passes(&e.Entry) {
			list.Entries = append(list.Entries, e.Entry)
		}
	}
	return list, c.report
}

// compiler is one Compile.
type compiler struct {
	caps   Capabilities
	guards *Guards
	now    time.Time
	ids    map[string]string // of endpoints, by pattern
	room   []candidate
	found  []*candidate // in it
	report CompileReport
}

// candidate is an entry on its way into a list.
type candidate struct {
	Entry
	rate float64   // of a limit, in requests a second; the lower, the stricter
	at   time.Time // of the latest decision that it stands for
	gone bool      // another one stands for it
}

// take makes an entry of what is in force, where the point can hold it.
func (c *compiler) take(in *InForce) {
	d := &in.Decision
	until := in.Until.UTC().Truncate(time.Second) // never later than was decided
	if !until.After(c.now) {
		return
	}
	action, ok := c.caps.Realises(in.Action)
	if !ok {
		c.report.Others++
		return
	}
	e := candidate{at: d.Time, Entry: Entry{Action: action, Until: until, ID: d.ID, Severity: d.Severity}}
	if action == event.Limit {
		e.To = d.To
	}
	prefix, endpoint, why := place(d.Target)
	switch {
	case c.caps.Any:
		if why == "" {
			e.Prefix = prefix
		}
		e.Decision, e.Reason, why = d, in.Reason, ""
	case why != "":
	case d.Except != "":
		why = "the exception " + d.Except + " cannot be told to the point; only a Kafka topic takes it"
	case endpoint != "":
		if e.Endpoint = c.ids[endpoint]; e.Endpoint == "" {
			why = "endpoint " + printable(endpoint) + " is not known to the point: name it in the site file or under endpoints: of the point"
		}
		e.Prefix = prefix
	default:
		e.Prefix = prefix
	}
	if why == "" && !c.caps.Any {
		why = e.harmless()
	}
	if why != "" {
		c.report.Inexpressible++
		c.report.Examples = example(c.report.Examples, d.Rule+": "+why)
		return
	}
	if action != in.Action {
		c.report.Instead++
	}
	c.room = append(c.room, e)
	c.found = append(c.found, &c.room[len(c.room)-1]) // there is room for all: it does not move
}

// Realises says what the point does about an entry with this action; ok is false
// where it does nothing. Who is to be deceived is blocked where nobody can
// deceive him: both pass the same guards and let nothing through. So a rule may
// ask for a deception, and no site is less protected for it.
func (c *Capabilities) Realises(a event.Action) (as event.Action, ok bool) {
	if slices.Contains(c.Actions, a) {
		return a, true
	}
	return event.Block, a == event.Deceive && slices.Contains(c.Actions, event.Block)
}

// example adds a text that is not there yet, while there are few.
func example(have []string, text string) []string {
	if len(have) < maxExamples && !slices.Contains(have, text) {
		have = append(have, text)
	}
	return have
}

// place returns the addresses and the endpoint that a target is made of, or why
// it has others.
func place(t event.Target) (prefix netip.Prefix, endpoint, why string) {
	prefix, has, fault := addresses(t)
	if fault != "" || prefix.Addr().Is4In6() {
		return prefix, "", "the target " + cmp.Or(fault, "mixes IPv4 and IPv6")
	}
	for _, v := range t {
		switch {
		case isAddress(v.Field):
		case v.Field == "endpoint":
			endpoint = v.Text
		default:
			return prefix, "", "the point cannot tell requests apart by " + printable(v.Field) + "; only a Kafka topic takes such a target"
		}
	}
	if !has {
		return prefix, "", "the target names no address; only a Kafka topic takes such a target"
	}
	return prefix, endpoint, ""
}

// Tells reports whether the point can tell the requests that targets with these
// fields are about, but for those whom an exception spares: what place says of a
// target, before there is one.
func (c *Capabilities) Tells(fields []string, except bool) bool {
	plain := func(f string) bool { return isAddress(f) || f == "endpoint" }
	return c.Any || !except && slices.ContainsFunc(fields, isAddress) && !slices.ContainsFunc(fields, func(f string) bool { return !plain(f) })
}

// harmless says what of an entry could be more than an address, an id and a
// number in somebody's configuration. It reads the limit.
func (e *candidate) harmless() (why string) {
	if !isDecisionID(e.ID) {
		return "id " + printable(e.ID) + " is not hexadecimal"
	}
	if e.Until.Unix() > maxUntil {
		e.Until = time.Unix(maxUntil, 0).UTC()
	}
	if e.Action != event.Limit {
		return ""
	}
	r, err := parseRate(e.To)
	if err != nil {
		return "limit " + err.Error()
	}
	e.rate = float64(r.count) / r.per().Seconds()
	e.To = r.String()
	return ""
}

// maxUntil is the last second that is ten digits: points compare ends as texts.
const maxUntil = 9_999_999_999

// printable quotes a text out of a log where it is more than plain words.
func printable(s string) string {
	if len(s) > 80 {
		s = s[:80] + "…"
	}
	if q := string(event.AppendJSONString(nil, s)); q != `"`+s+`"` {
		return q
	}
	return s
}

// passes asks the guards once more about an entry of a compiled list.
func (c *compiler) passes(e *Entry) bool {
	var why string
	switch {
	case e.Decision != nil:
		if _, _, why = width(e.Decision.Target); why == "" {
			why = c.guards.networkProtected(e.Decision.Target)
		}
	case e.Prefix.Bits() < widest(e.Prefix):
		why = fmt.Sprintf("%s is wider than /%d", e.Prefix, widest(e.Prefix))
	}
	if why == "" && e.Prefix.IsValid() {
		why, _ = c.guards.MeetsProtected(e.Prefix)
	}
	if why == "" {
		return true
	}
	c.report.Faults++
	c.report.FaultExamples = example(c.report.FaultExamples, "decision "+e.ID+": "+why)
	return false
}

// cut leaves what has room: the highest severity, then the latest decision.
func (c *compiler) cut() {
	c.found = slices.DeleteFunc(c.found, func(e *candidate) bool { return e.gone })
	room := c.caps.Capacity
	if room <= 0 || len(c.found) <= room {
		return
	}
	slices.SortFunc(c.found, func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), b.at.Compare(a.at), cmp.Compare(a.ID, b.ID), compareEntries(&a.Entry, &b.Entry))
	})
	c.report.Shed += len(c.found) - room
	c.found = c.found[:room]
}

// Sort puts the entries into the order of a list.
func (l *List) Sort() { sortEntries(l.Entries) }

func sortEntries(es []Entry) {
	slices.SortFunc(es, func(a, b Entry) int { return compareEntries(&a, &b) })
}

// compareEntries is the order of a list: action, endpoint, prefix, id.
func compareEntries(a, b *Entry) int {
	return cmp.Or(compareKeys(a, b), strings.Compare(a.ID, b.ID))
}

// compareKeys compares what an entry is about.
func compareKeys(a, b *Entry) int {
	if c := cmp.Compare(a.Action, b.Action); c != 0 {
		return c
	}
	if c := strings.Compare(a.Endpoint, b.Endpoint); c != 0 {
		return c
	}
	return comparePrefixes(a.Prefix, b.Prefix)
}

// comparePrefixes orders by family, then by address, then the wider first. One
// that is not valid is the smallest.
func comparePrefixes(a, b netip.Prefix) int {
	if c := cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()); c != 0 {
		return c
	}
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return cmp.Compare(a.Bits(), b.Bits())
}
