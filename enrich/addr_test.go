package enrich

import (
	"net/netip"
	"strings"
	"testing"
)

// chains are address chains as proxies and attackers write them. The proxies
// of the site are 192.0.2.0/24 and 2001:db8:aa::/48.
var chains = []struct {
	name, peer, forwarded, want string
}{
	{"no header", "192.0.2.1", "", "192.0.2.1"},
	{"header that nginx did not find", "192.0.2.1", "-", "192.0.2.1"},
	{"peer that is no proxy", "203.0.113.7", "198.51.100.9", "203.0.113.7"},
	{"one hop", "192.0.2.1", "203.0.113.7", "203.0.113.7"},
	{"forged hop on the left", "192.0.2.1", "198.51.100.9, 203.0.113.7", "203.0.113.7"},
	{"own proxies are skipped", "192.0.2.1", "203.0.113.7, 192.0.2.3,192.0.2.2", "203.0.113.7"},
	{"forged own proxy on the left", "192.0.2.1", "192.0.2.9, 203.0.113.7, 192.0.2.2", "203.0.113.7"},
	{"only own proxies", "192.0.2.1", "192.0.2.3, 192.0.2.2", "192.0.2.3"},
	{"empty members", "192.0.2.1", ",, 203.0.113.7 ,\t,", "203.0.113.7"},
	{"port", "192.0.2.1", "203.0.113.7:4711", "203.0.113.7"},
	{"port too long", "192.0.2.1", "203.0.113.7:471100", "192.0.2.1"},
	{"port without digits", "192.0.2.1", "203.0.113.7:", "192.0.2.1"},
	{"ipv6", "192.0.2.1", "2001:db8:1:2:3::4", "2001:db8:1:2::"},
	{"ipv6 in brackets", "192.0.2.1", "[2001:db8:1:2:3::4]", "2001:db8:1:2::"},
	{"ipv6 in brackets with port", "192.0.2.1", "[2001:db8:1:2:3::4]:443", "2001:db8:1:2::"},
	{"ipv6 bracket open", "192.0.2.1", "[2001:db8:1:2:3::4", "192.0.2.1"},
	{"ipv6 bracket with rubbish", "192.0.2.1", "[2001:db8:1:2:3::4]x", "192.0.2.1"},
	{"ipv4 in brackets", "192.0.2.1", "[203.0.113.7]", "192.0.2.1"},
	{"ipv6 zone", "192.0.2.1", "fe80::1%eth0", "fe80::"},
	{"ipv6 peer", "2001:db8:aa::1%eth0", "203.0.113.7", "203.0.113.7"},
	{"ipv4-mapped peer", "::ffff:192.0.2.1", "203.0.113.7", "203.0.113.7"},
	{"ipv4-mapped hop", "192.0.2.1", "203.0.113.7, ::ffff:192.0.2.2", "203.0.113.7"},
	{"nat64 hop", "192.0.2.1", "64:ff9b::203.0.113.7", "203.0.113.7"},
	{"6to4 hop", "192.0.2.1", "2002:cb00:7107:1::1", "203.0.113.7"},
	{"6to4 of a private address", "192.0.2.1", "2002:a00:1::1", "2002:a00:1::"},
	{"nat64 of an own proxy earns no trust", "192.0.2.1", "198.51.100.9, 64:ff9b::192.0.2.2", "192.0.2.2"},
	{"malformed on the right", "192.0.2.1", "203.0.113.7, bogus", "192.0.2.1"},
	{"malformed behind an own proxy", "192.0.2.1", "203.0.113.7, bogus, 192.0.2.2", "192.0.2.2"},
	{"unknown", "192.0.2.1", "203.0.113.7, unknown", "192.0.2.1"},
	{"hidden", "192.0.2.1", "203.0.113.7, _hidden", "192.0.2.1"},
	{"leading zeros", "192.0.2.1", "203.0.113.007", "192.0.2.1"},
	{"unspecified", "192.0.2.1", "0.0.0.0", "192.0.2.1"},
	{"quoted", "192.0.2.1", `"203.0.113.7"`, "203.0.113.7"},
	{"forwarded", "192.0.2.1", "for=203.0.113.7", "203.0.113.7"},
	{"forwarded with all of it", "192.0.2.1", `by=192.0.2.1;FOR="203.0.113.7:80" ; proto=https;host=shop.example`, "203.0.113.7"},
	{"forwarded ipv6", "192.0.2.1", `For="[2001:db8:1:2::3]:4711"`, "2001:db8:1:2::"},
	{"forwarded ipv6 with hidden port", "192.0.2.1", `for="[2001:db8:1:2::3]:_x"`, "2001:db8:1:2::"},
	{"forwarded ipv6 without quotes", "192.0.2.1", `for=[2001:db8:1:2::3]`, "2001:db8:1:2::"},
	{"forwarded chain", "192.0.2.1", "for=198.51.100.9, for=203.0.113.7;proto=http, for=192.0.2.2", "203.0.113.7"},
	{"forwarded unknown", "192.0.2.1", "for=203.0.113.7, for=unknown", "192.0.2.1"},
	{"forwarded hidden", "192.0.2.1", `for=203.0.113.7, for="_gazonk"`, "192.0.2.1"},
	{"forwarded without for", "192.0.2.1", "for=203.0.113.7, proto=https", "192.0.2.1"},
	{"forwarded twice in one", "192.0.2.1", "for=198.51.100.9;for=203.0.113.7", "192.0.2.1"},
	{"forwarded in a mixed chain", "192.0.2.1", "for=198.51.100.9, 203.0.113.7", "203.0.113.7"},
	{"quote left open by the client", "192.0.2.1", `for="198.51.100.9, for=203.0.113.7`, "203.0.113.7"},
	{"comma in a host", "192.0.2.1", `for=203.0.113.7;host="x,for=198.51.100.9"`, "203.0.113.7"},
	{"quote in a host", "192.0.2.1", `for=203.0.113.7;host="x\",for=198.51.100.9;y=\""`, "203.0.113.7"},
	{"quote in a host not escaped", "192.0.2.1", `for=203.0.113.7;host="x",for=198.51.100.9;y=""`, "198.51.100.9"}, // a proxy that lets this through forges itself
	{"hop longer than any", "192.0.2.1", "203.0.113.7, " + strings.Repeat("9", 1000), "192.0.2.1"},
	{"forwarded longer than any", "192.0.2.1", "for=203.0.113.7;host=" + strings.Repeat("x", maxHop), "192.0.2.1"},
	{"forwarded with a bad name", "192.0.2.1", "for=203.0.113.7;ho st=x", "192.0.2.1"},
	{"forwarded with a bad value", "192.0.2.1", "for=203.0.113.7;host=a b", "192.0.2.1"},
	{"forwarded with a value half quoted", "192.0.2.1", `for=203.0.113.7;host="a"b"`, "192.0.2.1"},
	{"many own hops", "192.0.2.1", "203.0.113.7" + strings.Repeat(", 192.0.2.5", 1000), "192.0.2.5"},
	{"as many own hops as are looked at", "192.0.2.1", "203.0.113.7" + strings.Repeat(", 192.0.2.5", maxHops-1), "203.0.113.7"},
	{"no peer", "", "203.0.113.7", ""},
}

