package state

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// view is a generation in force. Its snapshot sees the tree as it was when the view
// was put into force, and no segment of it is given up while somebody holds it.
type view struct {
	*snapshot
	generation, previous uint64
	units                []unitView
	segments             segments
	blobs                map[string]blob
	shared               tally // of the pieces of all blobs
	flip                 Flip
	memory               int64

	refs atomic.Int64
	gone *sync.WaitGroup
}

// unitView is a unit's tables and the tally of all their entries.
type unitView struct {
	tally
	tables map[uint16]*tableView
}

// newView counts what the view takes in memory; its caller holds it.
func newView(v *view, gone *sync.WaitGroup) *view {
	for i := range v.units {
		for _, t := range v.units[i].tables {
			v.memory += t.memory()
		}
	}
	v.memory += int64(len(v.flip.Meta)) + 24*int64(cap(v.segments))
	for _, u := range v.flip.Units {
		v.memory += int64(len(u))
	}
	for name := range v.blobs {
		v.memory += int64(len(name)) + 80
	}
	v.gone = gone
	gone.Add(1)
	v.refs.Store(1)
	return v
}

// release gives the view up.
func (v *view) release() {
	if v.refs.Add(-1) == 0 {
		v.snapshot.close()
		v.gone.Done()
	}
}

// reader is the memory that reading a page takes.
type reader struct {
	chunk  []byte // the one that was read last, unpacked
	arena  []byte
	ends   []int
	bodies [][]byte // the changes of each entry, oldest first
	live   []change // what they say together
	all    []change // every one of them
	ranks  []rank
	key    []byte
	page   page
	got    tally
	far    bool // what is behind is going to be read, too
	recent *recent
}

// readerMax is how large a reader may be that is kept for the next one.
const readerMax = 1 << 20

var readers = sync.Pool{New: func() any { return new(reader) }}

func (r *reader) reset() {
	if cap(r.arena)+cap(r.chunk) > readerMax {
		*r = reader{page: r.page, far: r.far, recent: r.recent}
	}
	r.arena, r.ends, r.bodies, r.got = r.arena[:0], r.ends[:0], r.bodies[:0], tally{}
}

// seal makes bodies of what was read.
func (r *reader) seal() {
	from := 0
	for _, end := range r.ends {
		r.bodies = append(r.bodies, r.arena[from:end:end])
		from = end
	}
}

// read reads the entries of a page.
func (sn *snapshot) read(at place, p *page, r *reader) error {
	it, err := sn.iterator()
	if err != nil {
		return at.wrap(err)
	}
	defer sn.done(it)
	r.reset()
	for _, s := range p.spots {
		if err := it.entry(at, s, r); err != nil {
			return err
		}
	}
	if got := r.got; got != p.tally {
		return at.wrap(fmt.Errorf("%w: %d entries of %d bytes, must be %d of %d", ErrCorrupt, got.records, got.bytes, p.records, p.bytes))
	}
	r.seal()
	return nil
}

// find looks for a key in a page: the newest entry that has it says its value. It
// reads those only that may have it.
func (sn *snapshot) find(at place, p *page, k Key, h uint64, r *reader) (c change, found bool, err error) {
	it, err := sn.iterator()
	if err != nil {
		return c, false, at.wrap(err)
	}
	defer sn.done(it)
	for _, s := range slices.Backward(p.spots) {
		if s.among&sixteenth(h) == 0 {
			continue
		}
		r.reset()
		if err := it.entry(at, s, r); err != nil {
			return c, false, err
		}
		if c, found, err = find(r.arena, k); err != nil || found {
			return c, found, at.wrap(err)
		}
	}
	return c, false, nil
}

// entry reads an entry of a page.
func (it *iterator) entry(at place, s spot, r *reader) error {
	err := it.chunk(s, r, func(entries []byte) error {
		e, err := ofPage(entries, at)
		if err != nil {
			return err
		}
		r.arena = append(r.arena, e.body...)
		r.got.add(s, e.all)
		return nil
	})
	if err != nil {
		return at.wrap(fmt.Errorf("segment %d, chunk %d: %w", s.segment, s.number, err))
	}
	r.ends = append(r.ends, len(r.arena))
	return nil
}

// announce says that a chunk is going to be read.
func (it *iterator) announce(s spot, far bool) {
	if it.ahead == nil {
		return
	}
	chunk := ordinal(s.segment, s.number)
	if chunk >= it.from && chunk < it.until {
		return
	}
	size := uint32(1)
	if far {
		size = farAhead
	}
	it.from, it.until = chunk, it.ahead.want(chunk, size)
}

// chunk calls fn with the entries of a chunk, which are valid until it returns.
func (it *iterator) chunk(s spot, r *reader, fn func(entries []byte) error) error {
	if entries := r.recent.of(s); entries != nil {
		return fn(entries)
	}
	r.key = appendChunkKey(r.key[:0], s.segment, s.number)
	it.announce(s, r.far)
	if s.segment != it.at.segment || s.number != it.at.number+1 || !it.Valid() {
		it.Seek(r.key)
	}
	it.at = s
	if !it.Valid() || !bytes.Equal(it.Item().Key(), r.key) {
		return fmt.Errorf("%w: it is missing", ErrCorrupt)
	}
	// Seeking drops the item that it stands at, with the copies that were made for
	// it. One that was passed is used again: so it goes on at once to the next.
	defer it.Next()
	return it.Item().Value(func(record []byte) error {
		entries, err := openChunk(record, s.segment, s.number, r.chunk)
		if err != nil {
			return err
		}
		r.chunk = entries
		if err = fn(entries); err == nil {
			r.recent.keep(s, entries)
		}
		return err
	})
}

// blob reads a blob.
func (sn *snapshot) blob(b blob) ([]byte, error) {
	it, err := sn.iterator()
	if err != nil {
		return nil, err
	}
	defer sn.done(it)
	out := make([]byte, 0, b.size)
	var got tally
	var r reader
	for _, s := range b.spots {
		err := it.chunk(s, &r, func(entries []byte) error {
			e, _, err := nextEntry(entries)
			if err != nil {
				return err
			}
			got.add(s, e.all)
			out = append(out, e.body...)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("segment %d, chunk %d: %w", s.segment, s.number, err)
		}
	}
	if got != b.tally || uint64(len(out)) != b.size {
		return nil, fmt.Errorf("%w: %d pieces of %d bytes, must be %d of %d", ErrCorrupt, got.records, got.bytes, b.tally.records, b.tally.bytes)
	}
	return out, nil
}
