package main

import (
	"sync/atomic"
	"time"

	"weir/pipeline"
)

// standing is what a run knows of how it stands beyond what its pipeline says,
// which begins anew with each reload.
type standing struct {
	known      int // the last store that had been put aside before
	checkpoint pipeline.CheckpointStatus
	degraded   time.Time
	failing    time.Time
	decided    int64 // see pipeline.Status
	counts     counts

	stuck atomic.Pointer[string] // why what must be on disk first cannot be written; nil: it can be
}

// observe completes what the pipeline says of how it stands, once a second.
func (l *liveRun) observe(s *pipeline.Status) {
	k := &l.standing
	k.counts.complete(s)
	if s.Checkpoint.Last.IsZero() { // none was made by this pipeline yet
		was := k.checkpoint
		if was.Last.IsZero() && l.meta != nil {
			was.Last, was.Tick = l.meta.Written, l.meta.Tick
		}
		was.Failed, was.Why = s.Checkpoint.Failed, s.Checkpoint.Why
		s.Checkpoint = was
	} else {
		k.checkpoint = s.Checkpoint
	}
	if why := k.stuck.Load(); why != nil && s.Checkpoint.Why == "" {
		s.Checkpoint.Why = *why // no checkpoint can be made while what it rests on is not written
	}
	// Behind a reload a pipeline goes on at that tick; the run went on at another.
	if s.Resumed = 0; l.meta != nil {
		s.Resumed = l.meta.Tick
	}
	since(&k.degraded, s.Degraded > 0, s.At)
	since(&k.failing, s.Checkpoint.Why != "", s.At)
	s.DegradedSince, s.FailingSince = k.degraded, k.failing
	s.Decided = k.decided
	s.Aside = storesAside(l.dir.path, k.known)
	s.Memory.StoreLimit = pipeline.StoreMemory(l.cfg.memory())
	l.status.Store(s)
}

// since keeps from when on something holds.
func since(at *time.Time, holds bool, now time.Time) {
	switch {
	case !holds:
		*at = time.Time{}
	case at.IsZero():
		*at = now
	}
}
