package pipeline

import (
	"slices"
	"sync"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/rules"
)

// chunk is a run of records on its way through the mapper.
type chunk struct {
	read     int   // events that its source handed out as such, see ingest.Events
	first    int64 // of these, the first offset
	behind   int64 // and the one behind the last
	seq      uint64
	part     *partition
	recs     ingest.Records
	batch    event.Batch
	appended []int64      // of each event of the batch, where the source has append times
	after    []int64      // the partition's watermark after each event
	w        int64        // the partition's watermark behind all of it
	last     bool         // there are no records behind it
	end      int64        // the tick at which everything of the partition up to here has been closed
	tally    Tally        // of the partition up to here
	marks    []Mark       // of the journal, that were made while or before it was read
	lost     []ingest.Gap // what its events lack, and those before them
	turn     <-chan struct{}
	next     chan<- struct{}

	// Under the mutex of the run's clock:
	reached int64 // no event before it is still to come from this chunk
	holds   bool  // it has records: the partition holds the clock until they are mapped
	done    bool
}

// span returns the first offset of the chunk's records, the one behind them,
// and how many there are.
func (c *chunk) span() (first, behind int64, n int) {
	if n = c.recs.Len(); n > 0 {
		return c.recs.Offsets[0], c.recs.Offsets[n-1] + 1, n
	}
	return c.first, c.behind, c.read
}

// run takes the chunk through the mapper.
func (c *chunk) run() {
	r := c.part.run
	defer r.chunks.Done()
	m := <-r.mappers
	m.decode(c)
	r.mappers <- m

	select { // the chunk before this one has judged its times
	case <-c.turn:
	case <-r.ctx.Done():
		return
	}
	c.judge()
	c.next <- struct{}{}

	m = <-r.mappers
	m = m.mapChunk(c)
	if m == nil {
		return // cancelled
	}
	r.mappers <- m
	r.clock.finish(c)
}

// judge gives the events their seconds.
func (c *chunk) judge() {
	p := c.part
	pc := p.clock
	pc.add(c.marks)
	if pc.carried && (len(c.batch.Events) > 0 || c.last) {
		c.prependHeld()
	}
	appended := c.appended
	if len(appended) == 0 {
		appended = nil
	}
	w, marks := pc.w, pc.marks
	c.batch.Events, c.after, c.appended = pc.pass(c.batch.Events, appended, c.after[:0])
	if c.last {
		c.batch.Events, c.after, c.appended = pc.finish(c.batch.Events, c.appended, c.after)
	}
	c.tellClock(w, marks)
	if _, behind, n := c.span(); n > 0 {
		pc.next = behind
	}
	pc.journal(pc.next) // also marks at lines that could not be read, and behind all of them
	c.w, c.end, c.tally = pc.w, pc.end(), pc.tally
	p.note(pc)
	if pc.holding && !pc.carried {
		pc.held, pc.carried = pc.held.Clone(), true // it outlives its batch
	}
	if p.run.cfg.Recode != nil && !pc.holding {
		p.clock = p.newClock(pc.marks)
		if err := p.clock.restorePosition(pc.appendPosition(nil)); err != nil {
			p.run.fail(err)
		}
	}
}

// prependHeld puts what an earlier chunk left in doubt in front.
func (c *chunk) prependHeld() {
	c.batch.Events = slices.Insert(c.batch.Events, 0, c.part.clock.held)
	if len(c.appended) > 0 {
		c.appended = slices.Insert(c.appended, 0, ingest.NoAppend) // only what has none is held
	}
}

// mapper is what one goroutine at a time needs to decode, enrich and map.
type mapper struct {
	run    *run
	enrich []*enrich.Worker // by source
	rules  *rules.Mapper
	facts  rules.Facts
}

func newMapper(r *run) *mapper {
	m := &mapper{run: r, rules: rules.NewMapper(r.cfg.Plan, r.cfg.Units, r.cfg.Lookups)}
	m.facts.Lookups = r.cfg.Lookups
	for i := range r.cfg.Sources {
		var w *enrich.Worker
		if _, events := r.cfg.Sources[i].Source.(ingest.Events); r.cfg.Enrich != nil && !events {
			src := r.cfg.Sources[i].Enrich
			src.Memory = r.cfg.caches()
			w = r.cfg.Enrich.Worker(src)
		}
		m.enrich = append(m.enrich, w)
	}
	return m
}

// LastSecond is the latest Unix second that an event may have: windows keep
// those of the years 1970 to 2105.
const LastSecond = 1<<32 - 10_000_000

var errTime = &ingest.Malformed{Reason: "time outside of 1970 to 2105"}

// decode reads the chunk's records into its batch.
func (m *mapper) decode(c *chunk) {
	s := &m.run.cfg.Sources[c.part.source]
	b := &c.batch
	b.Source, b.Partition = s.Name(), c.part.number
	if c.read > 0 {
		m.checkTimes(c)
	}
	rejected := int64(c.recs.TooLong)
	if rejected > 0 {
		m.run.count.reject(m.run.cfg.Log, s.Name(), ingest.ErrTooLong, nil, rejected)
	}
	for i := range c.recs.Len() {
		ev := b.Next()
		if err := s.Decode(c.recs.Line(i), ev, &b.Arena); err != nil {
			b.Drop()
			m.run.count.reject(m.run.cfg.Log, s.Name(), err, c.recs.Line(i), 1)
			continue
		}
		if ev.Time < 0 || ev.Time > LastSecond*nanos {
			b.Drop()
			m.run.count.reject(m.run.cfg.Log, s.Name(), errTime, c.recs.Line(i), 1)
			continue
		}
		ev.Offset = c.recs.Offsets[i]
		if len(c.recs.Appended) > 0 {
			c.appended = append(c.appended, c.recs.Appended[i])
		}
	}
}

