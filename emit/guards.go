package emit

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"weir/event"
)

// Guards are what stands between a decision and its enforcement. The ranges
// that are nobody's on the Internet are protected besides those that are
// listed. Its fields are not changed once it is in use. See docs/adr/0006.
type Guards struct {
	Protected  []Protected
	Allow      []Allow
	Deprecated []string // endpoints that may be blocked as a whole
	// Know returns the asn, org or country of an address, as rules write it,
	// empty where it has none; ok is false where there is no table to say so.
	// Nil: there is none.
	Know func(addr netip.Addr, field string) (text string, ok bool)

	once      sync.Once
	protected ranges
	addresses []netip.Prefix // that each entry of Allow names; not valid where it names none
	networks  []network      // of Protected
}

// Allow is an exception of the site file.
type Allow struct {
	Match   event.Target
	Actions []event.Action
	Rules   []string // ids or patterns such as ato.*
	Owner   string
	Reason  string
	Until   time.Time // zero: no end
}

// String returns what is allowed, for counters and reasons.
func (a *Allow) String() string {
	return string(a.Match.AppendJSON(nil)) + " (" + a.Owner + ": " + a.Reason + ")"
}

// Guard is which of the guards objected.
type Guard string

// The guards, in their order.
const (
	GuardClock      Guard = "clock"      // the decision is from the future
	GuardUnwritten  Guard = "unwritten"  // the ledger cannot be written
	GuardStopped    Guard = "stopped"    // all blocking was stopped
	GuardUnblocked  Guard = "unblocked"  // somebody unblocked the target
	GuardWidth      Guard = "width"      // too wide, or no target that can be told
	GuardProtected  Guard = "protected"  // it meets the protected set
	GuardAllowed    Guard = "allowed"    // an allow entry of the site file
	GuardEndpoint   Guard = "endpoint"   // a whole endpoint
	GuardCredential Guard = "credential" // a bare account
	GuardBreaker    Guard = "breaker"    // its rule is tripped
	GuardShared     Guard = "shared"     // only made milder
	GuardQueue      Guard = "queue"      // no room to wait
	GuardCrowd      Guard = "crowd"      // its rule hits too many, half of them behind this address
	GuardFull       Guard = "full"       // as many in force as the ledger keeps
)

// The widest prefixes that are enforced.
const (
	widest4 = 24
	widest6 = 48
)

// Validate reports every fault of the guards.
func (g *Guards) Validate() (err error) {
	for _, p := range g.Protected {
		if !p.Prefix.IsValid() {
			err = errors.Join(err, fmt.Errorf("protected: a prefix that is none (%s)", p.Why))
		}
	}
	for i := range g.Allow {
		a := &g.Allow[i]
		if len(a.Match) == 0 {
			err = errors.Join(err, fmt.Errorf("allow: entry %d of %s matches everything, must name at least one field", i+1, a.Owner))
		}
		if _, _, fault := addresses(a.Match); fault != "" {
			err = errors.Join(err, fmt.Errorf("allow: %s %s", a.Match.AppendJSON(nil), fault))
		}
		for _, r := range a.Rules {
			if _, bad := path.Match(r, ""); bad != nil {
				err = errors.Join(err, fmt.Errorf("allow: rules: %s, must be an id or a pattern such as ato.*", r))
			}
		}
	}
	return err
}

func (g *Guards) build() {
	for _, r := range reserved {
		g.protected.add(netip.MustParsePrefix(r.prefix), r.why)
	}
	for _, p := range g.Protected {
		g.protected.add(p.Prefix, p.Why)
	}
	g.networks = g.networksOf(g.Protected)
	g.addresses = make([]netip.Prefix, len(g.Allow))
	for i := range g.Allow {
		if p, has, fault := addresses(g.Allow[i].Match); has && fault == "" {
			g.addresses[i] = p
		}
	}
}

// Objects returns the first guard that objects to enforcing a decision, and
// why; both are empty where none does. It looks at what the decision is, not
// at what else is in force. Nil guards never object.
func (g *Guards) Objects(d *event.Decision, now time.Time) (Guard, string) {
	guard, reason, _ := g.objects(d, now)
	return guard, reason
}

// objects also returns the allow entry that objected.
func (g *Guards) objects(d *event.Decision, now time.Time) (guard Guard, reason string, allow *Allow) {
	if g == nil {
		return "", "", nil
	}
	g.once.Do(g.build)
	p, has, why := width(d.Target)
	if why != "" {
		return GuardWidth, why, nil
	}
	if has {
		if why, meets := g.MeetsProtected(p); meets {
			return GuardProtected, why, nil
		}
	}
	if why := g.networkProtected(d.Target); why != "" {
		return GuardProtected, why, nil
	}
	if a, why := g.allows(d, p, has, now); a != nil {
		return GuardAllowed, why, a
	}
	if guard, reason := g.bare(d); guard != "" {
		return guard, reason, nil
	}
	return "", "", nil
}

