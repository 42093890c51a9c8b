package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"weir/emit"
	"weir/enrich"
	"weir/event"
)

// newGuards puts together whom no list may ever meet, and what the site file
// makes exceptions for. Here says that the addresses of this machine and of the
// hosts that it talks to count: a replay's results are not to depend on them.
func (g *engine) newGuards(here bool) (*emit.Guards, error) {
	ps, err := g.protected(here)
	if err != nil {
		return nil, usagef("%w", err)
	}
	var allow []emit.Allow
	var deprecated []string
	if g.site != nil {
		for _, a := range g.site.Allow {
			allow = append(allow, emit.Allow{
				Match: a.Match, Actions: a.Actions, Rules: a.Rules, Owner: a.Owner, Reason: a.Reason, Until: a.Until,
			})
		}
		for i := range g.site.Endpoints {
			if e := &g.site.Endpoints[i]; e.Deprecated {
				deprecated = append(deprecated, e.Pattern)
			}
		}
	}
	guards := &emit.Guards{Protected: ps, Allow: allow, Deprecated: deprecated, Know: g.know()}
	if err := guards.Validate(); err != nil {
		return nil, usagef("%w", err)
	}
	return guards, nil
}

// know returns what tells the network of an address; nil where no table was given.
func (g *engine) know() func(addr netip.Addr, field string) (text string, ok bool) {
	if g.cfg.Enrich.ASN == "" {
		return nil
	}
	return func(addr netip.Addr, field string) (text string, ok bool) {
		asn, org, country := g.tables.Network(addr)
		switch field {
		case event.FieldASN.String():
			if asn != 0 {
				text = strconv.Itoa(int(asn))
			}
		case event.FieldOrg.String():
			text = org
		case event.FieldCountry.String():
			text = country
		}
		return text, true
	}
}

// protected returns the operator's own infrastructure and the verified crawlers.
func (g *engine) protected(here bool) (ps []emit.Protected, err error) {
	add := func(p netip.Prefix, format string, args ...any) {
		ps = append(ps, emit.Protected{Prefix: p.Masked(), Why: fmt.Sprintf(format, args...)})
	}
	addr := func(a netip.Addr, format string, args ...any) {
		a = a.Unmap().WithZone("")
		add(netip.PrefixFrom(a, a.BitLen()), format, args...)
	}
	for _, text := range g.cfg.Protect {
		p, e := prefixOf(text)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("protect: %w", e))
			continue
		}
		add(p, "protect: %s in the configuration", text)
	}
	hosts := map[string]string{}
	for i := range g.cfg.Sources {
		s := &g.cfg.Sources[i]
		trusted, e := s.proxies()
		err = errors.Join(err, e)
		for _, p := range trusted {
			add(p, "a trusted proxy of source %s", s.Name)
		}
		if s.Kafka != nil {
			for _, b := range s.Kafka.Brokers {
				hosts[b] = "a broker of source " + s.Name
			}
		}
	}
	for i := range g.cfg.Points {
		p := &g.cfg.Points[i]
		if p.Kafka != nil {
			for _, b := range p.Kafka.Brokers {
				hosts[b] = "a broker of point " + p.Name
			}
		}
		if p.HAProxy != nil {
			for _, socket := range p.HAProxy.Socket {
				hosts[socket] = "the proxy of point " + p.Name // a path has no address
			}
		}
		if p.Nginx != nil && p.Nginx.Probe != "" {
			if u, err := url.Parse(p.Nginx.Probe); err == nil {
				hosts[net.JoinHostPort(u.Hostname(), "0")] = "the proxy of point " + p.Name
			}
		}
	}
	if g.cfg.API.Listen != "" {
		hosts[g.cfg.API.Listen] = "the API's listener"
	}
	if !here {
		clear(hosts)
	}
	for host, why := range hosts {
		for _, a := range addressesOf(host) {
			addr(a, "%s", why)
		}
	}
	var own []net.Addr
	if here {
		var e error
		if own, e = net.InterfaceAddrs(); e != nil {
			return nil, errors.Join(err, fmt.Errorf("addresses of this machine: %w", e))
		}
	}
	for _, o := range own {
		if n, ok := o.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(n.IP); ok {
				addr(a, "an address of this machine")
			}
		}
	}
	for p, name := range g.tables.CrawlerNets() {
		add(p, "the verified crawler %s", name)
	}
	return ps, err
}

// lookupTime bounds how long a name may take to resolve: one that does not is
// passed over, since brokers are hardly ever visitors.
const lookupTime = 2 * time.Second

// addressesOf returns the addresses of a host:port.
func addressesOf(hostPort string) []netip.Addr {
	host, _, err := net.SplitHostPort(hostPort)
	if err != nil || host == "" {
		return nil
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	return found
}

// openPoints makes the points. Endpoints that mean something to weir come
// first: a point may not have room to tell all of them apart.
func (g *engine) openPoints(log *slog.Logger) ([]emit.Point, error) {
	points, err := emit.OpenPoints(g.cfg.Points, sitePatterns(g.site), g.cfg.path, log)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return points, nil
}

// sitePatterns returns the endpoints of a site file, those that matter most
// first; none of no site.
func sitePatterns(site *enrich.Site) (patterns []string) {
	if site == nil {
		return nil
	}
	es := slices.Clone(site.Endpoints)
	slices.SortStableFunc(es, func(a, b enrich.Endpoint) int { return weight(&b) - weight(&a) })
	for i := range es {
		patterns = append(patterns, es[i].Pattern)
	}
	return patterns
}

// weight says how much an endpoint of the site file matters to lists.
func weight(e *enrich.Endpoint) int {
	switch {
	case e.Failure != "" || e.Success != "":
		return 2
	case e.Kind.String() != "":
		return 1
	}
	return 0
}
