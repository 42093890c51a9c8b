package ingest

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// successor returns the files of the log, and which of them is to be read
// behind the current one; below 0 while there is nothing in any. An empty one is
// read too: somebody may be about to write into it.
func (l *followLog) successor() (files []listed, next int, err error) {
	info, err := os.Stat(l.key)
	if c := l.cur; c != nil {
		switch {
		case l.retired:
			return nil, -1, nil
		case err == nil && len(l.marks) == 0 && os.SameFile(info, c.info):
			c.live = true
			l.ahead.Store(0)
			return nil, -1, nil
		case errors.Is(err, fs.ErrNotExist):
			if now := time.Now(); now.Sub(l.listed) < listEvery && now.After(l.listed) {
				return nil, -1, nil
			}
		case err != nil:
			return nil, -1, plainFileError(l.key, err)
		}
	}
	l.listed = time.Now()
	if files, err = l.files(); err != nil {
		return nil, -1, err
	}
	l.moving = time.Time{}
	if next, err = l.after(files); err != nil {
		return nil, -1, err
	}
	for next < len(files) && l.isSpoilt(files[next]) {
		next++
	}
	ahead := int64(0)
	for _, a := range files[min(next, len(files)):] {
		if !l.isSpoilt(a) {
			ahead += a.info.Size()
		}
	}
	l.ahead.Store(ahead)
	if ahead == 0 { // nobody writes into it yet
		next = -1
	}
	return files, next, nil
}

// after returns the index of the file behind the current one. It fails where
// that cannot be said because of a file that cannot be read.
func (l *followLog) after(files []listed) (int, error) {
	var unread error
	l.nextMark = -1
	if len(l.marks) > 0 {
		i, mark, err := l.recorded(files)
		if i >= 0 || err != nil {
			l.nextMark = mark
			return i, err
		}
	}
	if l.cur != nil {
		for i, file := range slices.Backward(files) {
			if os.SameFile(file.info, l.cur.info) {
				return i + 1, nil
			}
		}
	}
	// Renamed and compressed, copied, or gone.
	for i := len(files) - 1; i >= 0 && (l.cur != nil || len(l.passed) > 0); i-- {
		first, err := l.firstOf(&files[i])
		switch {
		case err != nil:
			unread = err
		case first == "":
		case l.cur != nil && first == l.cur.first:
			if compressionOf(files[i].path, nil) == uncompressed {
				return i, nil // goes on where the current one was left, or at its start
			}
			return i + 1, nil
		case slices.Contains(l.passed, first):
			return i + 1, nil
		}
	}
	if l.linked && l.cur != nil {
		return len(files) - 1, nil // what the link points to now
	}
	return 0, unread
}

// recorded returns the first of the files that an earlier life read behind the
// current one, and its mark; below 0 where all of them are gone. Of files that begin with
// the same line the newest is the one that was read last.
func (l *followLog) recorded(files []listed) (found, mark int, err error) {
	found, mark = -1, -1
	j := len(l.marks)
	for i := len(files) - 1; i >= 0 && j > 0; i-- {
		first, e := l.firstOf(&files[i])
		if e != nil {
			err = e
		}
		if first == "" {
			continue
		}
		for k := j - 1; k >= 0; k-- {
			if l.marks[k].First == first {
				found, mark, j = i, k, k
				break
			}
		}
	}
	if j == 0 {
		err = nil // the very next one
	}
	return found, mark, err
}

// firstOf returns the first line of a file, "" where it has none, is damaged
// or not there any more.
func (l *followLog) firstOf(a *listed) (string, error) {
	if a.first != "" || a.info.Size() == 0 || l.isSpoilt(*a) {
		return a.first, nil
	}
	if b, ok := l.firsts[a.path]; ok && unchanged(a.info, b.info) {
		a.first = b.first
		return a.first, nil
	}
	file, err := os.Open(a.path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", l.pastBearing(*a, plainFileError(a.path, err))
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !os.SameFile(info, a.info) {
		return "", err
	}
	var head [headBytes]byte
	n, err := file.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", plainFileError(a.path, err)
	}
	a.first, _, _ = l.f.heads.first(file, compressionOf(a.path, head[:n]), true, l.f.cfg.Key) // damaged: none
	if len(l.marks) > 0 {
		if l.firsts == nil || len(l.firsts) > 2*maxRotations {
			l.firsts = make(map[string]listed)
		}
		l.firsts[a.path] = *a
	} else {
		l.firsts = nil
	}
	return a.first, nil
}

