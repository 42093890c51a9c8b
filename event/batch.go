package event

import "unsafe"

// Batch is a run of events of one partition, in offset order. The strings in
// it point into the records it was decoded from and into Arena; both stay
// untouched until Reset.
type Batch struct {
	Source    string // the source's name
	Partition int32  // numbered over all sources of a pipeline
	Events    []Event
	Arena     Arena
}

// Reset empties the batch; its memory is used again.
func (b *Batch) Reset() {
	b.Events = b.Events[:0]
	b.Arena.Reset()
}

// Next returns a cleared event at the end of the batch. Drop takes it back.
func (b *Batch) Next() *Event {
	if n := len(b.Events); n < cap(b.Events) {
		b.Events = b.Events[:n+1]
	} else {
		b.Events = append(b.Events, Event{})
	}
	e := &b.Events[len(b.Events)-1]
	e.Reset()
	return e
}

// Drop takes back the event that Next returned last.
func (b *Batch) Drop() { b.Events = b.Events[:len(b.Events)-1] }

// Arena holds bytes that live as long as a batch: what was unescaped, cut or
// made while its events were read. What it returns stays valid until Reset.
type Arena struct {
	chunk []byte
	full  [][]byte // used up
	free  [][]byte // of arenaChunk each, for use again
}

const (
	arenaChunk = 64 << 10
	arenaKept  = 64 // chunks kept for use again
)

// Grow makes room for n more bytes in one piece and returns an empty slice
// with that capacity; Keep says how much of it was used.
func (a *Arena) Grow(n int) []byte {
	if cap(a.chunk)-len(a.chunk) < n {
		if cap(a.chunk) > 0 {
			a.full = append(a.full, a.chunk)
		}
		if k := len(a.free); k > 0 && n <= arenaChunk {
			a.chunk, a.free = a.free[k-1], a.free[:k-1]
		} else {
			a.chunk = make([]byte, 0, max(arenaChunk, n))
		}
	}
	return a.chunk[len(a.chunk):len(a.chunk):cap(a.chunk)]
}

// Keep turns b, built in the slice that Grow returned last, into a string of
// the arena. A b that outgrew the slice is copied.
func (a *Arena) Keep(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	n := len(a.chunk)
	if cap(a.chunk)-n >= len(b) && unsafe.SliceData(a.chunk[n:n+1]) == unsafe.SliceData(b) {
		a.chunk = a.chunk[:n+len(b)]
		return View(b)
	}
	return a.Copy(b)
}

// Copy copies b into the arena.
func (a *Arena) Copy(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return a.Keep(append(a.Grow(len(b)), b...))
}

// Reset forgets everything in the arena.
func (a *Arena) Reset() {
	a.chunk = a.chunk[:0]
	for _, c := range a.full {
		if cap(c) == arenaChunk && len(a.free) < arenaKept {
			a.free = append(a.free, c[:0])
		}
	}
	clear(a.full)
	a.full = a.full[:0]
}

// View returns b as a string without copying: it changes with b and dies with it.
func View(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
