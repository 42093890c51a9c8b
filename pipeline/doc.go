// Package pipeline runs the one way of an event: from a source's records
// through the mapper, the shuffle and the units to decisions.
//
// A live run, a replay and a rule script are all Run over another Source.
package pipeline
