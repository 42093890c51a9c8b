package state

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// Config says where a store is and what it may take.
type Config struct {
	Dir     string       // the state's directory: the store, its sidecar and what was put aside stand in it
	Units   int          // a power of two, fixed when the store is made
	KeyID   string       // tells key files apart; fixed when the store is made
	Memory  int64        // bytes that Badger may hold; less than LeastMemory counts as that (see badgerOptions)
	Reserve int64        // bytes that must stay free on the disk; 0: see DefaultReserve
	Log     *slog.Logger // nil: silent
	// Temporary makes a store that nothing outlives: it begins empty, has no
	// sidecar, syncs nothing, and is gone after Close.
	Temporary bool

	sizes sizes                                           // tests: zero is usualSizes
	free  func(dir string) (free, total int64, err error) // tests: what the disk has
	sync  func(dir string) error                          // tests: what is on disk when it returns
}

// maxUnits is how many units a store may have: they are two bytes of a key.
const maxUnits = 1 << 12

// Validate reports every fault of the configuration.
func (c Config) Validate() (err error) {
	if c.Dir == "" {
		err = errors.Join(err, errors.New("dir: must not be empty"))
	}
	if c.Units < 1 || c.Units > maxUnits || c.Units&(c.Units-1) != 0 {
		err = errors.Join(err, fmt.Errorf("units: %d, must be a power of two up to %d", c.Units, maxUnits))
	}
	if c.Memory < 0 {
		err = errors.Join(err, fmt.Errorf("memory: %d, must not be negative", c.Memory))
	}
	if c.Reserve < 0 {
		err = errors.Join(err, fmt.Errorf("reserve: %d, must not be negative", c.Reserve))
	}
	return err
}

// Store is a rebuildable cache of what follows from the log: values by unit,
// table and key, as of the last checkpoint. See docs/adr/0008. Reading is safe
// for many goroutines, also while a checkpoint is written.
type Store struct {
	cfg    Config
	log    *slog.Logger
	id     string
	path   string // of Badger's files
	db     *badger.DB
	ahead  *ahead
	units  []Unit
	disk   *disk
	broken string

	mu      sync.RWMutex         // held to take the view in force, and to change it
	current atomic.Pointer[view] // the last checkpoint
	closed  bool
	begun   *Checkpoint // the one that is going on
	views   sync.WaitGroup

	// What follows belongs to the checkpoint that is going on.
	generation uint64    // the last one given out
	segment    uint32    // the last one given out
	extra      uint32    // the segment of the root in force where it is not in force itself; 0: it is
	waste      *waste    // what Badger is still to let go of
	past       []*view   // those that were superseded while somebody held them
	sweep      place     // where the search for dead values goes on
	swept      time.Time // when it last went on
	poisoned   error     // why nothing can be committed any more

	written atomic.Int64
	blocks  atomic.Int64 // what all files take, when it was last looked at
}

// Broken says why what was there could not be used and was put aside, and
// where; empty where nothing was.
func (s *Store) Broken() string { return s.broken }

// Flip is what one small transaction puts into force behind all records of a
// checkpoint.
type Flip struct {
	Tick  int64    // all seconds before it are in the state
	Units [][]byte // what each unit keeps besides its keys
	Meta  []byte   // what all units share, and the positions
}

// Last returns what the last checkpoint was committed with; ok is false in a
// store without one. The bytes must not be changed.
func (s *Store) Last() (last Flip, ok bool) {
	v := s.current.Load()
	return v.flip, v.generation > 0
}

// Unit returns the part of the store that belongs to unit i.
func (s *Store) Unit(i int) *Unit { return &s.units[i] }

// Full reports whether the disk has less than the reserve, so that nothing may
// be written; free is what it has.
func (s *Store) Full() (full bool, free int64) {
	short, free := s.disk.short()
	return short > 0, free
}

// Room returns why nothing may be written now, as a person may read it; nil:
// there is room on the disk.
func (s *Store) Room() error { return s.disk.check() }

// Stats is how large a store is.
type Stats struct {
	Keys    int64 // values, dead ones among them; one in some hundreds of those written since Open may be missing
	Records int64 // what was written of a page at a time, or a piece of a blob
	Bytes   int64 // of those that are read, before they are compressed
	Garbage int64 // bytes, before they are compressed, of those that are not, and are still on disk: at most 2.5 times Bytes and some 100 MiB, but for what readers hold
	Disk    int64 // blocks that all files take, in bytes, as of the last checkpoint
	Memory  int64 // bytes held outside of Badger: the directory of pages, and where blocks of tables are
	Written int64 // bytes of records written since Open
}

// Stats returns how large the store is.
func (s *Store) Stats() Stats {
	st := Stats{Disk: s.blocks.Load(), Written: s.written.Load()}
	v := s.current.Load()
	st.Memory = v.memory + s.ahead.memory()
	st.Records, st.Bytes = int64(v.shared.records), v.shared.bytes
	total, live := v.segments.sum()
	st.Garbage = max(total-live, 0) + s.waste.bytes.Load()
	for i := range v.units {
		u := &v.units[i]
		st.Records += int64(u.records)
		st.Bytes += u.bytes
		for _, t := range u.tables {
			st.Keys += t.keys
		}
	}
	return st
}

// Close gives the store up. What was not committed is gone.
func (s *Store) Close() error {
	s.mu.Lock()
	begun, closed := s.begun, s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	if begun != nil {
		begun.Abort()
	}
	s.current.Load().release() // the store's own hold
	s.views.Wait()             // until the last reader is through
	s.ahead.close()
	err := closeBadger(s.db)
	if err != nil {
		err = fmt.Errorf("closing the store %s: %w", s.path, err)
	}
	if s.cfg.Temporary {
		return errors.Join(err, os.RemoveAll(s.path))
	}
	return err
}

// Blob returns a blob as of the last checkpoint; nil where there is none.
func (s *Store) Blob(name string) ([]byte, error) {
	v, err := s.hold()
	if err != nil {
		return nil, err
	}
	defer v.release()
	b, ok := v.blobs[callerBlob(name)]
	if !ok {
		return nil, nil
	}
	out, err := v.blob(b)
	if err != nil {
		return nil, fmt.Errorf("blob %q: %w", name, err)
	}
	return out, nil
}

// errClosed is what using a store behind Close returns.
var errClosed = errors.New("the store is closed")

// hold returns the view in force; it stays whole until it is released, also
// when a checkpoint supersedes it.
func (s *Store) hold() (*view, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, errClosed
	}
	v := s.current.Load()
	v.refs.Add(1)
	return v, nil
}

// publish puts a view into force, with the iterators of its readers: with them
// reading goes on while Badger lets go of segments.
func (s *Store) publish(v *view) {
	if err := v.prepare(); err != nil {
		s.log.Warn("readers of the store have to make their iterators themselves", "error", err)
	}
	s.mu.Lock()
	old := s.current.Swap(v)
	s.mu.Unlock()
	if old != nil {
		old.release()
		s.past = slices.DeleteFunc(append(s.past, old), func(v *view) bool { return v.refs.Load() == 0 })
	}
}