// width says why a target is too wide or none at all.
func width(t event.Target) (p netip.Prefix, has bool, why string) {
	if len(t) == 0 {
		return p, false, "the target is everybody"
	}
	for i, v := range t {
		if v.Text == "" {
			return p, false, "the target's " + v.Field + " is empty"
		}
		if slices.ContainsFunc(t[:i], func(w event.Value) bool { return w.Field == v.Field }) {
			return p, false, "the target names " + v.Field + " twice"
		}
	}
	p, has, fault := addresses(t)
	if fault != "" {
		return p, has, "the target " + fault
	}
	if !has {
		return p, false, ""
	}
	if limit := widest(p); p.Bits() < limit {
		return p, true, fmt.Sprintf("%s is wider than /%d", p, limit)
	}
	return p, true, ""
}

func widest(p netip.Prefix) int {
	if p.Addr().Is4() {
		return widest4
	}
	return widest6
}

// bare objects to targets that anybody may get others into.
func (g *Guards) bare(d *event.Decision) (Guard, string) {
	if d.Would != event.Block && d.Would != event.Limit && d.Would != event.Deceive {
		return "", ""
	}
	where, account := true, false
	for _, v := range d.Target {
		switch {
		case v.Field == "credential" || v.Field == "actor":
			account = true
		case !saysWhere(v.Field):
			return "", ""
		}
		where = where && saysWhere(v.Field)
	}
	if account {
		return GuardCredential, "a bare account: whoever knows its name could lock it out"
	}
	endpoint, _ := value(d.Target, "endpoint")
	if where && !slices.Contains(g.Deprecated, endpoint) {
		if endpoint == "" {
			return GuardEndpoint, "the target names nobody, only a part of the site"
		}
		return GuardEndpoint, endpoint + " is not marked deprecated"
	}
	return "", ""
}

// allows returns the allow entry that spares a decision's target, and says so.
func (g *Guards) allows(d *event.Decision, p netip.Prefix, has bool, now time.Time) (*Allow, string) {
	var doubted *Allow
	doubt := ""
	for i := range g.Allow {
		a := &g.Allow[i]
		if has && g.addresses[i].IsValid() && !g.addresses[i].Overlaps(p) || !a.concerns(d, now) {
			continue
		}
		switch why, sure := g.spares(i, d.Target, p, has); {
		case why == "":
		case sure:
			return a, why
		case doubted == nil:
			doubted, doubt = a, why
		}
	}
	return doubted, doubt
}

// concerns reports whether an allow entry is about decisions like d at all.
func (a *Allow) concerns(d *event.Decision, now time.Time) bool {
	if !a.Until.IsZero() && !now.Before(a.Until) {
		return false
	}
	// A point that cannot deceive blocks: who is not to be blocked is not to be
	// deceived either.
	if !slices.Contains(a.Actions, d.Would) && (d.Would != event.Deceive || !slices.Contains(a.Actions, event.Block)) {
		return false
	}
	return slices.ContainsFunc(a.Rules, func(pattern string) bool {
		if pattern == "*" {
			return true
		}
		ok, err := path.Match(pattern, d.Rule)
		return ok && err == nil // a bad pattern is a fault that Validate reports
	})
}

// spares says why an allow entry spares a target, or nothing. What the two both
// know must agree, and one of it must say who, unless the entry only says
// where. What an address alone does not tell is not held against it. Sure is
// false where there is no table to tell.
func (g *Guards) spares(i int, t event.Target, p netip.Prefix, has bool) (why string, sure bool) {
	a := &g.Allow[i]
	r := relate(a.Match, t)
	if r.contradicts {
		return "", false
	}
	allowed := "allowed by " + strconv.Quote(a.Owner) + ": " + a.Reason
	doubt, differs := "", false
	ask := func(addr netip.Addr, v event.Value) {
		text, ok := "", false
		if g.Know != nil {
			text, ok = g.Know(addr, v.Field)
		}
		switch {
		case !ok:
			doubt = fmt.Sprintf("%s; whether %s is of %s %s is not known", allowed, addr, v.Field, v.Text)
		case text != v.Text:
			differs = true
		default:
			r.agree, r.who = r.agree+1, true
		}
	}
	onlyWhere := true
	for _, v := range a.Match {
		onlyWhere = onlyWhere && saysWhere(v.Field)
		if has && ofAddress(v.Field) && slices.Contains(r.lacks, v.Field) {
			ask(p.Addr(), v)
		}
	}
	if g.addresses[i].IsValid() && !has {
		for _, v := range t {
			if _, both := value(a.Match, v.Field); !both && ofAddress(v.Field) {
				ask(g.addresses[i].Addr(), v)
			}
		}
	}
	switch {
	case differs:
		return "", false
	case r.agree > 0 && (r.who || onlyWhere):
		return allowed, true
	}
	return doubt, false
}

// shared reports whether a target has too many good accounts behind it to be
// blocked: 5, and a fifth of those that tried.
func shared(good, tried float64) bool { return good >= 5 && good >= 0.2*tried }

// milder returns what is done about a shared target instead.
func milder(a event.Action) event.Action {
	if a == event.Block || a == event.Deceive {
		return event.Challenge
	}
	return a
}

func sharedReason(d *event.Decision) string {
	return fmt.Sprintf("shared: %s of %s accounts that tried succeeded; challenged instead", figure(d.Good), figure(d.Tried))
}

func figure(v float64) string { return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") }
