package ingest

import (
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The reasons for a gap.
const (
	GapDeleted  GapReason = "the broker deleted the records before they were read (retention)"
	GapReplaced GapReason = "the broker lost records that were read already (an unclean election), and what it wrote in their place is not read"
	GapTooLarge GapReason = "a batch is larger than 64 MiB when unpacked"
	GapAnew     GapReason = "the topic was deleted and created anew: the new one is read from its beginning"
	GapShorter  GapReason = "the topic holds less than was read of it, so it was created anew or has lost records: it is read from its present end"
)

// maxGaps is how many gaps are kept to be shown; all are counted.
const maxGaps = 64

// gaps is what the source is blind to.
type gaps struct {
	mu      sync.Mutex
	last    []Gap
	offsets int64
}

// gap counts and logs a gap that was queued.
func (t *Topic) gap(g Gap) {
	t.gaps.mu.Lock()
	t.gaps.offsets += max(0, g.To-g.From)
	if len(t.gaps.last) == maxGaps {
		t.gaps.last = slices.Delete(t.gaps.last, 0, 1)
	}
	t.gaps.last = append(t.gaps.last, g)
	t.gaps.mu.Unlock()
	args := []any{"partition", g.Partition, "from_offset", g.From, "to_offset", g.To, "reason", string(g.Why)}
	if !g.Since.IsZero() {
		args = append(args, "since", g.Since.UTC())
	}
	t.log.Error("blind to a part of the topic", args...)
}

// Blind returns the latest ranges of offsets that will not be read, at most 64,
// and how many offsets there were in all.
func (t *Topic) Blind() (latest []Gap, offsets int64) {
	t.gaps.mu.Lock()
	defer t.gaps.mu.Unlock()
	return slices.Clone(t.gaps.last), t.gaps.offsets
}

// faults counts and logs what goes wrong, each kind once in a while.
type faults struct {
	log   *slog.Logger
	count atomic.Int64

	mu    sync.Mutex
	kinds map[string]*fault
	bad   bool // the last look at the brokers failed
}

// fault is a kind of them.
type fault struct {
	said   time.Time
	unsaid int
}

// How often a kind of fault is logged, and how many kinds are told apart.
const (
	sayEvery = 10 * time.Second
	maxKinds = 32
)

// add counts a fault, which is a sentence, and logs it.
func (f *faults) add(err error) {
	f.count.Add(1)
	if say, unsaid := f.due(err.Error(), time.Now()); say {
		f.log.Error("reading the topic", "error", err, "unsaid", unsaid)
	}
}

// due reports whether a kind of fault is to be said now, and how often it was
// not said before.
func (f *faults) due(kind string, now time.Time) (say bool, unsaid int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kinds == nil {
		f.kinds = make(map[string]*fault)
	}
	if f.kinds[kind] == nil && len(f.kinds) >= maxKinds {
		for k, was := range f.kinds {
			if now.Sub(was.said) >= sayEvery {
				delete(f.kinds, k)
			}
		}
		if len(f.kinds) >= maxKinds {
			return false, 0
		}
	}
	k := f.kinds[kind]
	if k == nil {
		k = &fault{}
		f.kinds[kind] = k
	}
	if now.Sub(k.said) < sayEvery {
		k.unsaid++
		return false, 0
	}
	unsaid, k.unsaid = k.unsaid, 0
	k.said = now
	return true, unsaid
}

// answers notes whether the brokers answer, and logs when they do again.
func (f *faults) answers(well bool) {
	f.mu.Lock()
	again := f.bad && well
	f.bad = !well
	f.mu.Unlock()
	if again {
		f.log.Info("the brokers answer again")
	}
}