func ownProxies() *Chain {
	return NewChain([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:aa::/48"), {}})
}

func TestClientIsFirstUntrustedFromTheRight(t *testing.T) {
	c := ownProxies()
	for _, tt := range chains {
		var peer netip.Addr
		if tt.peer != "" {
			peer = netip.MustParseAddr(tt.peer)
		}
		got := ""
		if a := c.Client(peer, tt.forwarded); a.IsValid() {
			got = a.String()
		}
		if got != tt.want {
			t.Errorf("%s: peer %s, forwarded %.100q: %s, want %s", tt.name, tt.peer, tt.forwarded, got, tt.want)
		}
		if !peer.IsValid() {
			continue
		}
		if got := NewChain(nil).Client(peer, tt.forwarded); got != Normalise(peer.WithZone("")) {
			t.Errorf("%s: %s is believed though nobody is trusted", tt.name, got)
		}
	}
}

func TestTrustedPrefixMayBeIPv4Mapped(t *testing.T) {
	c := NewChain([]netip.Prefix{netip.MustParsePrefix("::ffff:192.0.2.0/120")})
	if got := c.Client(netip.MustParseAddr("192.0.2.1"), "203.0.113.7"); got.String() != "203.0.113.7" {
		t.Error(got)
	}
}

func TestClientDoesNotAllocate(t *testing.T) {
	c := ownProxies()
	for _, tt := range chains {
		if tt.peer == "" || strings.Contains(tt.peer, "%") || tt.name == "leading zeros" {
			continue // a zone is interned, and an error of netip that looks like an address allocates
		}
		peer := netip.MustParseAddr(tt.peer)
		if n := testing.AllocsPerRun(10, func() { c.Client(peer, tt.forwarded) }); n > 0 {
			t.Errorf("%s: %v allocations", tt.name, n)
		}
	}
}

func TestNormalise(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.7":               "203.0.113.7",
		"::ffff:203.0.113.7":        "203.0.113.7",
		"2001:db8:1:2:3:4:5:6":      "2001:db8:1:2::",
		"fe80::1%eth0":              "fe80::",
		"64:ff9b::cb00:7107":        "203.0.113.7",
		"64:ff9b:1::cb00:7107":      "64:ff9b:1::",
		"64:ff9b::127.0.0.1":        "64:ff9b::",
		"2002:cb00:7107::":          "203.0.113.7",
		"2002:c0a8:101::1":          "2002:c0a8:101::",
		"2002:a9fe:a9fe::":          "2002:a9fe:a9fe::",
		"2002:e000:1::":             "2002:e000:1::",
		"2003:cb00:7107:1::1":       "2003:cb00:7107:1::",
		"::1":                       "::",
		"::ffff:0:0:203.0.113.7":    "0:0:0:ffff::",
		"ffff:ffff:ffff:ffff::ffff": "ffff:ffff:ffff:ffff::",
	} {
		got := Normalise(netip.MustParseAddr(in))
		if got.String() != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
		if Normalise(got) != got {
			t.Errorf("%s: normalising %s again gives %s", in, got, Normalise(got))
		}
	}
	if Normalise(netip.Addr{}).IsValid() {
		t.Error("no address became one")
	}
}

func FuzzForwarded(f *testing.F) {
	for _, tt := range chains {
		f.Add(tt.forwarded)
	}
	c := ownProxies()
	peer := netip.MustParseAddr("192.0.2.1")
	victim := netip.MustParseAddr("203.0.113.7")
	f.Fuzz(func(t *testing.T, forged string) {
		got := c.Client(peer, forged)
		if !got.IsValid() || got != Normalise(got) {
			t.Fatalf("%q: %v", forged, got)
		}
		// What stands left of what the site's own proxies wrote decides nothing.
		for _, written := range []string{
			",203.0.113.7", ", 203.0.113.7:80, 192.0.2.2", ", for=203.0.113.7", `, for="203.0.113.7:80";proto=https;host="a,b", for="192.0.2.2"`,
		} {
			if got := c.Client(peer, forged+written); got != victim {
				t.Fatalf("%q forges %v", forged+written, got)
			}
		}
		if got := c.Client(victim, forged); got != victim {
			t.Fatalf("%q of a stranger is believed: %v", forged, got)
		}
	})
}

func BenchmarkClient(b *testing.B) {
	c := ownProxies()
	peer := netip.MustParseAddr("192.0.2.1")
	for name, chain := range map[string]string{"short": "203.0.113.7", "three": "198.51.100.9, 203.0.113.7, 192.0.2.2", "forwarded": "for=203.0.113.7;proto=https"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Client(peer, chain)
			}
		})
	}
}
