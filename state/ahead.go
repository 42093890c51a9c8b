package state

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/table"
	"golang.org/x/sys/unix"
)

const (
	// farAhead is how much is read at once for who goes on to what is behind: he
	// who merges pages in their order reads each checkpoint's in the order in which
	// they were written.
	farAhead = 4 * block
	// blockChunks is more chunks than a block has: nobody says which one is the last
	// of a table.
	blockChunks = 256
	// lookAgain is how long after one look new tables are looked at again.
	lookAgain = time.Second
)

// ahead tells the kernel what is going to be read of Badger's tables, and that
// nothing else is. Badger maps them, so that the kernel sees a fault at a time, and
// reads around each as much as the disk is set to: mostly 128 KiB, on some disks
// megabytes, for a chunk of two. Where the page cache has little room, as within a
// memory limit, that pushes out what is read next, and soon nothing else is done. It
// is only advice: what is not known here is read as ever.
type ahead struct {
	dir   string
	known atomic.Pointer[[]*mapping] // by what comes first in them

	mu     sync.Mutex      // held to look for tables
	seen   map[uint64]bool // those that are not known: whether they may be at the next look, or cannot be read
	timer  *time.Timer     // has them be looked at again
	closed bool
}

// mapping is one of Badger's tables, where it is in the process's memory.
type mapping struct {
	id    uint64
	begin uintptr
	parts []part // by their first chunks; the last one is where they end
}

// part is one of Badger's blocks.
type part struct {
	first uint64 // chunk
	at    uint32 // in the file
}

// ordinal is the place of a chunk in the order in which they are written.
func ordinal(segment uint32, number uint16) uint64 { return uint64(segment)<<16 | uint64(number) }

// newAhead returns one that knows nothing of the tables in a directory yet.
func newAhead(dir string) *ahead {
	if whole, err := filepath.EvalSymlinks(dir); err == nil {
		dir = whole // as the kernel names it
	}
	if whole, err := filepath.Abs(dir); err == nil {
		dir = whole
	}
	a := &ahead{dir: dir}
	a.known.Store(&[]*mapping{})
	return a
}

// stretch is a part of a table.
type stretch struct {
	table    *mapping
	from, to uint32 // in the file
	until    uint64 // the first chunk behind it
}

// find returns about so many bytes, a block at least, that begin with the block of a
// chunk; ok is false where nobody knows where that is.
func (a *ahead) find(chunk uint64, size uint32) (at stretch, ok bool) {
	known := *a.known.Load()
	i, found := slices.BinarySearchFunc(known, chunk, func(m *mapping, chunk uint64) int { return cmp.Compare(m.parts[0].first, chunk) })
	if !found {
		i--
	}
	if i < 0 {
		return at, false
	}
	parts := known[i].parts
	last := len(parts) - 1
	from, found := slices.BinarySearchFunc(parts[:last], chunk, func(p part, chunk uint64) int { return cmp.Compare(p.first, chunk) })
	if !found {
		from--
	}
	if from == last-1 && chunk >= parts[from].first+blockChunks {
		return at, false // it is in a table that is not known
	}
	to := from + 1
	for to < last && parts[to].at-parts[from].at < size {
		to++
	}
	at = stretch{known[i], parts[from].at, parts[to].at, parts[to].first}
	if to == last { // where the table ends nobody knows
		at.until = max(chunk, parts[last-1].first) + 1
	}
	return at, true
}

// want has so many bytes be read, about, that begin with a chunk's block, and
// returns the first chunk that is not among them.
func (a *ahead) want(chunk uint64, size uint32) (until uint64) {
	at, ok := a.find(chunk, size)
	if !ok {
		return chunk + 1
	}
	advise(at.table.begin+uintptr(at.from), uintptr(at.to-at.from), unix.MADV_WILLNEED)
	return at.until
}

// advise gives advice about a part of the process's memory. What was there may be
// gone by now, and something else be there: no advice that is given here changes
// what memory holds.
func advise(begin, size uintptr, advice int) {
	end := begin + size
	begin -= begin % uintptr(os.Getpagesize())
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, begin, end-begin, uintptr(advice))
}

