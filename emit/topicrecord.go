package emit

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"weir/event"
)

// recordVersion is the format version of a record's value.
const recordVersion = 1

// appendRecord appends the value of a decision's record: the decision as it is
// enforced, by which point.
func appendRecord(b []byte, point string, e *Entry) []byte {
	d := e.Decision
	text := func(name, value string) {
		b = append(b, `,"`+name+`":`...)
		b = event.AppendJSONString(b, value)
	}
	b = append(b, `{"v":`...)
	b = strconv.AppendInt(b, recordVersion, 10)
	text("point", point)
	text("id", e.ID)
	text("action", e.Action.String())
	if e.To != "" {
		text("to", e.To)
	}
	b = append(b, `,"target":`...)
	b = d.Target.AppendJSON(b)
	if d.Except != "" {
		text("except", d.Except)
	}
	text("until", e.Until.UTC().Format(time.RFC3339))
	text("rule", d.Rule)
	b = append(b, `,"version":`...)
	b = strconv.AppendInt(b, int64(d.Version), 10)
	text("severity", d.Severity.String())
	if e.Reason != "" {
		text("reason", e.Reason)
	}
	return append(b, '}')
}

// readRecord reads what appendRecord wrote; ok is false for everything else.
func readRecord(key, point string, value []byte) (e Entry, ok bool) {
	if !isDecisionID(key) || !bytes.HasPrefix(value, []byte(`{"v":1,`)) {
		return e, false
	}
	var rec struct {
		Point  string            `json:"point"`
		ID     string            `json:"id"`
		Action string            `json:"action"`
		To     string            `json:"to"`
		Target map[string]string `json:"target"`
		Until  time.Time         `json:"until"`
	}
	if err := json.Unmarshal(value, &rec); err != nil || rec.ID != key || rec.Point != point {
		return e, false
	}
	action, known := event.ActionByName(rec.Action)
	if !known || !slices.Contains(enforceable, action) {
		return e, false // a record of ours that is damaged is written anew
	}
	target := make(event.Target, 0, len(rec.Target))
	for field, text := range rec.Target {
		target = append(target, event.Value{Field: field, Text: text})
	}
	e = Entry{ID: key, Action: action, To: rec.To, Until: rec.Until.UTC()}
	if prefix, _, why := place(target); why == "" {
		e.Prefix = prefix
	}
	return e, true
}
