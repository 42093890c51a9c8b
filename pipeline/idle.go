package pipeline

import (
	"math"
	"time"
)

const (
	// silent is how long a partition that is read to its end has waited for a
	// record when it no longer holds the clock.
	silent = 10 * time.Second
	// unheard is how long one may hold others back of which nobody knows whether
	// it has been read to its end.
	unheard = 5 * time.Minute
)

// wait is how a partition of a live run waits for records, under the mutex of
// the run's clock.
type wait struct {
	since time.Time // its reader waits; zero: it does not
	held  time.Time // since it is lost and others could go on; zero: it is not so
	idle  bool      // it does not hold the clock
	lost  bool      // nobody knows whether there is more
	doubt bool      // nobody knew at some time of this wait
	told  bool      // the log has it that it is lost
	free  bool      // of a slow source: it never holds the clock but with what is under way
}

// holding reports whether ticks wait for the partition.
func (p *partition) holding() bool {
	return !p.closed && (p.holds > 0 || !p.wait.idle && !p.wait.free)
}

// silence returns the tick to which the clock runs on when nothing holds it:
// the whole ten seconds behind everything that passed.
func (c *clock) silence() int64 {
	end := c.granted
	for _, p := range c.partitions {
		end = max(end, p.end)
	}
	if end < math.MinInt64/4 {
		return end // there never was an event
	}
	return boundary(end)
}

// waiting says that a partition's reader waits for records from now on.
func (c *clock) waiting(p *partition, now time.Time) {
	c.mu.Lock()
	p.wait.since, p.wait.held, p.wait.doubt = now, time.Time{}, false
	c.mu.Unlock()
}

// enter takes in a chunk that was read. Where the clock went on without the
// partition, the chunk's records count from the granted tick on; the marks that
// say so must be safe before the chunk goes on. ok is false after a cancellation.
func (c *clock) enter(p *partition, ch *chunk, gap int64) (made []Mark, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.wait.since = time.Time{} // what holds it back from here on is not its source
	for p.tail != nil && !c.stopped && c.full(p) {
		c.changed.Wait()
	}
	if c.stopped {
		return nil, false
	}
	if p.tail != nil {
		c.underWay++
	}
	first, behind, n := ch.span()
	if n == 0 {
		return nil, true
	}
	if p.live && p.w < c.granted && !p.returning(c.granted) {
		event := MarkWake
		if p.run.cfg.Sources[p.source].Slow {
			event = MarkSlow
		}
		made = append(made, c.mark(p, event, first, c.granted))
	}
	made = append(made, c.gap(p, ch, first, gap)...)
	p.next = behind
	p.wait.idle, p.wait.lost, p.wait.told = false, false, false
	p.wait.free = p.live && p.run.cfg.Sources[p.source].Slow && p.next >= p.until
	ch.marks = append(ch.marks, p.marks...)
	p.marks = p.marks[:0]
	ch.holds = true
	p.holds++
	c.look()
	return made, true
}

// returning reports whether a partition is behind a tick only since the run went
// on there, and reads again what it had read.
func (p *partition) returning(tick int64) bool { return p.resumed && tick <= p.run.from }

// mark makes a mark, which raises a partition's watermark.
func (c *clock) mark(p *partition, event MarkEvent, offset, w int64) Mark {
	m := Mark{
		Event: event, Source: p.run.cfg.Sources[p.source].Name(), Partition: int32(p.local), Offset: offset, Watermark: w,
	}
	if logs, ok := p.run.cfg.Sources[p.source].Source.(interface{ Log(p int) string }); ok && event == MarkStart {
		m.Log = logs.Log(p.local) // globs may find the logs in another order the next time
	}
	if event == MarkStart {
		m.First = topicOf(p.run.cfg.Sources[p.source].Source)
	}
	if w != 0 {
		p.w = max(p.w, w)
		p.marked = offset
		if n := len(p.marks); n > 0 && p.marks[n-1].Offset == offset {
			p.marks[n-1].Watermark = max(p.marks[n-1].Watermark, w) // it may be idle for days
		} else {
			p.marks = append(p.marks, m)
		}
	}
	return m
}