// checkTimes rejects events of a source of events as decode does those of lines.
func (m *mapper) checkTimes(c *chunk) {
	k := 0
	for i := range c.batch.Events {
		ev := &c.batch.Events[i]
		if ev.Time < 0 || ev.Time > LastSecond*nanos {
			m.run.count.reject(m.run.cfg.Log, c.batch.Source, errTime, nil, 1)
			continue
		}
		if k != i {
			c.batch.Events[k] = *ev
			if len(c.appended) > 0 {
				c.appended[k] = c.appended[i]
			}
		}
		k++
	}
	c.batch.Events = c.batch.Events[:k]
	c.appended = c.appended[:min(k, len(c.appended))]
}

// mapChunk enriches the chunk's events, maps them and delivers the rows. It
// returns the mapper that it ended with, since it lends its own out while it
// waits; nil if the run was cancelled.
func (m *mapper) mapChunk(c *chunk) *mapper {
	r := m.run
	if w := m.enrich[c.part.source]; w != nil {
		w.Enrich(&c.batch)
	}
	if r.cfg.Sources[c.part.source].Unjudged && c.part.events == nil {
		for i := range c.batch.Events {
			c.batch.Events[i].Unjudged = c.batch.Events[i].Outcome == event.NoOutcome
		}
	}
	if adjust := r.cfg.Sources[c.part.source].Adjust; adjust != nil {
		adjust(&c.batch)
	}
	if err := r.archive(c); err != nil {
		r.fail(err)
		return nil
	}
	m.filter(c)
	events := c.batch.Events
	f := r.pool.frame()
	for i := 0; i < len(events); {
		j := m.together(events, i)
		hour := hourOf(events[i].Second)
		st, ok := r.clock.standing(hour - 3600)
		if !ok || !m.listed(events[i].Second) {
			// What was mapped goes out first: the units may have to run it before
			// they can publish what the rest needs.
			r.deliver(f)
			f = r.pool.frame()
			r.clock.reach(c, min(c.after[i], events[i].Second))
			r.mappers <- m
			if st, ok = r.clock.awaitStanding(r.ctx, hour-3600); !ok || !r.awaitList(events[i].Second) {
				return nil
			}
			m = <-r.mappers
		}
		if r.cfg.Enforce != nil {
			r.count.refused.Add(r.cfg.Enforce.refuse(events[i:j], st))
		}
		m.rules.Map(events[i:j], c.part.number, st, &f.deltas)
		i = j
	}
	r.deliver(f)
	return m
}

// together returns the end of the events from i on for which the same was
// published: those of an hour, or where somebody refuses of a minute.
func (m *mapper) together(events []event.Event, i int) int {
	span := hourOf
	if m.run.cfg.Enforce != nil {
		span = minuteOf
	}
	at := span(events[i].Second)
	j := i + 1
	for j < len(events) && span(events[j].Second) == at {
		j++
	}
	return j
}

// listed reports whether the list of what is refused that events of a second
// meet was published, if anybody refuses.
func (m *mapper) listed(second int64) bool {
	e := m.run.cfg.Enforce
	return e == nil || m.run.clock.hasList(e.listOf(second))
}

// awaitList waits for it.
func (r *run) awaitList(second int64) bool {
	e := r.cfg.Enforce
	return e == nil || r.clock.awaitList(r.ctx, e.listOf(second))
}

// filter takes out events that the source's `only` does not hold of.
func (m *mapper) filter(c *chunk) {
	only := m.run.cfg.Sources[c.part.source].Only
	m.passOver(c)
	events := c.batch.Events
	refused := int64(0)
	if only == nil {
		for i := range events {
			if events[i].Refused != event.NoAction {
				refused++
			}
		}
		m.run.count.mapped(int64(len(events)), 0, refused)
		return
	}
	k := 0
	for i := range events {
		if !only.Match(&events[i], &m.facts) {
			continue
		}
		if events[i].Refused != event.NoAction {
			refused++
		}
		if k != i {
			events[k] = events[i]
		}
		c.after[k] = c.after[i]
		k++
	}
	c.batch.Events, c.after = events[:k], c.after[:k]
	m.run.count.mapped(int64(k), int64(len(events)-k), refused)
}

// passOver takes out events of seconds that the state began with: they were
// folded before it was written.
func (m *mapper) passOver(c *chunk) {
	if !c.part.resumed {
		return
	}
	events, from := c.batch.Events, m.run.from
	k := 0
	for i := range events {
		if events[i].Second < from {
			continue
		}
		if k != i {
			events[k] = events[i]
			c.after[k] = c.after[i]
		}
		k++
	}
	m.run.count.again.Add(int64(len(events) - k))
	c.batch.Events, c.after = events[:k], c.after[:k]
}

func hourOf(second int64) int64 { return floorDiv(second, 3600) * 3600 }

// pools keep what batches are made of for use again.
type pools struct {
	chunks, frames sync.Pool
}

func (p *pools) chunk() *chunk {
	c, _ := p.chunks.Get().(*chunk)
	if c == nil {
		c = &chunk{}
	}
	c.recs.Reset()
	c.batch.Reset()
	c.appended, c.after = c.appended[:0], c.after[:0]
	c.reached, c.done, c.last, c.holds = -1<<62, false, false, false
	c.marks, c.lost = c.marks[:0], c.lost[:0]
	c.read = 0
	return c
}

func (p *pools) frame() *frame {
	f, _ := p.frames.Get().(*frame)
	if f == nil {
		f = &frame{}
	}
	d := &f.deltas
	d.Events, d.Obs, d.Values, d.Rows = d.Events[:0], d.Obs[:0], d.Values[:0], d.Rows[:0]
	return f
}
