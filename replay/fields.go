package replay

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"weir/event"
	"weir/rules"
)

// made are the fields that enrich makes of others. What a script says of them
// wins, so it is set behind enrich.
var made = []event.Field{
	event.FieldEndpoint, event.FieldKind, event.FieldDeprecated, event.FieldItem, event.FieldOutcome,
	event.FieldAgentFamily, event.FieldAgentOS, event.FieldAgentKind, event.FieldCrawler,
}

// fixed says why a field cannot be set.
var fixed = map[event.Field]string{
	event.FieldTime:  "the time stands behind send",
	event.FieldNet:   "it follows from ip",
	event.FieldActor: "it follows from credential, session, fingerprint and ip",
}

// assignment gives a field its value.
type assignment struct {
	field event.Field
	value template
}

// field returns the field of that name, or reports that there is none.
func (l *line) field(name string, off int, x event.Extras) event.Field {
	f := event.FieldByName(name)
	if rest, ok := strings.CutPrefix(name, "x."); ok {
		f = x.Field(rest)
	}
	if f == event.NoField {
		l.fail(off, "unknown field %s%s", name, rules.FieldHint(name, x))
	}
	return f
}

// set gives an event's field its text. An empty text makes it absent. What is
// wrong with the text comes back, or "".
func set(ev *event.Event, f event.Field, text string) (problem string) {
	ok := true
	switch f {
	case event.FieldIP:
		var err error
		ev.IP, err = netip.ParseAddr(text)
		if ok = err == nil || text == ""; !ok {
			return "must be an address, such as 192.0.2.7"
		}
	case event.FieldPath:
		path, query, cut := strings.Cut(text, "?")
		if ev.Path = path; cut {
			ev.Query = query
		}
	case event.FieldASN:
		ev.ASN, ok = whole[uint32](text, 0)
	case event.FieldStatus:
		ev.Status, ok = whole[int32](text, 0)
		ok = ok && (text == "" || ev.Status >= 100 && ev.Status <= 999)
	case event.FieldBytes:
		ev.Bytes, ok = whole[int64](text, -1)
	case event.FieldDuration:
		return setDuration(ev, text)
	case event.FieldKind:
		if ev.Kind, ok = event.KindByName(text); !ok {
			return "is no kind of endpoint" + rules.DidYouMean(text, kindNames)
		}
	case event.FieldOutcome:
		if ev.Outcome, ok = event.OutcomeByName(text); !ok {
			return "must be success, failure or empty"
		}
	case event.FieldRefused:
		if ev.Refused, ok = event.ActionByName(text); !ok || ev.Refused == event.Alert {
			return "must be block, limit, challenge, deceive or empty"
		}
	case event.FieldDeprecated:
		if ok = text == "true" || text == "false"; !ok {
			return "must be true or false"
		}
		ev.Deprecated = text == "true"
	default:
		ev.SetText(f, text)
	}
	if !ok {
		return "is not a number that " + f.String() + " can have"
	}
	return ""
}

var kindNames = func() (names []string) {
	for k := range event.NumKinds {
		names = append(names, event.Kind(k).String())
	}
	return names
}()

// setDuration reads seconds.
func setDuration(ev *event.Event, text string) (problem string) {
	if text == "" {
		ev.Duration = -1
		return ""
	}
	s, err := strconv.ParseFloat(text, 64)
	if err != nil || !(s >= 0 && s <= 86400) {
		return "must be seconds, such as 0.25"
	}
	ev.Duration = int64(s*1e6 + 0.5)
	return ""
}

// whole reads a number; an empty text is the absent one.
func whole[T uint32 | int32 | int64](s string, absent T) (T, bool) {
	if s == "" {
		return absent, true
	}
	v, err := strconv.ParseInt(s, 10, 64)
	return T(v), err == nil && v >= 0 && int64(T(v)) == v
}

func isMade(f event.Field) bool { return slices.Contains(made, f) }
