package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	// spoolBuffer is how many bytes of a spool are held before they are written.
	spoolBuffer = 256 << 10
	// maxOpen is how many spools of a source have a buffer and a descriptor at a
	// time. A source that reaches it has files of more hours.
	maxOpen = 64
	// enough is from how many events on a later hour begins a file of its own.
	// Fewer would cost more in what each file repeats than in what they say.
	enough = 128 << 10
	// most is how many events a spool takes: a file has at most 32767 row groups.
	most = 1 << 30
	// longest is after how long a later hour begins a file of its own in any case.
	longest = 24 * hour
)

// spool is an append-only file of frames, of a source and of one or more hours.
// It belongs to the writer.
type spool struct {
	name
	source *source
	path   string
	f      *os.File // nil where it was closed to have fewer open; all is written then
	size   int64    // of the file and what is held
	buf    []byte
	dirty  bool // something in the file is not synced
	events int64
	parts  map[int32]*run
	at     int64 // the source's largest time when an event was added last
}

// run is a partition's events in a spool.
type run struct {
	first, last int64 // offsets
	max         int64 // the largest time
}

// source is a source's directory.
type source struct {
	SourceInfo
	dir    string
	spools map[int64]*spool // that are written to, by their begin
	closed []*spool         // older ones of the same begin, not finished yet
	begins []int64          // of all files and spools, rising
	nums   map[int64]int    // the highest number by begin
	hour   int64            // the latest in which an event was
	latest int64            // the largest time

	rebuilt bool // its marks were made again from its files
	damaged bool // a spool lost what was synced
	again   bool // its log is read from its beginning, whatever the positions say, which are of another one
}

// spoolFor returns the spool for events of an hour, which is a function of what
// was asked for before that never goes back: so a partition's offsets rise from
// file to file. Mostly it is the hour's own; hours with few events share one.
func (s *source) spoolFor(at int64) (*spool, error) {
	i, found := slices.BinarySearch(s.begins, at)
	latest := max(s.hour, at)
	top := len(s.begins) - 1
	switch {
	case found:
	case i == 0: // before all files
		s.begins = slices.Insert(s.begins, 0, at)
	case i == top+1 && at > s.hour && s.full(s.begins[top], at):
		s.begins = append(s.begins, at)
	default:
		at = s.begins[i-1]
	}
	s.hour = latest
	if sp := s.spools[at]; sp != nil && sp.events < most {
		return sp, nil
	} else if sp != nil {
		s.closed = append(s.closed, sp)
		delete(s.spools, at)
	}
	if err := s.relieve(); err != nil {
		return nil, err
	}
	n := name{begin: at, num: s.nums[at] + 1}
	sp := &spool{name: n, source: s, path: filepath.Join(s.dir, n.String()+spoolSuffix), parts: make(map[int32]*run), dirty: true}
	f, err := os.OpenFile(sp.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syncDir(s.dir); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(sp.path))
	}
	sp.f = f
	s.nums[at] = n.num
	s.spools[at] = sp
	return sp, nil
}

// full reports whether a file that began at begin is left for another one when
// an event of a later hour comes.
func (s *source) full(begin, at int64) bool {
	sp := s.spools[begin]
	if sp == nil {
		return true
	}
	return len(s.spools) < maxOpen && (sp.events >= enough || at-begin >= longest)
}

// append puts a frame behind the others.
func (sp *spool) append(a *Archive, l *lane, p piece) error {
	if err := sp.open(); err != nil {
		return err
	}
	if len(sp.buf) >= spoolBuffer {
		if err := sp.write(); err != nil {
			return err
		}
	}
	if l.gap != nil {
		sp.put((&head{Record: recordGap, Partition: p.Partition, First: l.gap.from, Last: l.gap.to}).append(nil))
		l.gap = nil
	}
	sp.put(p.bytes)
	a.counters.frames.Add(1)
	a.counters.bytes.Add(int64(len(p.bytes)))
	sp.source.latest = max(sp.source.latest, p.Max)
	sp.count(p.head)
	return nil
}

