package api

import (
	"encoding/json"
	"fmt"
	"time"

	"weir/emit"
	"weir/event"
)

// Line is a line of the ledger; as JSON it is, byte for byte, what stands in
// ledger.jsonl, but for the chain.
type Line struct{ emit.Line }

// tail is what a line has besides its decision, or instead of one, in the order
// of ledger.jsonl.
type tail struct {
	Rule    string          `json:"rule,omitempty"`
	ID      string          `json:"id,omitempty"`
	Target  json.RawMessage `json:"target,omitempty"`
	Until   time.Time       `json:"until,omitzero"`
	*trip                   // of tripped lines only
	Seconds int64           `json:"seconds,omitempty"`
	File    int             `json:"file,omitempty"`
	Before  string          `json:"before,omitempty"`
	At      time.Time       `json:"at,omitzero"`
	Since   time.Time       `json:"since,omitzero"`
	Excused int             `json:"excused,omitempty"` // 1: it is
	Filed   int             `json:"filed,omitempty"`   // 1: it is
	Guard   emit.Guard      `json:"guard,omitempty"`
	Reason  text            `json:"reason,omitempty"`
	By      text            `json:"by,omitempty"`
}

// trip is what a tripped line has.
type trip struct {
	Sum     float64 `json:"sum"`
	Site    float64 `json:"site"`
	Entries int     `json:"entries"`
}

// text is a string that decisions escape in their own way, so that bytes that
// are no text survive.
type text string

// MarshalJSON writes the text as decisions do.
func (t text) MarshalJSON() ([]byte, error) { return event.AppendJSONString(nil, string(t)), nil }

// UnmarshalJSON reads it.
func (t *text) UnmarshalJSON(b []byte) error {
	s, _, err := event.ReadJSONString(b)
	*t = text(s)
	return err
}

// decides reports whether a line is a decision's.
func decides(l *emit.Line) bool { return l.Decision.Rule != "" }

// MarshalJSON writes the line as the ledger does.
func (l Line) MarshalJSON() ([]byte, error) {
	t := tail{
		Seconds: l.Seconds, File: l.File, Before: l.Before,
		At: l.At.UTC(), Since: l.Since.UTC(), Guard: l.Guard, Reason: text(l.Reason), By: text(l.By),
	}
	if l.Excused {
		t.Excused = 1
	}
	if l.Filed {
		t.Filed = 1
	}
	if l.Event == emit.LineTripped {
		t.trip = &trip{l.Sum, l.Site, l.Entries}
	}
	var b []byte
	if decides(&l.Line) {
		evidence := l.Event != emit.LineEnd && l.Event != emit.LineMilder && l.Event != emit.LineWithdrawn
		b = l.Decision.AppendOpen(b, event.Words{Event: l.Event, Mode: l.Mode, Action: l.Action}, evidence)
	} else {
		b = fmt.Appendf(b, `{"v":%d,"event":`, event.DecisionVersion)
		b = event.AppendJSONString(b, l.Event)
		t.Rule, t.ID, t.Until = l.Rule, l.ID, l.Until.UTC()
		if l.Target != nil {
			t.Target = l.Target.AppendJSON(nil)
		}
	}
	rest, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("line: %w", err)
	}
	if len(rest) > len("{}") {
		b = append(b, ',')
	}
	return printable(append(b, rest[1:]...)), nil
}

// UnmarshalJSON reads such a line.
func (l *Line) UnmarshalJSON(b []byte) error {
	var head struct {
		Event string  `json:"event"`
		Would *string `json:"would"` // decisions only have it
	}
	t := tail{trip: &trip{}}
	if err := json.Unmarshal(b, &head); err != nil {
		return fmt.Errorf("line: %w", err)
	}
	if err := json.Unmarshal(b, &t); err != nil {
		return fmt.Errorf("line: %w", err)
	}
	l.Line = emit.Line{
		Event: head.Event, At: t.At, Since: t.Since, Excused: t.Excused == 1, Filed: t.Filed == 1, Guard: t.Guard, Reason: string(t.Reason), By: string(t.By),
		Sum: t.trip.Sum, Site: t.trip.Site, Entries: t.trip.Entries, Seconds: t.Seconds, File: t.File, Before: t.Before,
	}
	if head.Would != nil {
		d, w, _, err := event.ReadDecisionOpen(b)
		if err != nil {
			return fmt.Errorf("line: %w", err)
		}
		l.Decision, l.Mode, l.Action = d, w.Mode, w.Action
		return nil
	}
	l.Rule, l.ID, l.Until = t.Rule, t.ID, t.Until
	if t.Target != nil {
		target, _, err := event.ReadTarget(t.Target)
		if err != nil {
			return fmt.Errorf("line: target: %w", err)
		}
		l.Target = target
	}
	return nil
}
