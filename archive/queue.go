package archive

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"weir/event"
)

// retryAfter is when the writer tries again after the disk would not take it.
const retryAfter = time.Second

// perDrain is about how many bytes the writer takes from the queue at a time,
// so that there is room again soon.
const perDrain = 1 << 20

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// sparse is how many events a frame holds at least, where their largest time is
// within a day.
const sparse = 256

// encode makes the batch's frames: one for each hour of the largest time, as
// far as the batch itself tells and there are enough in an hour.
func (b *batch) encode(events []event.Event, appended []int64) error {
	if !hasAppend(appended) {
		appended = nil
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	for i := 0; i < len(events); {
		latest, first := events[i].Time, events[i].Time
		j := i + 1
		for ; j < len(events) && j-i < frameEvents; j++ {
			if t := events[j].Time; t > latest {
				if floorHour(t) != floorHour(latest) && (j-i >= sparse || t-first >= longest) {
					break
				}
				latest = t
			}
			if events[j].Offset <= events[j-1].Offset {
				return fmt.Errorf("offset %d behind %d, must rise", events[j].Offset, events[j-1].Offset)
			}
		}
		var times []int64
		if appended != nil {
			times = appended[i:j]
		}
		if err := b.add(e, head{Partition: b.part.Partition, Max: latest}, events[i:j], times); err != nil {
			return err
		}
		i = j
	}
	return nil
}

// add appends the frame of events, or several where it would be too large.
func (b *batch) add(e *encoder, h head, events []event.Event, appended []int64) error {
	e.out, h = e.encode(e.out[:0], h, events, appended)
	if n := len(events); h.Raw > frameBytes && n > 1 {
		var front, back []int64
		if appended != nil {
			front, back = appended[:n/2], appended[n/2:]
		}
		if err := b.add(e, h, events[:n/2], front); err != nil {
			return err
		}
		return b.add(e, h, events[n/2:], back)
	}
	if h.Raw > maxBody {
		return fmt.Errorf("the event at offset %d takes %d bytes, at most %d may", h.First, h.Raw, maxBody)
	}
	b.pieces = append(b.pieces, piece{head: h, bytes: slices.Clone(e.out)})
	b.bytes += int64(len(e.out))
	return nil
}

// write is the goroutine that owns the spools.
func (a *Archive) write() {
	defer a.ended.Done()
	retry := time.NewTimer(retryAfter)
	retry.Stop()
	defer retry.Stop()
	a.measure() // what an earlier life left
	for {
		select {
		case fn := <-a.orders:
			fn()
			a.measure()
			continue
		case <-a.wake:
		case <-retry.C:
		case <-a.stop:
			return
		}
		if a.drain() != nil {
			retry.Reset(retryAfter)
		}
		a.measure()
	}
}

// drain puts what is ready into the spools. After an error it can be called
// again: what could not be written waits.
func (a *Archive) drain() error {
	if a.stuck {
		if err := a.flush(); err != nil {
			return err
		}
	}
	for {
		a.mu.Lock()
		err, n, bytes := a.err, 0, int64(0)
		for n < len(a.ready) && bytes < perDrain {
			bytes += a.ready[n].bytes
			n++
		}
		taken := a.ready[:n]
		a.mu.Unlock()
		if err != nil || n == 0 {
			return err
		}
		for i, b := range taken {
			if err = a.place(b); err != nil {
				n = i
				break
			}
		}
		a.taken(n)
		if err != nil {
			return err
		}
	}
}

// taken removes the first n batches from the queue.
func (a *Archive) taken(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.ready[:n] {
		a.queued -= b.bytes
	}
	clear(a.ready[:n])
	a.ready = a.ready[n:]
	if len(a.ready) == 0 {
		a.ready = nil
	}
	close(a.room)
	a.room = make(chan struct{})
}

// fail ends the archive for good: what was added cannot be trusted to be there.
func (a *Archive) fail(err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = fmt.Errorf("archive: %w", err)
		a.why = err.Error()
		a.log.Error("the archive cannot go on; a restart writes on from the last checkpoint", "error", err)
		close(a.room)
		a.room = make(chan struct{})
	}
	return a.err
}

// trouble notes that the disk does not take what is to be written, or nil.
func (a *Archive) trouble(err error) error {
	if (err != nil) != a.stuck {
		if err != nil {
			a.log.Error("the archive cannot be written; events wait until it can", "error", err)
		} else {
			a.log.Info("the archive can be written again")
		}
	}
	a.stuck = err != nil
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.why = ""
		if err != nil {
			a.why = err.Error()
		}
	}
	return err
}

// place appends a batch's frames to the spools of their hours. A batch that
// could not be placed whole is placed again later: what is there is passed over.
func (a *Archive) place(b *batch) error {
	s := a.sources[b.part.Source]
	a.mu.Lock()
	l := a.lane(b.part)
	a.mu.Unlock()
	for ; len(b.gone) > 0; b.gone = b.gone[1:] {
		a.lose(b.part, l, b.gone[0])
	}
	for len(b.pieces) > 0 {
		p := b.pieces[0]
		if p.Last < l.done {
			a.counters.passedOver.Add(int64(p.Events))
			b.pieces = b.pieces[1:]
			continue
		}
		if p.First < l.done {
			rest, err := p.slice(l.done, p.Last+1)
			if err != nil {
				return a.fail(fmt.Errorf("%v: %w", b.part, err))
			}
			a.counters.passedOver.Add(int64(p.Events - rest.Events))
			p = rest
		}
		if l.began && p.First <= l.last {
			return a.fail(fmt.Errorf("%v: offset %d behind %d, must rise", b.part, p.First, l.last))
		}
		latest := max(l.max, p.Max)
		sp, err := s.spoolFor(floorHour(latest))
		if err != nil {
			return a.trouble(err)
		}
		if err := sp.append(a, l, p); err != nil {
			return a.trouble(err)
		}
		l.began, l.last, l.max, l.in = true, p.Last, latest, sp.begin
		b.pieces = b.pieces[1:]
	}
	return nil
}
