package state

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

const (
	leastTable = 2 << 20
	mostTable  = 4 << 20
	// tableShare is the part of the memory that a table takes, and waitingShare where
	// somebody waits for ticks (see badgerOptions): there only a store that may become
	// so large that it would have tens of thousands of files has larger ones.
	tableShare   = 16
	waitingShare = 128
)

// tableBytes is how large Badger's tables are.
func (c *Config) tableBytes() int64 {
	share := int64(waitingShare)
	if c.Temporary {
		share = tableShare
	}
	return min(max(int64(1)<<(bits.Len64(uint64(c.Memory/share)|1)-1), leastTable), mostTable)
}

// memtable is how much of a table a memtable holds, of which each becomes one.
func memtable(table int64) int64 { return table * 4 / 5 }

// Files returns how many files a store has open at most while so many bytes in it are
// alive: each table is one, and stays open.
func (c Config) Files(alive int64) int64 {
	most := alive + alive*5/2 + 100<<20 // with what Stats.Garbage may be
	return most/memtable(c.tableBytes()) + 64
}

// spare is how many files a process must be able to open before the store writes:
// what it writes between two looks comes to ten tables; memtables, tables that are
// being moved, and what other parts of the process open meanwhile come besides.
// Badger does not live with less: it tries for ever to make a table that it cannot
// open, and whoever writes waits; without a memtable it ends the process.
const spare = 48

// errFewFiles is why a checkpoint is not written, or a page not read.
var errFewFiles = errors.New("too many files are open")

// spareFiles is an error where the process could not open as many files as must be
// to spare. It opens that many for a moment, as nothing else counts them at a price
// that does not rise with how many there are: numbers say nothing, since they are
// free here and there below the highest, and one near a limit of millions has the
// kernel make a table of them all.
func spareFiles(dir string) (err error) {
	first, err := unix.Open(dir, unix.O_PATH|unix.O_CLOEXEC, 0)
	opened := []int{first}
	for err == nil && len(opened) < spare {
		var fd int
		if fd, err = unix.FcntlInt(uintptr(first), unix.F_DUPFD_CLOEXEC, 0); err == nil {
			opened = append(opened, fd)
		}
	}
	if first < 0 {
		opened = nil
	}
	for _, fd := range opened {
		err = errors.Join(err, unix.Close(fd))
	}
	if !outOfFiles(err) {
		return err
	}
	return fewFiles(fmt.Sprintf("%d more can be opened, must be at least %d", len(opened), spare))
}

// outOfFiles reports whether an error is that a file could not be opened because
// too many are.
func outOfFiles(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }

// fewFiles says what cannot be done for too many files, and what to do about it.
func fewFiles(what string) error {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("%w: %s: %w", errFewFiles, what, err)
	}
	return fmt.Errorf("%w: %s; this process may have %d open: raise the limit (LimitNOFILE= of a unit, --ulimit nofile= of a container, ulimit -Hn), or lower state: disk:, and start again",
		errFewFiles, what, limit.Cur)
}
