package state

import (
	"cmp"
	"errors"
	"math"
	"slices"
)

// segmentsMax is how many segments may be in force: the root names each of them.
const segmentsMax = 4096

// sizes say when segments end and go, in bytes.
type sizes struct {
	// segment is how large a segment is at most, about. A checkpoint writes
	// segments of its own.
	segment int64
	// slack is what segments may hold that nobody reads, besides garbageTenths,
	// before the oldest of them are emptied.
	slack int64
	// emptied is how much of what is alive a checkpoint moves at least out of the
	// oldest segments where there is too much garbage, or a emptiedShare-th of all;
	// where as much again as is alive is garbage beyond what may be, and beyond the
	// slack, it moves what it takes.
	emptied int64
	// waste is how much nobody reads in segments that are not in force any more,
	// besides a wasteShare-th of those that are, until Badger lets go of it.
	waste int64
}

const (
	emptiedShare = 32
	wasteShare   = 8
	// garbageTenths is how much nobody may read, in tenths of what is alive. With ten a
	// million keys of a week took 642 bytes each on disk, with six 473, and where one in
	// a hundred changes 3.1 bytes are written for each of it instead of 3.0.
	garbageTenths = 6
)

var usualSizes = sizes{segment: 16 << 20, slack: 32 << 20, emptied: 8 << 20, waste: 16 << 20}

// segment is a run of chunks that come and go together.
type segment struct {
	id    uint32
	total int64 // bytes of its records and their keys
	live  int64 // bytes of those of its entries that are read
}

// segments are those in force, in the order of their numbers.
type segments []segment

func (s segments) find(id uint32) (*segment, bool) {
	i, ok := slices.BinarySearchFunc(s, id, func(a segment, id uint32) int { return cmp.Compare(a.id, id) })
	if !ok {
		return nil, false
	}
	return &s[i], true
}

func (s segments) sum() (total, live int64) {
	for i := range s {
		total += s[i].total
		live += s[i].live
	}
	return total, live
}

// gone takes off the count what is at these spots.
func (s segments) gone(spots []spot) {
	for _, at := range spots {
		if seg, ok := s.find(at.segment); ok {
			seg.live -= int64(at.bytes)
		}
	}
}

// tail returns before which segment all are to be emptied by the next checkpoint;
// 0: none.
func (s segments) tail(sizes sizes) (before uint32) {
	total, live := s.sum()
	over := total - live - live*garbageTenths/10 - sizes.slack
	budget := max(live/emptiedShare, sizes.emptied)
	if over > live+sizes.slack {
		budget = math.MaxInt64
	}
	for i := range s {
		if i >= len(s)-segmentsMax && (over <= 0 || budget <= 0) {
			break
		}
		before = s[i].id + 1
		over -= s[i].total - s[i].live
		budget -= s[i].live
	}
	return before
}

// errSegments is why no more can be written: it takes a thousand years.
var errSegments = errors.New("the store has used all numbers of segments up: weir state compact does not help; remove it, and it is derived from the log again")

// nextSegment gives out a number.
func (s *Store) nextSegment() (uint32, error) {
	if s.segment == math.MaxUint32 {
		return 0, errSegments
	}
	s.segment++
	return s.segment, nil
}
