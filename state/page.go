package state

import "slices"

const (
	// pageBytes is what a page holds on average once a table has more than one: at
	// most some 215 keys, of whose fingerprints one in 300 is another key's too. Who
	// reads a key reads its page; larger ones are merged at fewer places, but each
	// key that is not in memory costs more.
	pageBytes = 4 << 10
	// maxDeltas is how many records may stand behind a page's base. A merge writes
	// the whole page for the sake of those keys that changed since the last one:
	// with fewer, a page of 40 keys of which one changes at each checkpoint would
	// cost more than four times what changed.
	maxDeltas = 32
	// partBytes is where an entry of many changes is parted.
	partBytes = 64 << 10
)

// page is what is known of a page without reading it. A view has it encoded (see
// leaf).
type page struct {
	tally         // of its entries, all of which are alive
	spots  []spot // of its entries, oldest first; none: there is nothing of the page
	base   int64  // bytes of its base
	live   int64  // bytes of what a base of it would hold now, about
	deltas int32  // behind the base
	keys   int32  // with a value; too few by those keys that share a fingerprint with another one
	prints []uint16
}

// there reports whether there is anything of the page.
func (p *page) there() bool { return len(p.spots) > 0 }

// last is the segment of its newest entry.
func (p *page) last() uint32 { return p.spots[len(p.spots)-1].segment }

// reset makes one without anything of it. It keeps its room, unless that is much.
func (p *page) reset() {
	const spotsKept, printsKept = 4 * maxDeltas, 4096
	spots, prints := p.spots[:0], p.prints[:0]
	if cap(spots) > spotsKept {
		spots = nil
	}
	if cap(prints) > printsKept {
		prints = nil
	}
	*p = page{spots: spots, prints: prints}
}

// copy makes it what another one is.
func (p *page) copy(o *page) {
	p.reset()
	spots, prints := append(p.spots, o.spots...), append(p.prints, o.prints...)
	*p = *o
	p.spots, p.prints = spots, prints
}

// become makes a base of a page that has the keys of these fingerprints.
func (p *page) become(prints []uint16) {
	p.prints = append(p.prints[:0], prints...)
	slices.Sort(p.prints)
	p.prints = slices.Compact(p.prints)
	p.base, p.live = p.bytes, p.bytes
}

// note adds the fingerprints of changes of so many bytes, and counts the keys
// that are new.
func (p *page) note(prints []uint16, bytes int) {
	added := 0
	for _, print := range prints {
		if at, ok := slices.BinarySearch(p.prints, print); !ok {
			p.prints = slices.Insert(p.prints, at, print)
			added++
		}
	}
	if added == 0 {
		return
	}
	p.keys += int32(added)
	p.live += int64(bytes) * int64(added) / int64(len(prints))
}
