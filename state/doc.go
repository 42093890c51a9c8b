// Package state keeps what must outlive a process: values by unit, table and
// key, as of the last checkpoint, and the form in which all parts of a unit are
// written and read back.
package state
