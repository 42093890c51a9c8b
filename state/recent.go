package state

import "math/bits"

const (
	// recentChunks is how many chunks are kept, some 2 KiB each. Each page that is read
	// needs a chunk of each checkpoint that changed it, of which there are maxDeltas at
	// most; most of them are those of the page before.
	recentChunks = 512
	recentBytes  = 4 * chunkBytes // how large one may be that is kept there
	// recentWhole is the same of those of tables that were written whole, of which a
	// page needs one; it is that of the page before, or of a unit or two before.
	recentWhole = 16
)

// recent keeps the chunks that were read lately, unpacked, for who reads pages in
// their order. A checkpoint writes in the order of pages too, so a chunk has entries
// of some pages that stand together: without this it would be looked for, checked and
// unpacked for each of them. A chunk never changes.
type recent struct {
	small [recentChunks]unpacked
	whole [recentWhole]unpacked
}

// unpacked is a chunk that is kept.
type unpacked struct {
	chunk   uint64 // its ordinal and one; 0: there is none
	entries []byte
}

// keptAt is where a chunk is kept among so many.
func keptAt(chunk, among uint64) int {
	at, _ := bits.Mul64(chunk*0x9e3779b97f4a7c15, among)
	return int(at)
}

// of returns the entries of a chunk; nil where they are not kept. It may be nil itself.
func (c *recent) of(s spot) []byte {
	if c == nil {
		return nil
	}
	chunk := ordinal(s.segment, s.number)
	if k := &c.small[keptAt(chunk, recentChunks)]; k.chunk == chunk+1 {
		return k.entries
	}
	if k := &c.whole[keptAt(chunk, recentWhole)]; k.chunk == chunk+1 {
		return k.entries
	}
	return nil
}

// keep keeps a copy of the entries of a chunk. It may be nil itself.
func (c *recent) keep(s spot, entries []byte) {
	if c == nil || len(entries) > wholeChunkBytes {
		return
	}
	chunk := ordinal(s.segment, s.number)
	k := &c.whole[keptAt(chunk, recentWhole)]
	if len(entries) <= recentBytes {
		k = &c.small[keptAt(chunk, recentChunks)]
	}
	k.entries, k.chunk = append(k.entries[:0], entries...), chunk+1
}
