package state

// blob is where a blob is and how large.
type blob struct {
	spots []spot // of its pieces
	tally tally
	size  uint64
}

// blob writes a blob under a name; an empty one takes the name away.
func (w *writer) blob(name string, content []byte) error {
	if old, ok := w.blobs[name]; ok {
		w.shared.minus(old.tally)
		w.segments.gone(old.spots)
		delete(w.blobs, name)
	}
	if len(content) == 0 {
		return nil
	}
	b := blob{size: uint64(len(content))}
	for len(content) > 0 {
		n := min(len(content), partBytes)
		w.entry = appendBlobEntry(w.entry[:0], content[:n])
		content = content[n:]
		// A piece is found by its chunk alone.
		if err := w.endChunk(); err != nil {
			return err
		}
		s, err := w.append(w.entry, chunkBytes)
		if err != nil {
			return err
		}
		if err := w.endChunk(); err != nil {
			return err
		}
		b.tally.add(s, w.entry)
		b.spots = append(b.spots, s)
	}
	w.shared.plus(b.tally)
	w.blobs[name] = b
	return nil
}
