// Package state holds what must outlive a process: for now the form in which
// a unit's parts are written and read back.
package state
