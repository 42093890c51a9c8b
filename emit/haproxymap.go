package emit

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir/event"
)

// haproxyMaps are the maps of a point: for each action one by address, which
// finds the longest prefix, and where endpoints are told apart one by text,
// "<endpoint>@<address>". A value is "<end>:<id>", of limits with a rate behind.
type haproxyMaps struct {
	all   []*haproxyMap
	paths pathsMap
}

type haproxyMap struct {
	file      string
	action    event.Action
	endpoints bool
}

// pathsMap is the map by which HAProxy tells endpoints apart.
type pathsMap struct {
	file    string
	body    []byte
	entries int
}

func newHAProxyMaps(file string, actions []event.Action, endpoints []Endpoint) (ms haproxyMaps, err error) {
	beside := func(suffix string) string {
		base, ok := strings.CutSuffix(file, ".map")
		if !ok {
			return file + suffix
		}
		return base + suffix + ".map"
	}
	ms.paths.file = beside("-paths")
	for _, e := range endpoints {
		expr, err := requestExpr(e, "|")
		if err != nil {
			return ms, err
		}
		ms.paths.body = fmt.Appendf(ms.paths.body, "%s %s\n", expr, e.ID)
		ms.paths.entries++
	}
	for _, a := range byStrength {
		if !slices.Contains(actions, a) {
			continue
		}
		suffix := ""
		if a != event.Block {
			suffix = "-" + a.String()
		}
		m := &haproxyMap{file: file, action: a}
		if suffix != "" {
			m.file = beside(suffix)
		}
		ms.all = append(ms.all, m)
		if len(endpoints) > 0 {
			ms.all = append(ms.all, &haproxyMap{file: beside(suffix + "-endpoint"), action: a, endpoints: true})
		}
	}
	return ms, nil
}

// render sorts the entries into the maps. Refused says which ones HAProxy's
// maps by text cannot hold; the rest is held all the same.
func (ms *haproxyMaps) render(es []Entry) (held map[*haproxyMap][]Entry, refused, err error) {
	held = map[*haproxyMap][]Entry{}
	known := bytes.Fields(ms.paths.body)
	for i := range es {
		e := &es[i]
		if err := checkProxyEntry(e); err != nil {
			return nil, nil, err
		}
		if i > 0 && compareKeys(&es[i-1], e) == 0 {
			return nil, nil, fmt.Errorf("%w: %s stands twice in the list of %s", ErrPermanent, e.Prefix, e.Action)
		}
		at := slices.IndexFunc(ms.all, func(m *haproxyMap) bool { return m.action == e.Action && m.endpoints == (e.Endpoint != "") })
		if at < 0 {
			return nil, nil, fmt.Errorf("%w: entry %s: action %s was not given to the point", ErrPermanent, e.Prefix, e.Action)
		}
		if e.Endpoint != "" {
			if !slices.ContainsFunc(known, func(w []byte) bool { return string(w) == e.Endpoint }) {
				return nil, nil, fmt.Errorf("%w: entry %s: endpoint %s is not in the point's table", ErrPermanent, e.Prefix, e.Endpoint)
			}
			if !hasTextKey(e.Prefix) {
				refused = fmt.Errorf("%w: %s with an endpoint: haproxy finds those only as an address, a /24, a /48 or a /64; the other entries are applied",
					ErrPermanent, e.Prefix)
				continue
			}
		}
		held[ms.all[at]] = append(held[ms.all[at]], *e)
	}
	return held, refused, nil
}

// unsure marks the entries for endpoints where these are not told apart as they
// should be.
func (ms *haproxyMaps) unsure(es []Entry, pathsAreRight bool) []Entry {
	for i := range es {
		if es[i].Endpoint != "" && !pathsAreRight {
			es[i].Until = notAlike
		}
	}
	return es
}

// hasTextKey reports whether HAProxy looks a prefix up as a text.
func hasTextKey(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() == 32 || p.Bits() == 24
	}
	return p.Bits() == 64 || p.Bits() == 48
}

// key is what the map finds the entry by. HAProxy makes the texts of source
// addresses by ipmask(32,64) and ipmask(24,48), which say no length.
func (m *haproxyMap) key(b []byte, e *Entry) []byte {
	if !m.endpoints {
		return e.Prefix.AppendTo(b)
	}
	b = append(append(b, e.Endpoint...), '@')
	b = e.Prefix.Addr().AppendTo(b)
	if e.Prefix.Bits() == 24 || e.Prefix.Bits() == 48 {
		b = append(b, "/net"...)
	}
	return b
}

// body returns the map as a file, without its first line.
func (m *haproxyMap) body(es []Entry) []byte {
	var b []byte
	for i := range es {
		b = append(proxyValue(append(m.key(b, &es[i]), ' '), &es[i], ':'), '\n')
	}
	return b
}

// parse reads lines of key and value.
func (m *haproxyMap) parse(body []byte) (es []Entry, err error) {
	for line := range bytes.Lines(body) {
		key, value, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
		e := Entry{Action: m.action}
		if !ok {
			return nil, fmt.Errorf("%w: %.80q is no entry", errDamaged, line)
		}
		if err := m.readKey(key, &e); err != nil {
			return nil, fmt.Errorf("%w: %.80q is no address: %w", errDamaged, key, err)
		}
		if err := readProxyValue(value, &e, ':'); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", errDamaged, key, err)
		}
		es = append(es, e)
	}
	return es, nil
}

func (m *haproxyMap) readKey(key string, e *Entry) (err error) {
	if !m.endpoints {
		e.Prefix, err = readProxyPrefix(key)
		return err
	}
	endpoint, address, _ := strings.Cut(key, "@")
	address, net := strings.CutSuffix(address, "/net")
	a, err := netip.ParseAddr(address)
	if err != nil {
		return err
	}
	bits := 32
	switch {
	case a.Is4() && net:
		bits = 24
	case a.Is6() && net:
		bits = 48
	case a.Is6():
		bits = 64
	}
	e.Endpoint = endpoint
	e.Prefix = netip.PrefixFrom(a, bits)
	return nil
}
