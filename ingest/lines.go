package ingest

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

const (
	// chunk is how much is read at once: small enough that its line ends are
	// found while it is still in the cache.
	chunk = 256 << 10
	// batchBytes is about how much one Read returns at most.
	batchBytes = 1 << 20
	// keptPend is how much a reader that waits holds beside what it has read.
	keptPend = 16 << 10
)

// lineReader cuts what a reader gives into lines. It reads straight into the
// records' data and keeps what lies behind the last line that was asked for,
// which is never more than a chunk and a line.
type lineReader struct {
	pend    []byte // pend[lo:] was read and not returned
	lo      int
	scanned int   // len(pend)-lo if that is known to hold no line end, else 0
	skip    bool  // inside a line that is too long
	quiet   bool  // and that begins before from
	offset  int64 // of pend[lo] in the partition
	from    int64 // lines that begin before are not returned, nor counted
	room    int   // how much fill reads at most; 0: a chunk
}

// take appends up to max lines of those that were read already.
func (l *lineReader) take(max int, r *Records) {
	if len(l.pend)-l.lo == l.scanned {
		return
	}
	buf := l.pend[l.lo:]
	used, keep, full := l.cut(buf, 0, max, r)
	r.Data = append(r.Data, buf[:keep]...)
	l.lo += used
	if !full {
		l.scanned = len(buf) - used
	}
}

// fill reads on and appends up to max lines. All that take could return must
// have been taken. It returns what the reader did: io.EOF, an error or nil.
func (l *lineReader) fill(src io.Reader, whole bool, max int, r *Records) error {
	at, rest, room := len(r.Data), l.pend[l.lo:], chunk
	if l.room > 0 {
		room = min(room, l.room)
	}
	r.Data = append(slices.Grow(r.Data, len(rest)+room), rest...)
	end := len(r.Data)
	n, err := readChunk(src, r.Data[end:end+room], whole)
	buf := r.Data[at : end+n]
	r.Data = r.Data[:at] // cut numbers its records from here
	used, keep, full := l.cut(buf, len(rest), max, r)
	l.pend, l.lo, l.scanned = append(l.pend[:0], buf[used:]...), 0, 0
	if !full {
		l.scanned = len(l.pend)
	}
	r.Data = r.Data[:at+keep]
	return err
}

// readChunk reads once or, if whole is set, until buf is full.
func readChunk(src io.Reader, buf []byte, whole bool) (n int, err error) {
	for n < len(buf) && err == nil {
		var k int
		k, err = src.Read(buf[n:])
		n += k
		if !whole && n > 0 {
			break
		}
	}
	return n, err
}

// cut appends the lines of buf, at most max, as records of bytes that the
// caller puts at the end of r.Data: buf[:keep] holds them all. Of buf, used
// bytes are done with; full says that it stopped because of max. The first
// scanned bytes of buf hold no line end.
func (l *lineReader) cut(buf []byte, scanned, max int, r *Records) (used, keep int, full bool) {
	at := len(r.Data)
	for n := 0; n < max; {
		i := bytes.IndexByte(buf[scanned:], '\n')
		if i < 0 {
			if rest := len(buf) - used; l.skip || rest > MaxLine+1 { // one more for a \r
				if !l.skip {
					l.skip, l.quiet = true, l.offset < l.from
				}
				l.offset += int64(rest)
				used = len(buf)
			}
			return used, keep, false
		}
		start, end := used, scanned+i
		used, scanned = end+1, end+1
		if l.add(buf, start, end, at, r) {
			keep = end
			n++
		}
		l.offset += int64(used - start)
	}
	return used, keep, true
}

// add appends buf[start:end] as a record, unless it is too long or begins too
// early.
func (l *lineReader) add(buf []byte, start, end, at int, r *Records) bool {
	if l.skip && l.quiet || !l.skip && l.offset < l.from {
		l.skip, l.quiet = false, false
		return false
	}
	if end > start && buf[end-1] == '\r' {
		end--
	}
	if l.skip || end-start > MaxLine {
		l.skip = false
		r.TooLong++
		return false
	}
	r.Starts = append(r.Starts, uint32(at+start))
	r.Ends = append(r.Ends, uint32(at+end))
	r.Offsets = append(r.Offsets, l.offset)
	return true
}

// finish ends a file: what is left is its last line, which had no line end,
// unless the file ended because of err. Then nobody knows what is missing.
func (l *lineReader) finish(err error, r *Records) {
	rest := l.pend[l.lo:]
	if (len(rest) > 0 || l.skip) && errors.Is(err, io.EOF) {
		at := len(r.Data)
		r.Data = append(r.Data, rest...)
		if !l.add(r.Data[at:], 0, len(rest), at, r) {
			r.Data = r.Data[:at]
		}
	}
	l.offset += int64(len(rest))
	l.pend, l.lo, l.scanned, l.skip, l.quiet = l.pend[:0], 0, 0, false, false
}

// ahead returns how much is to be passed over before lines are looked at.
func (l *lineReader) ahead() int64 { return max(0, l.from-1-l.offset) }

// drop passes over at most n bytes of those that were read already, and returns
// how many.
func (l *lineReader) drop(n int64) int64 {
	n = min(n, int64(len(l.pend)-l.lo))
	l.lo, l.scanned, l.skip, l.quiet = l.lo+int(n), 0, false, false
	l.offset += n
	return n
}

// idle gives memory back while there is nothing to read.
func (l *lineReader) idle() {
	if cap(l.pend) > keptPend {
		l.pend, l.lo = append([]byte(nil), l.pend[l.lo:]...), 0
	}
}

// byteOrderMark may stand at the beginning of a file and belongs to no line.
const byteOrderMark = "\xef\xbb\xbf"

// trimByteOrderMark takes it off record i, the first of a file.
func trimByteOrderMark(r *Records, i int) {
	if bytes.HasPrefix(r.Line(i), []byte(byteOrderMark)) {
		r.Starts[i] += uint32(len(byteOrderMark))
	}
}
