package emit

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weir/event"
	logseal "weir/internal/seal"
)

// The ledger's files: one is put aside as ledger-N.jsonl when it has this many
// bytes, and as many of those are kept.
const (
	ledgerFileBytes = 64 << 20
	ledgerFiles     = 16
	maxLedgerLine   = 1 << 20
	chainDigits     = 32
)

// firstChain stands before the first line of the first file.
var firstChain = bytes.Repeat([]byte{'0'}, chainDigits)

// ledgerFile writes the lines of a ledger.
type ledgerFile struct {
	path   string
	sync   bool // at each write; else at the end only
	file   *os.File
	seal   logseal.Kept // of what is safe
	head   int64        // bytes that said how things stood when the file was begun
	loose  bool         // something was written and not synced, as nobody asked
	number int          // of the file that is written
	chains *chains
	chain  []byte // of the last line that is safe

	pending [][]byte // lines that are not written yet, without their chain
	bytes   int      // of pending
	fault   error    // why they cannot be written; nil: they can
}

// chains computes the chain of lines.
type chains struct{ mac hash.Hash }

func newChains(key *event.Key) *chains {
	return &chains{mac: hmac.New(sha256.New, key.HMACKey("ledger"))}
}

// next returns the chain of a line: of the chain before it and its bytes up to
// its own chain.
func (c *chains) next(before, line []byte) []byte {
	c.mac.Reset()
	c.mac.Write(before)
	c.mac.Write(line)
	var sum [sha256.Size]byte
	return hex.AppendEncode(make([]byte, 0, 2*sha256.Size), c.mac.Sum(sum[:0]))[:chainDigits]
}

// chainMember stands between a line and its chain.
const chainMember = `,"chain":"`

// cutChain splits a line into what its chain is of, and the chain.
func cutChain(line []byte) (open, chain []byte, ok bool) {
	n := len(line) - len(chainMember) - chainDigits - len(`"}`)
	if n < 0 || string(line[n:n+len(chainMember)]) != chainMember || string(line[len(line)-2:]) != `"}` {
		return nil, nil, false
	}
	return line[:n], line[n+len(chainMember) : len(line)-2], true
}

// closeLine appends a line's chain and its end.
func closeLine(b, chain []byte) []byte {
	return append(append(append(b, chainMember...), chain...), '"', '}', '\n')
}

// add takes a line; it is written by flush.
func (f *ledgerFile) add(open []byte, most int) (taken bool) {
	if f.bytes+len(open) > most {
		return false
	}
	f.pending = append(f.pending, open)
	f.bytes += len(open)
	return true
}

// flush writes the lines that were taken, and syncs them. After a failure the
// file is cut to what is safe before anything else is written.
func (f *ledgerFile) flush() error {
	if len(f.pending) == 0 && f.fault == nil {
		return nil
	}
	f.fault = f.tryFlush()
	return f.fault
}

func (f *ledgerFile) tryFlush() (err error) {
	if f.fault != nil {
		// What a failed sync left behind nobody knows: the file is opened anew.
		if err := f.reopen(); err != nil {
			return err
		}
	}
	chain := f.chain
	b := make([]byte, 0, f.bytes+len(f.pending)*(len(chainMember)+chainDigits+3))
	for _, open := range f.pending {
		chain = f.chains.next(chain, open)
		b = closeLine(append(b, open...), chain)
	}
	if _, err := f.file.Write(b); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	if f.sync {
		if err := syncFile(f.file); err != nil {
			return fmt.Errorf("ledger: sync: %w", err)
		}
	}
	f.loose = !f.sync
	f.seal.Set(f.seal.Load().With(b))
	f.chain = chain
	f.pending, f.bytes = f.pending[:0], 0
	return nil
}

