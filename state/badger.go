package state

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

const (
	// LeastMemory is what Badger needs.
	LeastMemory = 32 << 20

	// threshold keeps every record in the tree: a lost value log would read as
	// empty values without an error. No record is longer than a part and a value.
	threshold = 96 << 10

	// block is how large Badger's blocks are: some chunks in each. A table is made
	// in memory that doubles for a block with a chunk that is larger than it, and
	// again, and is kept: with blocks as large as chunks that was 96 MiB.
	block = 32 << 10

	// pendingWrites is how many of Badger's transactions are under way at once.
	pendingWrites = 3
)

// badgerOptions is how a store uses Badger with tables of some size: two
// memtables being flushed and one being written take as much as a table each, and
// what makes tables up to eight times twice as much, of which Badger gives one back
// every few seconds. A memtable with the last batch in it makes one table.
//
// A larger table costs less for each byte, but while one is made, and again while it is
// moved, the kernel takes its pages off all processors, one by one: 40 ms for 4 MiB
// where it has to ask the other ones through a hypervisor.
//
// What is written is behind all keys that are there, so that a table never overlaps
// with another one: there is one level, to which each table moves once, by itself.
// With levels before the last one Badger would write it more often. Flushing never
// waits for that: a large checkpoint comes faster than tables move. Filters are for
// those that were not moved yet.
func badgerOptions(dir string, table int64, log *slog.Logger) badger.Options {
	opt := badger.DefaultOptions(dir).
		WithMemTableSize(memtable(table)).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumLevelZeroTablesStall(1 << 10).
		WithBaseTableSize(table).
		WithBaseLevelSize(1 << 50).
		WithBlockSize(block).
		WithNumCompactors(2).
		WithValueThreshold(threshold).
		WithValueLogFileSize(16 << 20).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithBloomFalsePositive(0.01).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithMetricsEnabled(false).
		WithSyncWrites(false).
		WithNumGoroutines(2).
		WithChecksumVerificationMode(options.NoVerification). // records have their own
		WithLogger(badgerLog{log})
	return opt
}

// openBadger opens Badger. Opening a damaged store may panic; and a kill at a bad
// moment may make the first attempt fail, which mends it (badger #2207).
func openBadger(opt badger.Options) (*badger.DB, error) {
	if err := removeUnsized(opt.Dir); err != nil {
		return nil, err
	}
	db, err := tryBadger(opt)
	if err != nil {
		opt.Logger.Warningf("opening once more: %v", err)
		db, err = tryBadger(opt)
	}
	return db, err
}

// removeUnsized removes logs in which there is nothing: a kill between the making
// of one and its sizing leaves it so, and Badger does not open with it.
func removeUnsized(dir string) error {
	for _, pattern := range []string{"*.mem", "*.vlog"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if info, err := os.Stat(name); err != nil || info.Size() > 0 {
				continue
			}
			if err := os.Remove(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func tryBadger(opt badger.Options) (db *badger.DB, err error) {
	err = guarded(func() error {
		db, err = badger.Open(opt)
		return err
	})
	if err != nil {
		return nil, err
	}
	return db, nil
}

// closeBadger closes Badger, which syncs what it has.
func closeBadger(db *badger.DB) error { return guarded(db.Close) }

// guarded makes an error of a panic, and of the fault that reading a mapped file
// behind its end is: what a damaged file has Badger do must not end the process.
func guarded(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			first, _, _ := strings.Cut(strings.TrimSpace(fmt.Sprint(r)), "\n")
			err = fmt.Errorf("%w: badger panicked: %s", ErrCorrupt, first)
		}
	}()
	return do()
}

// badgerLog writes what Badger has to say into the store's log.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(format string, args ...any)   { l.warn(format, args) }
func (l badgerLog) Warningf(format string, args ...any) { l.warn(format, args) }
func (l badgerLog) Infof(format string, args ...any)    { l.debug(format, args) }
func (l badgerLog) Debugf(string, ...any)               {}

func (l badgerLog) warn(format string, args []any) {
	l.log.Warn("badger: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (l badgerLog) debug(format string, args []any) {
	l.log.Debug("badger: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
}

// syncLogs puts the logs of all memtables of a store on disk. Badger's own Sync
// knows only of the one that is being written: those before it, whose tables
// are still to be made, would be lost with the power.
func syncLogs(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.mem"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := syncFile(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // it became a table, which is synced
			return err
		}
	}
	return syncFile(dir)
}

func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
