package pipeline

import (
	"context"
	"fmt"

	"weir/archive"
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
