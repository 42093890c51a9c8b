package ingest

import (
	"context"
	"fmt"
	"io"
)

// MemoryRecord is one record of a Memory.
type MemoryRecord struct {
	Line     []byte
	Offset   int64
	Appended int64 // Unix nanoseconds; 0 where there is no append time
}

// Memory is a source of records that are in memory: a script's, for one.
type Memory struct {
	name       string
	partitions [][]MemoryRecord
	next       []int // of each partition
	appended   []bool
}

// NewMemory returns a source of these partitions, which it keeps. A partition
// of which any record has an append time has them all. There is always a
// partition, even if it is empty.
func NewMemory(name string, partitions [][]MemoryRecord) *Memory {
	if len(partitions) == 0 {
		partitions = make([][]MemoryRecord, 1)
	}
	m := &Memory{name: name, partitions: partitions, next: make([]int, len(partitions)), appended: make([]bool, len(partitions))}
	for p, records := range partitions {
		for i := range records {
			m.appended[p] = m.appended[p] || records[i].Appended != 0
		}
	}
	return m
}

// Name is the source's name in the configuration.
func (m *Memory) Name() string { return m.name }

// Partitions returns how many partitions there are.
func (m *Memory) Partitions() int { return len(m.partitions) }

// Read appends the next records of partition p to r.
func (m *Memory) Read(ctx context.Context, p int, max int, r *Records) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.Partition = int32(p)
	rest := m.partitions[p][m.next[p]:]
	if len(rest) == 0 {
		return io.EOF
	}
	for i := range rest[:min(max, len(rest))] {
		rec := &rest[i]
		m.next[p]++
		if len(rec.Line) > MaxLine {
			r.TooLong++
			continue
		}
		r.Starts = append(r.Starts, uint32(len(r.Data)))
		r.Data = append(r.Data, rec.Line...)
		r.Ends = append(r.Ends, uint32(len(r.Data)))
		r.Offsets = append(r.Offsets, rec.Offset)
		if m.appended[p] {
			r.Appended = append(r.Appended, rec.Appended)
		}
		if len(r.Data) >= batchBytes {
			break
		}
	}
	return nil
}

// Seek has partition p go on with its first record at or behind an offset.
func (m *Memory) Seek(p int, offset int64) error {
	records := m.partitions[p]
	if i := m.next[p]; i > 0 && offset <= records[i-1].Offset {
		return fmt.Errorf("partition %d: to be read from offset %d, but was read up to %d", p, offset, records[i-1].Offset+1)
	}
	for m.next[p] < len(records) && records[m.next[p]].Offset < offset {
		m.next[p]++
	}
	return nil
}

// Close does nothing.
func (m *Memory) Close() error { return nil }
