package state

// Key is a keyed 128-bit hash of a table and a key's values.
type Key struct{ Hi, Lo uint64 }

// Unit returns the unit of n (a power of two) that owns the key.
func (k Key) Unit(n int) int { return int(k.Hi >> 32 * uint64(n) >> 32) }
