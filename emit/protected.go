package emit

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/gaissmai/bart"
)

// Protected is a range that no list ever meets.
type Protected struct {
	Prefix netip.Prefix
	Why    string // "a trusted proxy of source edge"
}

// reserved are the ranges that are nobody's on the Internet. Those for
// documentation and benchmarks are not among them: tests and demos live there.
var reserved = []struct{ prefix, why string }{
	{"0.0.0.0/8", "an unspecified address"},
	{"10.0.0.0/8", "a private address"},
	{"100.64.0.0/10", "a shared address of a carrier"},
	{"127.0.0.0/8", "a loopback address"},
	{"169.254.0.0/16", "a link-local address"},
	{"172.16.0.0/12", "a private address"},
	{"192.0.0.0/24", "a reserved address"},
	{"192.168.0.0/16", "a private address"},
	{"224.0.0.0/4", "a multicast address"},
	{"240.0.0.0/4", "a reserved address"},

	{"::/16", "a reserved address"},
	{"::/128", "an unspecified address"},
	{"::1/128", "a loopback address"},
	{"64:ff9b:1::/48", "a local address of a translator"},
	{"fc00::/7", "a private address"},
	{"fe80::/10", "a link-local address"},
	{"ff00::/8", "a multicast address"},
	{"100::/8", "a reserved address"},
	{"200::/7", "a reserved address"},
	{"400::/6", "a reserved address"},
	{"800::/5", "a reserved address"},
	{"1000::/4", "a reserved address"},
	{"4000::/2", "a reserved address"},
	{"8000::/2", "a reserved address"},
	{"c000::/3", "a reserved address"},
	{"e000::/4", "a reserved address"},
	{"f000::/5", "a reserved address"},
	{"f800::/6", "a reserved address"},
	{"fe00::/9", "a reserved address"},
	{"fec0::/10", "a reserved address"},
}

// ranges is a table of prefixes and why each is in it.
type ranges struct{ table bart.Table[string] }

// add puts a prefix into the table; of IPv4 also what NAT64 and 6to4 make of it.
func (r *ranges) add(p netip.Prefix, why string) {
	if p = plain(p); !p.IsValid() {
		return
	}
	insert := func(p netip.Prefix) {
		if _, ok := r.table.Get(p); !ok {
			r.table.Insert(p, why)
		}
	}
	insert(p)
	if p.Addr().Is4() {
		v4 := p.Addr().As4()
		nat64 := [16]byte{1: 0x64, 2: 0xff, 3: 0x9b}
		copy(nat64[12:], v4[:])
		insert(netip.PrefixFrom(netip.AddrFrom16(nat64), 96+p.Bits()))
		sixToFour := [16]byte{0x20, 0x02}
		copy(sixToFour[2:], v4[:])
		insert(netip.PrefixFrom(netip.AddrFrom16(sixToFour), 16+p.Bits()))
	}
}

// meets returns a range that overlaps p and why it is in the table.
func (r *ranges) meets(p netip.Prefix) (found netip.Prefix, why string, ok bool) {
	if !r.table.OverlapsPrefix(p) {
		return found, "", false
	}
	for found, why = range r.table.Supernets(p) {
		return found, why, true
	}
	for found, why = range r.table.Subnets(p) {
		return found, why, true
	}
	return found, "", false
}

// plain returns a prefix masked, and one of IPv4 in IPv6 as the IPv4 that it is;
// not valid where p is not.
func plain(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// MeetsProtected reports whether a prefix and the protected set have an
// address in common, and why that one is protected. Nil guards protect nothing.
func (g *Guards) MeetsProtected(p netip.Prefix) (why string, meets bool) {
	if g == nil {
		return "", false
	}
	g.once.Do(g.build)
	if p = plain(p); !p.IsValid() {
		return "not a prefix", true
	}
	found, why, ok := g.protected.meets(p)
	switch {
	case !ok:
		return "", false
	case found.Bits() <= p.Bits():
		return fmt.Sprintf("%s is %s", shortPrefix(p), why), true
	}
	return fmt.Sprintf("%s holds %s: %s", shortPrefix(p), shortPrefix(found), why), true
}

// shortPrefix writes a single address without its length.
func shortPrefix(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// OwnAddresses returns the addresses of this machine, to be protected.
func OwnAddresses() ([]Protected, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("own addresses: %w", err)
	}
	var own []Protected
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok {
			continue // InterfaceAddrs returns no other type
		}
		if addr, ok := netip.AddrFromSlice(ip.IP); ok {
			addr = addr.Unmap()
			own = append(own, Protected{Prefix: netip.PrefixFrom(addr, addr.BitLen()), Why: "an address of this machine"})
		}
	}
	return own, nil
}
