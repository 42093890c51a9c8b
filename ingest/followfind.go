package ingest

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// begin finds out where the log is to be read from: where an earlier life
// began, or else as the configuration says.
func (l *followLog) begin() {
	started := false
	for _, m := range l.f.cfg.Starts {
		if m.Partition == l.number && (m.Log == "" || m.Log == l.key) {
			l.start, started = m.Offset, true
		}
	}
	for _, m := range l.f.cfg.Files {
		if m.Partition == l.number && m.Log == l.key {
			l.marks = append(l.marks, m)
		}
	}
	slices.SortStableFunc(l.marks, func(a, b FileMark) int { return cmp.Compare(a.Offset, b.Offset) })
	for len(l.marks) > 1 && l.marks[1].Offset <= l.start {
		l.marks = l.marks[1:] // before the start
	}
	l.lines.offset = l.start
	l.atEnd.Store(l.retired)
	if !l.retired {
		l.ahead.Store(-1) // not known yet
	}
	resumed := started || len(l.f.cfg.Starts) > 0 // a log that came while weir was down is read whole
	if len(l.marks) > 0 || l.retired || l.f.cfg.Start != "end" || resumed && !started {
		return
	}
	l.beginAtEnd(started)
}

// beginAtEnd opens the live file at its end or, where an earlier life began in
// it and had nothing to hand out, there.
func (l *followLog) beginAtEnd(started bool) {
	files, err := l.files()
	if err != nil {
		l.f.complain(l.key, err)
		return
	}
	for _, a := range files[max(0, len(files)-4):max(0, len(files)-1)] {
		first, _ := l.firstOf(&a) // one that cannot be read is not known again
		l.pass(first)
	}
	if len(files) == 0 {
		return
	}
	live := files[len(files)-1]
	if compressionOf(live.path, nil) != uncompressed { // the live file does not exist yet
		first, _ := l.firstOf(&live)
		l.pass(first)
		return
	}
	c, err := l.open(live)
	if err != nil {
		l.f.complain(l.key, err)
		return
	}
	c.live = true
	at := lastLineEnd(c.file, c.info.Size())
	if started {
		if at = l.start; at > c.info.Size() {
			at = 0
		}
	}
	if !started {
		l.start = at
	}
	c.base = max(0, l.start-at)
	l.lines.offset = c.base + at
	if err := c.seek(at, &l.dec, l.buf); err != nil {
		c.file.Close() // it was only read
		l.f.complain(l.key, plainFileError(live.path, err))
		return
	}
	c.begun = at > 0
	l.lines.skip = l.insideLine(c)
	l.cur, l.opened = c, true
	l.ahead.Store(0)
	l.show()
}

// lastLineEnd returns the position behind the last line that is complete. In a
// line that is longer than the limit it is the end of the file.
func lastLineEnd(file io.ReaderAt, size int64) int64 {
	n := min(size, MaxLine+1)
	buf := make([]byte, n)
	if _, err := file.ReadAt(buf, size-n); err != nil {
		return size
	}
	if i := bytes.LastIndexByte(buf, '\n'); i >= 0 {
		return size - n + int64(i) + 1
	}
	if n == size {
		return 0
	}
	return size
}

// insideLine reports whether a file is not at the beginning of a line.
func (l *followLog) insideLine(c *followFile) bool {
	if c.pos == 0 || c.comp != uncompressed {
		return false
	}
	var b [1]byte
	_, err := c.file.ReadAt(b[:], c.pos-1)
	return err == nil && b[0] != '\n'
}

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
			c.base, c.limit, c.noted, c.begun, c.head = old.base, old.limit, old.noted, old.begun, old.head
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

// identify learns the first line of the current file, and with it the file's
// place among the offsets.
func (l *followLog) identify() (known bool, err error) {
	c := l.cur
	first, head, err := l.f.heads.first(c.file, c.comp, c.final, l.f.cfg.Key)
	switch {
	case err != nil && c.comp != uncompressed, first == "" && c.final && c.comp != uncompressed:
		l.spoil(c.info)
		l.leave()
		if err == nil {
			return true, nil // an empty one
		}
		return false, &ErrSource{File: c.path, Err: err}
	case err != nil:
		l.f.complain(l.key, plainFileError(c.path, err))
		return false, nil
	case first == "":
		return false, nil
	}
	c.first, c.head = first, head
	if c.comp != uncompressed {
		c.head = nil
	}
	if c.pos > 0 { // begun at its end
		return true, nil
	}
	l.settle()
	if err := c.seek(c.pos, &l.dec, l.buf); err != nil {
		if c.comp != uncompressed {
			l.leave()
			return false, &ErrSource{File: c.path, Err: err}
		}
		l.f.complain(l.key, plainFileError(c.path, err))
		c.first = ""
		return false, nil
	}
	c.begun = c.pos > 0
	l.lines.skip = l.insideLine(c)
	return true, nil
}

// settle gives the current file, which was just identified, its place among
// the offsets: where the journal has it, or behind what was read.
func (l *followLog) settle() {
	c, at := l.cur, l.lines.offset
	first := !l.opened
	l.opened = true
	c.base = at
	if len(l.marks) == 0 {
		return
	}
	j := c.mark
	if j < 0 || l.marks[j].First != c.first { // it was truncated
		j = slices.IndexFunc(l.marks, func(m FileMark) bool { return m.First == c.first })
	}
	if j < 0 {
		// None of the files that the journal has is there: what is new goes
		// behind all that was ever read of them.
		to := max(at, l.marks[len(l.marks)-1].Offset+1, l.f.cfg.Reached[l.number]+1)
		l.marks = nil
		l.missing(at, to, "the files that were read before are gone")
		c.base, l.lines.offset = to, to
		return
	}
	m := l.marks[j]
	l.marks = l.marks[j+1:]
	switch {
	case m.Offset >= at:
		if m.Offset > at {
			l.missing(at, m.Offset, "a file that was read before is gone or shorter")
		}
		c.base, c.noted, l.lines.offset = m.Offset, true, m.Offset
	case first: // it begins before the start
		c.base, c.noted, c.pos = m.Offset, true, at-m.Offset
	}
	if len(l.marks) > 0 {
		c.limit = l.marks[0].Offset - c.base
	}
}

func (l *followLog) missing(from, to int64, reason string) {
	l.f.noteBlind(Blind{Partition: l.number, Log: l.key, From: from, To: to, Reason: reason})
}
