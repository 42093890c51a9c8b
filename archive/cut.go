package archive

import (
	"math"
	"os"
	"slices"
)

// cut takes out of a spool what lies at or behind the positions, by records at
// its end that void it: a crash while it is cut loses nothing. What is torn at
// the end goes.
func (a *Archive) cut(sp *spool, positions map[Part]int64) error {
	if err := sp.open(); err != nil {
		return err
	}
	synced, known := a.marks.spools[spoolName{sp.source.Name, sp.name}]
	if !known {
		synced = 0
	}
	c, err := scan(sp.f, synced)
	if err != nil {
		return err
	}
	if c.torn >= 0 && c.torn < synced || c.size < synced {
		sp.source.damaged = true
		a.counters.lost.Add(1)
		a.log.Error("a spool of the archive is damaged; what was there is lost", "spool", sp.String(), "at", max(c.torn, 0), "end", c.size, "synced", synced, "error", c.why)
	}
	if c.torn >= synced { // a crash's, and so is what lies behind
		c.size = c.torn
		c.frames = slices.DeleteFunc(c.frames, func(e entry) bool { return e.at > c.torn })
	}
	if c.torn >= 0 {
		if err := sp.f.Truncate(c.size); err != nil {
			return err
		}
	}
	sp.size, sp.events, sp.buf = c.size, 0, nil
	clear(sp.parts)
	voids, rests, err := sp.sort(c.frames, positions)
	if err != nil {
		return err
	}
	for partition, from := range voids {
		sp.put((&head{Record: recordVoid, Partition: partition, First: from, Last: math.MaxInt64}).append(nil))
	}
	for _, p := range rests {
		sp.put(p.bytes)
		sp.keep(a, p.head)
	}
	if len(voids) > 0 || c.torn >= 0 {
		if err := sp.write(); err != nil {
			return err
		}
		if err := sp.f.Sync(); err != nil {
			return err
		}
	}
	for _, e := range c.frames {
		if e.Events > 0 { // it was not voided
			sp.keep(a, e.head)
		}
	}
	return nil
}

// sort finds out which frames go: from which offset on, by partition, and what
// stays of those of which only a part goes. Frames that go are emptied.
func (sp *spool) sort(frames []entry, positions map[Part]int64) (voids map[int32]int64, rests []piece, err error) {
	voids = make(map[int32]int64)
	for i := range frames {
		e := &frames[i]
		at := positions[Part{sp.source.Name, e.Partition}]
		if e.Last < at {
			continue
		}
		if from, ok := voids[e.Partition]; !ok || e.First < from {
			voids[e.Partition] = e.First
		}
		if e.First < at {
			rest, err := e.before(sp.f, at)
			if err != nil {
				return nil, nil, err
			}
			if rest.Events > 0 {
				rests = append(rests, rest)
			}
		}
		e.Events = 0
	}
	return voids, rests, nil
}

// before returns the frame with only the events before an offset.
func (e *entry) before(f *os.File, to int64) (piece, error) {
	body, err := e.body(f, nil)
	if err != nil {
		return piece{}, err
	}
	h := e.head
	return piece{head: h, bytes: append(h.append(nil), body...)}.slice(h.First, to)
}

// keep notes that a frame is in the spool and how far its partition is.
func (sp *spool) keep(a *Archive, h head) {
	s := sp.source
	s.latest = max(s.latest, h.Max)
	a.mu.Lock()
	l := a.lane(Part{s.Name, h.Partition})
	a.mu.Unlock()
	l.began, l.last, l.max = true, max(l.last, h.Last), max(l.max, h.Max)
	l.in = max(l.in, sp.begin)
	s.hour = max(s.hour, floorHour(l.max))
	sp.count(h)
}
