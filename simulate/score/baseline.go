package score

import (
	"fmt"
	"time"

	"weir/event"
)

// naive is what most sites have: an address that failed so many times within a
// while is blocked for an hour.
type naive struct {
	failures int
	within   time.Duration
	block    time.Duration
	delay    int64

	of    map[uint64]*failing
	sweep int // when the addresses are looked through for those that are over
	list  listSize
	ends  []int64 // of the blocks in force, soonest first, from ends[gone]
	gone  int
}

// failing is an address of which failures are remembered.
type failing struct {
	times       []int64 // of the latest failures, oldest first
	from, until int64   // its last block
}

const (
	naiveWithin = 10 * time.Minute
	naiveBlock  = time.Hour
	firstSweep  = 1 << 16
)

func newNaive(failures int, delay time.Duration) *naive {
	return &naive{
		failures: failures, within: naiveWithin, block: naiveBlock, delay: int64(delay),
		of: map[uint64]*failing{}, sweep: firstSweep,
	}
}

// name says what the baseline does.
func (n *naive) name() string {
	return fmt.Sprintf("%d failures in %d minutes", n.failures, int(n.within.Minutes()))
}

// blocks reports whether a request meets a block, and counts it if not.
func (n *naive) blocks(ev *event.Event, address uint64) bool {
	f := n.of[address]
	if f != nil && ev.Time >= f.from && ev.Time < f.until {
		return true // what is refused never fails at the application
	}
	if ev.Outcome != event.Failure || address == 0 {
		return false
	}
	if f == nil {
		n.tidy(ev.Time)
		f = &failing{}
		n.of[address] = f
	}
	if len(f.times) == n.failures {
		copy(f.times, f.times[1:])
		f.times = f.times[:n.failures-1]
	}
	f.times = append(f.times, ev.Time)
	if len(f.times) == n.failures && ev.Time-f.times[0] <= int64(n.within) && ev.Time >= f.until {
		f.from, f.until = ev.Time+n.delay, ev.Time+int64(n.block)
		n.enter(f)
	}
	return false
}

// tidy forgets the addresses whose failures and blocks are over.
func (n *naive) tidy(now int64) {
	if len(n.of) < n.sweep {
		return
	}
	for a, f := range n.of {
		if f.until <= now && (len(f.times) == 0 || now-f.times[len(f.times)-1] > int64(n.within)) {
			delete(n.of, a)
		}
	}
	n.sweep = max(firstSweep, 2*len(n.of))
}

// enter counts a block for the size of the list. Blocks end in the order in
// which they began, for all are as long.
func (n *naive) enter(f *failing) {
	for n.gone < len(n.ends) && n.ends[n.gone] <= f.from {
		n.gone++
	}
	if n.gone > 1<<12 && n.gone > len(n.ends)/2 {
		n.ends = append(n.ends[:0], n.ends[n.gone:]...)
		n.gone = 0
	}
	n.ends = append(n.ends, f.until)
	n.list.reach(int64(len(n.ends)-n.gone), f.from)
	n.list.held += float64(f.until - f.from)
}
