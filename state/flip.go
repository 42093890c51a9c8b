package state

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
)

// flipBlob is the blob that holds a Flip. The caller's names are prefixed, so
// none is equal to it.
const flipBlob = "flip"

// callerBlob is what a caller's blob is called in the table of blobs.
func callerBlob(name string) string { return "." + name }

// root is what is in force: the one record that decides which others count.
type root struct {
	id                   string
	format, units        int
	keyID                string
	generation, previous uint64
	tick                 int64
	segments             []uint32 // those whose entries count, ascending
	blobs                map[string]blob
	of                   []unitRoot // by unit
}

// unitRoot is what is in force of a unit.
type unitRoot struct {
	tally  tally
	tables map[uint16]tableRoot
}

// tableRoot is what is in force of a unit's table: entries of pages that it does
// not have, or of segments before it was made, do not count.
type tableRoot struct {
	pages int
	since uint32
}

// encode returns the root's record.
func (r *root) encode() []byte {
	b, start := BeginRecord(nil)
	w := Writer{B: b}
	w.Uint(uint64(r.format))
	w.String(r.id)
	w.Uint(uint64(r.units))
	w.String(r.keyID)
	w.Uint(r.generation)
	w.Uint(r.previous)
	w.Int(r.tick)
	w.Uint(uint64(len(r.segments)))
	last := uint32(0)
	for _, id := range r.segments {
		w.Uint(uint64(id - last))
		last = id
	}
	w.Uint(uint64(len(r.blobs)))
	for _, name := range slices.Sorted(maps.Keys(r.blobs)) {
		writeBlob(&w, name, r.blobs[name])
	}
	for i := range r.of {
		u := &r.of[i]
		writeTally(&w, u.tally)
		w.Uint(uint64(len(u.tables)))
		for _, id := range slices.Sorted(maps.Keys(u.tables)) {
			w.Uint(uint64(id))
			w.Uint(uint64(u.tables[id].pages))
			w.Uint(uint64(u.tables[id].since))
		}
	}
	EndRecord(w.B, start, recordVersion)
	return w.B
}

// decodeRoot reads the body of a root record.
func decodeRoot(body []byte) (*root, error) {
	r := Reader{B: body}
	out := &root{format: int(r.Uint())}
	if r.Err == nil && out.format != Format {
		return out, nil // the rest may be anything
	}
	out.id = r.String()
	out.units = int(r.Uint())
	out.keyID = r.String()
	out.generation, out.previous = r.Uint(), r.Uint()
	out.tick = r.Int()
	last := uint64(0)
	for range r.Len() {
		n := r.Uint()
		if last += n; n == 0 || last > math.MaxUint32 {
			return nil, fmt.Errorf("%w: the root: segments out of order", ErrCorrupt)
		}
		out.segments = append(out.segments, uint32(last))
	}
	n := r.Len()
	out.blobs = make(map[string]blob, n)
	for range n {
		name, b := readBlob(&r)
		out.blobs[name] = b
	}
	if r.Err == nil && (out.units < 1 || out.units > maxUnits) {
		return nil, fmt.Errorf("%w: the root: %d units", ErrCorrupt, out.units)
	}
	for i := range out.units {
		if r.Err != nil {
			break
		}
		u := unitRoot{tally: readTally(&r)}
		n := r.Len()
		u.tables = make(map[uint16]tableRoot, n)
		for range n {
			id, pages, since := r.Uint(), r.Uint(), r.Uint()
			if r.Err == nil && (id > math.MaxUint16 || pages < 1 || pages > pagesMax || since > math.MaxUint32) {
				return nil, fmt.Errorf("%w: unit %d has a table %d of %d pages since segment %d", ErrCorrupt, i, id, pages, since)
			}
			u.tables[uint16(id)] = tableRoot{pages: int(pages), since: uint32(since)}
		}
		out.of = append(out.of, u)
	}
	return out, ended("the root", &r)
}

// pagesMax is how many pages a table has at most: 512 GiB of them.
const pagesMax = 1 << 26

func writeBlob(w *Writer, name string, b blob) {
	w.String(name)
	w.Uint(b.size)
	writeTally(w, b.tally)
	w.Uint(uint64(len(b.spots)))
	for _, s := range b.spots {
		w.Uint(uint64(s.segment))
		w.Uint(uint64(s.number))
		w.Uint(uint64(s.bytes))
	}
}

func readBlob(r *Reader) (name string, b blob) {
	name = r.String()
	b = blob{size: r.Uint(), tally: readTally(r)}
	for range r.Len() {
		b.spots = append(b.spots, spot{segment: uint32(r.Uint()), number: uint16(r.Uint()), bytes: uint32(r.Uint())})
	}
	return name, b
}

func writeTally(w *Writer, t tally) {
	w.Uint(t.records)
	w.Fixed(t.sum)
	w.Int(t.bytes)
}

func readTally(r *Reader) tally {
	return tally{records: r.Uint(), sum: r.Fixed(), bytes: r.Int()}
}

// ended is an error where a record was cut short or has more in it.
func ended(what string, r *Reader) error {
	if r.Err == nil && len(r.B) > 0 {
		r.Err = fmt.Errorf("%w: %d bytes too many", ErrCorrupt, len(r.B))
	}
	if r.Err != nil {
		return fmt.Errorf("%s: %w", what, r.Err)
	}
	return nil
}

// encodeFlip returns the body of the flip's blob.
func encodeFlip(f Flip) []byte {
	size := len(f.Meta) + binary.MaxVarintLen64*(len(f.Units)+3)
	for _, u := range f.Units {
		size += len(u)
	}
	w := Writer{B: make([]byte, 0, size)} // it is kept, and may be some megabytes
	w.Int(f.Tick)
	part := func(b []byte) {
		w.Uint(uint64(len(b)))
		w.B = append(w.B, b...)
	}
	part(f.Meta)
	w.Uint(uint64(len(f.Units)))
	for _, u := range f.Units {
		part(u)
	}
	return w.B
}

// decodeFlip reads it back; its parts are views of b.
func decodeFlip(b []byte) (f Flip, err error) {
	r := Reader{B: b}
	part := func() []byte {
		n := r.Len()
		if r.Err != nil {
			return nil
		}
		p := r.B[:n:n]
		r.B = r.B[n:]
		return p
	}
	f.Tick = r.Int()
	f.Meta = part()
	if n := r.Len(); n > 0 {
		f.Units = make([][]byte, n)
	}
	for i := range f.Units {
		f.Units[i] = part()
	}
	return f, ended("what the checkpoint was committed with", &r)
}
