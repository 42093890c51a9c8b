package pipeline

import (
	"fmt"
	"testing"
)

// What is under way takes a small part of the memory however little that is and
// however many workers and sources there are.
func TestWhatIsUnderWayIsLittleWhereMemoryIs(t *testing.T) {
	for _, c := range []struct {
		memory           int64
		workers, sources int
		want             string // rows, records of a batch, bytes of a worker's caches of a source
	}{
		{0, 2, 1, "1048576 1000 0"},
		{1 << 20, 2, 1, "65536 250 32768"},
		{256 << 20, 2, 1, "65536 250 8388608"},
		{256 << 20, 8, 4, "65536 250 524288"},
		{512<<20 - 1, 1, 1, "131071 250 33554431"},
		{512 << 20, 1, 1, "131072 1000 33554432"},
		{64 << 30, 2, 1, "1048576 1000 2147483648"},
	} {
		cfg := Config{Memory: c.memory, Workers: c.workers, Sources: make([]Source, c.sources)}
		if got := fmt.Sprint(cfg.pending(), cfg.batch(), cfg.caches()); got != c.want {
			t.Errorf("%d bytes, %d workers, %d sources: %s, must be %s", c.memory, c.workers, c.sources, got, c.want)
		}
	}
}
