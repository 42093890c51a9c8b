package state

import "math/bits"

const (
	// recentChunks is how many chunks are kept, some 2 KiB each. Each page that is read
	// needs a chunk of each checkpoint that changed it, of which there are maxDeltas at
	// most; most of them are those of the page before.
	recentChunks = 512
	// recentMost is how large a chunk may be that is kept.
	recentMost = wholeChunkBytes
)

// recent keeps the chunks that were read lately, unpacked, for who reads pages in
// their order. A checkpoint writes in the order of pages too, so a chunk has entries
// of some pages that stand together: without this it would be looked for, checked and
// unpacked for each of them. A chunk never changes.
type recent struct {
	kept [recentChunks]struct {
		chunk   uint64 // its ordinal and one; 0: there is none
		entries []byte
	}
}

func (c *recent) place(chunk uint64) int {
	at, _ := bits.Mul64(chunk*0x9e3779b97f4a7c15, recentChunks)
	return int(at)
}

// of returns the entries of a chunk; nil where they are not kept. It may be nil itself.
func (c *recent) of(s spot) []byte {
	if c == nil {
		return nil
	}
	chunk := ordinal(s.segment, s.number)
	if k := &c.kept[c.place(chunk)]; k.chunk == chunk+1 {
		return k.entries
	}
	return nil
}

// keep keeps the entries of a chunk, and returns a slice that is used no more, for
// the next one.
func (c *recent) keep(s spot, entries []byte) (spare []byte) {
	if c == nil || len(entries) > recentMost {
		return entries
	}
	chunk := ordinal(s.segment, s.number)
	k := &c.kept[c.place(chunk)]
	spare, k.entries, k.chunk = k.entries, entries, chunk+1
	return spare[:0]
}
