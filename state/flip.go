package state

import (
	"fmt"
	"maps"
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
	blobs                map[string]blob
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
	w.Uint(uint64(len(r.blobs)))
	for _, name := range slices.Sorted(maps.Keys(r.blobs)) {
		b := r.blobs[name]
		w.String(name)
		w.Uint(b.generation)
		w.Uint(uint64(b.number))
		w.Uint(b.size)
		writeTally(&w, b.tally)
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
	n := r.Len()
	out.blobs = make(map[string]blob, n)
	for range n {
		name := r.String()
		b := blob{generation: r.Uint(), number: uint32(r.Uint()), size: r.Uint()}
		b.tally = readTally(&r)
		out.blobs[name] = b
	}
	return out, ended("the root", &r)
}

// unitRoot is what is in force of a unit.
type unitRoot struct {
	generation uint64
	tick       int64
	tally      tally
	tables     map[uint16]tableRoot
}

// tableRoot is what is in force of a unit's table: records of pages that it does
// not have, or of generations before it was made, do not count.
type tableRoot struct {
	pages int
	since uint64
}

func (u *unitRoot) encode() []byte {
	b, start := BeginRecord(nil)
	w := Writer{B: b}
	w.Uint(u.generation)
	w.Int(u.tick)
	writeTally(&w, u.tally)
	w.Uint(uint64(len(u.tables)))
	for _, id := range slices.Sorted(maps.Keys(u.tables)) {
		w.Uint(uint64(id))
		w.Uint(uint64(u.tables[id].pages))
		w.Uint(u.tables[id].since)
	}
	EndRecord(w.B, start, recordVersion)
	return w.B
}

func decodeUnitRoot(body []byte) (*unitRoot, error) {
	r := Reader{B: body}
	u := &unitRoot{generation: r.Uint(), tick: r.Int(), tally: readTally(&r)}
	n := r.Len()
	u.tables = make(map[uint16]tableRoot, n)
	for range n {
		id := r.Uint()
		t := tableRoot{pages: int(r.Uint()), since: r.Uint()}
		if id > 1<<16-1 || t.pages < 1 || t.pages > 1<<31 {
			return nil, fmt.Errorf("%w: a unit's table %d of %d pages", ErrCorrupt, id, t.pages)
		}
		u.tables[uint16(id)] = t
	}
	return u, ended("a unit's entry", &r)
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
	var w Writer
	w.Int(f.Tick)
	w.String(string(f.Meta))
	w.Uint(uint64(len(f.Units)))
	for _, u := range f.Units {
		w.String(string(u))
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
