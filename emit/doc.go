// Package emit brings decisions to where they are enforced: guards, the ledger
// of what is in force, the lists of the points, and what keeps both the same.
//
// It reads the clock (blocks end by it) and starts goroutines only in points
// that need one; whatever runs is called by whoever wants it to run.
package emit
