package pipeline

import (
	"fmt"
	"time"

	"weir/ingest"
)

const (
	watchEvery   = 250 * time.Millisecond // who is idle
	observeEvery = time.Second
	growEvery    = 2 * time.Second // how many partitions there are
)

// begin returns the marks of partitions that the journal does not know yet:
// where reading them begins.
func (r *run) begin() (made []Mark) {
	if err := r.linedUp(r.cfg.Resume); err != nil {
		r.fail(err)
	}
	if r.ctx.Err() != nil {
		return nil // a run that cannot go on leaves nothing in the journal
	}
	c := r.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range r.partitions {
		if p.resumed {
			continue
		}
		if r.starts.recorded {
			made = append(made, c.join(p)...)
		} else {
			made = append(made, c.mark(p, MarkStart, p.next, 0))
		}
	}
	c.look()
	return made
}

// join returns the mark of a partition that appeared later than others: it
// must not change what was decided before, in this life or in an earlier one.
func (c *clock) join(p *partition) []Mark {
	s := p.run.starts
	_, known := s.offset(p.id())
	switch w := max(1, c.granted, p.run.decided); {
	case !known:
		return []Mark{c.mark(p, MarkStart, p.next, w)}
	case p.w < c.granted:
		return []Mark{c.mark(p, MarkWake, p.next, c.granted)}
	}
	return nil
}

// monitor does what a live run does by the clock, until the run ends.
func (r *run) monitor() {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	grown, observed := time.Now(), time.Time{} // what an earlier life said is over
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-t.C:
		}
		now := time.Now()
		r.lookForIdle(now)
		if r.cfg.Break != nil && r.cfg.Break() {
			r.clock.nudge()
		}
		if now.Sub(grown) >= growEvery {
			grown = now
			if err := r.lookForNew(); err != nil {
				r.fail(err)
				return
			}
		}
		if r.cfg.Observe != nil && now.Sub(observed) >= observeEvery {
			observed = now
			r.cfg.Observe(r.status(now))
		}
	}
}

// lookForNew begins to read partitions that sources have by now.
func (r *run) lookForNew() error {
	for i := range r.cfg.Sources {
		tail, ok := r.cfg.Sources[i].Source.(ingest.Tail)
		if !ok {
			continue
		}
		n := tail.Partitions()
		if n > maxLocal {
			return fmt.Errorf("source %s: %d partitions, must be at most %d", tail.Name(), n, maxLocal)
		}
		for ; r.begun[i] < n; r.begun[i]++ {
			p := newPartition(r, i, r.begun[i])
			if p.resumed {
				// Its events were counted up to a tick that the clock has left behind.
				return fmt.Errorf("source %s: partition %d, which an earlier life has read, appeared when the clock had gone on without it: start again", tail.Name(), p.local)
			}
			c := r.clock
			c.mu.Lock()
			c.partitions = append(c.partitions, p)
			made := c.join(p)
			c.look()
			c.mu.Unlock()
			if err := r.record(made); err != nil {
				return err
			}
			r.cfg.Log.Info("a partition appeared", "source", tail.Name(), "partition", p.local, "offset", p.next)
			r.readers.Go(p.read)
		}
	}
	return nil
}

// figures are what only the coordinator can say, as of a tick.
type figures struct {
	tick    int64
	onRules int
	blind   int64
	warming map[string]int64
	summary Summary // its Keys, Bytes and Shed
}

// takeFigures notes how the units stand, while they are at rest.
func (r *run) takeFigures() {
	if r.cfg.Observe == nil || r.cfg.Record == nil {
		return
	}
	if was := r.figures.Load(); was != nil && was.tick == r.current {
		return
	}
	t := r.state.Totals()
	blind, warming := r.state.Warming(r.current)
	r.figures.Store(&figures{
		tick: r.current, onRules: r.state.OnRules(), blind: blind, warming: warming, summary: Summary{Keys: t.Keys, Bytes: t.Bytes, Shed: t.Shed, Degraded: t.Degraded},
	})
}

// keepingStatus says how the state comes to disk and what it takes, and from
// where on a restart would read each partition.
func (r *run) keepingStatus(s *Status) (saved map[partitionID]int64) {
	k := &r.keeping
	if c := k.status.Load(); c != nil {
		s.Checkpoint = *c
	}
	if m := k.memory.Load(); m != nil {
		s.Memory = *m
	}
	s.Memory.Limit, s.Memory.AccountedLimit, s.Memory.Accounted = r.cfg.Memory, r.cfg.Accounted, s.Summary.Bytes
	s.Degraded, s.TurnedAway = s.Summary.Degraded, s.Summary.Shed.TurnedAway
	if r.cfg.Store != nil {
		s.Store = r.cfg.Store.Stats()
		s.Memory.Store = s.Store.Memory
	}
	if r.cfg.Resume != nil {
		s.Resumed = r.cfg.Resume.Tick
	}
	if r.cfg.Archive != nil {
		a := r.cfg.Archive.Stats()
		s.Archive = ArchiveStatus{On: true, Queue: a.Queue, Bytes: a.Bytes, Open: a.Open, Lag: a.Lag, Why: a.Why, Deleted: a.Deleted, Pending: a.Pending}
	}
	saved = map[partitionID]int64{}
	if at := k.saved.Load(); at != nil {
		for _, p := range *at {
			saved[partitionID{p.Source, p.Partition}] = p.Offset
		}
	}
	return saved
}

// status says how the run stands.
func (r *run) status(now time.Time) *Status {
	s := &Status{At: now, Pending: r.count.pending.Load()}
	if f := r.figures.Load(); f != nil {
		s.Summary, s.Tick, s.OnRules = f.summary, max(-1, f.tick), f.onRules
		s.Blind, s.Incomplete = f.blind, f.warming
	}
	s.Summary.LastTick = s.Tick
	r.count.add(&s.Summary)
	saved := r.keepingStatus(s)
	c := r.clock
	c.mu.Lock()
	tails := make([]ingest.Tail, 0, len(c.partitions))
	for _, p := range c.partitions {
		s.Summary.Tally.Add(p.tally)
		s.Partitions = append(s.Partitions, PartitionStatus{
			Source: r.cfg.Sources[p.source].Name(), Partition: int32(p.local), Offset: p.next, Watermark: max(-1, p.w),
			Saved: saved[p.id()], Tally: p.tally, Began: p.began, Lag: -1, Idle: p.wait.idle, Lost: p.wait.lost,
			Topic: topicOf(r.cfg.Sources[p.source].Source) != "",
		})
		tails = append(tails, p.tail)
	}
	c.mu.Unlock()
	for i, tail := range tails { // a source is asked without the mutex
		if tail != nil {
			s.Partitions[i].Lag = tail.Lag(int(s.Partitions[i].Partition))
		}
	}
	return s
}
