package enrich

import (
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
)

const (
	// maxHops is how many hops of a chain are looked at, from the right. No
	// site has more proxies of its own; what lies beyond is the client's to write.
	maxHops = 64
	// maxHop is the longest hop that is read. The longest that proxies write
	// has a name, an address and a protocol.
	maxHop = 512
)

// Chain finds the client behind a site's own proxies.
type Chain struct {
	trusted *bart.Lite // nil: nobody is
}

// NewChain returns a Chain that believes what these proxies say about who
// connected to them.
func NewChain(trusted []netip.Prefix) *Chain {
	c := &Chain{}
	for _, p := range trusted {
		if !p.IsValid() {
			continue // the configuration has been validated; a zero prefix trusts nobody
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		if c.trusted == nil {
			c.trusted = new(bart.Lite)
		}
		c.trusted.Insert(p.Masked())
	}
	return c
}

// Client returns the client's address, normalised. It is the peer, unless the
// peer is trusted: then it is the first address of forwarded, read from the
// right, that is not a trusted proxy. A hop that is no address ends the walk,
// and the last address before it stands: a proxy's, so that a client which
// hides is not taken for somebody else. forwarded is X-Forwarded-For or
// Forwarded (RFC 7239), several of them joined with commas. A hop is judged as
// it is written; the IPv4 address that an IPv6 one embeds earns it no trust.
func (c *Chain) Client(peer netip.Addr, forwarded string) netip.Addr {
	client := peer.Unmap()
	if c.trusted == nil || forwarded == "" || !client.IsValid() || !c.trusted.Contains(client) {
		return Normalise(client)
	}
	for range maxHops {
		var hop string
		var more bool
		forwarded, hop, more = lastHop(forwarded)
		if hop = strings.Trim(hop, " \t"); hop != "" { // a list may have empty members
			addr, ok := parseHop(hop)
			if !ok {
				break
			}
			client = addr
			if !c.trusted.Contains(client) {
				break
			}
		}
		if !more {
			break
		}
	}
	return Normalise(client)
}

// lastHop cuts the last hop off a chain. Commas in a quoted string separate
// nothing. It looks for quotes from the right too: a quote that a client left
// open stays on its side of the commas that the proxies wrote.
func lastHop(chain string) (rest, hop string, more bool) {
	quoted := false
	for i := len(chain) - 1; i >= 0; i-- {
		switch {
		case len(chain)-i > maxHop:
			return "", "?", false // no address is that long
		case chain[i] == '"' && !escaped(chain, i):
			quoted = !quoted
		case chain[i] == ',' && !quoted:
			return chain[:i], chain[i+1:], true
		}
	}
	return "", chain, false
}

// escaped reports whether an odd number of backslashes stands before s[i].
func escaped(s string, i int) bool {
	n := i
	for n > 0 && i-n <= maxHop && s[n-1] == '\\' {
		n--
	}
	return (i-n)%2 == 1
}

// parseHop reads one hop: an address with or without port, brackets and
// quotes, or the for= of a Forwarded element.
func parseHop(hop string) (netip.Addr, bool) {
	if strings.IndexByte(hop, '=') >= 0 {
		return forwardedFor(hop)
	}
	return parseNode(unquote(hop))
}

// forwardedFor returns the for parameter of an RFC 7239 element. The others
// must be well-formed too, or the element is not what it seems.
func forwardedFor(element string) (addr netip.Addr, ok bool) {
	for more := true; more; {
		var pair string
		pair, element, more = cutPair(element)
		pair = strings.Trim(pair, " \t")
		if pair == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		if !found || !isToken(name) || !isValue(value) {
			return netip.Addr{}, false
		}
		if !strings.EqualFold(name, "for") {
			continue
		}
		if addr.IsValid() {
			return netip.Addr{}, false // twice: which one is meant?
		}
		if addr, ok = parseNode(unquote(value)); !ok {
			return netip.Addr{}, false
		}
	}
	return addr, ok
}

// cutPair cuts the first name=value off an element, at a semicolon that is not quoted.
func cutPair(s string) (pair, rest string, more bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

func isToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isValue reports whether s is a token or a quoted string. Proxies write
// addresses without the quotes that RFC 7239 asks for; colons and brackets pass.
func isValue(s string) bool {
	if len(s) >= 2 && s[0] == '"' {
		for i := 1; i < len(s)-1; i++ {
			if s[i] == '\\' {
				i++
			} else if s[i] == '"' {
				return false
			}
		}
		return s[len(s)-1] == '"' && !escaped(s, len(s)-1)
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/;<=>?@\{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// parseNode reads an address with an optional port. What proxies write in its
// place (unknown, _hidden, -) is none.
func parseNode(s string) (netip.Addr, bool) {
	if rest, bracketed := strings.CutPrefix(s, "["); bracketed {
		host, port, closed := strings.Cut(rest, "]")
		if !closed || port != "" && (port[0] != ':' || !isPort(port[1:])) || strings.IndexByte(host, ':') < 0 {
			return netip.Addr{}, false
		}
		return parseAddr(host)
	}
	if i := strings.IndexByte(s, ':'); i >= 0 && strings.LastIndexByte(s, ':') == i { // one colon: a port
		if !isPort(s[i+1:]) {
			return netip.Addr{}, false
		}
		s = s[:i]
	}
	return parseAddr(s)
}

// isPort reports whether s is a port or, as RFC 7239 allows, a hidden one.
func isPort(s string) bool {
	if len(s) > 1 && s[0] == '_' {
		return isToken(s)
	}
	return s != "" && len(s) <= 5 && strings.Trim(s, "0123456789") == ""
}

// parseAddr reads an address, of which it drops the zone. It looks at the
// characters first, because an error of netip allocates and clients may cause
// as many as they like.
func parseAddr(s string) (netip.Addr, bool) {
	s, _, _ = strings.Cut(s, "%")
	if len(s) < 2 || len(s) > 45 {
		return netip.Addr{}, false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && c != '.' && c != ':' && (c|0x20 < 'a' || c|0x20 > 'f') {
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.IsUnspecified() {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}

// nat64 is how 64:ff9b::/96 begins.
const nat64 = "\x00\x64\xff\x9b\x00\x00\x00\x00\x00\x00\x00\x00"

// Normalise returns an address as events carry it: without zone; an
// IPv4-mapped one and the IPv4 address behind NAT64 (64:ff9b::/96) or 6to4
// (2002::/16) as IPv4; any other IPv6 address as its /64, of which one
// customer has all. A private address inside an IPv6 one is not believed:
// otherwise anybody could borrow the protection that private addresses enjoy.
func Normalise(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.IsValid() || a.Is4() {
		return a
	}
	b := a.As16()
	if v4 := embedded(b); v4.IsValid() {
		return v4
	}
	clear(b[8:])
	return netip.AddrFrom16(b)
}

// embedded returns the public IPv4 address that an IPv6 address stands for, if
// it does.
func embedded(b [16]byte) (v4 netip.Addr) {
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		v4 = netip.AddrFrom4([4]byte(b[2:6]))
	case string(b[:12]) == nat64:
		v4 = netip.AddrFrom4([4]byte(b[12:]))
	default:
		return v4
	}
	if !v4.IsGlobalUnicast() || v4.IsPrivate() {
		return netip.Addr{}
	}
	return v4
}
