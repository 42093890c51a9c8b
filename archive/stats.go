package archive

import "time"

// Stats is how an archive stands.
type Stats struct {
	Queue      int64         // bytes of frames that wait to be written
	Waiting    int64         // of batches that wait for an earlier one
	Lag        time.Duration // for how long the oldest frame has waited
	Why        string        // why nothing can be written now; empty: nothing is wrong
	Bytes      int64         // of finished files
	Events     int64         // that were added
	Frames     int64         // that were written to spools
	Spooled    int64         // bytes of them
	Files      int64         // that were finished
	Pending    int           // spools that wait to be finished
	Open       int64         // bytes of spools, whether events are still added to them or they wait to be finished
	Held       int64         // how often Add waited for room in the queue
	PassedOver int64         // events that finished files had already
	Lost       int64         // runs of events that are missing, or were damaged
	Deleted    int64         // files that were deleted for Size, or for Reserve
}

// Stats returns how the archive stands.
func (a *Archive) Stats() Stats {
	c := &a.counters
	st := Stats{
		Bytes: a.kept.Load(), Events: c.events.Load(), Frames: c.frames.Load(), Spooled: c.bytes.Load(), Files: c.files.Load(),
		Held: c.held.Load(), PassedOver: c.passedOver.Load(), Lost: c.lost.Load(), Deleted: c.deleted.Load(), Open: a.open.Load(),
	}
	for _, sp := range a.done.pending() {
		st.Pending++
		st.Open += sp.size
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	st.Queue, st.Waiting, st.Why = a.queued, a.waiting, a.why
	if len(a.ready) > 0 {
		st.Lag = time.Since(a.ready[0].at)
	}
	return st
}

// Memory returns how many bytes the archive holds: frames that wait, buffers of
// spools, and what a file needs while it is made.
func (a *Archive) Memory() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.queued + a.waiting + a.buffers.Load() + a.making.Load()
}
