package emit

import (
	"net/netip"

	"weir/event"
)

// A target's dimensions say who (an address, an account, a fingerprint) or
// where (an endpoint, a site). What only says where is everybody's.
func saysWhere(field string) bool {
	switch event.FieldByName(field) {
	case event.FieldSite, event.FieldMethod, event.FieldPath, event.FieldQuery, event.FieldEndpoint,
		event.FieldKind, event.FieldDeprecated, event.FieldItem, event.FieldStatus, event.FieldProtocol:
		return true
	}
	return false
}

func isAddress(field string) bool { return field == "ip" || field == "net" }

// ofAddress reports whether a field follows from the address, given tables.
func ofAddress(field string) bool { return field == "asn" || field == "org" || field == "country" }

// value returns a target's value of a field.
func value(t event.Target, field string) (text string, ok bool) {
	for _, v := range t {
		if v.Field == field {
			return v.Text, true
		}
	}
	return "", false
}

// addresses returns the addresses that a target names: an IPv6 address stands
// for its /64, as everywhere in weir. fault says why they cannot be told.
func addresses(t event.Target) (p netip.Prefix, has bool, fault string) {
	for _, v := range t {
		if !isAddress(v.Field) {
			continue
		}
		q, ok := parseAddresses(v.Text)
		switch {
		case !ok:
			return netip.Prefix{}, true, "is not an address"
		case has && !p.Overlaps(q):
			return netip.Prefix{}, true, "names addresses that contradict each other"
		case !has || q.Bits() > p.Bits():
			p, has = q, true
		}
	}
	return p, has, ""
}

// parseAddresses reads an address or a prefix.
func parseAddresses(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return plain(p), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false // a zone is this machine's own business
	}
	if a = a.Unmap(); a.Is4() {
		return netip.PrefixFrom(a, 32), true
	}
	return netip.PrefixFrom(a, 64).Masked(), true
}

// relation is how a decision's target and what is asked for go together.
type relation struct {
	agree       int      // dimensions in which they agree
	who         bool     // one of those says who
	lacks       []string // dimensions of the decision that the question has not
	contradicts bool
}

// asking is a target that many are compared with.
type asking struct {
	target event.Target
	addrs  netip.Prefix
	has    bool // addresses
	fault  string
}

func ask(t event.Target) (a asking) {
	a.target = t
	a.addrs, a.has, a.fault = addresses(t)
	return a
}

// relate compares the dimensions of a decision with what is asked for.
func relate(decided, asked event.Target) relation {
	a := ask(asked)
	return a.relate(decided)
}

func (a *asking) relate(decided event.Target) (r relation) {
	for _, v := range decided {
		same, known := false, false
		switch {
		case isAddress(v.Field):
			if known = a.has; known && a.fault == "" {
				p, ok := parseAddresses(v.Text)
				same = ok && p.Overlaps(a.addrs)
			}
		case v.Field == "actor":
			var text string
			if text, known = value(a.target, "actor"); !known {
				text, known = value(a.target, "credential")
			}
			same = text == v.Text
		default:
			var text string
			text, known = value(a.target, v.Field)
			same = text == v.Text
		}
		switch {
		case !known:
			r.lacks = append(r.lacks, v.Field)
		case !same:
			r.contradicts = true
		default:
			r.agree++
			r.who = r.who || !saysWhere(v.Field)
		}
	}
	return r
}

// covers reports whether a decision may concern what is asked for.
func (r relation) covers() bool { return !r.contradicts && r.agree > 0 }

// means reports whether a decision is about what is asked for: on who is
// named, or on all that it names.
func (r relation) means() bool { return r.covers() && (r.who || len(r.lacks) == 0) }
