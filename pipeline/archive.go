package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"weir/archive"
	"weir/event"
	"weir/ingest"
)

func parts(positions []Position) map[archive.Part]int64 {
	found := make(map[archive.Part]int64, len(positions))
	for _, p := range positions {
		found[archive.Part{Source: p.Source, Partition: p.Partition}] = p.Offset
	}
	return found
}

// beginArchive has the archive go on where the run does: what it holds beyond
// comes again.
func (r *run) beginArchive() error {
	if r.cfg.Archive == nil {
		return nil
	}
	var at []Position
	if r.cfg.Resume != nil {
		at = r.cfg.Resume.Positions
	}
	return r.cfg.Archive.Resume(r.ctx, parts(at))
}

// archive hands a chunk's events over, as they are behind enriching.
func (r *run) archive(c *chunk) error {
	if r.cfg.Archive == nil {
		return nil
	}
	id := c.part.id()
	part := archive.Part{Source: id.source, Partition: id.local}
	var gone []ingest.Gap
	if c.part.tail != nil {
		gone = c.recs.Gaps
	}
	err := r.cfg.Archive.AddBehind(r.ctx, part, c.seq, gone, c.batch.Events, c.appended)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	return nil
}

// syncArchive has the archive safe up to positions, before a checkpoint that
// goes beyond them.
func (r *run) syncArchive(ctx context.Context, at []Position) error {
	if r.cfg.Archive == nil || r.keeping.temporary {
		return nil
	}
	return r.cfg.Archive.Sync(ctx, parts(at))
}

// archivePassed tells the archive that a checkpoint goes beyond positions.
func (r *run) archivePassed(at []Position) {
	if r.cfg.Archive == nil {
		return
	}
	if err := r.cfg.Archive.Passed(context.WithoutCancel(r.ctx), parts(at)); err != nil {
		r.cfg.Log.Error("archive: hours that are over are not made into files", "error", err)
	}
}

// lossy is a source of events that knows which of them are missing: in front of
// or among those that it returned last, or behind all of them.
type lossy interface {
	Missing(p int) []ingest.Gap
}

// lookForLost notes what a chunk's source lacks. Whoever replays is told at the
// end, too: what was decided is not what a run on the whole log decides.
func (p *partition) lookForLost(c *chunk) {
	s, ok := p.events.(lossy)
	if !ok {
		return
	}
	for _, g := range s.Missing(p.local) {
		if g.To <= p.skip {
			continue // it was told before the run began
		}
		c.recs.Gaps = append(c.recs.Gaps, g)
		from := ""
		if !g.Since.IsZero() {
			from = ", from " + g.Since.UTC().Format(time.RFC3339) + " on"
		}
		p.run.count.broken(fmt.Errorf("source %s, partition %d: its events from offset %d up to %d are missing%s: %s; decisions that look back behind them are marked incomplete",
			p.id().source, p.local, g.From, g.To, from, g.Why))
	}
}

// behindLost returns the second of the first event behind all that a chunk's
// source lacks; 0 where there is none yet.
func (p *partition) behindLost(c *chunk) (second int64) {
	if len(p.missing) == 0 {
		return 0
	}
	to := p.missing[len(p.missing)-1].To
	for i := range c.batch.Events {
		if ev := &c.batch.Events[i]; ev.Offset >= to && ev.Time >= 0 && ev.Time <= LastSecond*nanos {
			return max(1, floorDiv(ev.Time, nanos))
		}
	}
	return 0
}

// tellClock tells the clock what is missing in front of events of a chunk that was
// judged: from the watermark in front of each on nobody has seen it, or from behind
// the last time before it. This follows from the events and the journal alone, not
// from how many are read at a time, nor from how far the clock has come by now: that
// is never further. w and marks are those of the partition's clock before the chunk.
func (c *chunk) tellClock(w int64, marks []Mark) {
	p := c.part
	for p.lost = append(p.lost, c.lost...); len(p.lost) > 0; p.lost = p.lost[1:] {
		g := p.lost[0]
		k := slices.IndexFunc(c.batch.Events, func(ev event.Event) bool { return ev.Offset >= g.To })
		if k < 0 {
			break // none of those behind it counts: the next chunk's first tells
		}
		ev := &c.batch.Events[k]
		since := max(1, w)
		if k > 0 {
			since = max(since, c.after[k-1])
		}
		for _, m := range marks {
			if m.Event != MarkGap && m.Offset <= ev.Offset {
				since = max(since, m.Watermark)
			}
		}
		if !g.Since.IsZero() {
			since = max(since, g.Since.Unix()+1)
		}
		p.run.clock.miss(Mark{
			Event: MarkGap, Source: p.id().source, Partition: p.id().local, Offset: ev.Offset,
			Since: since, Watermark: max(since, floorDiv(ev.Time, nanos)),
		})
	}
	if c.last {
		p.tellOfEnd()
	}
}

// tellOfEnd tells the clock what is missing behind all events of the partition:
// from its last watermark on no second is whole any more, also of what others
// still have. Its reader has ended.
func (p *partition) tellOfEnd() {
	gaps := append(p.lost, p.missing...)
	if len(gaps) == 0 {
		return
	}
	since := max(1, p.clock.w)
	if at := gaps[0].Since; !at.IsZero() {
		since = max(since, at.Unix()+1)
	}
	p.run.clock.miss(Mark{
		Event: MarkGap, Source: p.id().source, Partition: p.id().local, Offset: gaps[0].From, Since: since, Watermark: LastSecond,
	})
}
