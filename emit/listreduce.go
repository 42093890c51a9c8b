package emit

import (
	"cmp"
	"slices"
	"strings"
)

// reduce marks the candidates for which another one stands: of those for the
// same addresses, endpoint and action the one that is strictest or holds
// longest, and any that lies inside a wider one that holds as long. What stands
// for another gets its rank, so that shedding never uncovers what was decided
// as severe.
//
// Points look up the longest prefix. Were an entry that ends sooner left inside
// a wider one, its end would let an address through that is still refused. So a
// stricter limit goes too: it is never lengthened, nor the wider one made
// stricter, since nobody decided that.
func (c *compiler) reduce() {
	slices.SortFunc(c.found, func(a, b *candidate) int {
		return cmp.Or(
			cmp.Compare(a.Action, b.Action), comparePrefixes(a.Prefix, b.Prefix), strings.Compare(a.Endpoint, b.Endpoint),
			cmp.Compare(a.rate, b.rate), b.Until.Compare(a.Until),
			// From here on only which one's id is shown.
			cmp.Compare(b.Severity, a.Severity), b.at.Compare(a.at), strings.Compare(a.ID, b.ID),
		)
	})
	var around []*candidate // that contain the one looked at, the widest first
	for _, e := range c.found {
		for len(around) > 0 {
			last := around[len(around)-1]
			if last.Action == e.Action && last.Prefix.Bits() <= e.Prefix.Bits() && last.Prefix.Contains(e.Prefix.Addr()) {
				break
			}
			around = around[:len(around)-1]
		}
		if by := covering(around, e); by != nil {
			e.gone = true
			by.Severity = max(by.Severity, e.Severity)
			if e.at.After(by.at) {
				by.at = e.at
			}
			continue
		}
		around = append(around, e)
	}
}

// covering returns which of the entries around e does all that e does, for at
// least as long; nil where none does. An entry for the same addresses and
// endpoint always takes its place, since a point has only one: e is then a
// limit that is less strict. So does a wider one for the same endpoint that
// ends later than e, however strict e is.
func covering(around []*candidate, e *candidate) *candidate {
	for _, w := range around {
		if w.Endpoint != "" && w.Endpoint != e.Endpoint {
			continue
		}
		same := w.Endpoint == e.Endpoint
		if w.rate <= e.rate && !w.Until.Before(e.Until) || same && (w.Prefix == e.Prefix || w.Until.After(e.Until)) {
			return w
		}
	}
	return nil
}
