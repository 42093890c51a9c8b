package simulate

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"

	"weir/event"
)

// Enforcer says what an enforcement point would have answered a request that is
// about to be written: event.NoAction if it would have let it through.
// It is called in the order of the log. A log is the same again if it answers
// the same again.
type Enforcer interface {
	Answer(r *Request) event.Action
}

// Request is a line that is about to be written, valid until the call returns.
type Request struct {
	Time  time.Time // when it counts, which of a late line is before those already written
	Line  []byte    // as it would be written, without its end
	Label string
}

// Line is a line of the log.
type Line struct {
	Time  time.Time
	Label int    // an index of Labels
	Text  []byte // without its end; valid until the next call
}

// Stream makes a log line by line. It keeps what is going on at the moment,
// never the log.
type Stream struct {
	scenario *Scenario
	options  Options
	seed     uint64
	scale    float64
	start    int64 // Unix nanoseconds of the first midnight
	shift    int64 // of the first day from a Monday
	until    int64 // nanoseconds from the start
	format   format

	clients catalogue
	labels  []*label
	events  []*Event
	queue   queue
	idle    []*visit // for the next visitors
	errands []*errand
	now     int64
	written bool
	line    Line
	buffer  []byte
	queries int64 // what the enforcer was asked
}

// actor does things one after the other.
type actor interface {
	// act does what is to be done now, at most one request, and returns when it
	// goes on: never before now. 0 means never.
	act(s *Stream, now int64) int64
}

// turn is an actor's next moment. Which of two at the same moment is first
// depends on who they are, not on who else there is.
type turn struct {
	at    int64
	who   uint64
	actor actor
}

func (t *turn) before(o *turn) bool {
	return t.at < o.at || t.at == o.at && t.who < o.who
}

// queue is a heap of turns, four below each.
type queue []turn

func (q *queue) push(t turn) {
	*q = append(*q, t)
	h := *q
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !t.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = t
}

// sink puts the first turn, which has changed, where it belongs.
func (q queue) sink() {
	t, i := q[0], 0
	for {
		first := 4*i + 1
		if first >= len(q) {
			break
		}
		least := first
		for j := first + 1; j < min(first+4, len(q)); j++ {
			if q[j].before(&q[least]) {
				least = j
			}
		}
		if !q[least].before(&t) {
			break
		}
		q[i] = q[least]
		i = least
	}
	q[i] = t
}

func (q *queue) drop() {
	h := *q
	last := len(h) - 1
	h[0] = h[last]
	h[last] = turn{}
	*q = h[:last]
	if last > 0 {
		q.sink()
	}
}

// NewStream begins a log.
func NewStream(sc *Scenario, o Options) (*Stream, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	s := &Stream{
		scenario: sc, options: o, seed: o.Seed, scale: o.Scale, until: int64(sc.Days) * day,
		format: formatOf(&o), buffer: make([]byte, 0, 4096),
	}
	first := o.Start.UTC().Truncate(24 * time.Hour)
	s.start = first.UnixNano()
	s.shift = int64((first.Weekday()+6)%7) * day
	for _, name := range sortedKeys(sc.Events) {
		e := sc.Events[name]
		e.label = s.addLabel("honest/"+name, e.Title, "", "")
		s.events = append(s.events, e)
	}
	for _, name := range sortedKeys(sc.Honest) {
		p := sc.Honest[name]
		p.label = s.addLabel("honest/"+name, p.Title, "", "")
		s.populate(p)
	}
	for _, name := range sortedKeys(sc.Campaigns) {
		c := sc.Campaigns[name]
		for _, phase := range sortedKeys(c.Phases) {
			p := c.Phases[phase]
			p.label = s.addLabel("attack/"+name+"/"+phase, cmp.Or(p.Title, c.Title), name, phase)
			s.attack(p)
		}
	}
	return s, nil
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// begin lets an actor act from a moment on.
func (s *Stream) begin(at int64, who uint64, a actor) {
	if at < s.until {
		s.queue.push(turn{at, who, a})
	}
}

// Next makes the next line, and reports false at the end of the log.
func (s *Stream) Next() (*Line, bool) {
	for len(s.queue) > 0 {
		s.written = false
		t := s.queue[0]
		if t.at >= s.until {
			break
		}
		s.now = t.at
		again := t.actor.act(s, t.at)
		// Whom the actor let begin stands behind now, so it is still the first.
		switch {
		case again == 0 || again >= s.until:
			s.queue.drop()
		default:
			s.queue[0].at = max(again, t.at+1)
			s.queue.sink()
		}
		if s.written {
			return &s.line, true
		}
	}
	return nil, false
}

// amount scales how many there are.
func (s *Stream) amount(n float64) uint64 {
	return uint64(math.Round(float64(n * s.scale)))
}

// request is what an actor sends.
type request struct {
	label      int
	addr       netip.Addr
	endpoint   *Endpoint
	item       uint64
	account    uint64 // 0: none
	session    uint64 // 0: none
	consumer   string
	client     *client
	language   string
	referer    *Endpoint // a page of the site's own
	from       string    // another site
	refererTo  uint64    // its item
	status     int
	bytes      int64
	took       int64 // nanoseconds
	late       int64 // nanoseconds by which the line is older than those around it
	forged     bool
	solved     bool // a challenge before
	accountSet bool
}

// send writes a request, unless it is stopped, which it then writes instead.
// It returns what the enforcement point did.
func (s *Stream) send(r *request, now int64) event.Action {
	l := s.labels[r.label]
	at := now - r.late
	answer := event.NoAction
	s.buffer = s.format.append(s.buffer[:0], s, r, at, event.NoAction)
	if s.options.Enforcer != nil {
		s.queries++
		act := s.options.Enforcer.Answer(&Request{Time: time.Unix(0, s.start+at), Line: s.buffer, Label: l.Name})
		if act == event.Challenge && r.solved {
			act = event.NoAction
		}
		if act != event.NoAction && act != event.Alert {
			answer = act
			r.status, r.bytes, r.took = refusals[act].status, refusals[act].bytes, 400_000
			s.buffer = s.format.append(s.buffer[:0], s, r, at, act)
		}
	}
	s.finish(r.label, now, at)
	if r.accountSet {
		l.accounts.add(r.account)
	}
	l.addresses.add(number(r.addr))
	return answer
}

// refusals are how enforcement points answer.
var refusals = map[event.Action]struct {
	status int
	bytes  int64
}{event.Block: {403, 146}, event.Limit: {429, 162}, event.Challenge: {403, 4096}, event.Deceive: {200, 512}}

// finish counts the line in the buffer.
func (s *Stream) finish(label int, now, at int64) {
	s.written = true
	s.line = Line{Time: time.Unix(0, s.start+at).UTC(), Label: label, Text: s.buffer}
	s.labels[label].count(s.start + now)
}
