package pipeline

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"weir/event"
	"weir/ingest"
	"weir/rules"
)

// Summary says what came in and what was found.
type Summary struct {
	Tally
	Filtered  int64            // passed by for the source's `only`
	Again     int64            // events that were read a second time, after a restart, and passed over
	Refused   int64            // events that an enforcement point had refused
	Rejected  map[string]int64 // lines that could not be read, by reason
	Broken    []error          // files that could not be read to their end, the first 1,000
	Unnamed   int64            // further ones
	Keys      int64
	Bytes     int64 // accounted by the units
	Shapes    []rules.Shape
	Shed      rules.Shed
	Degraded  int                     // units that turn new keys away
	Decisions map[string]*RuleSummary // by rule
	LastTick  int64
}

// RuleSummary counts what a rule decided, by what it asks for.
type RuleSummary struct {
	New   int64            `json:"new"`
	Renew int64            `json:"renew"`
	End   int64            `json:"end"`
	Would map[string]int64 `json:"would"` // of the new ones
}

// counters are what a run counts as it goes.
type counters struct {
	filtered, refused, events atomic.Int64
	again                     atomic.Int64 // read once more after a restart
	pending                   atomic.Int64 // rows delivered and not folded
	behind                    atomic.Bool  // there are ticks that could run

	mu       sync.Mutex
	rejected map[string]int64
	files    []error
	unnamed  int64
	rules    map[string]*RuleSummary
}

// samples is how many lines of each reason are shown in the log.
const samples = 3

func (c *counters) reject(log *slog.Logger, source string, err error, line []byte, n int64) {
	reason := "unreadable"
	if m, ok := errors.AsType[*ingest.Malformed](err); ok {
		reason = m.Reason
	}
	c.mu.Lock()
	if c.rejected == nil {
		c.rejected = map[string]int64{}
	}
	before := c.rejected[reason]
	c.rejected[reason] += n
	c.mu.Unlock()
	if before < samples && !errors.Is(err, ingest.ErrDirective) {
		const shown = 160
		log.Warn("line rejected", "source", source, "reason", reason, "bytes", len(line), "shape", ingest.Mask(line, shown))
	}
}

// maxBroken is how many files that could not be read to their end are named.
const maxBroken = 1000

func (c *counters) broken(err error) {
	c.mu.Lock()
	if len(c.files) < maxBroken {
		c.files = append(c.files, err)
	} else {
		c.unnamed++
	}
	c.mu.Unlock()
}

func (c *counters) mapped(events, filtered, refused int64) {
	c.events.Add(events)
	c.filtered.Add(filtered)
	c.refused.Add(refused)
}

func (c *counters) decided(ds []event.Decision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rules == nil {
		c.rules = map[string]*RuleSummary{}
	}
	for i := range ds {
		s := c.rules[ds[i].Rule]
		if s == nil {
			s = &RuleSummary{Would: map[string]int64{}}
			c.rules[ds[i].Rule] = s
		}
		switch ds[i].Step {
		case event.New:
			s.New++
			s.Would[ds[i].Would.String()]++
		case event.Renew:
			s.Renew++
		default:
			s.End++
		}
	}
}

// add adds what was counted so far.
func (c *counters) add(s *Summary) {
	s.Filtered, s.Refused, s.Again = c.filtered.Load(), c.refused.Load(), c.again.Load()
	s.Rejected, s.Decisions = map[string]int64{}, map[string]*RuleSummary{}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Broken, s.Unnamed = slices.Clone(c.files), c.unnamed
	maps.Copy(s.Rejected, c.rejected)
	for id, rule := range c.rules {
		of := *rule
		of.Would = maps.Clone(rule.Would)
		s.Decisions[id] = &of
	}
}

// Add adds another partition's.
func (t *Tally) Add(u Tally) {
	t.Events += u.Events
	t.Late += u.Late
	t.Dropped += u.Dropped
	t.Future += u.Future
	t.Clamped += u.Clamped
}

func (r *run) summary() Summary {
	s := Summary{LastTick: r.current}
	r.count.add(&s)
	for _, p := range r.clock.partitions {
		s.Tally.Add(p.clock.tally)
	}
	t := r.state.Totals()
	s.Keys, s.Bytes, s.Shed = t.Keys, t.Bytes, t.Shed
	s.Shapes = r.state.Shapes()
	return s
}
