// Package arch holds, as a test, which package may import which and what some
// of them must not do.
package arch
