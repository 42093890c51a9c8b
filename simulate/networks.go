package simulate

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
)

// network is somebody's addresses. All of them are made up: see ADR 14 for
// where they are.
type network struct {
	name, kind, org, country string
	asn                      uint32
	base                     uint32 // of IPv4
	size                     uint   // 2^size addresses, of IPv6 /64s
	v6                       bool
}

// networks is the address plan. Groups are what scenarios name. A million
// addresses in many networks need more room than the ranges for documentation
// have: those of homes are in blocks that have never been announced, which no
// guard holds for private, and where nobody is hurt by a list that escapes.
var networks = []network{
	{"alpha", "homes", "Alpha Broadband", "US", 4200000001, 0x16000000, 22, false}, // 22.0.0.0/10
	{"bravo", "homes", "Bravo Cable", "US", 4200000002, 0x16400000, 22, false},
	{"delta", "homes", "Delta Fibre", "US", 4200000003, 0x16800000, 22, false},
	{"echo", "homes", "Echo Telecom", "US", 4200000004, 0x16c00000, 22, false},
	{"golf", "abroad", "Golf Net", "TW", 4200000011, 0x1a000000, 22, false}, // 26.0.0.0/10
	{"hotel", "abroad", "Hotel Data", "EG", 4200000012, 0x1a400000, 22, false},
	{"india", "abroad", "India Posts and Telecom", "VN", 4200000013, 0x1a800000, 22, false},
	{"juliett", "abroad", "Juliett Telekom", "ID", 4200000014, 0x1ac00000, 22, false},
	{"kilo", "abroad", "Kilo Svyaz", "RU", 4200000015, 0x1c000000, 22, false}, // 28.0.0.0/10
	{"lima", "abroad", "Lima Telecom", "IN", 4200000016, 0x1c400000, 22, false},
	{"mike", "mobile", "Mike Mobile", "US", 4200000021, 0x1d000000, 16, false}, // 29.0.0.0/16
	{"november", "mobile", "November Wireless", "US", 4200000022, 0x1d010000, 16, false},
	{"oscar", "offices", "Oscar Business Lines", "US", 4200000031, 0x1e000000, 16, false}, // 30.0.0.0/16
	{"papa", "clouds", "Papa Cloud", "US", 64496, 0xc6120000, 13, false},                  // 198.18.0.0/19
	{"quebec", "clouds", "Quebec Compute", "US", 64497, 0xc6122000, 13, false},
	{"romeo", "clouds", "Romeo Hosting", "NL", 64498, 0xc6124000, 13, false},
	{"sierra", "vpn", "Sierra VPN", "CH", 64499, 0xc6126000, 12, false},
	{"tango", "proxies", "Tango Bulletproof", "MD", 64500, 0xc6128000, 14, false},
	{"uniform", "proxies", "Uniform Systems (defunct)", "US", 64501, 0xc612c000, 14, false},
	{"victor", "organisation", "Victor Analytics", "US", 64502, 0xc6130000, 16, false}, // 198.19.0.0/16
	{"whiskey", "crawlers", "Whiskey Search", "US", 64503, 0xcb007100, 6, false},       // 203.0.113.0/26
	{"xray", "services", "X-Ray Services", "US", 64504, 0xcb007140, 6, false},
	{"yankee", "victim", "Yankee Cable", "US", 64506, 0xcb0071c8, 0, false},          // 203.0.113.200
	{"zulu", "partners", "Zulu Partner Networks", "US", 64505, 0xc6336400, 8, false}, // 198.51.100.0/24
	{"alpha6", "homes6", "Alpha Broadband", "US", 4200000001, 1, 24, true},           // 2001:db8:100::/40
	{"bravo6", "homes6", "Bravo Cable", "US", 4200000002, 2, 24, true},
}

// Where the site itself is.
var (
	proxyAddress  = netip.MustParseAddr("192.0.2.10")
	victimAddress = netip.MustParseAddr("203.0.113.200")
)

// groups are the networks of a kind.
var groups = func() map[string][]*network {
	g := map[string][]*network{}
	for i := range networks {
		n := &networks[i]
		g[n.kind] = append(g[n.kind], n)
	}
	return g
}()

// address is the i-th address of a network: a number by which addresses are
// counted, and what it is written as.
func (n *network) address(i uint64, key uint64) netip.Addr {
	i = permute(i, n.size, key^uint64(n.base))
	if n.v6 {
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint32(a[4:], n.base<<24|uint32(i))
		return netip.AddrFrom16(a)
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], n.base+uint32(i))
	return netip.AddrFrom4(a)
}

// addressOf is the i-th address of a kind of networks, which take turns.
func addressOf(kind string, i uint64, key uint64) netip.Addr {
	g := groups[kind]
	return g[i%uint64(len(g))].address(i/uint64(len(g)), key)
}

// room is how many addresses there are in a kind of networks.
func room(kind string) (n uint64) {
	g := groups[kind]
	if len(g) == 0 {
		return 0
	}
	least := g[0].size
	for _, w := range g {
		least = min(least, w.size)
	}
	return uint64(len(g)) << least
}

// number is by what an address is counted: of IPv6 its /64.
func number(a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return uint64(binary.BigEndian.Uint32(b[:]))
	}
	b := a.As16()
	return 1<<32 | uint64(binary.BigEndian.Uint32(b[4:8]))
}

// writeNetworks writes the table of networks as enrich reads it.
func writeNetworks(w io.Writer) error {
	for i := range networks {
		n := &networks[i]
		first, last := lowHigh(n)
		if _, err := fmt.Fprintf(w, "%s,%s,%d,%s,%s\n", first, last, n.asn, n.org, n.country); err != nil {
			return err
		}
	}
	return nil
}

func lowHigh(n *network) (first, last netip.Addr) {
	if n.v6 {
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint32(a[4:], n.base<<24)
		b := a
		binary.BigEndian.PutUint32(b[4:], n.base<<24|(1<<n.size-1))
		for i := 8; i < 16; i++ {
			b[i] = 0xff
		}
		return netip.AddrFrom16(a), netip.AddrFrom16(b)
	}
	var a, b [4]byte
	binary.BigEndian.PutUint32(a[:], n.base)
	binary.BigEndian.PutUint32(b[:], n.base+(1<<n.size-1))
	return netip.AddrFrom4(a), netip.AddrFrom4(b)
}
