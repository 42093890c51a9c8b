package emit

import (
	"log/slog"
	"time"

	"weir/event"
)

// LedgerConfig is what a ledger depends on.
type LedgerConfig struct {
	Path   string // of ledger.jsonl; empty: kept in memory only
	Key    *event.Key
	Guards *Guards // nil: none
	// Now is the ledger's clock; nil: the time of the decisions and reviews
	// themselves, as in a replay.
	Now func() time.Time
	Log *slog.Logger
}

// Ledger is what is in force, and the log of how it came to be. It may be used
// by several goroutines. See docs/adr/0006.
type Ledger struct{}

// InForce is one entry of the ledger that points are to enforce.
type InForce struct {
	Decision event.Decision // the first one, with the latest end
	Action   event.Action   // what is asked for, milder than Decision.Would where the target is shared
	Since    time.Time
	Until    time.Time
	Good     float64 // as last seen
	By       string  // who, of one made by hand
	Reason   string
}

// Force is what is in force at one moment; it is not changed any more.
type Force struct {
	Version uint64 // rises with every change
	Entries []*InForce
	Stopped bool // all blocking was stopped: Entries is empty, and meant to be
	Well    bool // the ledger could be read and written; else an empty Force is not meant
}

// OpenLedger reads the ledger's files, if there are any, and goes on with them.
func OpenLedger(cfg LedgerConfig) (*Ledger, error) { panic("not written yet") }

// Add takes decisions of the engine, in their order. What it has seen already
// (same step and id) it passes over. It returns when the lines are synced.
func (l *Ledger) Add(ds []event.Decision) error { panic("not written yet") }

// Review looks at the entries in force again: figures says how a target stands
// now, and for the empty target how the whole site does; ok is false where
// nothing is known of it. It is called at whole ten seconds of event time.
func (l *Ledger) Review(at time.Time, figures func(event.Target) (good, tried float64, ok bool)) error {
	panic("not written yet")
}

// Advance ends what is over by the ledger's clock and lets in what was queued.
func (l *Ledger) Advance() error { panic("not written yet") }

// InForce returns what is in force now.
func (l *Ledger) InForce() *Force { panic("not written yet") }

// Changed returns a channel that is closed when Force's version has risen.
func (l *Ledger) Changed() <-chan struct{} { panic("not written yet") }

// Close syncs and closes the ledger's file.
func (l *Ledger) Close() error { panic("not written yet") }