// look takes note of the tables that there are. One that was not there at the look
// before is left for the next, which is soon: until then it is in the page cache, and
// Badger may be about to read the whole of it, to move it to the last level.
func (a *ahead) look() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return
	}
	spans, err := mappingsBelow(a.dir)
	if err != nil {
		return
	}
	known := make([]*mapping, 0, len(spans))
	for _, m := range *a.known.Load() {
		if spans[m.id].begin == m.begin {
			known = append(known, m)
			delete(spans, m.id)
		}
	}
	seen, fresh := map[uint64]bool{}, false
	for id, span := range spans {
		readable, before := a.seen[id]
		if !before {
			seen[id], fresh = true, true
			continue
		}
		var parts []part
		if readable {
			parts, err = blocksOf(table.NewFilename(id, a.dir))
		}
		if err != nil || len(parts) < 2 {
			seen[id] = false // Badger has deleted it meanwhile, or it stays as it is
			continue
		}
		advise(span.begin, span.end-span.begin, unix.MADV_RANDOM)
		known = append(known, &mapping{id: id, begin: span.begin, parts: parts})
	}
	a.seen = seen
	slices.SortFunc(known, func(a, b *mapping) int { return cmp.Compare(a.parts[0].first, b.parts[0].first) })
	a.known.Store(&known)
	if a.timer != nil {
		a.timer.Stop()
	}
	if fresh {
		a.timer = time.AfterFunc(lookAgain, a.look)
	}
}

// memory is what is known takes, in bytes.
func (a *ahead) memory() (n int64) {
	for _, m := range *a.known.Load() {
		n += int64(unsafe.Sizeof(*m)) + int64(cap(m.parts))*int64(unsafe.Sizeof(part{}))
	}
	return n
}

// close ends the looking for tables.
func (a *ahead) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

var errTable = errors.New("the table's index is unreadable")

// blocksOf reads the index of a table: its blocks, and where the last one ends.
func blocksOf(path string) (parts []part, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	end := info.Size()
	// Behind the blocks are the index, its length, a checksum, and its length.
	length := func() (int64, error) {
		var b [4]byte
		if end -= 4; end < 0 {
			return 0, errTable
		}
		if _, err := f.ReadAt(b[:], end); err != nil {
			return 0, err
		}
		n := int64(binary.BigEndian.Uint32(b[:]))
		if end -= n; end < 0 {
			return 0, errTable
		}
		return n, nil
	}
	if _, err := length(); err != nil {
		return nil, err
	}
	n, err := length()
	if err != nil {
		return nil, err
	}
	raw := make([]byte, n)
	if _, err := f.ReadAt(raw, end); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	err = guarded(func() error {
		index := fb.GetRootAsTableIndex(raw, 0)
		var b fb.BlockOffset
		for i := range index.OffsetsLength() {
			if !index.Offsets(&b, i) {
				return errTable
			}
			key := b.KeyBytes()
			segment, number, ok := parseChunkKey(key[:max(0, len(key)-8)]) // behind it is a version
			if !ok {
				return errTable
			}
			parts = append(parts, part{ordinal(segment, number), b.Offset()})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return append(parts, part{math.MaxUint64, uint32(end)}), nil
}

type span struct{ begin, end uintptr }

// mappingsBelow returns where in the process's memory the tables in a directory
// are, by their numbers.
func mappingsBelow(dir string) (map[uint64]span, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, fmt.Errorf("looking for the store's tables: %w", err)
	}
	prefix, spans := []byte(" "+dir+string(filepath.Separator)), map[uint64]span{}
	for line := range bytes.Lines(maps) {
		before, name, ok := bytes.Cut(line, prefix)
		if !ok {
			continue
		}
		digits, ok := bytes.CutSuffix(bytes.TrimSpace(name), []byte(".sst"))
		id, err := strconv.ParseUint(string(digits), 10, 64)
		if !ok || err != nil {
			continue
		}
		where, _, _ := strings.Cut(string(before), " ")
		from, to, _ := strings.Cut(where, "-")
		begin, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil {
			return nil, fmt.Errorf("looking for the store's tables: %q is no part of memory", where)
		}
		spans[id] = span{uintptr(begin), uintptr(end)}
	}
	return spans, nil
}
