package state

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync/atomic"

	"weir/internal/failpoint"
)

// orphansMax is how many segments of checkpoints that were given up may wait:
// Badger looks at each of its tables for each of their prefixes.
const orphansMax = 1024

// waste is what is in Badger that nobody reads and the root does not name.
type waste struct {
	from    uint32       // no segment before it is there
	until   uint32       // none before it is in force
	orphans []uint32     // those behind it: of checkpoints that were given up
	bytes   atomic.Int64 // of all of them
}

// reclaim has Badger let go of segments that nobody reads any more, when they are
// worth it. Badger writes nothing for that but those of its tables that hold others,
// too; while it does it can neither be written to nor be asked for an iterator.
func (s *Store) reclaim() {
	total, _ := s.current.Load().segments.sum()
	if s.waste.bytes.Load() > s.cfg.sizes.waste+total/wasteShare || len(s.waste.orphans) > orphansMax {
		if err := s.drop(); err != nil {
			s.log.Warn("segments that nobody reads could not be deleted yet", "bytes", s.waste.bytes.Load(), "error", err)
		}
	}
}

// drop has Badger let go of all segments that nobody reads. Where a reader holds a
// checkpoint that was superseded, it is left for later.
func (s *Store) drop() error {
	s.past = slices.DeleteFunc(s.past, func(v *view) bool { return v.refs.Load() == 0 })
	if len(s.past) > 0 {
		return nil
	}
	if err := s.disk.check(); err != nil {
		return err
	}
	prefixes := segmentPrefixes(s.waste.from, s.waste.until)
	for _, id := range s.waste.orphans {
		prefixes = append(prefixes, appendSegmentKey(nil, id))
	}
	failpoint.Hit("state.drop.before")
	if err := guarded(func() error { return s.db.DropPrefix(prefixes...) }); err != nil {
		// Badger has then taken its memtables apart, and ends the process when it
		// writes on.
		return s.poison(fmt.Errorf("Badger could not delete segments that nobody reads: %w", err))
	}
	failpoint.Hit("state.drop.after")
	s.waste.from, s.waste.orphans = s.waste.until, nil
	s.waste.bytes.Store(0)
	return nil
}

// segmentPrefixes returns the fewest prefixes of keys that are those of the segments
// from one up to another.
func segmentPrefixes(from, until uint32) (prefixes [][]byte) {
	for at := uint64(from); at < uint64(until); {
		size, bytes := uint64(1), 4
		for bytes > 1 && at%(size<<8) == 0 && at+size<<8 <= uint64(until) {
			size, bytes = size<<8, bytes-1
		}
		var id [4]byte
		binary.BigEndian.PutUint32(id[:], uint32(at))
		prefixes = append(prefixes, append([]byte{prefixSegment}, id[:bytes]...))
		at += size
	}
	return prefixes
}
