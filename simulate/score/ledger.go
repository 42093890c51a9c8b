package score

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"weir/emit"
	"weir/event"
)

// The limits on what is read of a ledger.
const (
	maxLine   = 1 << 20
	maxActs   = 8 << 20 // lines that put something into force or out of it
	maxShapes = 256
	maxRules  = 4096
)

// Reading says how the lines of a ledger count.
type Reading struct {
	Delay  time.Duration // from a decision to the point that enforces it, and back
	AsIf   bool          // what was in shadow, or only told, counts as enforced
	Extras event.Extras
	Key    *event.Key
}

// Lines counts the lines of a ledger by what came of them.
type Lines struct {
	Lines     int64 `json:"lines"`
	Enforced  int64 `json:"enforced"` // new decisions and renewals
	Alerts    int64 `json:"alerts,omitempty"`
	Shadow    int64 `json:"shadow,omitempty"`
	Held      int64 `json:"held,omitempty"` // by a guard, or waiting
	Late      int64 `json:"late,omitempty"`
	Withdrawn int64 `json:"withdrawn,omitempty"`
}

// Ledger is what was in force when, as lines of decisions.jsonl or ledger.jsonl
// say.
type Ledger struct {
	Lines Lines

	how     Reading
	tripped []Trip
	rules   names
	rates   names
	excepts
	shapes []shape
	acts   []act // until they are resolved
	spans  []span
	starts map[uint64]int32 // by target: its first span, plus 1
	stops  []stretch        // when all blocking was stopped
	limits []int32          // those about one request: memory for judge
	first  [][]sampled      // by rule, its first decisions

	unmet map[string]bool // endpoints of decisions that no line had yet
}

// act is a line that puts an entry into force or takes it out.
type act struct {
	entry, target    uint64
	at, until, since int64 // Unix nanoseconds; since: when it was decided
	word             word
	action           event.Action // NoAction: it is not enforced
	idle             idleReason
	except           event.Field
	shape            uint16
	rule, rate       uint16
}

// word is what a line does, in the order in which they count at one time.
type word uint8

const (
	wordEnd word = iota
	wordForce
	wordMilder
	wordWithdrawn
)

// idleReason is why a decision does nothing.
type idleReason uint8

const (
	enforced idleReason = iota
	inShadow
	heldBack
)

// stretch is a time from its begin to before its end, in Unix nanoseconds.
type stretch struct{ from, until int64 }

// NewLedger returns a ledger without lines.
func NewLedger(how Reading) *Ledger {
	return &Ledger{how: how, starts: map[uint64]int32{}}
}

// Read adds the lines of a file. Several files of one ledger may be read in any
// order: what a later one says again of an earlier one is the same.
func (l *Ledger) Read(name string, r io.Reader) error {
	lines := bufio.NewReaderSize(r, 64<<10)
	var long []byte
	for n := 1; ; n++ {
		line, err := readLine(lines, &long)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && len(line) > 0 {
			l.Lines.Lines++
			err = l.add(line)
		}
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", name, n, err)
		}
	}
}

// readLine returns the next line without its newline; long is memory for lines
// that the reader's own does not hold.
func readLine(r *bufio.Reader, long *[]byte) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		*long = append((*long)[:0], line...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(*long) > maxLine {
				return nil, fmt.Errorf("longer than %d bytes", maxLine)
			}
			line, err = r.ReadSlice('\n')
			*long = append(*long, line...)
		}
		line = *long
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil // the last one had no newline
	}
	return bytes.TrimSuffix(line, []byte{'\n'}), err
}

// tail is what a ledger says behind a decision, or of its own.
type tail struct {
	At time.Time `json:"at"`
}

func (l *Ledger) add(line []byte) error {
	rest, ok := bytes.CutPrefix(line, []byte(`{"v":1,"event":`))
	if !ok {
		return errors.New("not a line of decisions.jsonl or ledger.jsonl")
	}
	word, _, err := event.ReadJSONString(rest)
	if err != nil {
		return fmt.Errorf("event: %w", err)
	}
	switch word {
	case emit.LineNew, emit.LineRenew, emit.LineStanding, emit.LineHeld, emit.LineQueued, emit.LineMilder, emit.LineEnd, emit.LineWithdrawn:
		return l.decision(line)
	case emit.LineStopped, emit.LineResumed:
		return l.stop(word, line)
	case emit.LineTripped:
		return l.trip(line)
	case emit.LineApproved, emit.LineUnblocked, emit.LineOpened:
		return nil // what follows from them stands in lines of decisions
	case emit.LineClock:
		return errors.New("the clock went back: this is a run's ledger, a replay's is needed")
	}
	return fmt.Errorf("event %q is none that a ledger has", word)
}

// Trip is a rule that the breaker held for everybody, as it hit too many regulars.
type Trip struct {
	Rule     string    `json:"rule"`
	At       time.Time `json:"at"`
	Regulars float64   `json:"regulars"`
	Site     float64   `json:"site"` // regulars of the whole site
}

// maxTrips is how many of them are kept.
const maxTrips = 1000

