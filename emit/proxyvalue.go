package emit

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"weir/event"
)

// proxyCapacity is how many entries a proxy gets, unless the operator says
// otherwise, and maxProxyCapacity how many he may say.
const (
	proxyCapacity    = 100_000
	maxProxyCapacity = 1_000_000
)

// capacityOf returns how many entries a proxy gets.
func capacityOf(given int) (int, error) {
	switch {
	case given > maxProxyCapacity:
		return 0, fmt.Errorf("capacity: %d, must be at most %d", given, maxProxyCapacity)
	case given == 0:
		return proxyCapacity, nil
	}
	return given, nil
}

// What nginx and HAProxy compare with their clocks are Unix seconds of ten
// digits, and of ten digits only: 2001 to 2286.
const (
	minProxyEnd = 1_000_000_000
	maxProxyEnd = 9_999_999_999
)

// checkProxyEntry says what of an entry is no address, number or id. The
// compiler makes no such entry; this is what keeps a fault there out of
// somebody's configuration.
func checkProxyEntry(e *Entry) error {
	switch {
	case !e.Prefix.IsValid() || e.Prefix != e.Prefix.Masked() || e.Prefix.Addr().Is4In6():
		return fmt.Errorf("%w: entry %q: prefix %s, must be a masked prefix of IPv4 or IPv6", ErrPermanent, e.ID, e.Prefix)
	case e.Endpoint != "" && !isEndpointID(e.Endpoint):
		return fmt.Errorf("%w: entry %s: endpoint %q, must be e and 8 hexadecimal digits", ErrPermanent, e.Prefix, e.Endpoint)
	case !isDecisionID(e.ID):
		return fmt.Errorf("%w: entry %s: id %q, must be 1 to 64 hexadecimal digits", ErrPermanent, e.Prefix, e.ID)
	case e.To != "" && (e.Action != event.Limit || !isRate(e.To)):
		return fmt.Errorf("%w: entry %s: to %q, must be a rate such as 10/1m, of limit only", ErrPermanent, e.Prefix, e.To)
	case e.Until.Unix() < minProxyEnd || e.Until.Unix() > maxProxyEnd:
		return fmt.Errorf("%w: entry %s: end %d, must be Unix seconds of ten digits", ErrPermanent, e.Prefix, e.Until.Unix())
	}
	return nil
}

func isEndpointID(s string) bool { return len(s) == 9 && s[0] == 'e' && isHexText(s[1:]) }

func isDecisionID(s string) bool { return len(s) >= 1 && len(s) <= 64 && isHexText(s) }

func isHexText(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// isRate reports whether s is a rate as the compiler writes it, 10/1m.
func isRate(s string) bool {
	r, err := parseRate(s)
	return err == nil && r.String() == s
}

// proxyValue is what stands behind an address: the end, the id and, of limit,
// the rate.
func proxyValue(b []byte, e *Entry, sep byte) []byte {
	b = strconv.AppendInt(b, e.Until.Unix(), 10)
	b = append(append(b, sep), e.ID...)
	if e.To != "" {
		b = append(append(b, sep), e.To...)
	}
	return b
}

// readProxyValue reads what proxyValue wrote into e.
func readProxyValue(s string, e *Entry, sep byte) error {
	end, rest, ok := strings.Cut(s, string(sep))
	id, to, _ := strings.Cut(rest, string(sep))
	n, err := strconv.ParseInt(end, 10, 64)
	if !ok || err != nil {
		return fmt.Errorf("%.80q, must be an end and an id", s)
	}
	e.Until, e.ID, e.To = time.Unix(n, 0).UTC(), id, to
	return checkProxyEntry(e)
}

// readProxyPrefix reads a masked prefix, or an address as a whole-length one.
func readProxyPrefix(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		return a.Prefix(a.BitLen())
	}
	return netip.ParsePrefix(s)
}
