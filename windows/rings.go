package windows

import (
	"encoding/binary"
	"math/bits"
)

// All Count and Sum series of a table that read one ring share its panes. An
// entry is a bitmap of the counters that are not zero and their values, uvarints.

var noCounters [maxColumns / 8]byte

func countsEnd(p []byte, i, width int) int {
	n := 0
	for _, c := range p[i : i+width] {
		n += bits.OnesCount8(c)
	}
	return skip(p, i+width, n)
}

// addUp sets u.inc to what the rows of a touch add to each series.
func (u *Unit) addUp(sh *shape, t *Touch) {
	for _, a := range sh.adders {
		u.inc[a.series] = 0
	}
	for i := t.head; i != noRow; i = u.next[i] {
		r := &u.rows[i]
		for _, a := range sh.adders {
			if r.Mask>>(a.bit&63)&1 == 0 {
				continue
			}
			if a.obs < 0 {
				u.inc[a.series]++
			} else if v := u.obs(r, a.obs); v != NoObs {
				u.inc[a.series] = addSaturating(u.inc[a.series], v)
			}
		}
	}
}

func (u *Unit) appendCounts(dst []byte, s *section, old []byte) []byte {
	start := len(dst)
	dst = append(dst, noCounters[:s.width]...)
	var added uint64
	i := s.width
	for c, series := range s.columns {
		v := u.inc[series]
		added |= v
		if old != nil && old[c>>3]>>(c&7)&1 != 0 {
			var o uint64
			o, i = uvarint(old, i)
			v = addSaturating(v, o)
		}
		if v != 0 {
			dst[start+c>>3] |= 1 << (c & 7)
			dst = binary.AppendUvarint(dst, v)
		}
	}
	if added == 0 {
		return dst[:start]
	}
	return dst
}
