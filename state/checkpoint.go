package state

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// queueMax is how many bytes may wait to be written before Room says no.
const queueMax = 16 << 20

// Checkpoint is a generation of records being written. Its methods but Commit
// and Abort may be called by several goroutines.
type Checkpoint struct {
	store *Store
	keep  func(unit int, table uint16, value []byte) bool

	mu      sync.Mutex
	queue   []job
	waiting int64
	ended   bool          // Commit or Abort was called
	err     error         // the first one
	wake    chan struct{} // there is something in the queue
	done    chan struct{} // the writer is through

	worked time.Duration // of the writer, once it is through

	share atomic.Uint64 // of the time that the writer works, as a float's bits; 0: all
	paced chan struct{} // share was set
}

// job is something that the writer of a checkpoint does.
type job struct {
	do    func(*writer) error
	bytes int64
	last  bool
}

var (
	errBegun = errors.New("another checkpoint is going on")
	errEnded = errors.New("the checkpoint was committed or given up")
)

// Begin begins a checkpoint; there is at most one at a time. keep says of a
// stored value whether it is still alive: those that are not are dropped when
// their page is written anew. It is called by another goroutine until Commit or
// Abort has returned; nil keeps all.
//
// Where nothing may be written the checkpoint is as good as failed: Put and
// Commit say why.
func (s *Store) Begin(keep func(unit int, table uint16, value []byte) bool) *Checkpoint {
	c := &Checkpoint{store: s, keep: keep, wake: make(chan struct{}, 1), done: make(chan struct{}), paced: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		c.err = errClosed
	case s.begun != nil:
		c.err = errBegun
	case s.poisoned != nil:
		c.err = s.poisoned
	default:
		c.err = s.disk.check()
	}
	if c.err != nil {
		close(c.done)
		return c
	}
	s.begun = c
	go c.write()
	return c
}

// Put hands over what changed in one page: AppendChange's bytes, which are
// copied. A page comes at most once in a checkpoint. It returns at once, even
// where there is no Room.
func (c *Checkpoint) Put(unit int, table uint16, page uint32, changes []byte) error {
	if unit < 0 || unit >= c.store.cfg.Units {
		return fmt.Errorf("unit %d, must be below %d", unit, c.store.cfg.Units)
	}
	if len(changes) == 0 {
		return nil
	}
	own := slices.Clone(changes)
	at := place{unit, table, page}
	return c.enqueue(int64(len(own)), func(w *writer) error { return at.wrap(w.put(at, own)) })
}

// Room reports whether little enough waits to be written that more may come.
func (c *Checkpoint) Room() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting < queueMax
}

// Blob writes a blob of any size under a name; an empty one drops it.
func (c *Checkpoint) Blob(name string, b []byte) error {
	own := slices.Clone(b)
	return c.enqueue(int64(len(own)), func(w *writer) error { return w.blob(callerBlob(name), own) })
}

// enqueue gives the writer something to do.
func (c *Checkpoint) enqueue(bytes int64, do func(*writer) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.ended {
		return errEnded
	}
	c.push(job{do: do, bytes: bytes})
	return nil
}

// push is enqueue with the lock held.
func (c *Checkpoint) push(j job) {
	c.queue = append(c.queue, j)
	c.waiting += j.bytes
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// take waits for what there is to do, and says for how long.
func (c *Checkpoint) take() (jobs []job, waited time.Duration) {
	for {
		c.mu.Lock()
		jobs, c.queue = c.queue, nil
		c.mu.Unlock()
		if len(jobs) > 0 {
			return jobs, waited
		}
		began := time.Now()
		<-c.wake
		waited += time.Since(began)
	}
}

// fail keeps the first error.
func (c *Checkpoint) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
}

func (c *Checkpoint) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Commit writes what is left and makes the checkpoint the last one: when it
// returns nil it is on disk. With an error the last one is as it was. Where ctx
// ends before the records are written the checkpoint is given up.
func (c *Checkpoint) Commit(ctx context.Context, f Flip) error {
	if len(f.Units) != 0 && len(f.Units) != c.store.cfg.Units {
		c.Abort()
		return fmt.Errorf("a checkpoint of %d units, must be %d", len(f.Units), c.store.cfg.Units)
	}
	if err := c.end(func(w *writer) error { return w.commit(ctx, f) }); err != nil {
		return fmt.Errorf("checkpoint at tick %d: %w", f.Tick, err)
	}
	return nil
}

// errAborted ends the writer of a checkpoint that was given up.
var errAborted = errors.New("given up")

// Abort gives the checkpoint up: what waits is not written any more, whatever the
// pace.
func (c *Checkpoint) Abort() {
	c.mu.Lock()
	if !c.ended && c.err == nil {
		c.err = errAborted
	}
	c.mu.Unlock()
	c.Pace(1)
	_ = c.end(func(*writer) error { return errAborted })
}

// end hands over the last job and waits until the writer is through.
func (c *Checkpoint) end(last func(*writer) error) error {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		<-c.done
		return errEnded
	}
	c.ended = true
	select {
	case <-c.done: // it never began
		c.mu.Unlock()
		return c.failed()
	default:
	}
	c.push(job{do: last, last: true})
	c.mu.Unlock()
	<-c.done
	return c.failed()
}

// write does what comes in until the checkpoint has ended. It is the writer's
// goroutine.
func (c *Checkpoint) write() {
	defer close(c.done)
	began := time.Now()
	w := newWriter(c)
	if err := c.store.poisoned; err != nil {
		c.fail(err)
	} else if c.store.segment == math.MaxUint32 {
		c.fail(errSegments)
	}
	for last := false; !last; {
		jobs, waited := c.take()
		w.worked = w.worked.Add(waited)
		w.idle += waited
		for i, j := range jobs {
			jobs[i] = job{}        // what was put need not stay until all is written
			if c.failed() == nil { // behind an error nothing is of use any more
				c.fail(guarded(func() error { return j.do(w) }))
			}
			c.mu.Lock()
			c.waiting -= j.bytes
			c.mu.Unlock()
			last = j.last
		}
	}
	w.close(c.failed())
	c.worked = time.Since(began) - w.idle
	c.store.mu.Lock()
	c.store.begun = nil
	c.store.mu.Unlock()
}
