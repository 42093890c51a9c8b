package emit

import (
	"net/netip"
	"time"

	"weir/event"
)

// Guards are what stands between a decision and its enforcement. See
// docs/adr/0006.
type Guards struct {
	Protected  []Protected
	Allow      []Allow
	Deprecated []string // endpoints that may be blocked as a whole
}

// Protected is a range that no list ever meets.
type Protected struct {
	Prefix netip.Prefix
	Why    string // "trusted proxy of source edge"
}

// Allow is an exception of the site file.
type Allow struct {
	Match   event.Target
	Actions []event.Action
	Rules   []string // ids or patterns such as ato.*
	Owner   string
	Reason  string
	Until   time.Time // zero: no end
}
