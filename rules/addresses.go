package rules

import (
	"slices"

	"weir/event"
)

// AddressCosts says what is kept for addresses: all keys that name one, taken
// together. Of IPv6 an address is its /64.
type AddressCosts struct {
	Addresses int
	P50, P99  int64 // bytes that the median address has, and that of a hundred only one exceeds
	Keys      int   // that name an address
	Bytes     int64 // of these
	Rest      int64 // bytes of keys that name none
}

// Addresses adds up what is kept for each address. All units must be at rest.
// It takes some 50 bytes of memory for each.
func (st *State) Addresses() AddressCosts {
	var c AddressCosts
	by := map[uint64]int64{}
	for t := range st.plan.tables {
		at := slices.Index(st.plan.tables[t].fields, event.FieldIP)
		for _, u := range st.units {
			u.win.Scan(t, nil, func(slot uint32, _ uint64) bool {
				bytes := u.win.BytesOf(slot)
				if at < 0 {
					c.Rest += bytes
					return false
				}
				u.values = u.win.AppendValues(slot, u.values[:0])
				by[st.plan.hashValue(u.values[at])] += bytes
				c.Keys++
				c.Bytes += bytes
				return false
			})
		}
	}
	c.Addresses = len(by)
	sizes := make([]int64, 0, len(by))
	for _, n := range by {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	if n := len(sizes); n > 0 {
		c.P50, c.P99 = sizes[(n-1)/2], sizes[(n-1)*99/100]
	}
	return c
}
