package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// passChunk is how much is passed over between two looks at the context.
const passChunk = 4 << 20

// Seek has partition p go on with the first line that begins at or behind an
// offset. It is called before Read, or behind what Read has returned. Plain
// files are not read as far as that; compressed ones and streams are.
func (f *Files) Seek(p int, offset int64) error {
	l := f.logs[p]
	if offset < l.after {
		return fmt.Errorf("%s: to be read from offset %d, but was read up to %d", l.parts[len(l.parts)-1].path, offset, l.after)
	}
	l.lines.from = offset
	return nil
}

// behind reports whether the log is to be passed over for a while: up to the
// byte before the first that is wanted, which tells whether a line begins there.
func (l *fileLog) behind() bool { return l.ended == nil && l.lines.ahead() > 0 }

// pass goes on to where reading shall begin, or to the end of the open file. A
// file that cannot be read so far ends where it ended for an earlier life.
func (l *fileLog) pass(ctx context.Context) error {
	n := l.lines.ahead() - l.lines.drop(l.lines.ahead())
	if l.plain {
		info, err := l.file.Stat()
		if err != nil {
			return plainFileError(l.file.Name(), err)
		}
		k := max(0, min(n, info.Size()-(l.lines.offset-l.base)))
		if _, err := l.file.Seek(k, io.SeekCurrent); err != nil {
			return plainFileError(l.file.Name(), err)
		}
		l.done.Add(k)
		l.lines.offset += k
		return nil
	}
	if l.pump != nil {
		l.pump.ctx = ctx
	}
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, err := io.CopyN(io.Discard, l.src, min(n, passChunk))
		n -= k
		l.lines.offset += k
		if cause := ctx.Err(); cause != nil && errors.Is(err, cause) {
			return cause // the caller gave up waiting, not the stream
		}
		if err != nil {
			l.ended = err
			return nil
		}
	}
	return nil
}

// atEnd returns io.EOF, or what is wrong where the log was read further before.
func (l *fileLog) atEnd() error {
	if at, from := l.lines.offset, l.lines.from; at < from {
		return fmt.Errorf("%s: to be read from offset %d, but ends at %d: it is not the log, or not all of it, that was read before",
			l.parts[len(l.parts)-1].path, from, at)
	}
	return io.EOF
}
