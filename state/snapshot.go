package state

import (
	"sync"

	"github.com/dgraph-io/badger/v4"
)

// iteratorsKept is how many iterators a snapshot keeps for those who read next.
const iteratorsKept = 8

// snapshot reads the tree as it was at one time. It keeps the iterators that it
// made: making one costs as much as reading some pages does, waits for Badger's
// lock, which Badger holds while it lets go of segments, and a Get of Badger's
// makes two copies that the collector has to clear up. An iterator holds what was
// in memory when it was made, so those of a snapshot end with it, and of one that
// lasts only those are kept that were made at its beginning.
type snapshot struct {
	txn   *badger.Txn
	ahead *ahead // nil: nobody says what is going to be read
	mu    sync.Mutex
	idle  []*iterator
	full  bool // those that are made from here on are not kept
}

// iterator is Badger's, over all keys.
type iterator struct {
	*badger.Iterator
	at          spot // of the chunk that was asked for last
	kept        bool
	ahead       *ahead
	from, until uint64 // the chunks that it said are going to be read
}

// snapshot returns what the tree is like now.
func (s *Store) snapshot() *snapshot {
	return &snapshot{txn: s.db.NewTransaction(false), ahead: s.ahead}
}

// newIterator returns an iterator over all records.
func newIterator(txn *badger.Txn) *badger.Iterator {
	return txn.NewIterator(badger.IteratorOptions{})
}

// iterator lends an iterator; done takes it back.
func (sn *snapshot) iterator() (it *iterator, err error) {
	sn.mu.Lock()
	if n := len(sn.idle); n > 0 {
		it, sn.idle = sn.idle[n-1], sn.idle[:n-1]
	}
	kept := !sn.full
	sn.mu.Unlock()
	if it != nil {
		return it, nil
	}
	err = guarded(func() error {
		it = &iterator{Iterator: newIterator(sn.txn), kept: kept, ahead: sn.ahead}
		return nil
	})
	return it, err
}

func (sn *snapshot) done(it *iterator) {
	sn.mu.Lock()
	if it.kept && len(sn.idle) < iteratorsKept {
		sn.idle, it = append(sn.idle, it), nil
	}
	sn.mu.Unlock()
	if it != nil {
		it.Close()
	}
}

// prepare makes the iterators that are kept.
func (sn *snapshot) prepare() error {
	var made []*iterator
	var err error
	for range iteratorsKept {
		var it *iterator
		if it, err = sn.iterator(); err != nil {
			break
		}
		made = append(made, it)
	}
	for _, it := range made {
		sn.done(it)
	}
	sn.mu.Lock()
	sn.full = err == nil
	sn.mu.Unlock()
	return err
}

func (sn *snapshot) close() {
	for _, it := range sn.idle {
		it.Close()
	}
	sn.txn.Discard()
}
