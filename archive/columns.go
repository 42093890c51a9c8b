package archive

import (
	"strconv"

	"weir/event"
)

// What a column holds. A frame of the spool writes texts and addresses as
// dictionaries, numbers as differences.
type columnKind uint8

const (
	textColumn columnKind = iota // a string
	nameColumn                   // a small number in memory, its name in a file
	addrColumn                   // an address: 0, 4 or 16 bytes
	longColumn                   // an integer
	flagColumn                   // a truth value
)

// column is one column of a frame and of a file. Its place in the table is its
// number in frames, so the table only ever grows, at its end.
type column struct {
	name  string
	kind  columnKind
	field event.Field // who reads it is asked for; NoField: it is always read
	text  func(*event.Event) *string
	load  func(*event.Event) int64 // of names, numbers and flags
	store func(*event.Event, int64)
	// absent is what number stands for a value that is not there: a column of
	// only these is left out.
	absent int64
	names  []string // of a nameColumn, by number
}

// The columns that are more than a field.
const (
	colTime = iota
	colOffset
	colAppended // its values are not in the event
	colIP
	colPeer
	colFirstField
)

// columns is every column there is.
var columns = []column{
	colTime: {
		name: "time", kind: longColumn, absent: -1 << 63,
		load:  func(e *event.Event) int64 { return e.Time },
		store: func(e *event.Event, v int64) { e.Time = v },
	},
	colOffset: {
		name: "offset", kind: longColumn, absent: -1 << 63,
		load:  func(e *event.Event) int64 { return e.Offset },
		store: func(e *event.Event, v int64) { e.Offset = v },
	},
	colAppended: {name: "appended", kind: longColumn, absent: -1 << 63},
	colIP:       {name: "ip", kind: addrColumn, field: event.FieldIP},
	colPeer:     {name: "peer", kind: addrColumn, field: noReader},

	colFirstField: {
		name: "asn", kind: longColumn, field: event.FieldASN,
		load:  func(e *event.Event) int64 { return int64(e.ASN) },
		store: func(e *event.Event, v int64) { e.ASN = uint32(v) },
	},
	{
		name: "status", kind: longColumn, field: event.FieldStatus,
		load:  func(e *event.Event) int64 { return int64(e.Status) },
		store: func(e *event.Event, v int64) { e.Status = int32(v) },
	},
	{
		name: "bytes", kind: longColumn, field: event.FieldBytes, absent: -1,
		load:  func(e *event.Event) int64 { return e.Bytes },
		store: func(e *event.Event, v int64) { e.Bytes = v },
	},
	{
		name: "duration_us", kind: longColumn, field: event.FieldDuration, absent: -1,
		load:  func(e *event.Event) int64 { return e.Duration },
		store: func(e *event.Event, v int64) { e.Duration = v },
	},
	{
		name: "kind", kind: nameColumn, field: event.FieldKind, names: names(event.NumKinds, func(i int) string { return event.Kind(i).String() }),
		load:  func(e *event.Event) int64 { return int64(e.Kind) },
		store: func(e *event.Event, v int64) { e.Kind = event.Kind(v) },
	},
	{
		name: "outcome", kind: nameColumn, field: event.FieldOutcome, names: names(int(event.Failure)+1, func(i int) string { return event.Outcome(i).String() }),
		load:  func(e *event.Event) int64 { return int64(e.Outcome) },
		store: func(e *event.Event, v int64) { e.Outcome = event.Outcome(v) },
	},
	{
		name: "refused", kind: nameColumn, names: names(event.NumActions, func(i int) string { return event.Action(i).String() }),
		load:  func(e *event.Event) int64 { return int64(e.Refused) },
		store: func(e *event.Event, v int64) { e.Refused = event.Action(v) },
	},
	{
		name: "deprecated", kind: flagColumn, field: event.FieldDeprecated,
		load:  func(e *event.Event) int64 { return number(e.Deprecated) },
		store: func(e *event.Event, v int64) { e.Deprecated = v != 0 },
	},
	{
		name: "unjudged", kind: flagColumn,
		load:  func(e *event.Event) int64 { return number(e.Unjudged) },
		store: func(e *event.Event, v int64) { e.Unjudged = v != 0 },
	},
	{
		name: "soft_fingerprint", kind: flagColumn, field: event.FieldFingerprint,
		load:  func(e *event.Event) int64 { return number(e.SoftFingerprint) },
		store: func(e *event.Event, v int64) { e.SoftFingerprint = v != 0 },
	},
	text(event.FieldOrg, func(e *event.Event) *string { return &e.Org }),
	text(event.FieldCountry, func(e *event.Event) *string { return &e.Country }),
	text(event.FieldSite, func(e *event.Event) *string { return &e.Site }),
	text(event.FieldMethod, func(e *event.Event) *string { return &e.Method }),
	text(event.FieldPath, func(e *event.Event) *string { return &e.Path }),
	text(event.FieldQuery, func(e *event.Event) *string { return &e.Query }),
	text(event.FieldEndpoint, func(e *event.Event) *string { return &e.Endpoint }),
	text(event.FieldItem, func(e *event.Event) *string { return &e.Item }),
	text(event.FieldAgent, func(e *event.Event) *string { return &e.Agent }),
	text(event.FieldAgentFamily, func(e *event.Event) *string { return &e.AgentFamily }),
	text(event.FieldAgentOS, func(e *event.Event) *string { return &e.AgentOS }),
	text(event.FieldAgentKind, func(e *event.Event) *string { return &e.AgentKind }),
	text(event.FieldReferer, func(e *event.Event) *string { return &e.Referer }),
	text(event.FieldLanguage, func(e *event.Event) *string { return &e.Language }),
	text(event.FieldProtocol, func(e *event.Event) *string { return &e.Protocol }),
	text(event.FieldTLS, func(e *event.Event) *string { return &e.TLS }),
	text(event.FieldJA3, func(e *event.Event) *string { return &e.JA3 }),
	text(event.FieldJA4, func(e *event.Event) *string { return &e.JA4 }),
	text(event.FieldFingerprint, func(e *event.Event) *string { return &e.Fingerprint }),
	text(event.FieldCredential, func(e *event.Event) *string { return &e.Credential }),
	text(event.FieldCredentialDomain, func(e *event.Event) *string { return &e.CredentialDomain }),
	text(event.FieldSession, func(e *event.Event) *string { return &e.Session }),
	text(event.FieldConsumer, func(e *event.Event) *string { return &e.Consumer }),
	text(event.FieldCrawler, func(e *event.Event) *string { return &e.Crawler }),
	text(event.FieldID, func(e *event.Event) *string { return &e.ID }),
	// The forwarded chain is gone behind enrich; a run without it keeps it.
	{name: "forwarded", kind: textColumn, field: noReader, text: func(e *event.Event) *string { return &e.Forwarded }},
	extra(0), extra(1), extra(2), extra(3), extra(4), extra(5), extra(6), extra(7),
}