// reopen opens the file again and cuts it to what is safe.
func (f *ledgerFile) reopen() error {
	if f.file != nil {
		f.file.Close() // its errors were seen when it was written
		f.file = nil
	}
	file, err := os.OpenFile(f.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	size := f.size()
	info, err := file.Stat()
	switch {
	case err != nil:
	case info.Size() < size:
		err = fmt.Errorf("%s: %d bytes, %d were written", f.path, info.Size(), size)
	default:
		if err = file.Truncate(size); err == nil {
			_, err = file.Seek(size, io.SeekStart)
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("ledger: %w", err), file.Close())
	}
	f.file = file
	return nil
}

// full reports whether it is time for another file. One that begins with very
// many entries in force is let grow, so that not all is written again at once.
func (f *ledgerFile) full(most int64) bool { return f.size() >= max(most, 2*f.head) }

// size is how many bytes are safe.
func (f *ledgerFile) size() int64 { return f.seal.Load().Size }

// rotate puts the file aside and begins another one with the given lines.
func (f *ledgerFile) rotate(head func(before []byte, number int) [][]byte, keep int) error {
	if err := syncFile(f.file); err != nil {
		return fmt.Errorf("ledger: sync: %w", err)
	}
	next, err := os.OpenFile(f.path+".next", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	drop := func(err error) error {
		return errors.Join(fmt.Errorf("ledger: the next file: %w", err), next.Close(), os.Remove(next.Name()))
	}
	chain := f.chain
	w := bufio.NewWriter(next)
	var begun logseal.Seal
	for _, open := range head(chain, f.number+1) {
		chain = f.chains.next(chain, open)
		line := closeLine(open, chain)
		w.Write(line) // Flush returns its error
		begun = begun.With(line)
	}
	if err := errors.Join(w.Flush(), syncFile(next)); err != nil {
		return drop(err)
	}
	if err := os.Rename(f.path, f.aside(f.number)); err != nil {
		return drop(err)
	}
	if err := os.Rename(next.Name(), f.path); err != nil {
		return errors.Join(drop(err), os.Rename(f.aside(f.number), f.path))
	}
	err = errors.Join(f.file.Close(), syncDir(filepath.Dir(f.path)))
	f.file, f.head, f.number, f.chain = next, begun.Size, f.number+1, chain
	f.seal.Set(begun)
	return errors.Join(err, f.drop(keep))
}

// drop removes the oldest files that were put aside.
func (f *ledgerFile) drop(keep int) (err error) {
	aside, err := asideFiles(filepath.Dir(f.path))
	for _, n := range aside[:max(0, len(aside)-keep)] {
		err = errors.Join(err, os.Remove(f.aside(n)))
	}
	return err
}

func (f *ledgerFile) aside(n int) string { return asidePath(filepath.Dir(f.path), n) }

func asidePath(dir string, n int) string {
	return filepath.Join(dir, "ledger-"+strconv.Itoa(n)+".jsonl")
}

// asideFiles returns the numbers of the files that were put aside, rising.
func asideFiles(dir string) ([]int, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	var numbers []int
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), "ledger-")
		text, ok2 := strings.CutSuffix(text, ".jsonl")
		if n, err := strconv.Atoi(text); ok && ok2 && err == nil && n > 0 && strconv.Itoa(n) == text {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers, nil
}

// close writes what is still held, syncs and closes.
func (f *ledgerFile) close(count *Counts) error {
	err := f.flush()
	if err != nil {
		count.Lost += uint64(len(f.pending))
	}
	if f.file == nil {
		return err
	}
	if err == nil && f.loose {
		if serr := syncFile(f.file); serr != nil {
			err = fmt.Errorf("ledger: sync: %w", serr)
		}
	}
	if cerr := f.file.Close(); cerr != nil && err == nil {
		err = fmt.Errorf("ledger: %w", cerr)
	}
	return err
}

// openAll opens the kept files to be read, oldest first.
func (f *ledgerFile) openAll() ([]*os.File, error) { return openLedgerFiles(f.path) }

func openLedgerFiles(path string) (files []*os.File, err error) {
	dir := filepath.Dir(path)
	numbers, err := asideFiles(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(numbers)+1)
	for _, n := range numbers {
		names = append(names, asidePath(dir, n))
	}
	for _, name := range append(names, path) {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed or put aside since the directory was read
		}
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("ledger: %w", err)
		}
		files = append(files, file)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close() // only read
	}
}
