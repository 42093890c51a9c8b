package ingest

import (
	"context"
	"errors"
	"io"
	"os"
)

// pump reads a stream in a goroutine of its own, because a read of a pipe or a
// terminal cannot be called off: whoever waits for its bytes can. Regular
// files do not need it.
type pump struct {
	ctx      context.Context // of the Read under way: io.Reader has no place for it
	file     *os.File
	borrowed bool
	full     chan pumped
	free     chan []byte
	quit     chan struct{}
	cur      pumped
	rest     []byte // of cur
}

type pumped struct {
	data []byte
	err  error
}

func newPump(file *os.File, borrowed bool) *pump {
	p := &pump{
		file: file, borrowed: borrowed,
		full: make(chan pumped), free: make(chan []byte, 2), quit: make(chan struct{}),
	}
	for range cap(p.free) {
		p.free <- make([]byte, chunk)
	}
	go p.run()
	return p
}

func (p *pump) run() {
	for {
		var buf []byte
		select {
		case buf = <-p.free:
		case <-p.quit:
			return
		}
		n, err := p.file.Read(buf[:cap(buf)])
		select {
		case p.full <- pumped{buf[:n], err}:
		case <-p.quit:
			return
		}
		if err != nil {
			return
		}
	}
}

// Read returns what came in, waiting for it as long as ctx lasts.
func (p *pump) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		if p.cur.err != nil {
			return 0, p.cur.err
		}
		if p.cur.data != nil {
			p.free <- p.cur.data // never waits: there are no more than it holds
			p.cur.data = nil
		}
		select {
		case p.cur = <-p.full:
			p.rest = p.cur.data
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

// close lets the goroutine end once its read returns.
func (p *pump) close() error {
	close(p.quit)
	if p.borrowed {
		return nil
	}
	if err := p.file.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

var _ io.Reader = (*pump)(nil)
