package main

import (
	"os"
	"runtime/debug"
)

// limitMemory has the collector keep the whole process within state.memory: it
// works harder before the heap comes near. An operator's own GOMEMLIMIT counts.
func (c *config) limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(c.memory() / 100 * 90)
	}
}
