package event

import "fmt"

// Field names one field of an event, as rules, site files and exports write it.
type Field uint8

// The fields of an event.
const (
	NoField Field = iota
	FieldTime
	FieldIP
	FieldNet
	FieldASN
	FieldOrg
	FieldCountry
	FieldSite
	FieldMethod
	FieldPath
	FieldQuery
	FieldEndpoint
	FieldKind
	FieldDeprecated
	FieldItem
	FieldStatus
	FieldBytes
	FieldDuration
	FieldAgent
	FieldAgentFamily
	FieldAgentOS
	FieldAgentKind
	FieldReferer
	FieldLanguage
	FieldProtocol
	FieldTLS
	FieldJA3
	FieldJA4
	FieldFingerprint
	FieldCredential
	FieldCredentialDomain
	FieldSession
	FieldActor
	FieldConsumer
	FieldOutcome
	FieldRefused
	FieldCrawler
	FieldID
	FieldX0 // the first of MaxExtras extras; their names are the source's
)

// MaxExtras is how many extra fields (x.NAME) a configuration may map.
const MaxExtras = 8

// NumFields is one more than the largest Field.
const NumFields = int(FieldX0) + MaxExtras

var fieldNames = [NumFields]string{
	FieldTime: "time", FieldIP: "ip", FieldNet: "net", FieldASN: "asn", FieldOrg: "org", FieldCountry: "country",
	FieldSite: "site", FieldMethod: "method", FieldPath: "path", FieldQuery: "query", FieldEndpoint: "endpoint",
	FieldKind: "kind", FieldDeprecated: "deprecated", FieldItem: "item", FieldStatus: "status", FieldBytes: "bytes",
	FieldDuration: "duration", FieldAgent: "agent", FieldAgentFamily: "agent_family", FieldAgentOS: "agent_os",
	FieldAgentKind: "agent_kind", FieldReferer: "referer", FieldLanguage: "language", FieldProtocol: "protocol",
	FieldTLS: "tls", FieldJA3: "ja3", FieldJA4: "ja4", FieldFingerprint: "fingerprint", FieldCredential: "credential",
	FieldCredentialDomain: "credential_domain", FieldSession: "session", FieldActor: "actor", FieldConsumer: "consumer",
	FieldOutcome: "outcome", FieldRefused: "refused", FieldCrawler: "crawler", FieldID: "id",
	FieldX0: "x.0", FieldX0 + 1: "x.1", FieldX0 + 2: "x.2", FieldX0 + 3: "x.3", FieldX0 + 4: "x.4", FieldX0 + 5: "x.5",
	FieldX0 + 6: "x.6", FieldX0 + 7: "x.7",
}

// String returns the field's name; an extra's is its number, since its name
// belongs to the source (see Extras).
func (f Field) String() string {
	if int(f) >= NumFields || f == NoField {
		return fmt.Sprintf("field(%d)", uint8(f))
	}
	return fieldNames[f]
}

var fieldsByName = func() map[string]Field {
	m := make(map[string]Field, FieldX0)
	for f := FieldTime; f < FieldX0; f++ {
		m[fieldNames[f]] = f
	}
	return m
}()

// FieldByName returns the field of that name, or NoField. Extras are not
// found here: their names belong to the configuration (see Extras).
func FieldByName(name string) Field { return fieldsByName[name] }

// Number reports whether the field is compared as a number.
func (f Field) Number() bool {
	switch f {
	case FieldASN, FieldStatus, FieldBytes, FieldDuration:
		return true
	}
	return false
}

// Keyable reports whether the field may be part of a key.
func (f Field) Keyable() bool {
	switch f {
	case NoField, FieldTime, FieldBytes, FieldDuration, FieldID:
		return false
	}
	return int(f) < NumFields
}

// Extras gives the extra fields of a configuration their names, in slots
// 0 to MaxExtras-1.
type Extras []string

// Field returns the field of the extra called name (without "x."), or NoField.
func (x Extras) Field(name string) Field {
	for i, n := range x {
		if n == name {
			return FieldX0 + Field(i)
		}
	}
	return NoField
}

// Name returns how rules write field f.
func (x Extras) Name(f Field) string {
	if i := int(f) - int(FieldX0); i >= 0 && i < len(x) {
		return "x." + x[i]
	}
	return f.String()
}
