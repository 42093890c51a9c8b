package pipeline

import (
	"context"
	"fmt"
	"time"

	"weir/archive"
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
	err := r.cfg.Archive.Add(r.ctx, archive.Part{Source: id.source, Partition: id.local}, c.seq, c.batch.Events, c.appended)
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

// blindFrom returns from which second on nobody has seen what a partition misses
// before an event of a second. Events that were recorded say it themselves: how
// far the clock has come by now depends on how fast they are read.
func (p *partition) blindFrom(second int64) int64 {
	if p.events == nil {
		return max(1, p.w)
	}
	if since := p.missing[0].Since; !since.IsZero() {
		return max(1, min(second, since.Unix()+1))
	}
	return second
}
