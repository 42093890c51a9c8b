package ingest

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
)

// begin finds out where the log is to be read from: where an earlier life was,
// or else as the configuration says.
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
	l.known = len(l.marks) > 0
	slices.SortStableFunc(l.marks, func(a, b FileMark) int { return cmp.Compare(a.Offset, b.Offset) })
	for len(l.marks) > 1 && l.marks[1].Offset <= l.start {
		l.pass(l.marks[0].First) // before the start
		l.marks = l.marks[1:]
	}
	l.lines.offset, l.lines.from = l.start, l.start
	l.atEnd.Store(l.retired)
	if !l.retired {
		l.ahead.Store(-1) // not known yet
	}
	resumed := started || len(l.f.cfg.Starts) > 0 // a log that came while weir was down is read whole
	atEnd := l.f.cfg.Start == "end" && (started || !resumed) || l.start > 0
	if atEnd && len(l.marks) == 0 && !l.retired {
		l.beginAtEnd(started)
	}
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
	if err != nil || c == nil {
		if err != nil {
			l.f.complain(l.key, err)
		}
		return
	}
	c.live, c.placed = true, true
	at := lastLineEnd(c.file, c.info.Size())
	if started {
		if at = l.start; at > c.info.Size() {
			at = 0
			l.missing(l.start, l.start, "the file that was being read is gone or shorter")
		}
	} else {
		l.start = at
	}
	c.base = l.start - at
	if err := l.resume(c, at); err != nil {
		c.file.Close() // it was only read
		l.f.complain(l.key, plainFileError(live.path, err))
		return
	}
	l.cur, l.opened = c, true
	l.ahead.Store(0)
	l.show()
}

// resume has the lines of a file be handed out from a position in it on. It
// reads the byte before, which tells whether a line begins there: what is
// within a line belongs to that, which was handed out.
func (l *followLog) resume(c *followFile, at int64) error {
	l.lines.from = c.base + at
	at = max(0, at-1)
	l.lines.offset = c.base + at
	return c.seek(at, &l.dec, l.buf)
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
	if c.placed {
		return true, nil
	}
	from := l.lines.offset
	if err := l.resume(c, l.settle()); err != nil {
		l.lines.offset = max(from, l.lines.from)
		if c.comp == uncompressed {
			l.f.complain(l.key, plainFileError(c.path, err))
			c.first = ""
			return false, nil
		}
		if l.lines.from > c.base { // it was read so far before
			l.missing(l.lines.from, l.lines.from, fmt.Sprintf("%s cannot be read as far as it was before", c.path))
		}
		l.leave()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		return false, &ErrSource{File: c.path, Err: err}
	}
	return true, nil
}

// settle gives the current file, which was just identified, its place among
// the offsets: where the journal has it, or behind what was read. It returns
// where in it reading begins.
func (l *followLog) settle() (at int64) {
	c, next := l.cur, l.lines.offset
	first := !l.opened
	l.opened = true
	c.base = next
	if len(l.marks) == 0 {
		// It goes behind all that was ever handed out, also where what came before
		// it could not be read so far again.
		if read := l.f.cfg.Read[l.number]; l.known && read > next {
			c.base = read
			l.missing(next, c.base, "what was read before is not there any more")
		}
		return 0
	}
	j := c.mark
	if j < 0 || l.marks[j].First != c.first { // it was truncated
		j = slices.IndexFunc(l.marks, func(m FileMark) bool { return m.First == c.first })
	}
	if j < 0 {
		// None of the files that the journal has is there: what is new goes
		// behind all that was ever read of them.
		c.base = max(next, l.marks[len(l.marks)-1].Offset+1, l.f.cfg.Reached[l.number]+1, l.f.cfg.Read[l.number])
		l.marks = nil
		l.missing(next, c.base, string(GapGone))
		return 0
	}
	m := l.marks[j]
	l.marks = l.marks[j+1:]
	switch {
	case m.Offset >= next:
		if m.Offset > next {
			l.missing(next, m.Offset, "a file that was read before is gone or shorter")
		}
		c.base, c.noted = m.Offset, true
	case first && c.comp == uncompressed && c.info.Size() < next-m.Offset:
		c.base = max(next, l.f.cfg.Read[l.number])
		l.missing(next, c.base, fmt.Sprintf("%s is shorter than what was read of it", c.path))
		return 0
	case first: // it begins before the start
		c.base, c.noted, at = m.Offset, true, next-m.Offset
	}
	if len(l.marks) > 0 {
		c.limit = l.marks[0].Offset - c.base
	}
	return at
}

// missing says that lines cannot be read, also to who reads the log.
func (l *followLog) missing(from, to int64, reason string) {
	g := Gap{Partition: l.number, From: from, To: to, Why: GapReason(reason)}
	l.told = append(l.told, g)
	l.f.noteBlind(l.key, g)
}
