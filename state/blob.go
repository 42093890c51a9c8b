package state

// blobRecords cuts a blob into records; size is their bytes.
func blobRecords(b []byte) (parts [][]byte, size int) {
	for len(b) > 0 {
		n := min(len(b), partBytes)
		record, _ := BeginRecord(make([]byte, 0, recordHead+n))
		record = append(record, b[:n]...)
		EndRecord(record, 0, recordVersion)
		parts, b = append(parts, record), b[n:]
		size += len(record)
	}
	return parts, size
}

// blob writes the records of a blob and gives it a name; one without records
// takes the name away.
func (w *writer) blob(name string, parts [][]byte, size int) error {
	if old, ok := w.blobs[name]; ok {
		w.shared.minus(old.tally)
		delete(w.blobs, name)
		w.supersedeBlob(old)
	}
	if len(parts) == 0 {
		return nil
	}
	b := blob{generation: w.generation, number: w.numbers, size: uint64(size - recordHead*len(parts))}
	w.numbers++
	for i, record := range parts {
		key := blobKey(make([]byte, 0, blobKeyLen), b.generation, b.number, uint32(i))
		b.tally.add(key, record)
		if err := w.set(key, record); err != nil {
			return err
		}
	}
	w.shared.plus(b.tally)
	w.blobs[name] = b
	return nil
}

// supersedeBlob notes a blob's records as deleted behind the flip; its pieces
// are numbered from 0.
func (w *writer) supersedeBlob(b blob) {
	for i := range b.tally.records {
		w.superseded = append(w.superseded, string(blobKey(nil, b.generation, b.number, uint32(i))))
	}
}
