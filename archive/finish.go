package archive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// finishAgain is when a file that could not be written is tried again.
const finishAgain = 30 * time.Second

// finisher turns sealed spools into files, one at a time and in their order.
type finisher struct {
	a       *Archive
	mu      sync.Mutex
	waiting []*spool
	rush    int           // how many wait for all of it
	tries   int           // that began
	tried   int           // the last one that ended
	err     error         // of that one
	step    chan struct{} // closed when a try has ended
	wake    chan struct{}
	stop    chan struct{}
	end     chan struct{}
}

func (f *finisher) start(a *Archive) {
	f.a = a
	f.step, f.wake, f.stop, f.end = make(chan struct{}), make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	go f.run()
}

// add has a spool finished.
func (f *finisher) add(sp *spool) {
	f.mu.Lock()
	f.waiting = append(f.waiting, sp)
	f.mu.Unlock()
	f.nudge()
}

func (f *finisher) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// pending returns the spools that are not finished yet.
func (f *finisher) pending() []*spool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.waiting)
}

// wait waits until all is finished, or a try fails.
func (f *finisher) wait(ctx context.Context) error {
	f.mu.Lock()
	since := f.tries // one that is under way may not have seen what is now
	f.rush++
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.rush--
	}()
	f.nudge()
	for {
		f.mu.Lock()
		n, err, step := len(f.waiting), f.err, f.step
		if f.tried <= since {
			err = nil
		}
		f.mu.Unlock()
		if n == 0 || err != nil {
			return wrap(err)
		}
		select {
		case <-step:
		case <-ctx.Done():
			return ctx.Err()
		case <-f.end:
			return errClosed
		}
	}
}

// close ends the goroutine; a file that is being written is given up.
func (f *finisher) close() {
	close(f.stop)
	<-f.end
}

// rest waits for as long as the work took, so that events go first; not where
// files, or somebody, wait. It returns errClosed where the archive is being closed.
func (f *finisher) rest(worked time.Duration) error {
	f.mu.Lock()
	if len(f.waiting) > 1 || f.rush > 0 {
		worked = 0
	}
	f.mu.Unlock()
	pause := time.NewTimer(worked)
	defer pause.Stop()
	select {
	case <-f.stop:
		return errClosed
	case <-pause.C:
	}
	return nil
}

func (f *finisher) run() {
	defer close(f.end)
	again := time.NewTimer(finishAgain)
	defer again.Stop()
	for {
		late := false
		select {
		case <-f.stop:
			return
		case <-f.wake:
		case <-again.C:
			late = true
		}
		f.a.makeRoom()
		if late {
			f.giveWay()
		}
		for f.next() {
			select {
			case <-f.stop:
				return
			default:
			}
		}
		again.Reset(finishAgain)
	}
}

// next finishes the first spool; it returns false where there is none, or it
// cannot be finished now.
func (f *finisher) next() bool {
	f.mu.Lock()
	if len(f.waiting) == 0 {
		f.mu.Unlock()
		return false
	}
	sp := f.waiting[0]
	f.tries++
	try := f.tries
	f.mu.Unlock()
	err := f.a.finish(sp)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tried = try
	if f.err = err; err == nil {
		f.waiting = f.waiting[1:]
	} else if !errors.Is(err, errClosed) {
		f.a.log.Error("a file of the archive cannot be written; it is tried again", "file", sp.String(), "error", err)
	}
	close(f.step)
	f.step = make(chan struct{})
	return err == nil
}

// finish makes the file of a spool. A crash anywhere leaves either the spool,
// or the file and the spool, which Open then removes.
func (a *Archive) finish(sp *spool) error {
	path := filepath.Join(sp.source.dir, sp.name.String())
	began := time.Now()
	if err := a.admitFile(sp); err != nil {
		return err
	}
	a.hit("archive.finish")
	about, size, err := a.writeFile(sp, path+fileSuffix+tempSuffix, a.finishedOf(sp.source.Name))
	if err != nil {
		return err
	}
	a.hit("archive.written")
	if about != nil {
		if err := os.Rename(path+fileSuffix+tempSuffix, path+fileSuffix); err != nil {
			return err
		}
		a.hit("archive.renamed")
		if err := syncDir(sp.source.dir); err != nil {
			return err
		}
	}
	a.hit("archive.finished")
	a.syncing.Lock()
	defer a.syncing.Unlock()
	if about != nil {
		for _, p := range about.Partitions {
			a.marks.finished(Part{sp.source.Name, p.Partition}, p.Last, p.Latest)
		}
		a.counters.files.Add(1)
		a.log.Info("a file of the archive is written", "file", sp.String(), "events", about.events(), "bytes", size, "seconds", time.Since(began).Seconds())
	}
	if err := a.dropSpool(sp.source, sp.name); err != nil {
		return err
	}
	a.retain(2 * a.cfg.Reserve)
	return nil
}

// finishedOf returns up to where files have the partitions of a source.
func (a *Archive) finishedOf(source string) map[int32]int64 {
	a.syncing.Lock()
	defer a.syncing.Unlock()
	before := make(map[int32]int64)
	for p, m := range a.marks.parts {
		if p.Source == source {
			before[p.Partition] = m.done
		}
	}
	return before
}
