package emit

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"weir/event"
)

// What a line of the ledger says happened. New, renew and end are the words of
// decision lines too.
const (
	LineNew       = "new"
	LineRenew     = "renew"
	LineEnd       = "end"
	LineHeld      = "held"      // a decision that is not enforced
	LineQueued    = "queued"    // a decision that waits
	LineStanding  = "standing"  // in force when the file was begun
	LineMilder    = "milder"    // in force, with a milder action from now on
	LineWithdrawn = "withdrawn" // was in force before its end
	LineTripped   = "tripped"   // a rule's breaker
	LineApproved  = "approved"  // a tripped rule or a held decision
	LineUnblocked = "unblocked"
	LineStopped   = "stopped" // all blocking
	LineResumed   = "resumed"
	LineClock     = "clock"  // the wall clock went back
	LineOpened    = "opened" // the first line of a file
)

// modeLate is the mode of a decision that was over when it was made.
const modeLate = "late"

// aboutDecision reports whether a line with this word is a decision's, and
// whether it carries its evidence.
func aboutDecision(word string) (is, evidence bool) {
	switch word {
	case LineNew, LineRenew, LineHeld, LineQueued, LineStanding, LineMilder:
		return true, true
	case LineEnd, LineWithdrawn:
		return true, false
	}
	return false, false
}

// Line is one line of the ledger: a decision and what came of it, or what
// befell a rule or all of them.
type Line struct {
	Event    string // one of the words above
	At       time.Time
	Decision event.Decision // of lines that are a decision's
	Mode     string         // shadow, alert, enforce or late
	Action   string         // what is done: none, alert, or an action
	Reason   string
	By       string    // who, of what a person did
	Again    bool      // it stands at the head of a file, and was said before
	Since    time.Time // of lines that are said again: since when it is so
	Excused  bool      // of standing lines: it does not count for the breaker
	Guard    Guard     // of held lines
	Filed    bool      // of stopped lines: the file that says so is there too

	Rule    string       // of tripped and approved lines
	ID      string       // of an approved decision
	Target  event.Target // of unblocked lines and approved decisions
	Until   time.Time    // of unblocked lines
	Sum     float64      // of tripped lines: good accounts behind the rule's entries
	Site    float64      // of tripped lines: accounts that succeeded anywhere
	Entries int          // of tripped lines: in force, and withdrawn by it
	Seconds int64        // of clock lines: by how many it went back
	File    int          // of opened lines: the file's number
	Before  string       // of opened lines: the chain of the line before

	// Lacks is, in answers of Covering, what of the decision's target the
	// question did not say.
	Lacks []string
}

// open returns the line without its chain and its closing bracket.
func (l *Line) open() (b []byte) {
	if is, evidence := aboutDecision(l.Event); is {
		b = l.Decision.AppendOpen(b, event.Words{Event: l.Event, Mode: l.Mode, Action: l.Action}, evidence)
	} else {
		b = append(b, `{"v":`...)
		b = strconv.AppendInt(b, event.DecisionVersion, 10)
		b = appendString(b, "event", l.Event)
		b = appendStringIf(b, "rule", l.Rule)
		b = appendStringIf(b, "id", l.ID)
		if l.Target != nil {
			b = l.Target.AppendJSON(append(b, `,"target":`...))
		}
		b = appendTime(b, "until", l.Until)
		if l.Event == LineTripped {
			b = appendFloat(b, "sum", l.Sum)
			b = appendFloat(b, "site", l.Site)
			b = appendInt(b, "entries", int64(l.Entries))
		}
		if l.Seconds != 0 {
			b = appendInt(b, "seconds", l.Seconds)
		}
		if l.File != 0 {
			b = appendInt(b, "file", int64(l.File))
		}
		b = appendStringIf(b, "before", l.Before)
	}
	b = appendTime(b, "at", l.At)
	b = appendTime(b, "since", l.Since)
	if l.Again {
		b = appendInt(b, "again", 1)
	}
	if l.Excused {
		b = appendInt(b, "excused", 1)
	}
	if l.Filed {
		b = appendInt(b, "filed", 1)
	}
	b = appendStringIf(b, "guard", string(l.Guard))
	b = appendStringIf(b, "reason", l.Reason)
	return appendStringIf(b, "by", l.By)
}

