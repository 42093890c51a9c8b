package ingest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// grace is how long a file must have been quiet, after another one took its
	// place and has lines, before it is left: writers are told to reopen their
	// log some time after it was renamed, and not all do so at once.
	grace = 2 * time.Second
	// maxGrace is how long a file that goes on to be written is waited for.
	maxGrace = time.Minute
	// listEvery is how often the files of a log are looked for while its path
	// leads nowhere.
	listEvery = time.Second
	// fresh is how long what a look found is worth something.
	fresh = 5 * time.Second
	// barredFor is how long a rotation that may not be read is waited for.
	barredFor = 30 * time.Second
	// keptFirsts is how many of the files that were read are remembered.
	keptFirsts = 8
)

// followLog is one partition of Follow. What is not behind a lock is its
// reader's, of whom there is one at a time.
type followLog struct {
	f         *Follow
	number    int32
	key       string // the path of the live file
	dir, stem string
	start     int64
	retired   bool // not configured any more

	cur        *followFile
	lines      lineReader
	dec        decompressor
	buf        *bufio.Reader
	marks      []FileMark    // of an earlier life, of files that were not begun in this one
	nextMark   int           // the one of the file to be read next; below 0: none
	opened     bool          // a file was begun
	known      bool          // the journal has files of it
	passed     []string      // first lines of the files before cur, the latest last
	spoilt     []fs.FileInfo // files of which nothing can be read
	linked     bool          // key is a symbolic link
	listed     time.Time     // when its files were last looked for
	barred     time.Time     // since when a file of it cannot be opened
	barredSeen time.Time     // and when that was so last
	moving     time.Time     // since when its directory was never twice the same; zero: it was
	left       leftFile
	told       []Gap             // what is missing and the reader does not know yet
	firsts     map[string]listed // of the files that were listed, while the journal's are looked for
	fault      error             // to be returned by the next read
	rest       []byte
	window     [headKept]byte

	reading sync.Mutex
	closed  bool
	looked  atomic.Int64 // when the end was looked for last, Unix nanoseconds
	atEnd   atomic.Bool  // and whether it was found
	isLive  atomic.Bool
	read0   atomic.Int64 // bytes read of the current file
	size    atomic.Int64 // of the current file, as of the last look
	ahead   atomic.Int64 // bytes of the files behind it
	nowhere atomic.Bool  // there is no current file
}

// read is Follow.Read for one log.
func (l *followLog) read(ctx context.Context, max int, r *Records) error {
	l.reading.Lock()
	defer l.reading.Unlock()
	from, long, base, gaps := r.Len(), r.TooLong, len(r.Data), len(r.Gaps)
	for {
		r.Gaps, l.told = append(r.Gaps, l.told...), l.told[:0]
		got := r.Len() > from || r.TooLong > long || len(r.Gaps) > gaps
		left := max - (r.Len() - from)
		if left <= 0 || len(r.Data)-base >= batchBytes {
			return nil
		}
		if err := l.stopped(ctx); err != nil {
			if got {
				return nil
			}
			return err
		}
		if l.fault != nil {
			if got {
				return nil
			}
			err := l.fault
			l.fault = nil
			return err
		}
		more, err := l.step(left, r)
		l.show()
		switch {
		case err != nil:
			l.fault = err
		case more, len(l.told) > 0:
		case got || r.Len() > from || r.TooLong > long:
			return nil
		default:
			if err := l.f.pause(ctx, l.f.pace()); err != nil {
				return err
			}
		}
	}
}

func (l *followLog) stopped(ctx context.Context) error {
	if l.closed {
		return errFollowClosed
	}
	select {
	case <-l.f.closed:
		return errFollowClosed
	default:
		return ctx.Err()
	}
}

// step does the next thing that is to be done, and reports whether there was
// any. It appends at most max lines.
func (l *followLog) step(max int, r *Records) (more bool, err error) {
	c := l.cur
	switch {
	case c == nil:
		return l.openNext(r)
	case c.first == "":
		if more, err := l.identify(); more || err != nil {
			return more, err
		}
		return l.look(r)
	case !c.noted:
		if err := l.f.cfg.Note(FileMark{Partition: l.number, Log: l.key, Offset: c.base, First: c.first}); err != nil {
			return false, fmt.Errorf("%s: the beginning of a file could not be written down: %w", c.path, err)
		}
		c.noted = true
	}
	n, long := r.Len(), r.TooLong
	l.lines.take(max, r)
	if l.handed(r, n, long) {
		return true, nil
	}
	if c.comp == uncompressed {
		return l.readPlain(max, r)
	}
	return l.readPacked(max, r)
}

// handed reports whether records came, of which n and long came before. A byte
// order mark is no part of the first of a file.
func (l *followLog) handed(r *Records, n, long int) bool {
	if r.Len() > n && r.Offsets[n] == l.cur.base {
		trimByteOrderMark(r, n)
	}
	return r.Len() > n || r.TooLong > long
}

