package pipeline

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"weir/event"
	"weir/ingest"
)

// inFlight is how many chunks of one partition may be under way at once; the
// more partitions there are, the fewer of each.
const inFlight = 8

// underWay is how many chunks of all partitions together may be under way for
// each worker.
const underWay = 6

// maxSkew is how far ahead of the slowest partition one may be to be read on, in seconds.
const maxSkew = 60

// partition is one partition of one source being read.
type partition struct {
	run    *run
	source int           // in Config.Sources
	local  int           // its number there
	number int32         // of all partitions its own, whenever it appeared
	share  int           // it may have this part of maxAhead events open
	tail   ingest.Tail   // nil: its source has an end
	events ingest.Events // nil: its source hands out lines
	live   bool          // a clock may decide about it
	// What the run goes on from has its position: records before skip were dealt
	// with, and so were events of seconds before the run began.
	resumed bool
	skip    int64
	missing []ingest.Gap // in front of the next record
	lost    []ingest.Gap // of recorded events, in front of the next one that counts; who judges has it
	until   int64        // of a slow source's: it holds the clock while it is before this offset

	clock  *partitionClock
	turn   chan struct{}
	points points

	// Under the mutex of the run's clock:
	w      int64    // no event before it is still to come: of the records that passed and the marks that were made
	queue  []*chunk // being read or under way, in order
	closed bool     // nothing is left
	next   int64    // the offset behind all that was read
	end    int64    // the tick at which everything that passed has been closed
	tally  Tally    // of what passed, in earlier lives too
	began  Tally    // what of it earlier lives had counted
	marks  []Mark   // made, and to be applied by the next chunk
	marked int64    // the offset of the last one
	holds  int      // chunks with records that are under way
	wait   wait
}

func newPartition(r *run, source, local int) *partition {
	s := &r.cfg.Sources[source]
	p := &partition{
		run: r, source: source, local: local, number: r.cfg.number(source, local),
		live: r.cfg.Record != nil, marked: -1, turn: make(chan struct{}, 1),
	}
	p.tail, _ = s.Source.(ingest.Tail)
	p.events, _ = s.Source.(ingest.Events)
	id := p.id()
	p.share = r.starts.share(id)
	marks := r.starts.marks[id]
	p.clock = p.newClock(marks)
	switch at, known := r.starts.offset(id); {
	case p.tail != nil:
		p.next = p.tail.Start(local)
	case known:
		p.next = at
	}
	if r.cfg.Resume != nil {
		if err := p.resume(r.cfg.Resume); err != nil {
			r.fail(err)
		}
	}
	if !p.resumed {
		p.clock.next = p.next
		p.clock.journal(p.next)
	}
	p.w, p.end = p.clock.w, p.clock.end()
	p.tally, p.began = p.clock.tally, p.clock.tally
	if p.live && s.Slow {
		for _, m := range marks {
			if m.Watermark != 0 {
				p.until = max(p.until, m.Offset)
			}
		}
		p.marked = p.until
		p.wait.free = p.next >= p.until
	}
	p.note(p.clock)
	p.turn <- struct{}{}
	return p
}

func (p *partition) id() partitionID {
	return partitionID{p.run.cfg.Sources[p.source].Name(), int32(p.local)}
}

// numberOf returns a partition's number in the rows that come of it. It is the
// same whenever the partition appeared, and in the order of the numbers of
// sources and their partitions, as spans are.
func numberOf(source, local int) int32 { return int32(source*maxLocal + local) }

// numbered returns the source and its partition of a number.
func numbered(number int32) (source int, local int32) {
	return int(number / maxLocal), number % maxLocal
}

// newClock makes the partition's clock as it is before the first record.
func (p *partition) newClock(marks []Mark) *partitionClock {
	s := &p.run.cfg.Sources[p.source]
	c := newPartitionClock(s.Disorder, s.MaxLateness, marks, p.share)
	c.follow(s.Before)
	return c
}

// read reads the partition to its end, a chunk at a time, and starts a
// goroutine for each.
func (p *partition) read() {
	r := p.run
	turn := (<-chan struct{})(p.turn)
	seq := uint64(0)
	for last := false; !last; {
		c := r.clock.admit(p, r.backlog)
		if c == nil || r.ctx.Err() != nil {
			return
		}
		err := p.fill(c)
		var broken *ingest.ErrSource
		switch {
		case errors.Is(err, io.EOF):
			last = true
		case errors.As(err, &broken):
			r.count.broken(err)
			r.cfg.Log.Error("a file could not be read to its end; going on with the next", "error", err)
		case err != nil:
			r.fail(err)
			return
		}
		second := p.missed(c)
		if second != 0 {
			r.tellOfGaps(p, second)
		}
		made, ok := r.clock.enter(p, c, second)
		if !ok {
			return
		}
		if err := r.record(made); err != nil {
			r.fail(err)
			return
		}
		next := make(chan struct{}, 1)
		c.last, c.turn, c.next, c.seq = last, turn, next, seq
		seq++
		turn = next
		r.chunks.Add(1)
		go c.run()
	}
}

// fill reads the next records into a chunk. Where the source may wait for
// them it is noted since when.
func (p *partition) fill(c *chunk) error {
	r := p.run
	if p.tail != nil {
		r.clock.waiting(p, time.Now())
	}
	for {
		err := p.readSome(c)
		if p.skip > 0 && (p.events != nil || len(c.recs.Gaps) == 0) {
			c.passOver(p.skip)
		}
		_, _, n := c.span()
		if err != nil || n > 0 || c.recs.TooLong > 0 || len(c.recs.Gaps) > 0 || p.tail == nil && p.skip == 0 {
			return err
		}
		if r.ctx.Err() != nil {
			return r.ctx.Err()
		}
	}
}

// readSome reads the next records, or events, of the partition.
func (p *partition) readSome(c *chunk) (err error) {
	r := p.run
	if p.events == nil {
		return r.cfg.Sources[p.source].Read(r.ctx, p.local, r.cfg.Batch, &c.recs)
	}
	c.appended, err = p.events.ReadEvents(r.ctx, p.local, r.cfg.Batch, &c.batch, c.appended)
	if c.read = len(c.batch.Events); c.read > 0 {
		c.first, c.behind = c.batch.Events[0].Offset, c.batch.Events[c.read-1].Offset+1
	}
	p.lookForLost(c)
	return err
}

// passOver takes out records that were dealt with before the run began: a
// source that cannot begin anywhere begins at its first.
func (c *chunk) passOver(offset int64) {
	if first, _, n := c.span(); n == 0 || first >= offset {
		return
	}
	if c.read > 0 {
		k, _ := slices.BinarySearchFunc(c.batch.Events, offset, func(ev event.Event, at int64) int { return cmp.Compare(ev.Offset, at) })
		c.batch.Events = slices.Delete(c.batch.Events, 0, k)
		if len(c.appended) > 0 {
			c.appended = slices.Delete(c.appended, 0, k)
		}
		if c.read -= k; c.read > 0 {
			c.first = c.batch.Events[0].Offset
		}
		return
	}
	k, _ := slices.BinarySearch(c.recs.Offsets, offset)
	c.recs.Offsets, c.recs.Starts, c.recs.Ends = slices.Delete(c.recs.Offsets, 0, k), slices.Delete(c.recs.Starts, 0, k), slices.Delete(c.recs.Ends, 0, k)
	if len(c.recs.Appended) > 0 {
		c.recs.Appended = slices.Delete(c.recs.Appended, 0, k)
	}
	c.recs.TooLong = 0
}
