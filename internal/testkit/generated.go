package testkit

import (
	"bytes"
	"context"
	"errors"
	"io"

	"weir/ingest"
)

// Generated is a source of one partition whose lines are made while they are
// read, so that a log may be larger than the disk.
type Generated struct {
	name   string
	blocks chan []byte
	free   chan []byte
	closed chan struct{}
	err    error // of the writer; set before blocks is closed
	ended  chan struct{}
	block  []byte // what of it is not returned yet
	whole  []byte
	rest   []byte // a line that has not ended
	offset int64
}

// generatedBlocks is how many blocks are made ahead of their reader.
const generatedBlocks = 4

// Generate starts a writer, in a goroutine that Close ends, and returns the
// source of the lines that it writes.
func Generate(name string, write func(io.Writer) error) *Generated {
	g := &Generated{
		name: name, blocks: make(chan []byte, generatedBlocks), free: make(chan []byte, generatedBlocks),
		closed: make(chan struct{}), ended: make(chan struct{}),
	}
	go func() {
		defer close(g.ended)
		defer close(g.blocks)
		if err := write(g); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			g.err = err
		}
	}()
	return g
}

// Write is the writer's side; what is written is copied.
func (g *Generated) Write(b []byte) (int, error) {
	var block []byte
	select {
	case block = <-g.free:
	default:
	}
	select {
	case g.blocks <- append(block[:0], b...):
		return len(b), nil
	case <-g.closed:
		return 0, io.ErrClosedPipe
	}
}

// Name is the source's name in the configuration.
func (g *Generated) Name() string { return g.name }

// Partitions returns 1.
func (g *Generated) Partitions() int { return 1 }

// Read appends the next lines to r.
func (g *Generated) Read(ctx context.Context, _ int, most int, r *ingest.Records) error {
	for n := 0; n < most; {
		if len(g.block) == 0 {
			if g.whole != nil {
				select {
				case g.free <- g.whole:
				default:
				}
				g.whole = nil
			}
			if n > 0 && len(g.blocks) == 0 {
				return nil
			}
			var ok bool
			select {
			case g.whole, ok = <-g.blocks:
			case <-ctx.Done():
				return ctx.Err()
			}
			if !ok {
				if g.err != nil {
					return g.err
				}
				return io.EOF
			}
			g.block = g.whole
		}
		end := bytes.IndexByte(g.block, '\n')
		if end < 0 {
			g.rest = append(g.rest, g.block...)
			g.block = nil
			continue
		}
		r.Starts = append(r.Starts, uint32(len(r.Data)))
		r.Data = append(append(r.Data, g.rest...), g.block[:end]...)
		r.Ends = append(r.Ends, uint32(len(r.Data)))
		r.Offsets = append(r.Offsets, g.offset)
		g.offset += int64(len(g.rest)+end) + 1
		g.rest, g.block = g.rest[:0], g.block[end+1:]
		n++
	}
	return nil
}

// Close ends the writer and waits for it.
func (g *Generated) Close() error {
	close(g.closed)
	<-g.ended
	return nil
}
