package ingest

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
)

// fileLog is one partition of Files: the files of a log, read one after the
// other. Offsets run on from file to file.
type fileLog struct {
	parts []*filePart
	next  int // of parts, the one to open next

	src   io.Reader // of the open file, decompressed; nil between files
	file  *os.File
	pump  *pump // where the open file is a stream
	ended error // why src has no more
	fault error // to be returned by the next read
	begun bool  // a record of the open file was seen
	known bool  // so was its first that is no comment

	lines lineReader
	dec   decompressor
	raw   counter
	buf   *bufio.Reader // in front of a decompressor
	done  *atomic.Int64

	mu     sync.Mutex
	starts []fileStart // of the files opened so far
}

// fileStart is where a file begins in its partition and how to know it again.
type fileStart struct {
	base  int64
	first [sha256.Size]byte
	known bool
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}

func (l *fileLog) read(ctx context.Context, max int, r *Records) error {
	if err := l.fault; err != nil {
		l.fault = nil
		return err
	}
	from, long, base := r.Len(), r.TooLong, len(r.Data)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		got := r.Len() > from || r.TooLong > long
		if l.src == nil {
			if got {
				return nil
			}
			if l.next == len(l.parts) {
				return io.EOF
			}
			if err := l.open(ctx); err != nil {
				return err
			}
		}
		left := max - (r.Len() - from)
		if left <= 0 || len(r.Data)-base >= batchBytes {
			return nil
		}
		l.lines.take(left, r)
		l.noteFirst(r, from)
		if left = max - (r.Len() - from); left <= 0 {
			return nil
		}
		if l.ended == nil {
			if l.pump != nil && r.Len() > from {
				return nil // do not wait for more while there is something to do
			}
			if l.pump != nil {
				l.pump.ctx = ctx
			}
			l.ended = l.lines.fill(l.src, l.pump == nil, left, r)
			l.noteFirst(r, from)
			if err := ctx.Err(); err != nil && errors.Is(l.ended, err) {
				l.ended = nil // the caller gave up waiting, not the stream
			}
			continue
		}
		l.lines.finish(l.ended, r)
		l.noteFirst(r, from)
		if err := l.endFile(); err != nil {
			if r.Len() == from && r.TooLong == long {
				return err
			}
			l.fault = err
			return nil
		}
	}
}

// open opens the next file.
func (l *fileLog) open(ctx context.Context) error {
	part := l.parts[l.next]
	l.next++
	src, err := l.openPart(ctx, part)
	if err != nil {
		l.closeFile()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &ErrSource{File: part.path, Err: err}
	}
	l.src, l.ended, l.begun, l.known = src, nil, false, false
	l.mu.Lock()
	l.starts = append(l.starts, fileStart{base: l.lines.offset})
	l.mu.Unlock()
	return nil
}

func (l *fileLog) openPart(ctx context.Context, part *filePart) (io.Reader, error) {
	var head [headBytes]byte
	var n int
	l.raw = counter{n: l.done}
	if part.stream != nil {
		l.pump = newPump(part.stream, part.borrowed)
		l.pump.ctx = ctx
		l.raw.r = l.pump
		var err error
		if n, err = io.ReadAtLeast(&l.raw, head[:], 4); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, err
		}
		l.raw.r = io.MultiReader(bytes.NewReader(head[:n]), l.pump)
		l.done.Add(-int64(n)) // they are read again
		if hint := unreadable(head[:n]); hint != "" {
			return nil, errors.New(hint)
		}
	} else {
		file, err := os.Open(part.path)
		if err != nil {
			return nil, err
		}
		l.file, l.raw.r = file, file
		info, err := file.Stat()
		if err != nil {
			return nil, err
		}
		if !os.SameFile(info, part.info) {
			return nil, errors.New("another file took its place since the start")
		}
		if n, err = file.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	c := compressionOf(part.path, head[:n])
	if c == uncompressed {
		return &l.raw, nil
	}
	if l.buf == nil {
		l.buf = bufio.NewReaderSize(nil, 64<<10)
	}
	l.buf.Reset(&l.raw)
	return l.dec.reader(c, l.buf)
}

// endFile closes the open file and returns why it ended, if it should not have.
func (l *fileLog) endFile() error {
	ended, begin := l.ended, l.starts[len(l.starts)-1].base
	err := l.closeFile()
	if !errors.Is(ended, io.EOF) {
		err = ended
	}
	if err == nil {
		return nil
	}
	return &ErrSource{File: l.parts[l.next-1].path, Offset: l.lines.offset - begin, Err: err}
}

func (l *fileLog) closeFile() (err error) {
	if l.file != nil {
		err = l.file.Close()
	}
	if l.pump != nil {
		err = l.pump.close()
	}
	l.src, l.file, l.pump, l.ended = nil, nil, nil, nil
	return err
}

func (l *fileLog) close() error {
	err := l.closeFile()
	for _, p := range l.parts[l.next:] {
		p.close()
	}
	l.dec.close()
	return err
}

// noteFirst remembers the first line of the open file; its records begin at
// index from of r. A byte order mark is no part of it.
func (l *fileLog) noteFirst(r *Records, from int) {
	if l.known || r.Len() == from {
		return
	}
	if !l.begun {
		l.begun = true
		trimByteOrderMark(r, from)
	}
	for i := from; i < r.Len(); i++ {
		if line := r.Line(i); len(line) > 0 && line[0] != '#' { // W3C files all begin with the same comments
			l.known = true
			l.mu.Lock()
			s := &l.starts[len(l.starts)-1]
			s.first, s.known = sha256.Sum256(line), true
			l.mu.Unlock()
			return
		}
	}
}
