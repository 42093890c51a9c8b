package pipeline

// weights are what keys take of the memory, in bytes.
type weights struct {
	resident  int64
	directory int64 // of the store, among what is resident
	dirty     int64 // keys that changed since they were saved
	stays     int64 // those that changed while the last checkpoint was made: about as many always do
}

// over reports whether more is resident than may be, and beyond whether it is so much
// more that input has to wait.
func (b budget) over(w weights) bool   { return w.resident > b.resident }
func (b budget) beyond(w weights) bool { return w.resident > b.hard }

// idle reports whether enough of what is resident may leave memory as it is: then
// nothing has to be written for that.
func (b budget) idle(w weights) bool {
	return b.over(w) && w.resident-w.directory-w.dirty > b.resident/4
}

// worth reports whether a checkpoint would make much clean. What changes all the time
// is changed again as soon as it is written: who writes for want of room while only
// that is dirty does nothing else any more, and has less room each time, for writing
// takes memory, too.
func (b budget) worth(w weights) bool { return w.dirty-w.stays > b.dirty/4 }

// short reports whether a checkpoint has to come at once. Beyond the limit at which
// input waits any will do that leaves less dirty.
func (b budget) short(w weights) bool {
	return b.worth(w) && (b.over(w) || w.dirty > b.dirty) || b.beyond(w) && w.dirty > b.dirty/4
}