// colExtras is where the extras begin; in files they have the names that the
// configuration gives them.
var colExtras = len(columns) - event.MaxExtras

// noReader is a field that nothing asks for by itself: the column is read where
// all are.
const noReader = event.Field(event.NumFields)

func text(f event.Field, at func(*event.Event) *string) column {
	return column{name: f.String(), kind: textColumn, field: f, text: at}
}

func extra(i int) column {
	return column{name: "x." + strconv.Itoa(i), kind: textColumn, field: event.FieldX0 + event.Field(i), text: func(e *event.Event) *string { return &e.X[i] }}
}

func names(n int, of func(int) string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = of(i)
	}
	return all
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// fileName returns what a column is called in a file; empty where an extra has
// no name, so that it cannot be told what it is.
func fileName(c int, extras event.Extras) string {
	if i := c - colExtras; i >= 0 {
		if i >= len(extras) || extras[i] == "" {
			return ""
		}
		return "x." + extras[i]
	}
	return columns[c].name
}

// wanted reports whether a column is to be read where reads says which fields
// are looked at; nil: all.
func wanted(c int, reads func(event.Field) bool) bool {
	col := &columns[c]
	if reads == nil || col.field == event.NoField {
		return true
	}
	if col.field == noReader {
		return false
	}
	if reads(col.field) {
		return true
	}
	switch col.field {
	case event.FieldIP:
		return reads(event.FieldNet) || reads(event.FieldActor)
	case event.FieldCredential, event.FieldSession, event.FieldFingerprint:
		return reads(event.FieldActor)
	}
	return false
}