// readPlain reads on in a file that is not compressed.
func (l *followLog) readPlain(max int, r *Records) (more bool, err error) {
	c := l.cur
	end := c.info.Size()
	if c.limit >= 0 {
		end = min(end, c.limit)
	}
	if c.pos >= end {
		return l.look(r)
	}
	// What is read is handed out only if the file is still the same behind it.
	n, long, data, pos := r.Len(), r.TooLong, len(r.Data), c.pos
	before := l.lines
	l.rest = append(l.rest[:0], l.lines.pend[l.lines.lo:]...)
	l.lines.room = int(min(end-c.pos, chunk))
	err = l.lines.fill(c, true, max, r)
	changed, e := c.rewritten(l.window[:])
	if changed || e != nil {
		r.Data, r.Starts, r.Ends, r.Offsets, r.TooLong = r.Data[:data], r.Starts[:n], r.Ends[:n], r.Offsets[:n], long
		before.pend = append(l.lines.pend[:0], l.rest...)
		before.lo = 0
		l.lines = before
		c.pos, c.raw = pos, pos
		if _, err := c.file.Seek(pos, io.SeekStart); err != nil {
			e = errors.Join(e, err)
		}
		if e != nil {
			l.f.complain(l.key, plainFileError(c.path, e))
			return false, nil
		}
		return true, l.beginAgain(r)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		l.f.complain(l.key, plainFileError(c.path, err))
		return l.handed(r, n, long), nil
	}
	if c.pos == pos { // shorter than it was; never more than one look without a pause
		_, err := l.look(r)
		return false, err
	}
	c.grew = time.Now()
	l.handed(r, n, long)
	return true, nil
}

// readPacked reads on in a compressed file, which ends for good.
func (l *followLog) readPacked(max int, r *Records) (more bool, err error) {
	c, n, long := l.cur, r.Len(), r.TooLong
	l.lines.room = 0
	err = l.lines.fill(c, true, max, r)
	l.handed(r, n, long)
	if err == nil {
		return true, nil
	}
	if r.Len() > n || len(l.lines.pend)-l.lines.lo > l.lines.scanned {
		return true, nil // the reader says it again
	}
	l.finish(err, r)
	damage := error(nil)
	if !errors.Is(err, io.EOF) {
		damage = &ErrSource{File: c.path, Offset: c.pos, Err: err}
	}
	l.leave()
	return damage == nil, damage
}

// finish hands out what is left of the current file.
func (l *followLog) finish(err error, r *Records) {
	n, long := r.Len(), r.TooLong
	l.lines.finish(err, r)
	l.handed(r, n, long)
	if from := l.lines.from; l.lines.offset < from {
		l.missing(from, from, l.cur.path+" is shorter than what was read of it")
		l.lines.offset = from
	}
}

// leave closes the current file.
func (l *followLog) leave() {
	l.pass(l.cur.first)
	l.cur.file.Close() // it was only read
	l.cur = nil
}

func (l *followLog) pass(first string) {
	if first == "" {
		return
	}
	if len(l.passed) == keptFirsts {
		l.passed = append(l.passed[:0], l.passed[1:]...)
	}
	l.passed = append(l.passed, first)
}

// beginAgain begins the current file at its start, because it is another one
// now in all but its name.
func (l *followLog) beginAgain(r *Records) error {
	c := l.cur
	if c.first != "" {
		l.finish(io.EOF, r)
	}
	l.pass(c.first)
	l.f.cfg.Log.Info("a log was truncated or rewritten, and is read from its start", "source", l.f.cfg.Name, "log", c.path, "offset", l.lines.offset)
	l.cur = &followFile{path: c.path, file: c.file, live: c.live, limit: -1, mark: -1, grew: time.Now(), info: c.info}
	return l.cur.seek(0, &l.dec, l.buf)
}

// look finds out what became of the current file, which was read as far as it
// was known to go, and goes on to the next one when the time has come.
func (l *followLog) look(r *Records) (more bool, err error) {
	c := l.cur
	info, err := c.file.Stat()
	if err != nil {
		l.f.complain(l.key, plainFileError(c.path, err))
		return false, nil
	}
	old := c.info
	c.info = info
	now := time.Now()
	l.looked.Store(now.UnixNano())
	if c.comp == uncompressed {
		switch {
		case info.Size() < c.pos:
			return true, l.beginAgain(r)
		case info.Size() != old.Size() || !info.ModTime().Equal(old.ModTime()):
			changed, err := c.rewritten(l.window[:])
			if err != nil {
				l.f.complain(l.key, plainFileError(c.path, err))
				return false, nil
			}
			if changed {
				return true, l.beginAgain(r)
			}
		}
		if info.Size() != old.Size() {
			c.grew = now
		}
		if cut := c.limit >= 0 && c.pos >= c.limit; info.Size() > c.pos && !cut && c.first != "" {
			l.atEnd.Store(false)
			return true, nil
		}
	}
	l.left.look(l, now)
	files, next, err := l.successor()
	if err != nil {
		l.grumble(err)
		return false, nil
	}
	l.atEnd.Store(next < 0)
	l.lines.idle()
	if next < 0 || !l.over(files[next], now) {
		return false, nil
	}
	return l.switchTo(files, next, r)
}

// close frees what the log holds, when its read has ended.
func (l *followLog) close() (err error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	l.closed = true
	if l.cur != nil {
		err = l.cur.file.Close()
		l.cur = nil
	}
	l.left.close()
	l.dec.close()
	l.dec = decompressor{}
	return err
}
