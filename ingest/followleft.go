package ingest

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// over reports whether the current file may be left for another.
func (l *followLog) over(next listed, now time.Time) bool {
	c := l.cur
	switch {
	case c.final, c.limit >= 0, next.first != "" && l.marked(next.first):
		return true
	case c.moved.IsZero():
		c.moved = now
	}
	if !c.live && now.Sub(c.info.ModTime()) > grace {
		return true // it was put aside before it was opened
	}
	quiet := c.moved
	if c.grew.After(quiet) {
		quiet = c.grew
	}
	return now.Sub(quiet) >= grace || now.Sub(c.moved) >= maxGrace
}

func (l *followLog) marked(first string) bool {
	for _, m := range l.marks {
		if m.First == first {
			return true
		}
	}
	return false
}

// leftFile is a file that was left for another while somebody may still have
// been writing into it. What comes into it now has no place among the offsets
// any more; that it did is said.
type leftFile struct {
	path   string
	file   *os.File // nil: none
	size   int64
	until  time.Time
	looked time.Time
}

// watchLeft is how long a file that was left is looked at.
const watchLeft = 10 * time.Minute

// watch begins to look at a file that was read as far as size, in place of the
// one before. It closes it in the end.
func (f *leftFile) watch(path string, file *os.File, size int64) {
	f.close()
	now := time.Now()
	*f = leftFile{path: path, file: file, size: size, until: now.Add(watchLeft), looked: now}
}

// look says what was written into the file since, once.
func (f *leftFile) look(l *followLog, now time.Time) {
	if f.file == nil || now.Sub(f.looked) < listEvery {
		return
	}
	f.looked = now
	info, err := f.file.Stat()
	if err == nil && info.Size() > f.size {
		l.missing(l.lines.offset, l.lines.offset, fmt.Sprintf("%s was left, and was then written on", f.path))
		f.close()
	}
	if err != nil || now.After(f.until) {
		f.close()
	}
}

func (f *leftFile) close() {
	if f.file != nil {
		f.file.Close() // it was only read
	}
	f.file = nil
}

// grumble is complain, but that a directory changes is no trouble at first.
func (l *followLog) grumble(err error) {
	l.atEnd.Store(false)
	now := time.Now()
	if errors.Is(err, errMoving) {
		if l.moving.IsZero() {
			l.moving = now
		}
		if now.Sub(l.moving) < complainEvery {
			return
		}
	}
	l.f.complain(l.key, err)
}

// show tells caughtUp and lag how far the log was read.
func (l *followLog) show() {
	c := l.cur
	l.nowhere.Store(c == nil)
	if c == nil {
		return
	}
	l.isLive.Store(c.live)
	l.read0.Store(c.raw - int64(len(l.lines.pend)-l.lines.lo))
	l.size.Store(c.info.Size())
}

func (l *followLog) caughtUp() bool {
	return l.atEnd.Load() && time.Since(time.Unix(0, l.looked.Load())) < fresh
}

func (l *followLog) lag() int64 {
	if l.nowhere.Load() {
		return l.ahead.Load()
	}
	size := l.size.Load()
	if info, err := os.Stat(l.key); l.isLive.Load() && err == nil {
		size = max(size, info.Size())
	}
	return max(0, size-l.read0.Load()) + l.ahead.Load()
}
