package pipeline

import (
	"errors"
	"fmt"
)

// ErrSpillFull is what an error wraps that ends a replay since the disk of its
// temporary store has no room. A run waits for room; in a replay nobody is there
// to make it, and what it has decided so far is not lost by asking for more.
var ErrSpillFull = errors.New("the disk of the temporary store is full")

func spillFull(free int64) error {
	return fmt.Errorf("%w: %d MiB are free, less than must stay free", ErrSpillFull, free>>20)
}

// spillFailed makes an error that ends a replay of one that kept it from writing
// what memory has no room for: it would wait for ever.
func (r *run) spillFailed(err error) error {
	if err == nil || r.cfg.Record != nil {
		return nil
	}
	if full, free := r.keeping.store.Full(); full {
		return spillFull(free)
	}
	if r.keeping.temporary {
		return fmt.Errorf("%w: the temporary store cannot be written: %w", ErrState, err)
	}
	return nil
}
