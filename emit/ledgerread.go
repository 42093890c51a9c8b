package emit

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"weir/event"
)

// Counts is what a ledger counted since it was opened, and how it stands.
type Counts struct {
	Decisions map[DecisionCount]uint64 // lines of decisions
	Held      map[Guard]uint64
	Allowed   map[string]uint64 // decisions that an allow entry held, by the entry
	Passed    uint64            // decisions that were known already
	Late      uint64
	Lost      uint64 // lines that were never written, for want of room
	Lines     uint64 // written since it was opened
	Cut       int64  // bytes of a torn last line that were cut off

	InForce map[event.Action]int
	Queue   int
	Tripped []string // rules
	Chain   string   // of the last line
	File    int      // the number of the file that is written
	Stopped bool
	Well    bool
}

// DecisionCount is what decisions are counted by.
type DecisionCount struct{ Rule, Step, Mode string }

func newCounts() Counts {
	return Counts{Decisions: map[DecisionCount]uint64{}, Held: map[Guard]uint64{}, Allowed: map[string]uint64{}}
}

// note counts a line.
func (c *Counts) note(line *Line) {
	if is, _ := aboutDecision(line.Event); is && line.Event != LineStanding {
		k := DecisionCount{Rule: line.Decision.Rule, Step: line.Event, Mode: line.Mode}
		if _, ok := c.Decisions[k]; !ok && len(c.Decisions) >= maxRules {
			k.Rule = "other"
		}
		c.Decisions[k]++
	}
	if line.Event == LineHeld {
		c.Held[line.Guard]++
	}
}

// Counts returns what was counted so far.
func (l *Ledger) Counts() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.count
	c.Decisions, c.Held, c.Allowed = maps.Clone(c.Decisions), maps.Clone(c.Held), maps.Clone(c.Allowed)
	c.InForce = map[event.Action]int{}
	for _, e := range l.force.Load().Entries {
		c.InForce[e.Action]++
	}
	c.Queue, c.Stopped, c.Well = len(l.queue.all), l.stopped != nil, l.well
	for _, rule := range sortedKeys(l.breaker.rules) {
		if l.breaker.rules[rule].trip != nil {
			c.Tripped = append(c.Tripped, rule)
		}
	}
	if l.file != nil {
		c.Chain, c.File = string(l.file.chain), l.file.number
	}
	return c
}

// Question asks for what concerns a target: an address or prefix (ip), an
// account (credential), or any conjunction. An address's asn, org or country
// are what the one who asks says they are.
type Question struct {
	Target event.Target
	Since  time.Time // only lines written since; zero: all
	Limit  int       // the newest; 0 or more than MaxAnswer: MaxAnswer
}

// MaxAnswer is how many lines one answer holds.
const MaxAnswer = 2000

func (q *Question) limit() int {
	if q.Limit <= 0 || q.Limit > MaxAnswer {
		return MaxAnswer
	}
	return q.Limit
}

// Covering returns the lines about decisions that cover a target, oldest first:
// those that agree with the question in at least one dimension and differ in
// none. Lacks says what of a decision's target the question did not say. The
// kept files are searched, the newest first, until the answer is full; what
// cannot be read is logged, and then the newest lines answer.
func (l *Ledger) Covering(q Question) []Line {
	l.mu.Lock()
	var search searcher
	var err error
	if l.file != nil {
		search.files, err = l.file.openAll()
	}
	if l.file == nil || err != nil {
		search.memory = l.recent.all()
	}
	l.mu.Unlock()
	search.limit, search.since, search.asked = q.limit(), q.Since, ask(q.Target)
	lines, ferr := search.find()
	if err = errors.Join(err, ferr); err != nil {
		l.log.Error("the ledger's files cannot be searched", "error", err)
	}
	return lines
}

// Recent returns the newest n lines, oldest first; it remembers some thousands.
func (l *Ledger) Recent(n int) []Line {
	l.mu.Lock()
	all := l.recent.all()
	l.mu.Unlock()
	all = all[len(all)-min(max(n, 0), len(all)):]
	out := make([]Line, 0, len(all))
	for _, b := range all {
		if line, err := readLine(b); err == nil { // it was written by this program
			out = append(out, line)
		}
	}
	return out
}

// recent keeps the newest lines as they are written.
type recent struct {
	ring [][]byte
	next int
}

func (r *recent) add(line []byte) {
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, line)
		return
	}
	r.ring[r.next] = line
	r.next = (r.next + 1) % maxRecent
}

func (r *recent) all() [][]byte {
	return slices.Concat(r.ring[r.next:], r.ring[:r.next])
}

// Tripped is how a rule stands whose breaker opened.
type Tripped struct {
	Rule   string
	At     time.Time
	Reason string
}

// Tripped returns the rules whose breaker is open, by name.
func (l *Ledger) Tripped() []Tripped {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []Tripped
	for id, r := range l.breaker.rules {
		if r.trip != nil {
			out = append(out, Tripped{Rule: id, At: r.trip.At, Reason: r.trip.Reason})
		}
	}
	slices.SortFunc(out, func(a, b Tripped) int { return cmp.Compare(a.Rule, b.Rule) })
	return out
}

// Stopped returns the line that says who stopped all blocking and why; nil
// where it is not stopped.
func (l *Ledger) Stopped() *Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped == nil {
		return nil
	}
	line := *l.stopped
	return &line
}