// open opens the spool again where it was closed.
func (sp *spool) open() (err error) {
	if sp.f != nil {
		return nil
	}
	if err := sp.source.relieve(); err != nil {
		return err
	}
	sp.f, err = os.OpenFile(sp.path, os.O_RDWR, 0)
	return err
}

// relieve closes the spool that was added to longest ago where too many are open.
func (s *source) relieve() error {
	var idle *spool
	n := 0
	for _, sp := range s.inOrder() {
		if sp.f != nil {
			n++
			if idle == nil || sp.at < idle.at || sp.at == idle.at && sp.begin < idle.begin {
				idle = sp
			}
		}
	}
	if n < maxOpen {
		return nil
	}
	if err := idle.write(); err != nil {
		return err
	}
	err := idle.f.Close()
	idle.f, idle.buf = nil, nil
	return err
}

// put holds a record until it is written.
func (sp *spool) put(b []byte) {
	if sp.buf == nil {
		sp.buf = make([]byte, 0, spoolBuffer+len(b))
	}
	sp.buf = append(sp.buf, b...)
	sp.size += int64(len(b))
	sp.dirty = true
}

// count notes that a frame is in the spool.
func (sp *spool) count(h head) {
	sp.events += int64(h.Events)
	sp.at = sp.source.latest
	if r := sp.parts[h.Partition]; r == nil {
		sp.parts[h.Partition] = &run{first: h.First, last: h.Last, max: h.Max}
	} else {
		r.last, r.max = max(r.last, h.Last), max(r.max, h.Max)
	}
}

// write writes what is held. After an error it can be called again.
func (sp *spool) write() error {
	if len(sp.buf) == 0 {
		return nil
	}
	if _, err := sp.f.WriteAt(sp.buf, sp.size-int64(len(sp.buf))); err != nil {
		return err
	}
	sp.buf = sp.buf[:0]
	if cap(sp.buf) > 2*spoolBuffer {
		sp.buf = nil
	}
	return nil
}

// flush has all spools written.
func (a *Archive) flush() error {
	for _, s := range a.sources {
		for _, sp := range s.inOrder() {
			if err := sp.write(); err != nil {
				return a.trouble(err)
			}
		}
	}
	return a.trouble(nil)
}

// close gives the source's descriptors up.
func (s *source) close() (err error) {
	for _, sp := range s.inOrder() {
		if sp.f != nil {
			err = errors.Join(err, sp.f.Close())
		}
	}
	return err
}

// left reports whether no partition adds to the spool any more: all that were
// in it have gone on, or nothing came for an hour of the source's time.
func (sp *spool) left(a *Archive) bool {
	if sp.source.latest-sp.at >= int64(time.Hour) {
		return true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range sp.parts {
		if l := a.lanes[Part{sp.source.Name, p}]; l != nil && l.in <= sp.begin {
			return false
		}
	}
	return true
}

// passed reports whether all that is in the spool lies before positions.
func (sp *spool) passed(positions map[Part]int64) bool {
	for p, r := range sp.parts {
		if at, ok := positions[Part{sp.source.Name, p}]; !ok || r.last >= at {
			return false
		}
	}
	return true
}

// String names the spool in logs.
func (sp *spool) String() string { return fmt.Sprintf("%s/%v", sp.source.Name, sp.name) }

// measure notes how much the spools hold, in memory and in all.
func (a *Archive) measure() {
	n, open := 0, int64(0)
	for _, s := range a.sources {
		for _, sp := range s.spools {
			n += cap(sp.buf) + len(sp.parts)*partBytes
			open += sp.size
		}
		for _, sp := range s.closed {
			open += sp.size
		}
	}
	a.buffers.Store(int64(n))
	a.open.Store(open)
}

// partBytes is about what a spool holds for each partition.
const partBytes = 96
