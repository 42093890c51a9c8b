package pipeline_test

import (
	"context"
	"sync"

	"weir/ingest"
)

// feed is a source that goes on, whose partitions are fed by hand.
type feed struct {
	name string
	mu   sync.Mutex
	part []*feedPart
}

type feedPart struct {
	records []ingest.MemoryRecord // that came
	next    int                   // of them, the first that was not read
	silent  bool                  // its broker does not answer
	more    chan struct{}
}

// newFeed returns a feed of so many partitions, empty all.
func newFeed(name string, partitions int) *feed {
	f := &feed{name: name}
	f.grow(partitions)
	return f
}

// grow makes it have so many partitions.
func (f *feed) grow(partitions int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.part) < partitions {
		f.part = append(f.part, &feedPart{more: make(chan struct{}, 1)})
	}
}

// put adds records to a partition.
func (f *feed) put(p int, records ...ingest.MemoryRecord) {
	f.mu.Lock()
	f.part[p].records = append(f.part[p].records, records...)
	f.mu.Unlock()
	f.knock(p)
}

// answers says whether a partition's broker does.
func (f *feed) answers(p int, yes bool) {
	f.mu.Lock()
	f.part[p].silent = !yes
	f.mu.Unlock()
	f.knock(p)
}

func (f *feed) knock(p int) {
	select {
	case f.part[p].more <- struct{}{}:
	default:
	}
}

func (f *feed) at(p int) *feedPart {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.part[p]
}

func (f *feed) Name() string { return f.name }

func (f *feed) Partitions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.part)
}

func (f *feed) Start(int) int64 { return 0 }

func (f *feed) CaughtUp(p int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.part[p].silent && f.part[p].next == len(f.part[p].records)
}

func (f *feed) Lag(p int) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return int64(len(f.part[p].records) - f.part[p].next)
}

func (f *feed) Close() error { return nil }

func (f *feed) Read(ctx context.Context, p, most int, r *ingest.Records) error {
	part := f.at(p)
	for !f.take(part, most, r) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-part.more:
		}
	}
	return nil
}

func (f *feed) take(part *feedPart, most int, r *ingest.Records) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if part.silent || part.next == len(part.records) {
		return false
	}
	for ; part.next < len(part.records) && r.Len() < most; part.next++ {
		rec := &part.records[part.next]
		r.Starts = append(r.Starts, uint32(len(r.Data)))
		r.Data = append(r.Data, rec.Line...)
		r.Ends = append(r.Ends, uint32(len(r.Data)))
		r.Offsets = append(r.Offsets, rec.Offset)
		if rec.Appended != 0 {
			r.Appended = append(r.Appended, rec.Appended)
		}
	}
	return true
}
