package ingest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
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
	plain bool  // the open file is neither compressed nor a stream
	base  int64 // the offset of its first byte
	ended error // why src has no more
	fault error // to be returned by the next read
	after int64 // the offset behind that of the last record returned

	lines lineReader
	dec   decompressor
	raw   counter
	buf   *bufio.Reader // in front of a decompressor
	done  *atomic.Int64
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
	defer func() {
		if n := r.Len(); n > 0 {
			l.after = r.Offsets[n-1] + 1
		}
	}()
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
				return l.atEnd()
			}
			if err := l.open(ctx); err != nil {
				return err
			}
		}
		if l.behind() {
			if err := l.pass(ctx); err != nil {
				return err
			}
		}
		left := max - (r.Len() - from)
		if left <= 0 || len(r.Data)-base >= batchBytes {
			return nil
		}
		n := r.Len()
		l.lines.take(left, r)
		l.trim(r, n)
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
			n = r.Len()
			l.ended = l.lines.fill(l.src, l.pump == nil, left, r)
			l.trim(r, n)
			if err := ctx.Err(); err != nil && errors.Is(l.ended, err) {
				l.ended = nil // the caller gave up waiting, not the stream
			}
			continue
		}
		n = r.Len()
		l.lines.finish(l.ended, r)
		l.trim(r, n)
		if err := l.endFile(); err != nil && l.lines.offset >= l.lines.from { // else an earlier life said so
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
	l.src, l.ended, l.base = src, nil, l.lines.offset
	return nil
}

func (l *fileLog) openPart(ctx context.Context, part *filePart) (io.Reader, error) {
	var head [headBytes]byte
	var n int
	l.raw, l.plain = counter{n: l.done}, false
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
		l.plain = l.file != nil
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
	ended := l.ended
	err := l.closeFile()
	if !errors.Is(ended, io.EOF) {
		err = ended
	}
	if err == nil {
		return nil
	}
	return &ErrSource{File: l.parts[l.next-1].path, Offset: l.lines.offset - l.base, Err: err}
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

// trim takes a byte order mark off the first record of the open file, if that
// is record i of r.
func (l *fileLog) trim(r *Records, i int) {
	if r.Len() > i && r.Offsets[i] == l.base {
		trimByteOrderMark(r, i)
	}
}