// absent returns the marks that must be safe before decisions made up to a
// tick leave: of the partitions that did not hold the clock. What comes of them
// after a restart must not count before that tick either. A slow partition has
// one even if its records say the same, since after a restart it holds the
// clock only up to its last mark.
func (c *clock) absent(tick int64) (made []Mark) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.partitions {
		if p.live && !p.closed && !p.returning(tick) && (p.w < tick || p.wait.free && p.marked < p.next) {
			made = append(made, c.mark(p, MarkIdle, p.next, tick))
		}
	}
	return made
}

// ask is a question to a source, asked without the clock's mutex.
type ask struct {
	p     *partition
	since time.Time // of the wait that it is about
	known bool
}

// lookForIdle finds out which partitions have fallen idle, or may not be.
func (r *run) lookForIdle(now time.Time) {
	c := r.clock
	var asks []ask
	c.mu.Lock()
	for _, p := range c.partitions {
		if p.live && p.tail != nil && !p.closed && !p.wait.since.IsZero() && p.holds == 0 {
			asks = append(asks, ask{p: p, since: p.wait.since})
		}
	}
	c.mu.Unlock()
	if len(asks) == 0 {
		return
	}
	for i := range asks {
		asks[i].known = asks[i].p.tail.CaughtUp(asks[i].p.local)
	}
	var tell []telling
	c.mu.Lock()
	for _, a := range asks {
		if p := a.p; p.wait.since.Equal(a.since) && p.holds == 0 { // still the same wait
			if c.judge(p, a.known, now) {
				p.wait.told = true
				tell = append(tell, telling{p.id(), p.next, p.wait.idle})
			}
		}
	}
	c.look()
	c.mu.Unlock()
	c.changed.Broadcast()
	for _, l := range tell {
		what := "a partition gives way to the others: its source could not tell for too long whether there is more; what comes of it from now on may count late"
		if !l.gaveWay {
			what = "nothing goes on: a source cannot tell whether a partition has more, and decisions of an earlier life may rest on what it had"
		}
		r.cfg.Log.Error(what, "source", l.id.source, "partition", l.id.local, "offset", l.next, "after", unheard)
	}
}

// telling is what the log has to say about a partition that is lost.
type telling struct {
	id      partitionID
	next    int64
	gaveWay bool
}

// judge says what a wait means, where it is known or not that the partition has
// been read to its end; loud, that people must know of it. A time in which
// nobody could be asked is no silence: who writes to the source may come back
// later than the source does, with all that has gathered.
func (c *clock) judge(p *partition, known bool, now time.Time) (loud bool) {
	w := &p.wait
	switch {
	case known && w.doubt && !w.idle:
		w.since, w.doubt, w.lost, w.told, w.held = now, false, false, false, time.Time{}
		return false
	case now.Sub(w.since) < silent:
		w.doubt = w.doubt || !known
		return false
	case known:
		w.idle, w.lost, w.told, w.held = true, false, false, time.Time{}
		return false
	case w.free: // it holds nobody back
		w.lost = true
		return false
	case w.idle && !w.lost: // it may have records that others are going to overtake
		w.idle = false
	}
	w.lost, w.doubt = true, true
	switch {
	case w.idle: // it gave way
	case !c.othersGoOn(p, now):
		w.held = time.Time{} // it holds nobody back
	case w.held.IsZero():
		w.held = now
	case now.Sub(w.held) >= unheard:
		// What left in an earlier life may rest on records that it has not read again.
		w.idle = p.w >= p.run.decided
		return w.idle || !w.told
	}
	return false
}

// othersGoOn reports whether another partition has records.
func (c *clock) othersGoOn(than *partition, now time.Time) bool {
	for _, p := range c.partitions {
		if p != than && !p.closed && !p.wait.free && !p.wait.idle && (p.wait.since.IsZero() || now.Sub(p.wait.since) < silent) {
			return true
		}
	}
	return false
}