// trip notes that the breaker held a rule. What follows from it stands in lines
// of decisions.
func (l *Ledger) trip(line []byte) error {
	var t struct {
		Rule string    `json:"rule"`
		At   time.Time `json:"at"`
		Sum  float64   `json:"sum"`
		Site float64   `json:"site"`
	}
	if err := json.Unmarshal(line, &t); err != nil {
		return err
	}
	if len(l.tripped) < maxTrips {
		l.tripped = append(l.tripped, Trip{t.Rule, t.At, t.Sum, t.Site})
	}
	return nil
}

// stop notes when all blocking was stopped, and when it went on.
func (l *Ledger) stop(what string, line []byte) error {
	var t tail
	if err := json.Unmarshal(line, &t); err != nil {
		return err
	}
	at := nanos(t.At) + int64(l.how.Delay)
	open := len(l.stops) > 0 && l.stops[len(l.stops)-1].until == maxTime
	switch {
	case what == emit.LineStopped && !open:
		l.stops = append(l.stops, stretch{at, maxTime})
	case what == emit.LineResumed && open:
		l.stops[len(l.stops)-1].until = at
	}
	return nil
}

func (l *Ledger) decision(line []byte) error {
	d, w, rest, err := event.ReadDecisionOpen(line)
	if err != nil {
		return err
	}
	at := d.Time
	if len(rest) > 1 { // a ledger's: when it came into force
		if rest[0] != ',' {
			return fmt.Errorf("%d bytes behind its last field", len(rest))
		}
		var t tail
		if err := json.Unmarshal(append([]byte{'{'}, rest[1:]...), &t); err != nil {
			return fmt.Errorf("behind the decision: %w", err)
		}
		if t.At.After(at) {
			at = t.At
		}
	} else if len(rest) != 1 || rest[0] != '}' {
		return errors.New("no end")
	}
	a := act{at: nanos(at), until: nanos(d.Until), since: nanos(d.Time)}
	if !a.judge(l, &d, w) {
		return nil
	}
	if err := a.name(l, &d); err != nil {
		return err
	}
	if len(l.acts) == maxActs {
		return fmt.Errorf("more than %d decisions", maxActs)
	}
	l.acts = append(l.acts, a)
	return nil
}

// The times that nanoseconds can say, with room for a delay.
var (
	firstTime = time.Date(1700, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(2261, 1, 1, 0, 0, 0, 0, time.UTC)
)

// nanos returns a time in Unix nanoseconds, or the nearest that there is.
func nanos(t time.Time) int64 {
	switch {
	case t.Before(firstTime):
		t = firstTime
	case t.After(lastTime):
		t = lastTime
	}
	return t.UnixNano()
}

// judge says what the line does, if anything, and counts it.
func (a *act) judge(l *Ledger, d *event.Decision, w event.Words) bool {
	n := &l.Lines
	switch w.Event {
	case emit.LineEnd:
		a.word = wordEnd
		return true
	case emit.LineWithdrawn:
		n.Withdrawn++
		a.word = wordWithdrawn
		return true
	case emit.LineHeld, emit.LineQueued:
		n.Held++
		a.word, a.idle = wordForce, heldBack
		return true
	case emit.LineMilder:
		a.word = wordMilder
	default:
		a.word = wordForce
	}
	a.action, _ = event.ActionByName(w.Action) // none: nothing is done
	switch w.Mode {
	case event.Enforce.String():
	case event.Shadow.String(), event.AlertOnly.String():
		if l.how.AsIf {
			a.action = d.Would
		}
	case "late":
		n.Late++
		return false
	}
	counted := w.Event == emit.LineNew || w.Event == emit.LineRenew // the others are about what was counted
	switch {
	case a.action == event.NoAction:
		a.idle = inShadow
		n.Shadow += one(counted)
	case a.action == event.Alert:
		n.Alerts += one(counted)
	default:
		n.Enforced += one(counted)
	}
	return true
}

func one(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// name finds what the line is about.
func (a *act) name(l *Ledger, d *event.Decision) error {
	s, target, err := l.targetOf(d.Target)
	if err != nil {
		return err
	}
	if a.except, err = l.excepts.field(d.Except, l.how.Extras); err != nil {
		return err
	}
	if a.rule, err = l.rules.number(d.Rule, "rules"); err != nil {
		return err
	}
	if a.action == event.Limit {
		if _, err := parseRate(d.To); err != nil {
			return err
		}
		if a.rate, err = l.rates.number(d.To, "rates"); err != nil {
			return err
		}
	}
	a.shape, a.target = s, target
	if a.word == wordForce && a.idle == enforced {
		l.sample(a, d.Target)
	}
	a.entry = event.Mix(target ^ event.Mix(uint64(a.rule)<<24|uint64(d.Would)<<16|uint64(a.except)<<8|uint64(a.idle)+1))
	if a.word != wordForce || a.idle == enforced { // one entry, whatever befalls it
		a.entry = event.Mix(target ^ event.Mix(uint64(a.rule)<<24|uint64(d.Would)<<16|uint64(a.except)<<8))
	}
	return nil
}
