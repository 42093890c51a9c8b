package windows

import "math"

// Most keys are touched a few times and then never again, and most of the others
// are far from anything that somebody waits for. Who looks at touched keys can say
// how far: how many more rows may touch a key before a look is worth it. Until
// then its touches are quiet. That is kept in memory alone: a key that was read from
// a store is looked at when it is touched.

// MostQuiet is how many rows may pass at most without a look.
const MostQuiet = math.MaxUint8 - 1

// quiet is, by table, how many rows a new key may have before it has to be looked at.
type quiet []uint8

func (q quiet) fresh(table uint16) uint8 {
	if int(table) < len(q) {
		return q[table]
	}
	return 0
}

// QuietNew sets, by table, how many rows a key may have from when it is new before
// it has to be looked at, at most MostQuiet (nil: none). What was said of keys before
// is forgotten.
func (u *Unit) QuietNew(rows []uint8) {
	u.quiet = rows
	for i := range u.index.slots {
		u.index.slot(i).quiet = 0
	}
}

// SetQuiet says how many more rows may touch a key before it has to be looked at
// again, at most MostQuiet.
func (u *Unit) SetQuiet(slot uint32, rows uint8) { u.index.slot(slot).quiet = rows }
