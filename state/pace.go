package state

import (
	"math"
	"time"
)

const (
	// leastShare is the smallest share of the time that a writer works for.
	leastShare = 0.02
	// workPiece is how long a writer works until it rests, about, and mostRest how
	// long it rests at most.
	workPiece = time.Millisecond
	mostRest  = 50 * time.Millisecond
)

// Pace says for which share of the time the store works at the checkpoint by itself,
// in its one goroutine: a millisecond at a time, with rests between that are as long
// as it takes; at least 1/50, and 1, as at the beginning, is without a rest. It may
// be called at any time, by anybody, also during Commit, and counts at once: Pace(1)
// ends the rest that is going on. It slows down Put's work (what was put waits, so
// that there may be no Room), and Commit's but for the syncing; and with what is
// written Badger's flushes. Badger itself moves what was flushed, a table of a few
// megabytes at a time, at most twenty times a second, and that is all it does.
//
// A checkpoint of a million changed keys takes half a second of work; one of a
// hundredth of them some 30 ms. So Pace(0.2) spreads these over 3 s and over 0.2 s.
func (c *Checkpoint) Pace(share float64) {
	share = min(max(share, leastShare), 1)
	c.share.Store(math.Float64bits(share))
	select {
	case c.paced <- struct{}{}:
	default:
	}
}

// Worked returns for how long the store's goroutine worked at the checkpoint, once
// Commit or Abort has returned: without its rests, and its waits for what is put and
// for the disk.
func (c *Checkpoint) Worked() time.Duration { return c.worked }

// rest has the writer rest where it has worked for a while and is to work for a
// share of the time only.
func (w *writer) rest() {
	bits := w.c.share.Load()
	if bits == 0 {
		return
	}
	share := math.Float64frombits(bits)
	worked := time.Since(w.worked)
	if share >= 1 || worked < workPiece {
		return
	}
	began := time.Now()
	timer := time.NewTimer(min(time.Duration(float64(worked)*(1/share-1)), mostRest))
	defer timer.Stop()
	for resting := true; resting; {
		select {
		case <-timer.C:
			resting = false
		case <-w.c.paced:
			resting = w.c.share.Load() == bits
		}
	}
	w.worked = time.Now()
	w.idle += w.worked.Sub(began)
}
