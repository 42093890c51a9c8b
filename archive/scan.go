package archive

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"weir/state"
)

// entry is where a frame stands in a spool.
type entry struct {
	head
	at int64 // of its body
}

// entryBytes is what an entry takes in memory.
const entryBytes = 88

// contents is what a spool holds.
type contents struct {
	frames []entry // those that count, in order
	gaps   []head  // what may be missing
	size   int64   // up to behind its last whole record
	torn   int64   // where the first bytes are that are no record; -1: nowhere
	why    error   // what is wrong there
}

// maxHead is how long a head is at most.
const maxHead = 128

// scan reads the heads of a spool; bodies from offset sure on are checked too.
// Bytes that are no record are passed over: at the end they are what a crash
// left, elsewhere damage.
func scan(f *os.File, sure int64) (c contents, err error) {
	info, err := f.Stat()
	if err != nil {
		return c, err
	}
	w := window{f: f, end: info.Size()}
	c.torn = -1
	var all []entry
	var holes []int // before which of all there is damage
	for at := int64(0); at < w.end; {
		e, size, err := w.record(at, sure)
		if err == nil {
			all = append(all, e)
			at += size
			c.size = at
			continue
		}
		if !errors.Is(err, state.ErrCorrupt) {
			return c, err
		}
		if c.torn < 0 {
			c.torn, c.why = at, err
		}
		if n := len(holes); n == 0 || holes[n-1] != len(all) {
			holes = append(holes, len(all))
		}
		at++
	}
	for _, k := range holes {
		c.gaps = append(c.gaps, around(all, k)...)
	}
	c.apply(all)
	return c, nil
}

// window reads a file a little at a time.
type window struct {
	f    *os.File
	end  int64
	from int64
	buf  []byte
}

// peek returns at least n bytes from an offset on, or what there is.
func (w *window) peek(at int64, n int) ([]byte, error) {
	if skip := at - w.from; skip >= 0 && skip < int64(len(w.buf)) && (skip+int64(n) <= int64(len(w.buf)) || w.from+int64(len(w.buf)) == w.end) {
		return w.buf[skip:], nil
	}
	size := min(w.end-at, max(int64(n), 4<<10))
	if int64(cap(w.buf)) < size {
		w.buf = make([]byte, size)
	}
	w.from, w.buf = at, w.buf[:size]
	if _, err := w.f.ReadAt(w.buf, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return w.buf, nil
}

// record reads the head at an offset; size is that of head and body.
func (w *window) record(at, sure int64) (e entry, size int64, err error) {
	b, err := w.peek(at, maxHead)
	if err != nil {
		return e, 0, err
	}
	b = b[:min(len(b), maxHead)]
	h, rest, err := readHead(b)
	if err != nil {
		return e, 0, err
	}
	body := at + int64(len(b)-len(rest))
	size = body + int64(h.Body) - at
	if at+size > w.end {
		return e, 0, fmt.Errorf("frame: %w: cut short", state.ErrCorrupt)
	}
	e = entry{head: h, at: body}
	if at+size > sure && h.Body > 0 {
		record, err := e.body(w.f, nil)
		if err != nil {
			return e, 0, err
		}
		if _, _, err := state.ReadRecord(record, frameVersion); err != nil {
			return e, 0, fmt.Errorf("frame: %w", err)
		}
	}
	return e, size, nil
}

// around returns between which offsets damage before record k may have taken
// something from a partition that goes on behind it.
func around(all []entry, k int) (gaps []head) {
	last := make(map[int32]int64)
	for _, e := range all[:k] {
		if e.Record == recordFrame {
			last[e.Partition] = e.Last
		}
	}
	seen := make(map[int32]bool)
	for _, e := range all[k:] {
		if e.Record != recordFrame || seen[e.Partition] {
			continue
		}
		seen[e.Partition] = true
		if before, ok := last[e.Partition]; ok && before+1 < e.First {
			gaps = append(gaps, head{Record: recordGap, Partition: e.Partition, First: before + 1, Last: e.First})
		}
	}
	return gaps
}

// apply keeps the frames that no later record voids.
func (c *contents) apply(all []entry) {
	void := make(map[int32]int64)
	kept := len(all)
	for _, e := range slices.Backward(all) {
		from, ok := void[e.Partition]
		if !ok {
			from = math.MaxInt64
		}
		switch {
		case e.Record == recordVoid:
			void[e.Partition] = min(from, e.First)
		case e.First >= from:
		case e.Record == recordGap:
			c.gaps = append(c.gaps, e.head)
		default:
			kept--
			all[kept] = e
		}
	}
	c.frames = all[kept:]
}

// body reads a frame's body's record into buf.
func (e *entry) body(f io.ReaderAt, buf []byte) ([]byte, error) {
	if cap(buf) < e.Body {
		buf = make([]byte, e.Body)
	}
	buf = buf[:e.Body]
	_, err := f.ReadAt(buf, e.at)
	return buf, err
}

// slice returns the piece with only the events from an offset on and before
// another one.
func (p piece) slice(from, to int64) (piece, error) {
	_, rest, err := readHead(p.bytes)
	if err != nil {
		return p, err
	}
	var f frame
	if err := f.decode(p.head, rest); err != nil {
		return p, err
	}
	events, appended, err := f.events()
	if err != nil {
		return p, err
	}
	i, j := 0, len(events)
	for i < j && events[i].Offset < from {
		i++
	}
	for j > i && events[j-1].Offset >= to {
		j--
	}
	if i == j {
		return piece{}, nil
	}
	if appended != nil {
		appended = appended[i:j]
	}
	// The largest time stays that of the whole: it says in which hour this is.
	b, h := new(encoder).encode(nil, head{Partition: p.Partition, Max: p.Max}, events[i:j], appended)
	return piece{head: h, bytes: b}, nil
}
