package ingest

import (
	"fmt"
	"slices"

	"weir/event"
)

// slot is where a text of a line belongs in an event.
type slot struct {
	kind   slotKind
	field  event.Field // of slotText
	layout string      // of slotTime
}

type slotKind uint8

const (
	slotSkip slotKind = iota
	slotText
	slotTime
	slotIP
	slotForwarded
	slotRequest
	slotURI
	slotSite
	slotStatus
	slotBytes
	slotASN
	slotSeconds
	slotMillis
	slotMicros
	slotOutcome
	slotRefused
)

var slotsByName = map[string]slotKind{
	"_": slotSkip, "time": slotTime, "ip": slotIP, "peer": slotIP, "forwarded": slotForwarded, "request": slotRequest,
	"uri": slotURI, "path": slotURI, "site": slotSite, "status": slotStatus, "bytes": slotBytes, "asn": slotASN,
	"duration": slotSeconds, "duration_ms": slotMillis, "duration_us": slotMicros, "outcome": slotOutcome, "refused": slotRefused,
}

// logged are the text fields that a log may give; weir makes the others itself.
var logged = []event.Field{
	event.FieldMethod, event.FieldQuery, event.FieldAgent, event.FieldReferer, event.FieldLanguage, event.FieldProtocol,
	event.FieldTLS, event.FieldJA3, event.FieldJA4, event.FieldFingerprint, event.FieldCredential, event.FieldSession,
	event.FieldConsumer, event.FieldID, event.FieldCountry, event.FieldOrg,
}

// slotFor returns the slot that a configuration calls name.
func slotFor(name string, cfg Config) (slot, error) {
	if k, ok := slotsByName[name]; ok {
		return slot{kind: k, layout: cfg.Time.Layout}, nil
	}
	if len(name) > 2 && name[:2] == "x." {
		if f := cfg.Extras.Field(name[2:]); f != event.NoField {
			return slot{kind: slotText, field: f}, nil
		}
		return slot{}, fmt.Errorf("unknown extra %s", name)
	}
	f := event.FieldByName(name)
	switch {
	case f == event.NoField:
		return slot{}, fmt.Errorf("unknown field %s", name)
	case !slices.Contains(logged, f):
		return slot{}, fmt.Errorf("field %s is made by weir and cannot be set from a log", name)
	}
	return slot{kind: slotText, field: f}, nil
}

// assign puts a text where it belongs. What must be a number and is none makes
// the line unreadable.
func (f *fields) assign(s slot, b []byte, esc escape, ev *event.Event) {
	switch s.kind {
	case slotText:
		ev.SetText(s.field, f.value(b, esc))
	case slotTime:
		ev.Time = f.time(s.layout, b)
	case slotIP:
		ev.Peer = f.parseAddr(b)
	case slotForwarded:
		ev.Forwarded = f.forwarded(b, esc)
	case slotRequest:
		f.request(b, esc, ev)
	case slotURI:
		if !isDash(b) {
			f.uri(f.decode(b, esc), ev)
		}
	case slotSite:
		if len(b) > 0 {
			ev.Site = f.host(f.decode(b, esc))
		}
	case slotStatus:
		ev.Status = int32(f.number(b, 999, 0))
	case slotBytes:
		ev.Bytes = f.number(b, 1<<53, -1)
	case slotASN:
		ev.ASN = uint32(f.number(b, 1<<32-1, 0))
	case slotSeconds:
		ev.Duration = f.duration(b, 9)
	case slotMillis:
		ev.Duration = f.duration(b, 6)
	case slotMicros:
		ev.Duration = f.duration(b, 3)
	case slotOutcome:
		ev.Outcome, _ = event.OutcomeByName(event.View(b)) // other words say nothing about the outcome
	case slotRefused:
		ev.Refused = refusedAs(event.View(b))
	}
}

// duration reads a decimal number of units of 10^scale nanoseconds as
// microseconds; "-" is none.
func (f *fields) duration(b []byte, scale int) int64 {
	if isDash(b) {
		return -1
	}
	ns, ok := parseUnix(b, scale)
	if !ok {
		f.fail(errNumber)
		return -1
	}
	return ns / 1000
}

// refusedAs returns the action of that name that an enforcement point can answer.
func refusedAs(name string) event.Action {
	a, ok := event.ActionByName(name)
	if !ok || a == event.Alert {
		return event.NoAction
	}
	return a
}
