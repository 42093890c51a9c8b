package main

import (
	"context"
	"io"
	"time"

	"weir/ingest"
)

const (
	// madeAtOnce is how many lines are handed over at most at once, and madeAhead
	// how often before who makes them waits.
	madeAtOnce = 1000
	madeAhead  = 2
)

// madeLog is a log that is being made, as a source: one partition, in which a
// line stands where it stands in the file.
type madeLog struct {
	name string
	runs chan *ingest.Records
}

// Name is the source's name in the configuration.
func (m *madeLog) Name() string { return m.name }

// Partitions returns 1.
func (m *madeLog) Partitions() int { return 1 }

// Read waits for the lines that are made next.
func (m *madeLog) Read(ctx context.Context, _, _ int, r *ingest.Records) error {
	select {
	case run, more := <-m.runs:
		if !more {
			return io.EOF
		}
		at := uint32(len(r.Data))
		r.Data = append(r.Data, run.Data...)
		for i := range run.Ends {
			r.Starts, r.Ends = append(r.Starts, at+run.Starts[i]), append(r.Ends, at+run.Ends[i])
		}
		r.Offsets = append(r.Offsets, run.Offsets...)
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close does nothing.
func (m *madeLog) Close() error { return nil }

// madeClock is how far the clock of a log has got that is being made, as whoever
// reads it will see it: a line that is more than a day ahead of all others, as
// the first one is, counts only when the next one does not belie it.
type madeClock struct {
	disorder int64 // nanoseconds, as all times here
	started  bool
	latest   int64
	doubtful bool
	doubted  int64
}

// madeLead is how far ahead of the others a line may be.
const madeLead = int64(24 * time.Hour)

// add takes the time of a line that can be read.
func (c *madeClock) add(at int64) {
	if c.doubtful {
		c.doubtful = false
		ahead := c.doubted - at
		switch near := ahead <= madeLead && ahead >= -madeLead; {
		case near:
			c.count(c.doubted)
			c.count(at)
			return
		case !c.started && ahead < 0:
			c.count(c.doubted)
		}
	}
	if !c.started || at > c.latest+madeLead {
		c.doubtful, c.doubted = true, at
		return
	}
	c.count(at)
}

func (c *madeClock) count(at int64) {
	if !c.started || at > c.latest {
		c.started, c.latest = true, at
	}
}

// watermark returns the second before which nothing is still to come, if any
// line has counted.
func (c *madeClock) watermark() (second int64, ok bool) {
	return floorSecond(c.latest - c.disorder), c.started
}

// floorSecond returns the second of a time in Unix nanoseconds.
func floorSecond(nanos int64) int64 { return time.Unix(0, nanos).Unix() }
