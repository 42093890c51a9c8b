package state

import (
	"context"
	"errors"
	"log/slog"
)

// Config says where a store is and what it may take.
type Config struct {
	Dir     string       // the state's directory: the store, its sidecar and what was put aside stand in it
	Units   int          // a power of two, fixed when the store is made
	KeyID   string       // tells key files apart; fixed when the store is made
	Memory  int64        // bytes that Badger may hold: memtables and caches
	Reserve int64        // bytes that must stay free on the disk; 0: see DefaultReserve
	Log     *slog.Logger // nil: silent
	// Temporary makes a store that nothing outlives: it begins empty, has no
	// sidecar, syncs nothing, and is gone after Close.
	Temporary bool
}

// Store is a rebuildable cache of what follows from the log: values by unit,
// table and key, as of the last checkpoint. See docs/adr/0008. Reading is safe
// for many goroutines, also while a checkpoint is written.
type Store struct{}

// Open opens the store in a directory or makes one. One that is damaged is put
// aside and a new one begun: Broken says why. One of another format, number of
// units or key is an error that names it. It waits while the disk has less than
// the reserve, saying so.
func Open(ctx context.Context, cfg Config) (*Store, error) { return nil, errors.New("not built") }

// Broken says why what was there could not be used and was put aside, and
// where; empty where nothing was.
func (s *Store) Broken() string { return "" }

// Flip is what one small transaction puts into force behind all records of a
// checkpoint.
type Flip struct {
	Tick  int64    // all seconds before it are in the state
	Units [][]byte // what each unit keeps besides its keys
	Meta  []byte   // what all units share, and the positions
}

// Last returns what the last checkpoint was committed with; ok is false in a
// store without one.
func (s *Store) Last() (last Flip, ok bool) { return Flip{}, false }

// Blob returns a blob as of the last checkpoint; nil where there is none.
func (s *Store) Blob(name string) ([]byte, error) { return nil, nil }

// Unit returns the part of the store that belongs to unit i.
func (s *Store) Unit(i int) *Unit { return nil }

// Full reports whether the disk has less than the reserve, so that nothing may
// be written; free is what it has.
func (s *Store) Full() (full bool, free int64) { return false, 0 }

// Stats is how large a store is.
type Stats struct {
	Keys    int64 // values, dead ones among them
	Records int64
	Bytes   int64 // of live records
	Disk    int64 // blocks that all files take, in bytes
	Memory  int64 // bytes held outside of Badger: the directory of pages
	Written int64 // bytes of records written since Open
}

// Stats returns how large the store is.
func (s *Store) Stats() Stats { return Stats{} }

// Close gives the store up. What was not committed is gone.
func (s *Store) Close() error { return nil }

// Unit is one unit's part of a store.
type Unit struct{}

// Has reports whether the store may have a value of the key: false is certain,
// true is wrong in less than one of 100 cases.
func (u *Unit) Has(table uint16, k Key) bool { return false }

// Get appends the key's value as of the last checkpoint. An error wraps
// ErrCorrupt where the store is damaged.
func (u *Unit) Get(table uint16, k Key, dst []byte) (value []byte, ok bool, err error) {
	return dst, false, nil
}

// Scan calls fn with every value of a table as of the last checkpoint, in no
// order that means anything. The value is valid until fn returns. fn must not
// call methods of the unit. An error of fn ends the scan and is returned.
func (u *Unit) Scan(table uint16, fn func(k Key, value []byte) error) error { return nil }

// Tables returns the tables that have values.
func (u *Unit) Tables() []uint16 { return nil }

// Page returns the page of a key for the checkpoint that is going on, or the
// next one.
func (u *Unit) Page(table uint16, k Key) uint32 { return 0 }

// AppendChange appends a change for Checkpoint.Put: the key has this value, or,
// where it is nil, none any more.
func AppendChange(dst []byte, k Key, value []byte) []byte { return dst }

// Checkpoint is a generation of records being written. Its methods but Commit
// and Abort may be called by several goroutines.
type Checkpoint struct{}

// Begin begins a checkpoint; there is at most one at a time. keep says of a
// stored value whether it is still alive: those that are not are dropped when
// their page is written anew. It is called by another goroutine until Commit or
// Abort has returned; nil keeps all.
func (s *Store) Begin(keep func(unit int, table uint16, value []byte) bool) *Checkpoint { return nil }

// Put hands over what changed in one page: AppendChange's bytes, which are
// copied. A page comes at most once in a checkpoint. It returns at once, even
// where there is no Room.
func (c *Checkpoint) Put(unit int, table uint16, page uint32, changes []byte) error { return nil }

// Room reports whether little enough waits to be written that more may come.
func (c *Checkpoint) Room() bool { return true }

// Drop drops a table of all units.
func (c *Checkpoint) Drop(table uint16) {}

// Blob writes a blob of any size under a name; an empty one drops it.
func (c *Checkpoint) Blob(name string, b []byte) error { return nil }

// Commit writes what is left and makes the checkpoint the last one: when it
// returns nil it is on disk. With an error the last one is as it was.
func (c *Checkpoint) Commit(ctx context.Context, f Flip) error { return nil }

// Abort gives the checkpoint up.
func (c *Checkpoint) Abort() {}