func appendString(b []byte, name, text string) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return event.AppendJSONString(b, text)
}

func appendStringIf(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendString(b, name, text)
}

func appendTime(b []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendString(b, name, t.UTC().Format(time.RFC3339))
}

func appendInt(b []byte, name string, v int64) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendInt(b, v, 10)
}

func appendFloat(b []byte, name string, v float64) []byte {
	b = append(append(append(b, `,"`...), name...), `":`...)
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// errLine is what every line that cannot be read is.
var errLine = errors.New("not a line of a ledger")

// readLine reads a line without its newline. Whether it is what was written is
// the chain's to say: here it need only be understood.
func readLine(line []byte) (l Line, err error) {
	begin := []byte(`{"v":` + strconv.Itoa(event.DecisionVersion) + `,"event":`)
	rest, ok := bytes.CutPrefix(line, begin)
	if !ok {
		return Line{}, errLine
	}
	if l.Event, rest, err = event.ReadJSONString(rest); err != nil {
		return Line{}, fmt.Errorf("%w: event: %w", errLine, err)
	}
	if is, _ := aboutDecision(l.Event); is {
		var w event.Words
		if l.Decision, w, rest, err = event.ReadDecisionOpen(line); err != nil {
			return Line{}, fmt.Errorf("%w: %w", errLine, err)
		}
		l.Mode, l.Action = w.Mode, w.Action
	}
	if err := l.readMembers(rest); err != nil {
		return Line{}, fmt.Errorf("%w: %w", errLine, err)
	}
	return l, nil
}

// readMembers reads what stands behind the decision, or instead of one.
func (l *Line) readMembers(rest []byte) error {
	for !bytes.Equal(rest, []byte("}")) {
		if len(rest) == 0 || rest[0] != ',' {
			return errors.New("no end")
		}
		name, value, err := event.ReadJSONString(rest[1:])
		if err != nil || len(value) < 2 || value[0] != ':' {
			return fmt.Errorf("a member without a name or value, %w", errLine)
		}
		if rest, err = l.readMember(name, value[1:]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (l *Line) readMember(name string, value []byte) (rest []byte, err error) {
	if name == "target" {
		l.Target, rest, err = event.ReadTarget(value)
		return rest, err
	}
	if value[0] != '"' {
		n := bytes.IndexAny(value, ",}")
		if n < 0 {
			return nil, errors.New("no end")
		}
		v, err := strconv.ParseFloat(string(value[:n]), 64)
		switch name {
		case "sum":
			l.Sum = v
		case "site":
			l.Site = v
		case "again":
			l.Again = v == 1
		case "excused":
			l.Excused = v == 1
		case "filed":
			l.Filed = v == 1
		case "entries":
			l.Entries = int(v)
		case "seconds":
			l.Seconds = int64(v)
		case "file":
			l.File = int(v)
		}
		return value[n:], err
	}
	text, rest, err := event.ReadJSONString(value)
	if err != nil {
		return nil, err
	}
	switch name {
	case "rule":
		l.Rule = text
	case "id":
		l.ID = text
	case "reason":
		l.Reason = text
	case "by":
		l.By = text
	case "guard":
		l.Guard = Guard(text)
	case "before":
		l.Before = text
	case "at":
		l.At, err = time.Parse(time.RFC3339, text)
	case "since":
		l.Since, err = time.Parse(time.RFC3339, text)
	case "until":
		l.Until, err = time.Parse(time.RFC3339, text)
	}
	return rest, err
}
