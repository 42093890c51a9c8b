//go:build race

package testkit

// Race says that the race detector watches, whose own memory is several times
// the program's.
const Race = true
