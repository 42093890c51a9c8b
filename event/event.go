package event

import (
	"net/netip"
	"strconv"
	"strings"
)

// Event is one request, normalised. A string field that is empty, a Status or
// ASN of 0, Bytes or Duration below 0 and an invalid IP are absent.
//
// Strings of an event in a Batch point into the batch's memory and die with it.
type Event struct {
	Time   int64 // Unix nanoseconds, as the log says
	Second int64 // Unix second in which it counts: its own, or later (law 3)
	Offset int64 // of its record in its partition

	IP        netip.Addr // the client; of IPv6, its /64
	Peer      netip.Addr // who connected, as the decoder read it
	Forwarded string     // X-Forwarded-For or Forwarded as logged; enrich takes it
	ASN       uint32
	Status    int32
	Bytes     int64
	Duration  int64 // microseconds

	Kind            Kind
	Outcome         Outcome
	Refused         Action
	Deprecated      bool
	Unjudged        bool // its source does not say what came of it
	SoftFingerprint bool // Fingerprint is made of client fields that are easy to change

	Org, Country                           string
	Site, Method, Path, Query              string
	Endpoint, Item                         string
	Agent, AgentFamily, AgentOS, AgentKind string
	Referer, Language, Protocol            string
	TLS, JA3, JA4, Fingerprint             string
	Credential, CredentialDomain           string
	Session, Consumer, Crawler, ID         string
	X                                      [MaxExtras]string
}

// Reset makes e an event with every field absent.
func (e *Event) Reset() { *e = Event{Bytes: -1, Duration: -1} }

// Clone returns a copy that outlives e's batch: it shares no memory with it.
func (e *Event) Clone() Event {
	c := *e
	for f := range Field(NumFields) {
		if p := c.text(f); p != nil {
			*p = strings.Clone(*p)
		}
	}
	c.Forwarded = strings.Clone(c.Forwarded)
	return c
}

// Str returns a field's text. The fields that are not held as text (time, ip,
// net, asn, kind, deprecated, status, bytes, duration, actor, outcome,
// refused) come as AppendText writes them, which may allocate.
func (e *Event) Str(f Field) string {
	if p := e.text(f); p != nil {
		return *p
	}
	switch f {
	case FieldKind:
		return e.Kind.String()
	case FieldOutcome:
		return e.Outcome.String()
	case FieldRefused:
		return e.Refused.String()
	case FieldActor:
		if e.Credential != "" {
			return e.Credential
		}
		if e.Session != "" {
			return e.Session
		}
	}
	return string(e.AppendText(nil, f))
}

// text returns where a field that is held as text stands, or nil.
func (e *Event) text(f Field) *string {
	switch f {
	case FieldOrg:
		return &e.Org
	case FieldCountry:
		return &e.Country
	case FieldSite:
		return &e.Site
	case FieldMethod:
		return &e.Method
	case FieldPath:
		return &e.Path
	case FieldQuery:
		return &e.Query
	case FieldEndpoint:
		return &e.Endpoint
	case FieldItem:
		return &e.Item
	case FieldAgent:
		return &e.Agent
	case FieldAgentFamily:
		return &e.AgentFamily
	case FieldAgentOS:
		return &e.AgentOS
	case FieldAgentKind:
		return &e.AgentKind
	case FieldReferer:
		return &e.Referer
	case FieldLanguage:
		return &e.Language
	case FieldProtocol:
		return &e.Protocol
	case FieldTLS:
		return &e.TLS
	case FieldJA3:
		return &e.JA3
	case FieldJA4:
		return &e.JA4
	case FieldFingerprint:
		return &e.Fingerprint
	case FieldCredential:
		return &e.Credential
	case FieldCredentialDomain:
		return &e.CredentialDomain
	case FieldSession:
		return &e.Session
	case FieldConsumer:
		return &e.Consumer
	case FieldCrawler:
		return &e.Crawler
	case FieldID:
		return &e.ID
	}
	if f >= FieldX0 && int(f) < NumFields {
		return &e.X[f-FieldX0]
	}
	return nil
}

// Text returns a field that is held as text; ok is false for any other.
func (e *Event) Text(f Field) (s string, ok bool) {
	if p := e.text(f); p != nil {
		return *p, true
	}
	return "", false
}

// SetText sets a field that is held as text; ok is false for any other.
func (e *Event) SetText(f Field, s string) (ok bool) {
	p := e.text(f)
	if p == nil {
		return false
	}
	*p = s
	return true
}

// Num returns a number field's value; ok is false where it is absent.
// A duration is in seconds.
func (e *Event) Num(f Field) (v float64, ok bool) {
	switch f {
	case FieldASN:
		return float64(e.ASN), e.ASN != 0
	case FieldStatus:
		return float64(e.Status), e.Status != 0
	case FieldBytes:
		return float64(e.Bytes), e.Bytes >= 0
	case FieldDuration:
		return float64(e.Duration) / 1e6, e.Duration >= 0
	}
	return 0, false
}

// AppendText appends a field's value as rules and decisions write it; an
// absent one appends nothing. Time is in seconds; an IPv6 ip is its /64.
func (e *Event) AppendText(dst []byte, f Field) []byte {
	if p := e.text(f); p != nil {
		return append(dst, *p...)
	}
	switch f {
	case FieldTime:
		return strconv.AppendInt(dst, e.Second, 10)
	case FieldIP, FieldNet:
		return appendAddr(dst, e.IP, f)
	case FieldASN:
		if e.ASN != 0 {
			dst = strconv.AppendUint(dst, uint64(e.ASN), 10)
		}
	case FieldStatus:
		if e.Status != 0 {
			dst = strconv.AppendInt(dst, int64(e.Status), 10)
		}
	case FieldBytes:
		if e.Bytes >= 0 {
			dst = strconv.AppendInt(dst, e.Bytes, 10)
		}
	case FieldDuration:
		if e.Duration >= 0 {
			dst = strconv.AppendFloat(dst, float64(e.Duration)/1e6, 'g', -1, 64)
		}
	case FieldKind:
		dst = append(dst, e.Kind.String()...)
	case FieldDeprecated:
		dst = strconv.AppendBool(dst, e.Deprecated)
	case FieldOutcome:
		dst = append(dst, e.Outcome.String()...)
	case FieldRefused:
		dst = append(dst, e.Refused.String()...)
	case FieldActor:
		dst = e.appendActor(dst)
	}
	return dst
}

// appendActor appends the credential, else the session, else fingerprint and
// ip. The first byte of the last form cannot begin a pseudonym.
func (e *Event) appendActor(dst []byte) []byte {
	switch {
	case e.Credential != "":
		return append(dst, e.Credential...)
	case e.Session != "":
		return append(dst, e.Session...)
	case e.Fingerprint == "" && !e.IP.IsValid():
		return dst
	}
	dst = append(dst, '~')
	dst = append(dst, e.Fingerprint...)
	dst = append(dst, '~')
	return appendAddr(dst, e.IP, FieldIP)
}
