package state

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
)

// view is a generation in force. Its transaction sees the tree as it was when
// the view was put into force, so what supersedes its records, and their
// deletion, do not concern those who hold it.
type view struct {
	generation, previous uint64
	txn                  *badger.Txn
	units                []unitView
	blobs                map[string]blob
	shared               tally // of the pieces of all blobs
	flip                 Flip
	memory               int64

	refs atomic.Int64
	gone *sync.WaitGroup
}

// unitView is a unit's tables and the tally of all their records.
type unitView struct {
	tally
	tables map[uint16]*tableView
}

// blob is where a blob is and how large.
type blob struct {
	generation uint64
	number     uint32
	tally      tally
	size       uint64
}

// newView counts what the view takes in memory; its caller holds it.
func newView(v *view, gone *sync.WaitGroup) *view {
	for i := range v.units {
		for _, t := range v.units[i].tables {
			v.memory += 8 * int64(cap(t.pages))
			for _, p := range t.pages {
				if p != nil {
					v.memory += p.memory()
				}
			}
		}
	}
	v.memory += int64(len(v.flip.Meta))
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
		v.txn.Discard()
		v.gone.Done()
	}
}

// reader is the memory that reading a page takes.
type reader struct {
	arena  []byte
	ends   []int
	bodies [][]byte // the changes of each record, oldest first
	ids    []recordID
	live   []change
}

// recordID tells the records of a page apart.
type recordID struct {
	generation uint64
	part       int
}

// readerMax is how large a reader may be that is kept for the next one.
const readerMax = 1 << 20

var readers = sync.Pool{New: func() any { return new(reader) }}

func (r *reader) reset() {
	if cap(r.arena) > readerMax {
		*r = reader{}
	}
	r.arena, r.ends, r.bodies, r.ids = r.arena[:0], r.ends[:0], r.bodies[:0], r.ids[:0]
}

// seal makes bodies of what was read.
func (r *reader) seal() {
	from := 0
	for _, end := range r.ends {
		r.bodies = append(r.bodies, r.arena[from:end:end])
		from = end
	}
}

// read reads the records of a page.
func (v *view) read(at place, p *page, r *reader) error {
	it := newIterator(v.txn, at.prefix(nil))
	defer it.Close()
	it.Seek(at.record(nil, p.first, 0))
	return at.wrap(readPage(it, at, p, r))
}

// readPage reads the records of a page from where the iterator stands.
func readPage(it *badger.Iterator, at place, p *page, r *reader) error {
	r.reset()
	var got tally
	for ; it.Valid() && got.records < p.records; it.Next() {
		item := it.Item()
		of, generation, part, ok := parsePageKey(item.Key())
		if !ok || of != at {
			break
		}
		err := item.Value(func(record []byte) error {
			body, _, err := ReadRecord(record, recordVersion)
			if err != nil {
				return err
			}
			_, changes, err := kindOf(body)
			r.arena = append(r.arena, changes...)
			got.add(item.Key(), record)
			return err
		})
		if err != nil {
			return err
		}
		r.ends, r.ids = append(r.ends, len(r.arena)), append(r.ids, recordID{generation, part})
	}
	if got != p.tally {
		return fmt.Errorf("%w: %d records of %d bytes, must be %d of %d", ErrCorrupt, got.records, got.bytes, p.records, p.bytes)
	}
	r.seal()
	return nil
}

// scanRun is how many pages are read with one iterator: while there is one,
// Badger cannot let go of what it has in memory.
const scanRun = 64

// scan reads all pages of a table, some at a time, and hands over the live
// values of each.
func (v *view) scan(unit int, table uint16, t *tableView, r *reader, fn func(place, []change) error) error {
	for from := 0; from < len(t.pages); from += scanRun {
		err := v.scanRun(unit, table, t, from, min(from+scanRun, len(t.pages)), r, fn)
		if err != nil {
			return err
		}
	}
	return nil
}

func (v *view) scanRun(unit int, table uint16, t *tableView, from, to int, r *reader, fn func(place, []change) error) error {
	var it *badger.Iterator
	defer func() {
		if it != nil {
			it.Close()
		}
	}()
	for i := from; i < to; i++ {
		p := t.pages[i]
		if p == nil {
			continue
		}
		if it == nil {
			it = newIterator(v.txn, tablePrefix(nil, unit, table))
		}
		at := place{unit, table, uint32(i)}
		seekPage(it, at, p)
		if err := readPage(it, at, p, r); err != nil {
			return at.wrap(err)
		}
		var err error
		if r.live, err = resolve(r.live[:0], r.bodies); err != nil {
			return at.wrap(err)
		}
		if err := fn(at, r.live); err != nil {
			return err
		}
	}
	return nil
}

// seekPage moves the iterator to the first record of a page. Mostly it stands
// there already, behind those of the page before.
func seekPage(it *badger.Iterator, at place, p *page) {
	if it.Valid() {
		if of, generation, part, ok := parsePageKey(it.Item().Key()); ok && of == at && generation == p.first && part == 0 {
			return
		}
	}
	it.Seek(at.record(nil, p.first, 0))
}

// newIterator returns an iterator over the records whose keys have a prefix.
func newIterator(txn *badger.Txn, prefix []byte) *badger.Iterator {
	return txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
}

// blob reads a blob.
func (v *view) blob(b blob) ([]byte, error) {
	prefix := blobKey(nil, b.generation, b.number, 0)[:blobKeyLen-4]
	it := newIterator(v.txn, prefix)
	defer it.Close()
	out := make([]byte, 0, b.size)
	var got tally
	for it.Rewind(); it.Valid(); it.Next() {
		item := it.Item()
		err := item.Value(func(record []byte) error {
			body, _, err := ReadRecord(record, recordVersion)
			if err != nil {
				return err
			}
			got.add(item.Key(), record)
			out = append(out, body...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if got != b.tally || uint64(len(out)) != b.size {
		return nil, fmt.Errorf("%w: %d records of %d bytes, must be %d of %d", ErrCorrupt, got.records, got.bytes, b.tally.records, b.tally.bytes)
	}
	return out, nil
}

// value reads one record; absent is nil.
func value(txn *badger.Txn, key []byte) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var body []byte
	err = item.Value(func(record []byte) error {
		b, _, err := ReadRecord(record, recordVersion)
		body = append([]byte{}, b...)
		return err
	})
	return body, err
}
