package ingest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"weir/event"
)

const (
	// headWindow is how far a file's first line is looked for, behind comments
	// and empty lines.
	headWindow = 2 * MaxLine
	// headKept is how much of a file's beginning is compared to notice that it
	// was rewritten, and tailKept how much before a position to know a copy.
	headKept = 1 << 10
	tailKept = 4 << 10
)

// followFile is the file that a log is read from.
type followFile struct {
	path   string
	file   *os.File
	info   fs.FileInfo // as it was looked at last
	comp   compression
	src    io.Reader // decompressed
	raw    int64     // bytes read of the file itself
	pos    int64     // bytes read of what is in it
	base   int64     // the offset of its first byte
	limit  int64     // where in it an earlier life went on to the next file; below 0: nowhere
	head   []byte    // of an uncompressed file
	first  string    // "" until its first line is known
	noted  bool      // the journal knows of it
	live   bool      // it was the newest when it was opened
	final  bool      // nothing will be added to it
	placed bool      // its place among the offsets did not follow from its first line
	mark   int       // in the journal's marks; below 0: not known
	grew   time.Time // when it was last seen to grow
	moved  time.Time // when another one was first seen to have lines; zero: not yet
}

// Read reads what is in the file, up to its limit.
func (c *followFile) Read(b []byte) (int, error) {
	if c.limit >= 0 {
		if c.pos >= c.limit {
			return 0, io.EOF
		}
		b = b[:min(int64(len(b)), c.limit-c.pos)]
	}
	n, err := c.src.Read(b)
	c.pos += int64(n)
	if c.comp == uncompressed {
		c.raw = c.pos
	}
	return n, err
}

// rawReader counts what a decompressor takes.
type rawReader struct{ c *followFile }

func (r rawReader) Read(b []byte) (int, error) {
	n, err := r.c.file.Read(b)
	r.c.raw += int64(n)
	return n, err
}

// seek goes to a position in what is in the file. A compressed one was just
// opened.
func (c *followFile) seek(pos int64, dec *decompressor, buf *bufio.Reader) error {
	c.src = c.file
	if c.comp == uncompressed {
		_, err := c.file.Seek(pos, io.SeekStart)
		c.pos, c.raw = pos, pos
		return err
	}
	if _, err := c.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	c.raw = 0
	buf.Reset(rawReader{c})
	src, err := dec.reader(c.comp, buf)
	if err != nil {
		return err
	}
	c.src = src
	c.pos, err = io.CopyN(io.Discard, src, pos)
	return err
}

// rewritten reports whether the file begins with something else than it did.
// It learns more of a file that was short when it was looked at before.
func (c *followFile) rewritten(buf []byte) (bool, error) {
	if c.comp != uncompressed {
		return false, nil
	}
	n, err := c.file.ReadAt(buf[:headKept], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	if !bytes.HasPrefix(buf[:n], c.head) {
		return true, nil
	}
	if n > len(c.head) {
		c.head = append(c.head[:0], buf[:n]...)
	}
	return false, nil
}

// continues reports whether the file holds what was read of old, and maybe
// more: it is a copy, or old is.
func (c *followFile) continues(old *followFile) bool {
	if c.comp != uncompressed || old.comp != uncompressed || c.first != old.first || c.info.Size() < old.pos {
		return false
	}
	n := min(old.pos, tailKept)
	a, b := make([]byte, n), make([]byte, n)
	if _, err := old.file.ReadAt(a, old.pos-n); err != nil {
		return false
	}
	if _, err := c.file.ReadAt(b, old.pos-n); err != nil {
		return false
	}
	return bytes.Equal(a, b)
}

// heads finds the first lines of files. There is one of it, because
// decompressors are large.
type heads struct {
	mu  sync.Mutex
	dec decompressor
	buf []byte
}

func (h *heads) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dec.close()
	h.dec = decompressor{}
}

// first returns the keyed hash of a file's first line, or "" if it has none
// yet; whole says that what is there is all that will ever be. head is the
// beginning of what is in the file, a copy.
func (h *heads) first(file *os.File, comp compression, whole bool, key *event.Key) (first string, head []byte, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.buf == nil {
		h.buf = make([]byte, headWindow)
	}
	var src io.Reader = io.NewSectionReader(file, 0, 1<<62)
	if comp != uncompressed {
		if src, err = h.dec.reader(comp, bufio.NewReaderSize(src, 4<<10)); err != nil {
			return "", nil, err
		}
	}
	n := 0
	for window := 4 << 10; ; window *= 8 {
		window = min(window, headWindow)
		k, err := io.ReadFull(src, h.buf[n:window])
		n += k
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		line, ok := firstLine(h.buf[:n], whole && ended, n == headWindow)
		switch {
		case ok:
			sum := sha256.Sum256(line)
			return fmt.Sprintf("%016x", key.Hash(sum[:])), bytes.Clone(h.buf[:min(n, headKept)]), nil
		case ended || n == headWindow:
			return "", bytes.Clone(h.buf[:min(n, headKept)]), nil
		case err != nil:
			return "", nil, err
		}
	}
}

// firstLine returns the first line of a file that is neither empty nor a
// comment. One that is too long counts as far as the limit; where there are
// only comments in the whole window, all of that does.
func firstLine(head []byte, whole, full bool) (line []byte, ok bool) {
	rest := bytes.TrimPrefix(head, []byte(byteOrderMark))
	for len(rest) > 0 {
		line, next, found := bytes.Cut(rest, []byte("\n"))
		text := bytes.TrimSuffix(line, []byte("\r"))
		switch {
		case len(text) > MaxLine:
			return text[:MaxLine], true
		case !found && !whole:
			rest = nil
			continue
		case len(text) > 0 && text[0] != '#': // W3C files all begin with the same comments
			return text, true
		}
		rest = next
	}
	return head, full
}
