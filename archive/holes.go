package archive

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"

	"weir/ingest"
)

// hole is a run of offsets of a partition that were archived, or should have
// been, and that no file has.
type hole struct {
	from, to int64
	since    int64 // the largest time before it, in Unix nanoseconds; math.MinInt64: nothing is known
	why      string
}

// Missing returns what is missing of a partition in front of or among the events
// that ReadEvents returned last, and behind the last of them when there are no
// more; each gap once, in order. What the archive never had, since its source
// had lost it, is not among it: that is in the journal of the run.
func (s *Source) Missing(p int) (gaps []ingest.Gap) {
	r := s.parts[p]
	for len(r.holes) > 0 && (r.ended || r.holes[0].to <= r.last) {
		h := r.holes[0]
		r.holes = r.holes[1:]
		g := ingest.Gap{Partition: r.number, From: h.from, To: h.to, Why: ingest.GapReason(h.why)}
		if h.since != math.MinInt64 {
			g.Since = time.Unix(0, h.since).UTC()
		}
		gaps = append(gaps, g)
	}
	return gaps
}

// maxHoles is how many holes of a partition wait to be told; further ones are
// told as one.
const maxHoles = 1024

// miss notes a hole.
func (r *reader) miss(h hole) {
	if h.from >= h.to {
		return
	}
	if n := len(r.holes); n == maxHoles {
		r.holes[n-1].to = max(r.holes[n-1].to, h.to)
		return
	}
	r.holes = append(r.holes, h)
	slices.SortStableFunc(r.holes, func(a, b hole) int { return int(min(1, max(-1, a.from-b.from))) })
}

// lookForHoles notes what is missing between file i and the one before it, and
// what the file itself says that it lacks.
func (r *reader) lookForHoles(i int) {
	f := r.files[i]
	at := f.about.partition(r.number)
	if i > 0 {
		before := r.files[i-1].about.partition(r.number)
		r.miss(hole{before.Last + 1, at.Follows, before.Latest, fmt.Sprintf("the archive's files between %s and %s are not there, or cannot be read",
			filepath.Base(r.files[i-1].path), filepath.Base(f.path))})
	}
	for _, gap := range f.about.Gaps {
		if gap.Partition == r.number {
			r.miss(hole{gap.From, gap.To, r.before(i), fmt.Sprintf("%s says so: the archive was off meanwhile, or what it had not made a file of yet was damaged, or was to be read from the log again and was gone there", filepath.Base(f.path))})
		}
	}
}

// before returns the largest time of the partition before file i.
func (r *reader) before(i int) int64 {
	if i == 0 {
		return math.MinInt64
	}
	return r.files[i-1].about.partition(r.number).Latest
}

// unreadable notes that a file has nothing from an offset on.
func (r *reader) unreadable(f *shared, from int64) {
	since := r.time
	if r.last == math.MinInt64 {
		since = math.MinInt64
	}
	r.miss(hole{from, f.about.partition(r.number).Last + 1, since, filepath.Base(f.path) + " cannot be read from there on"})
}
