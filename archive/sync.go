package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// Sync makes all events before these offsets last. All batches with any of them
// must have been added before.
func (a *Archive) Sync(ctx context.Context, positions map[Part]int64) error {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	var files []*os.File
	lengths, safe := make(map[spoolName]int64), make(map[Part]int64)
	err := a.do(ctx, func() error {
		if err := a.drain(); err != nil {
			return err
		}
		if err := a.flush(); err != nil {
			return err
		}
		for _, s := range a.sources {
			for _, sp := range s.inOrder() {
				if sp.dirty {
					f, err := os.OpenFile(sp.path, os.O_RDWR, 0) // the writer may close its own meanwhile
					if err != nil {
						return a.trouble(err)
					}
					files = append(files, f)
				}
				sp.dirty = false
				lengths[spoolName{s.Name, sp.name}] = sp.size
			}
		}
		for _, sp := range a.done.pending() {
			lengths[spoolName{sp.source.Name, sp.name}] = sp.size
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		for part, at := range positions {
			if l := a.lanes[part]; l == nil || l.gap == nil { // else it is found again
				safe[part] = at
			}
		}
		return nil
	})
	// The writer goes on while the disk takes it.
	for _, f := range files {
		serr := f.Sync()
		if cerr := f.Close(); serr == nil {
			serr = cerr
		}
		if serr != nil {
			return a.fail(serr) // what the kernel has dropped cannot be synced again
		}
	}
	if err != nil {
		return wrap(err)
	}
	a.hit("archive.synced")
	a.marks.spools = lengths
	for part, at := range safe {
		a.marks.synced(part, at)
	}
	if err := a.saveMarks(); err != nil {
		return wrap(err)
	}
	return nil
}

// wrap says where an error is from.
func wrap(err error) error {
	if err == nil || errors.Is(err, errClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("archive: %w", err)
}

// Passed says that a checkpoint with these positions is in force: hours that it
// and their partitions have left behind become files, in the background.
func (a *Archive) Passed(ctx context.Context, positions map[Part]int64) error {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	return wrap(a.do(ctx, func() error {
		for _, s := range a.sources {
			for _, sp := range s.inOrder() {
				if sp.begin == s.begins[len(s.begins)-1] || !sp.passed(positions) || !sp.left(a) {
					break // later ones wait: a partition's files are finished in their order
				}
				if err := s.seal(sp); err != nil {
					return a.trouble(err)
				}
				a.done.add(sp)
			}
		}
		return nil
	}))
}

// Finish has all that was added become files, and waits for them: for input
// that has ended.
func (a *Archive) Finish(ctx context.Context) error {
	a.syncing.Lock()
	err := a.do(ctx, func() error {
		if err := a.drain(); err != nil {
			return err
		}
		for _, s := range a.sources {
			for _, sp := range s.inOrder() {
				if err := s.seal(sp); err != nil {
					return a.trouble(err)
				}
				a.done.add(sp)
			}
		}
		return nil
	})
	a.syncing.Unlock()
	if err != nil {
		return wrap(err)
	}
	return a.done.wait(ctx)
}

// inOrder returns all spools that are not being finished, as partitions go
// through them.
func (s *source) inOrder() []*spool {
	all := slices.Clone(s.closed)
	for _, sp := range s.spools {
		all = append(all, sp)
	}
	slices.SortFunc(all, func(x, y *spool) int { return x.compare(y.name) })
	return all
}

// seal ends a spool: events of its hours go into another one from now on.
func (s *source) seal(sp *spool) error {
	if sp.f != nil {
		if err := sp.write(); err != nil {
			return err
		}
		if err := sp.f.Close(); err != nil {
			return err
		}
		sp.f, sp.buf = nil, nil
	}
	if s.spools[sp.begin] == sp {
		delete(s.spools, sp.begin)
	}
	s.closed = slices.DeleteFunc(s.closed, func(x *spool) bool { return x == sp })
	return nil
}

// Resume begins, or begins again, at these positions: what the spools hold from
// there on is cut off, all of it where a partition has none. It comes before
// the first Add; batches are numbered from 0 again behind it.
func (a *Archive) Resume(ctx context.Context, positions map[Part]int64) error {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	began := time.Now()
	err := a.do(ctx, func() error {
		if err := a.drain(); err != nil {
			return err
		}
		if err := a.flush(); err != nil {
			return err
		}
		if err := a.keepReached(); err != nil {
			return err
		}
		a.mu.Lock()
		clear(a.lanes) // and with them what waits for batches that never came
		a.waiting = 0
		a.mu.Unlock()
		a.begin()
		positions := a.ofTheseLogs(positions)
		for _, s := range a.sources {
			if err := a.resumeSource(s, positions); err != nil {
				return err
			}
		}
		a.miss(positions)
		return nil
	})
	a.log.Debug("the archive goes on", "after", time.Since(began))
	return wrap(err)
}

// begin makes the lanes of what files hold or will hold.
func (a *Archive) begin() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for part, m := range a.marks.parts {
		if l := a.lane(part); m.done > 0 {
			l.done, l.max = m.done, m.max
		}
	}
	for _, sp := range a.done.pending() { // they will be files, whatever comes
		for p, r := range sp.parts {
			l := a.lane(Part{sp.source.Name, p})
			l.done, l.max = max(l.done, r.last+1), max(l.max, r.max)
		}
	}
	for part, at := range a.marks.reached {
		a.lane(part).cut = at
	}
}

// miss notes what lies before the positions and is in no file and no spool: the
// archive was off, or it was damaged.
func (a *Archive) miss(positions map[Part]int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for part, at := range positions {
		m, known := a.marks.parts[part]
		s := a.sources[part.Source]
		if !known || s == nil || s.rebuilt {
			continue
		}
		l := a.lane(part)
		from := max(m.synced, m.done, l.last+1)
		if s.damaged {
			from = max(m.done, l.last+1)
		}
		if from < at {
			l.gap = &gap{from: from, to: at}
			if !s.damaged { // else it is counted
				a.counters.lost.Add(1)
			}
			a.log.Error("the archive lacks events", "partition", part.String(), "from", from, "to", at)
		}
	}
}

// resumeSource cuts a source's spools back and opens those that are gone on with.
func (a *Archive) resumeSource(s *source, positions map[Part]int64) error {
	for _, sp := range s.inOrder() {
		if err := a.cut(sp, positions); err != nil {
			return fmt.Errorf("%v: %w", sp, err)
		}
		if sp.events == 0 {
			if err := s.forget(sp); err != nil {
				return err
			}
		}
	}
	// Of each hour the last one is gone on with.
	for _, sp := range s.inOrder() {
		if sp.num == s.nums[sp.begin] && s.spools[sp.begin] == nil {
			s.closed = slices.DeleteFunc(s.closed, func(x *spool) bool { return x == sp })
			s.spools[sp.begin] = sp
		}
	}
	return syncDir(s.dir)
}

// forget removes a spool in which nothing is left.
func (s *source) forget(sp *spool) error {
	if err := s.seal(sp); err != nil {
		return err
	}
	if err := os.Remove(sp.path); err != nil {
		return err
	}
	if s.nums[sp.begin] == sp.num {
		s.nums[sp.begin]--
	}
	if s.nums[sp.begin] == 0 {
		delete(s.nums, sp.begin)
		s.begins = slices.DeleteFunc(s.begins, func(b int64) bool { return b == sp.begin })
	}
	return nil
}
