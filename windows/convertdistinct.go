package windows

import "encoding/binary"

// maxQuantum is the largest distance from its epoch that an entry can have.
const maxQuantum = 1<<(32-6) - 1

// appendSeen appends what is kept of a Distinct section: the pairs that a
// window of the old layout reads as of tick, and the sketch where there are as
// many of them as fit.
func appendSeen(dst, p []byte, from, to *section, base, tick uint32) []byte {
	oldest := from.oldest(tick)
	var room [maxPairs]pair
	pairs, end := appendPairs(room[:0], p, max(oldest, base)-base)
	if len(pairs) == 0 {
		return dst
	}
	dst = encodePairs(dst, pairs)
	if len(pairs) < maxPairs {
		return dst // all of them: a sketch is not needed
	}
	// Later purges reckon from the epoch, so it must not be behind what the new
	// layout's first one asks for.
	epoch := min(oldest, to.oldest(tick)) / to.pane
	return appendRequantized(dst, p[end:], from.pane, to.pane, oldest/from.pane, epoch)
}

// appendRequantized appends a sketch of quanta of pane seconds as one of quanta
// of other seconds, without what it saw before the quantum oldest. Made coarser
// it is what it would be, had its quanta been coarse from the beginning. Made
// finer, what was seen in a coarse quantum is at its start: every window that
// could be read before reads the same.
func appendRequantized(dst, b []byte, pane, other, oldest, epoch uint32) []byte {
	was := uint64(binary.LittleEndian.Uint32(b))
	start := len(dst)
	dst = appendEmptySketch(dst, epoch)
	at := sketchHead
	for r := range registers {
		n := int(b[4+r])
		kept, last := byte(0), uint64(0)
		for i := range n {
			entry := binary.LittleEndian.Uint32(b[at+entryBytes*i:])
			quantum := was + uint64(entry>>6)
			if quantum < uint64(oldest) {
				break
			}
			when := quantum*uint64(pane)/uint64(other) - uint64(epoch)
			if when > maxQuantum {
				continue // no unit keeps anything that far from its epoch
			}
			if kept > 0 && when == last { // of one quantum the largest rank counts
				dst = dst[:len(dst)-entryBytes]
				kept--
			}
			dst = binary.LittleEndian.AppendUint32(dst, uint32(when)<<6|entry&rankMask)
			kept, last = kept+1, when
		}
		dst[start+4+r] = kept
		at += entryBytes * n
	}
	return dst
}
