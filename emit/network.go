package emit

import (
	"fmt"

	"weir/event"
)

// networkFields are the fields that tables know of an address.
var networkFields = [...]string{event.FieldASN.String(), event.FieldOrg.String(), event.FieldCountry.String()}

// whereabouts is what the tables know of an address, in the order of networkFields,
// and whether there is a table that knows it.
type whereabouts struct {
	texts [len(networkFields)]string
	known [len(networkFields)]bool
}

// network is the network of something protected: that of its first address.
type network struct {
	whereabouts
	is Protected
}

// networksOf asks the tables once, at the start: the first of all that are in
// one network speaks for it.
func (g *Guards) networksOf(all []Protected) (ns []network) {
	if g.Know == nil {
		return nil
	}
	seen := map[whereabouts]bool{}
	for _, p := range all {
		prefix := plain(p.Prefix)
		if !prefix.IsValid() {
			continue // Validate reports it
		}
		var at whereabouts
		some := false
		for i, field := range networkFields {
			at.texts[i], at.known[i] = g.Know(prefix.Addr(), field)
			some = some || at.texts[i] != ""
		}
		if some && !seen[at] {
			seen[at] = true
			ns = append(ns, network{at, Protected{prefix, p.Why}})
		}
	}
	return ns
}

// networkProtected says what is protected in the network that a target names
// without an address; empty where nothing is known to be. A target that names an
// account too hits nobody but that account, which nothing protected has.
func (g *Guards) networkProtected(t event.Target) (why string) {
	if g == nil {
		return ""
	}
	for _, v := range t {
		if isAddress(v.Field) || v.Field == "credential" || v.Field == "actor" {
			return ""
		}
	}
	g.once.Do(g.build)
	for i := range g.networks {
		n := &g.networks[i]
		if v, ok := n.in(t); ok {
			return fmt.Sprintf("%s %s holds %s: %s", v.Field, v.Text, shortPrefix(n.is.Prefix), n.is.Why)
		}
	}
	return ""
}

// in reports whether the network is, as far as is known, in the one that a
// target names, and by which value.
func (n *network) in(t event.Target) (by event.Value, ok bool) {
	for _, v := range t {
		for i, field := range networkFields {
			if v.Field != field || !n.known[i] {
				continue
			}
			if n.texts[i] != v.Text {
				return event.Value{}, false
			}
			if !ok {
				by, ok = v, true
			}
		}
	}
	return by, ok
}
