package archive

import (
	"context"
	"errors"
	"math"
	"os"
)

// Reached returns behind which offset of each partition of a source nothing has
// ever been added: further than its position where a run had read on before it
// ended. What is new in a log must have no offset before it, or it would be taken
// for what files have already.
func (a *Archive) Reached(source string) map[int32]int64 {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	// Nothing is written: one that was closed has noted nothing more since.
	_ = a.do(context.Background(), func() error { a.noteReached(); return nil })
	found := make(map[int32]int64)
	for part, at := range a.marks.reached {
		if part.Source == source {
			found[part.Partition] = at
		}
	}
	return found
}

// reach notes that a partition had events before an offset.
func (m *marks) reach(p Part, at int64) { m.reached[p] = max(m.reached[p], at) }

// lookForReached notes how far earlier runs came: what they wrote, also what was
// cut off since, or will be.
func (a *Archive) lookForReached() error {
	for part, m := range a.marks.parts {
		if m.done > 0 {
			a.marks.reach(part, m.done)
		}
	}
	for _, s := range a.sources {
		for _, sp := range s.closed {
			f, err := os.Open(sp.path)
			if err != nil {
				return err
			}
			c, err := scan(f, math.MaxInt64)
			if err = errors.Join(err, f.Close()); err != nil {
				return err
			}
			for _, e := range c.frames {
				a.marks.reach(Part{s.Name, e.Partition}, e.Last+1)
			}
		}
	}
	return nil
}

// noteReached notes how far this run came. It is the writer's.
func (a *Archive) noteReached() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for part, l := range a.lanes {
		if l.began {
			a.marks.reach(part, l.last+1)
		}
	}
	for _, b := range a.ready {
		for _, p := range b.pieces {
			a.marks.reach(b.part, p.Last+1)
		}
	}
}

// keepReached writes down how far runs came, before what is behind the positions
// is cut off: nothing else knows of it then.
func (a *Archive) keepReached() error {
	a.noteReached()
	if len(a.marks.reached) == 0 {
		return nil
	}
	return a.saveMarks()
}

// lose notes what was cut off since the log would give it again, which it cannot.
// What it lacks beyond that no run had read: the journal says so.
func (a *Archive) lose(part Part, l *lane, gone gap) {
	from, to := max(gone.from, l.done, l.last+1), min(gone.to, l.cut)
	if from >= to {
		return
	}
	if l.gap == nil {
		l.gap = &gap{from: from, to: to}
	} else {
		l.gap.to = max(l.gap.to, to)
	}
	a.counters.lost.Add(1)
	a.log.Error("the archive lacks events: they were to be read again, and are gone from the log", "partition", part.String(), "from", from, "to", to)
}
