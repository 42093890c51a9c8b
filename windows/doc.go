// Package windows keeps sliding aggregates per key over event time.
//
// A tick's deltas are folded once, when the watermark has passed it; a window
// is read as of a tick. Keys may be in memory or in a store: no answer depends
// on where they are. Nothing here reads the clock, starts a goroutine or takes a
// lock: one worker owns a unit at a time.
package windows
