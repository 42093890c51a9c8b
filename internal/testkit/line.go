package testkit

import (
	"bytes"
	"net/netip"
	"net/url"
	"strconv"

	"weir/event"
	"weir/ingest"
)

// Pair is one field of a line in the format that Decode reads.
type Pair struct{ Name, Value string }

// AppendLine appends a line `t=1767225600.25 ip=192.0.2.7 kind=login …`. The
// names are those of rules; t is in Unix seconds. Values are escaped as in a
// URL's query, so that any string can be one.
func AppendLine(b []byte, pairs []Pair) []byte {
	for i, p := range pairs {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, p.Name...)
		b = append(b, '=')
		b = append(b, url.QueryEscape(p.Value)...)
	}
	return b
}

// FormatTime returns nanoseconds since 1970 as a line's t.
func FormatTime(ns int64) string {
	s := strconv.FormatInt(ns/1e9, 10)
	if frac := ns % 1e9; frac != 0 {
		s += "." + strconv.FormatInt(1e9+frac, 10)[1:]
	}
	return s
}

var (
	errPair  = &ingest.Malformed{Reason: "pair"}
	errName  = &ingest.Malformed{Reason: "name"}
	errValue = &ingest.Malformed{Reason: "value"}
	errTime  = &ingest.Malformed{Reason: "time"}
)

// Decode is an ingest.Decoder for the lines of AppendLine. It sets fields that
// otherwise only enrich may set, so that a test can say exactly what is seen.
func Decode(line []byte, ev *event.Event, mem *event.Arena) error {
	for len(line) > 0 {
		var word []byte
		word, line, _ = bytes.Cut(line, []byte{' '})
		name, raw, ok := bytes.Cut(word, []byte{'='})
		if !ok {
			return errPair
		}
		value := event.View(raw)
		if bytes.ContainsAny(raw, "%+") {
			s, err := url.QueryUnescape(value)
			if err != nil {
				return errValue
			}
			value = mem.Copy([]byte(s))
		}
		if err := set(ev, string(name), value); err != nil {
			return err
		}
	}
	if ev.Time == 0 {
		return errTime
	}
	return nil
}

func set(ev *event.Event, name, value string) error {
	ok := true
	switch name {
	case "t":
		ev.Time, ok = parseTime(value)
	case "ip":
		var err error
		ev.IP, err = netip.ParseAddr(value)
		ok = err == nil
	case "asn":
		ev.ASN, ok = number[uint32](value)
	case "status":
		ev.Status, ok = number[int32](value)
	case "bytes":
		ev.Bytes, ok = number[int64](value)
	case "duration": // microseconds
		ev.Duration, ok = number[int64](value)
	case "kind":
		ev.Kind, ok = event.KindByName(value)
	case "outcome":
		ev.Outcome, ok = event.OutcomeByName(value)
	case "refused":
		ev.Refused, ok = event.ActionByName(value)
	case "deprecated":
		ev.Deprecated = value == "true"
	default:
		if !ev.SetText(event.FieldByName(name), value) {
			return errName
		}
	}
	if !ok {
		return errValue
	}
	return nil
}

func number[T uint32 | int32 | int64](s string) (T, bool) {
	v, err := strconv.ParseInt(s, 10, 64)
	return T(v), err == nil && v >= 0 && int64(T(v)) == v
}

func parseTime(s string) (ns int64, ok bool) {
	whole, frac := s, ""
	for i := range len(s) {
		if s[i] == '.' {
			whole, frac = s[:i], s[i+1:]
			break
		}
	}
	sec, ok := number[int64](whole)
	if !ok || len(frac) > 9 || sec > 1<<33 {
		return 0, false
	}
	ns = sec * 1e9
	unit := int64(1e8)
	for i := range len(frac) {
		if frac[i] < '0' || frac[i] > '9' {
			return 0, false
		}
		ns += int64(frac[i]-'0') * unit
		unit /= 10
	}
	return ns, true
}
