package archive

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"time"
)

// writeFile makes a file of a spool under a name for the time being. A spool in
// which nothing is left makes none. Before says up to where the files before it
// have each partition.
func (a *Archive) writeFile(sp *spool, path string, before map[int32]int64) (*about, int64, error) {
	f, err := os.Open(sp.path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	c, err := scan(f, math.MaxInt64)
	if err != nil {
		return nil, 0, err
	}
	if len(c.frames) == 0 {
		return nil, 0, nil
	}
	parts := make(map[int32][]entry)
	mask := uint64(0)
	for _, e := range c.frames {
		parts[e.Partition] = append(parts[e.Partition], e)
		mask |= e.Columns
	}
	w, err := newFileWriter(path, sp.source.SourceInfo, a.cfg.Extras, mask)
	if err != nil {
		return nil, 0, err
	}
	for _, gap := range c.gaps {
		w.about.Gaps = append(w.about.Gaps, aboutGap{Partition: gap.Partition, From: gap.First, To: gap.Last})
	}
	defer a.making.Store(0)
	m := merger{a: a, sp: sp, spool: f, w: w, group: newGroup(), before: before}
	for _, p := range slices.Sorted(maps.Keys(parts)) {
		if err := m.partition(p, parts[p]); err != nil {
			return nil, 0, errors.Join(err, w.f.Close(), os.Remove(path))
		}
	}
	if w.about.events() == 0 {
		return nil, 0, errors.Join(w.f.Close(), os.Remove(path))
	}
	size, err := w.close()
	if err == nil {
		err = check(path, &w.about)
	}
	if err != nil {
		return nil, 0, errors.Join(err, os.Remove(path))
	}
	return &w.about, size, nil
}

// check reads back that the file has what it should: not every error of its
// writing can be seen.
func check(path string, want *about) error {
	f, err := openFile(path)
	if err != nil {
		return err
	}
	defer f.close()
	if got := f.meta.NumRows; got != want.events() {
		return fmt.Errorf("%s: %d events, must be %d", path, got, want.events())
	}
	return nil
}

// merger merges a spool's frames into row groups.
type merger struct {
	a     *Archive
	sp    *spool
	spool *os.File
	w     *fileWriter
	group *group
	frame frame
	buf   []byte

	before map[int32]int64
}

// partition writes the row groups of one partition.
func (m *merger) partition(p int32, frames []entry) error {
	all := aboutPartition{Partition: p, First: frames[0].First, Latest: math.MinInt64}
	if at := m.before[p]; at <= all.First { // else this file is made once more
		all.Follows = at
	}
	began := time.Now()
	for i := range frames {
		e := &frames[i]
		var err error
		if m.buf, err = e.body(m.spool, m.buf); err != nil {
			return err
		}
		all.Last, all.Latest = e.Last, max(all.Latest, e.Max)
		if err := m.frame.decode(e.head, m.buf); err != nil {
			m.a.counters.lost.Add(1)
			m.a.log.Error("a frame of the archive is damaged; its events are lost", "spool", m.sp.String(), "partition", p, "first", e.First, "last", e.Last, "error", err)
			m.w.about.Gaps = append(m.w.about.Gaps, aboutGap{Partition: p, From: e.First, To: e.Last + 1})
		} else {
			m.group.add(&m.frame, m.w.mask)
			all.Events += int64(e.Events)
		}
		if m.group.n == 0 || !m.group.full() && i < len(frames)-1 {
			continue
		}
		if err := m.w.write(p, m.group); err != nil {
			return err
		}
		a := m.a
		a.making.Store(int64(m.group.memory() + cap(m.buf) + cap(m.frame.body) + len(frames)*entryBytes))
		m.group.reset()
		if err := m.a.done.rest(time.Since(began)); err != nil {
			return err
		}
		began = time.Now()
	}
	if all.Events > 0 {
		m.w.about.Partitions = append(m.w.about.Partitions, all)
	}
	return nil
}
