package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sort"
)

// Peeked is a source whose first records can be looked at before it is read.
type Peeked struct {
	Source
	seen map[int]*peek
}

type peek struct {
	recs Records
	err  error
}

// Peek makes a source one that can be looked into.
func Peek(s Source) *Peeked { return &Peeked{Source: s, seen: map[int]*peek{}} }

// Lines returns copies of about the first n lines of a partition. Reading it
// still begins with them.
func (p *Peeked) Lines(ctx context.Context, partition, n int) (lines [][]byte, err error) {
	k := p.seen[partition]
	if k == nil {
		k = &peek{}
		p.seen[partition] = k
		k.err = p.Source.Read(ctx, partition, n, &k.recs)
	}
	for i := range k.recs.Len() {
		lines = append(lines, bytes.Clone(k.recs.Line(i)))
	}
	if k.err != nil && !errors.Is(k.err, io.EOF) {
		return lines, k.err
	}
	return lines, nil
}

// Seek has a partition go on with its first record at or behind an offset, as
// its source does, which must be able to.
func (p *Peeked) Seek(partition int, offset int64) error {
	s, ok := p.Source.(Seeker)
	if !ok {
		return fmt.Errorf("source %s: cannot be read from offset %d: it cannot be begun in the middle", p.Name(), offset)
	}
	k := p.seen[partition]
	if k == nil {
		return s.Seek(partition, offset)
	}
	r := &k.recs
	keep := sort.Search(r.Len(), func(i int) bool { return r.Offsets[i] >= offset })
	r.Starts, r.Ends, r.Offsets = r.Starts[keep:], r.Ends[keep:], r.Offsets[keep:]
	if r.Appended != nil {
		r.Appended = r.Appended[keep:]
	}
	if r.Len() > 0 {
		return nil
	}
	return s.Seek(partition, offset)
}

// Read reads what Lines has looked at first, then on.
func (p *Peeked) Read(ctx context.Context, partition, limit int, r *Records) error {
	k := p.seen[partition]
	if k == nil || k.recs.Len() == 0 && k.err == nil {
		return p.Source.Read(ctx, partition, limit, r)
	}
	base := uint32(len(r.Data))
	r.Data = append(r.Data, k.recs.Data...)
	for i := range k.recs.Len() {
		r.Starts = append(r.Starts, base+k.recs.Starts[i])
		r.Ends = append(r.Ends, base+k.recs.Ends[i])
	}
	r.Offsets = append(r.Offsets, k.recs.Offsets...)
	r.Appended = append(r.Appended, k.recs.Appended...)
	r.TooLong += k.recs.TooLong
	r.Gaps = append(r.Gaps, k.recs.Gaps...)
	err := k.err
	k.recs.Reset()
	if err != nil && !errors.Is(err, io.EOF) {
		k.err = nil // an error that ends one file is told once
	}
	return err
}

// Progress is the source's, if it has one.
func (p *Peeked) Progress() (done, total int64) {
	if s, ok := p.Source.(interface{ Progress() (done, total int64) }); ok {
		return s.Progress()
	}
	return 0, 0
}
