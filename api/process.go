package api

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
)

// Process is what the whole process takes in memory, in bytes.
type Process struct {
	Resident int64 `json:"resident"` // as the kernel counts it, mapped files among it; 0: not known
	Heap     int64 `json:"heap"`     // what Go has allocated and not freed yet
}

// process asks the kernel and the runtime.
func process() (p Process) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() == metrics.KindUint64 {
		p.Heap = int64(sample[0].Value.Uint64())
	}
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return p // another system: the figure is left out
	}
	if f := bytes.Fields(b); len(f) > 1 {
		if pages, err := strconv.ParseInt(string(f[1]), 10, 64); err == nil {
			p.Resident = pages * int64(os.Getpagesize())
		}
	}
	return p
}
