package state

import "math/bits"

// tableBytes is how large Badger's tables are within a budget of memory.
func tableBytes(memory int64) int64 {
	return int64(1) << min(max(bits.Len64(uint64(memory/16))-1, 21), 22)
}

// memtable is how much of a table a memtable holds, of which each becomes one.
func memtable(table int64) int64 { return table * 4 / 5 }

// Files returns how many files a store with a budget of memory has open at most
// while so many bytes in it are alive: each table is one, and stays open.
func Files(memory, alive int64) int64 {
	most := alive + alive*5/2 + 100<<20 // with what Stats.Garbage may be
	return most/memtable(tableBytes(max(memory, LeastMemory))) + 64
}