// pastBearing returns err, which keeps a file from being read, until that has
// lasted for a while. A rotation is then passed over: a live log must not wait
// for ever for an old file.
func (l *followLog) pastBearing(a listed, err error) error {
	now := time.Now()
	if l.barred.IsZero() || now.Sub(l.barredSeen) > fresh {
		l.barred = now
	}
	l.barredSeen = now
	if now.Sub(l.barred) < barredFor || a.path == l.key {
		return err
	}
	l.spoil(a.info)
	l.missing(l.lines.offset, l.lines.offset, "passed over: "+err.Error())
	l.barred = time.Time{}
	return nil
}

func (l *followLog) isSpoilt(a listed) bool {
	return slices.ContainsFunc(l.spoilt, func(b fs.FileInfo) bool {
		return unchanged(a.info, b)
	})
}

func unchanged(a, b fs.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// spoil remembers a file of which nothing can be read.
func (l *followLog) spoil(info fs.FileInfo) {
	if len(l.spoilt) == maxRotations {
		l.spoilt = l.spoilt[1:]
	}
	l.spoilt = append(l.spoilt, info)
}

// openNext opens the file to begin with, or the one behind what was read.
func (l *followLog) openNext(r *Records) (more bool, err error) {
	l.looked.Store(time.Now().UnixNano())
	files, next, err := l.successor()
	if err != nil {
		l.grumble(err)
		return false, nil
	}
	l.atEnd.Store(next < 0)
	if next < 0 {
		return false, nil
	}
	return l.switchTo(files, next, r)
}

// open opens a file that was listed. It returns nothing if that is not what
// stands there any more.
func (l *followLog) open(a listed) (*followFile, error) {
	file, err := os.Open(a.path)
	if err != nil {
		return nil, plainFileError(a.path, err)
	}
	fail := func(err error) (*followFile, error) {
		file.Close() // it was only read
		return nil, err
	}
	c := &followFile{path: a.path, file: file, limit: -1, mark: -1, grew: time.Now()}
	if c.info, err = file.Stat(); err != nil {
		return fail(plainFileError(a.path, err))
	}
	if !os.SameFile(c.info, a.info) {
		return fail(nil)
	}
	var head [headBytes]byte
	n, err := file.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return fail(plainFileError(a.path, err))
	}
	if hint := unreadable(head[:n]); hint != "" {
		l.spoil(c.info)
		return fail(plainFileError(a.path, errors.New(hint)))
	}
	c.comp = compressionOf(a.path, head[:n])
	c.final = c.comp != uncompressed
	if l.buf == nil && c.final {
		l.buf = bufio.NewReaderSize(nil, 64<<10)
	}
	return c, nil
}

// switchTo ends the current file, if there is one, and begins the next.
func (l *followLog) switchTo(files []listed, next int, r *Records) (more bool, err error) {
	if l.cur != nil && l.cur.first == "" && !l.cur.final {
		l.cur.final = true // nobody will end its first line
		if more, err := l.identify(); more || err != nil {
			return more, err
		}
	}
	c, err := l.open(files[next])
	if err != nil || c == nil {
		if errors.Is(err, fs.ErrPermission) {
			err = l.pastBearing(files[next], err)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.atEnd.Store(false)
			l.f.complain(l.key, err)
		}
		return false, nil
	}
	c.live, c.mark = next == len(files)-1, l.nextMark
	if old := l.cur; old != nil {
		whole, _ := l.firstOf(&files[next]) // it was opened
		c.first = whole
		if whole != "" && l.nextMark < 0 && c.continues(old) {
			c.base, c.limit, c.noted, c.head = old.base, old.limit, old.noted, old.head
			if err := c.seek(old.pos, &l.dec, l.buf); err != nil {
				c.file.Close() // it was only read
				l.f.complain(l.key, plainFileError(c.path, err))
				return false, nil
			}
			old.file.Close() // it was only read
			l.cur = c
			return true, nil
		}
		c.first = ""
		l.finish(io.EOF, r)
		if !old.final && old.limit < 0 && old.comp == uncompressed {
			l.pass(old.first)
			l.left.watch(old.path, old.file, old.pos)
			l.cur = nil
		} else {
			l.leave()
		}
	}
	l.cur = c
	return true, nil
}
