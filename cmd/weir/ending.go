package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// A run that is told to stop has nine seconds for all that is left to do, since
// many that stop a process kill it after ten. These are the latest times of its
// parts, counted from when it was told: what one does not need is left to those
// behind it.
const (
	lastCheckpointBy = 5 * time.Second
	lastListsBy      = 8 * time.Second
	lastFilesBy      = 9 * time.Second
	// heeding is how long a point may take to notice that its time is over; one
	// that does not is not waited for.
	heeding = 500 * time.Millisecond
)

// ending knows when a run was told to stop, or began to for a fault.
type ending struct{ at atomic.Pointer[time.Time] }

// begin says that it is now; the first time counts.
func (e *ending) begin() {
	now := time.Now()
	e.at.CompareAndSwap(nil, &now)
}

// by returns until when a part may take, at most for so long from now. Who asks
// is ending.
func (e *ending) by(part, most time.Duration) time.Time {
	e.begin()
	by, latest := e.at.Load().Add(part), time.Now().Add(most)
	if latest.Before(by) {
		return latest
	}
	return by
}

// leaveBy returns until when the pipeline's last checkpoint may take; zero: nobody
// has told the run to stop.
func (l *liveRun) leaveBy(ctx context.Context) time.Time {
	if ctx.Err() == nil {
		return time.Time{}
	}
	return l.ending.by(lastCheckpointBy, lastCheckpointBy)
}

// within reports whether what is waited for has ended by a time.
func within(by time.Time, wait func()) bool {
	ended := make(chan struct{})
	go func() {
		wait()
		close(ended)
	}()
	late := time.NewTimer(time.Until(by))
	defer late.Stop()
	select {
	case <-ended:
		return true
	case <-late.C:
		return false
	}
}

// lastLists leaves every point with what is in force now, all at once.
func (l *liveRun) lastLists() error {
	by := l.ending.by(lastListsBy, lastLists)
	ctx, cancel := context.WithDeadline(context.Background(), by)
	defer cancel()
	type result struct {
		point int
		err   error
	}
	ended := make(chan result, len(l.keepers))
	for i, k := range l.keepers {
		go func() { ended <- result{i, k.Once(ctx)} }()
	}
	errs := make([]error, len(l.keepers))
	for i := range errs {
		errs[i] = errors.New("it does not answer")
	}
	late := time.NewTimer(time.Until(by.Add(heeding)))
	defer late.Stop()
	func() {
		for range l.keepers {
			select {
			case r := <-ended:
				errs[r.point] = r.err
			case <-late.C:
				return
			}
		}
	}()
	var all error
	for i, err := range errs {
		if err != nil {
			all = errors.Join(all, fmt.Errorf("point %s: its last list: %w", l.points[i].Name(), err))
		}
	}
	return all
}
