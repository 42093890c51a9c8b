package main

import (
	"cmp"
	"net/netip"
	"slices"

	"weir/event"
)

// The limits on what is counted of the clients of a log.
const (
	maxAddresses = 100_000
	maxClaims    = 1_000
	shownTop     = 5
)

// addressTally counts where the requests of a log come from.
type addressTally struct {
	n          map[netip.Addr]int64
	cut        bool
	none       int64 // events without an address
	six        int64
	private    int64
	loopback   int64
	shared     int64
	forwarded  int64 // events whose line has an address chain
	crawlers   map[string]int64
	claims     map[string]int64
	claimsCut  bool
	monitors   int64
	crawlerAll int64
	claimAll   int64
}

func newAddressTally() addressTally {
	return addressTally{n: map[netip.Addr]int64{}, crawlers: map[string]int64{}, claims: map[string]int64{}}
}

// carrier is what carriers number the customers with that share an address.
var carrier = netip.MustParsePrefix("100.64.0.0/10")

func (t *addressTally) add(ev *event.Event) {
	switch {
	case ev.Crawler != "":
		t.crawlerAll++
		t.crawlers[ev.Crawler]++ // the names are those of the operator's tables
	case ev.AgentKind == "crawler-claim":
		t.claimAll++
		if _, known := t.claims[ev.AgentFamily]; known || len(t.claims) < maxClaims {
			t.claims[ev.AgentFamily]++
		} else {
			t.claimsCut = true
		}
	case ev.AgentKind == "monitor":
		t.monitors++
	}
	ip := ev.IP
	if !ip.IsValid() {
		t.none++
		return
	}
	switch {
	case ip.IsLoopback():
		t.loopback++
	case ip.IsPrivate() || ip.IsLinkLocalUnicast():
		t.private++
	case carrier.Contains(ip):
		t.shared++
	}
	if ip.Is6() {
		t.six++
	}
	if _, known := t.n[ip]; known || len(t.n) < maxAddresses {
		t.n[ip]++
	} else {
		t.cut = true
	}
}

// addressFacts is where the requests of a log come from; shares are of the events.
type addressFacts struct {
	Different int          `json:"different"`
	More      bool         `json:"and_more,omitempty"`
	None      float64      `json:"without"`
	IPv6      float64      `json:"ipv6"`
	Private   float64      `json:"private"`
	Loopback  float64      `json:"loopback"`
	Shared    float64      `json:"carrier_nat_range"` // 100.64.0.0/10
	Forwarded float64      `json:"with_forwarded_chain"`
	Top       []namedShare `json:"top"`
	Proxies   []string     `json:"look_like_proxies,omitempty"`
	Trusted   bool         `json:"trusted_proxies_set"`
	Verified  []namedShare `json:"verified_crawlers"`
	Claimed   []namedShare `json:"claimed_crawlers"`
	Claims    float64      `json:"claimed_crawlers_share"`
	Crawlers  float64      `json:"verified_crawlers_share"`
	Table     bool         `json:"crawler_ranges_set"`
	Monitors  float64      `json:"claimed_monitors_share"`
}

type namedShare struct {
	Name  string  `json:"name"`
	Share float64 `json:"share"`
}

// What looks like a proxy in front: so many events, and this share of them
// from at most shownTop addresses. Private addresses in front of a site that
// is open to the world are always one.
const (
	proxyEvents  = 200
	proxyShare   = 0.9
	privateShare = 0.5
)

func (t *addressTally) result(events int64, trusted, table bool) addressFacts {
	share := func(n int64) float64 {
		if events == 0 {
			return 0
		}
		return float64(n) / float64(events)
	}
	f := addressFacts{
		Different: len(t.n), More: t.cut, None: share(t.none), IPv6: share(t.six), Private: share(t.private),
		Loopback: share(t.loopback), Shared: share(t.shared), Forwarded: share(t.forwarded), Trusted: trusted, Table: table,
		Claims: share(t.claimAll), Crawlers: share(t.crawlerAll), Monitors: share(t.monitors),
		Verified: largest(t.crawlers, share), Claimed: largest(t.claims, share),
	}
	type counted struct {
		ip netip.Addr
		n  int64
	}
	all := make([]counted, 0, len(t.n))
	for ip, n := range t.n {
		all = append(all, counted{ip, n})
	}
	slices.SortFunc(all, func(a, b counted) int { return cmp.Or(cmp.Compare(b.n, a.n), a.ip.Compare(b.ip)) })
	top := int64(0)
	for _, c := range all[:min(len(all), shownTop)] {
		f.Top = append(f.Top, namedShare{addressText(c.ip), share(c.n)})
		top += c.n
	}
	inside := share(t.private + t.loopback)
	if events >= proxyEvents && (share(top) >= proxyShare || inside >= privateShare) {
		left := inside
		for _, c := range all[:min(len(all), shownTop)] {
			local := c.ip.IsPrivate() || c.ip.IsLoopback()
			if local || left < privateShare && share(c.n) >= 0.1 {
				f.Proxies = append(f.Proxies, addressText(c.ip))
			}
		}
	}
	return f
}

// prefixes returns what looks like proxies as a configuration takes it.
func (f *addressFacts) prefixes() (list []string) {
	for _, p := range f.Proxies {
		if ip, err := netip.ParseAddr(p); err == nil {
			p = netip.PrefixFrom(ip, ip.BitLen()).String()
		}
		list = append(list, p) // an IPv6 one is a /64 already
	}
	return list
}

// addressText writes an address as events carry it.
func addressText(ip netip.Addr) string {
	ev := event.Event{IP: ip}
	return string(ev.AppendText(nil, event.FieldIP))
}

// largest returns the largest of some counts, as shares.
func largest(n map[string]int64, share func(int64) float64) (top []namedShare) {
	for name, k := range n {
		top = append(top, namedShare{name, share(k)})
	}
	slices.SortFunc(top, func(a, b namedShare) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Name, b.Name))
	})
	return top[:min(len(top), shownTop)]
}
