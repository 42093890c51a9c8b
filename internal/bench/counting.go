package main

import (
	"context"
	"sync/atomic"

	"weir/ingest"
	"weir/internal/testkit"
)

// counting is a generated source that says how far it has been read.
type counting struct {
	*testkit.Generated
	read atomic.Int64
}

func (c *counting) Read(ctx context.Context, p int, most int, r *ingest.Records) error {
	before := r.Len()
	err := c.Generated.Read(ctx, p, most, r)
	c.read.Add(int64(r.Len() - before))
	return err
}
