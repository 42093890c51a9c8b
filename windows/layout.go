package windows

import (
	"weir/event"
	"weir/state"
)

// Kind is what a series keeps.
type Kind uint8

// The kinds of series. Each is a function of the set of rows that it saw, not
// of their order.
const (
	Count    Kind = iota // how many rows: count, rate, ratio, ratio_low
	Sum                  // the sum of a number (unsigned, saturating)
	MinMax               // the smallest and the largest number of each pane
	Distinct             // how many different values, exactly to 96, then by sketch
	Buckets              // counts of values in 64 keyed buckets: top, entropy
	Active               // the active seconds and the gaps between them: cadence
	Span                 // the first and the last second: first, last
)

// Window is a length that a feature may have, in seconds.
type Window int64

// The windows, and no others.
const (
	W10s Window = 10
	W30s Window = 30
	W1m  Window = 60
	W5m  Window = 300
	W10m Window = 600
	W30m Window = 1800
	W1h  Window = 3600
	W6h  Window = 6 * 3600
	W24h Window = 24 * 3600
	W2d  Window = 48 * 3600
	W7d  Window = 7 * 24 * 3600
)

// Windows lists them, shortest first.
var Windows = []Window{W10s, W30s, W1m, W5m, W10m, W30m, W1h, W6h, W24h, W2d, W7d}

// Ring is one resolution: panes of a fixed length, aligned to the epoch.
type Ring uint8

// The rings.
const (
	Ring1s Ring = iota
	Ring10s
	Ring1m
	Ring10m
	Ring1h
	NumRings = iota
)

var paneLength = [NumRings]int64{1, 10, 60, 600, 3600}

// Pane returns the length of a ring's panes in seconds.
func (r Ring) Pane() int64 { return paneLength[r] }

// Ring returns the ring that a window reads: the coarsest whose pane is at
// most 4.2 % of it, or the finest.
func (w Window) Ring() Ring {
	switch {
	case w <= W1m:
		return Ring1s
	case w <= W10m:
		return Ring10s
	case w <= W1h:
		return Ring1m
	case w <= W6h:
		return Ring10m
	}
	return Ring1h
}

// Start returns the first second that the window as of tick covers: tick - w,
// rounded down to the pane of its ring. The window is [Start, tick).
func (w Window) Start(tick int64) int64 {
	pane := w.Ring().Pane()
	s := tick - int64(w)
	r := s % pane
	if r < 0 {
		r += pane
	}
	return s - r
}

// Series is one thing kept for every key of a table.
type Series struct {
	// Name says what it keeps, the same under every set of rules: series of
	// tables of the same name that have the same one are the same.
	Name string
	Kind Kind
	// Bit is the bit of a row's mask that admits the row to this series.
	Bit uint8
	// Obs is the index in the row's observations of what is kept: a keyed hash
	// for Distinct and Buckets, a non-negative number for Sum and MinMax.
	// An observation of NoObs is absent: the row passes the series by.
	Obs uint8
	// Windows are those that are read from it.
	Windows []Window
	// Since is for each of Windows the tick since which its data are collected;
	// nil, or 0: since the state began.
	Since []int64
	// Kinds are the kinds of endpoints whose events the planner lets reach it,
	// where Name leaves that open, as bits; 0: all kinds, for ever.
	Kinds uint32
	// Joined is for each kind that came to Kinds later than the series began the
	// tick at which it did, by the kind's number; nil, or 0: with the series.
	Joined []int64
}

// NoObs marks an observation that an event does not have.
const NoObs = ^uint64(0)

// MaxBits is how many different event conditions one table can tell apart.
const MaxBits = 64

// Table describes the keys of one shape: the values of the same fields.
type Table struct {
	// Name is made of its fields' names and those of the population that it is
	// of, so that it means the same under every set of rules.
	Name string
	// Store is the number under which its keys are on disk. A table keeps it as
	// long as there is one of its name; no other ever gets it.
	Store  uint16
	Fields []event.Field
	Series []Series
	// Retain is how long an idle key is kept, in seconds: its longest window
	// plus a pane.
	Retain int64
	// Faint are the bits of rows that begin no key by themselves: what has only
	// these is folded where the key is there, or comes with other rows.
	Faint uint64
	// Parent says that rows of this table carry the key of the population that
	// they are members of (Row.Parent), so that Scan can find a key's members.
	Parent bool
}

// Layout is what all keys of a state keep. It is made by the rule planner.
type Layout struct {
	Tables []Table
	Obs    int           // observations of each event
	Fields []event.Field // the fields whose values an event carries, in this order

	// Serial counts the layouts of a state, from 0; Began is the tick at which
	// this one took over; NextStore is larger than every Store that any of them
	// gave away. See Inherit.
	Serial    uint32
	Began     int64
	NextStore uint32
}

// Key is a keyed 128-bit hash of a table and a key's values.
type Key = state.Key

// Origin is an event as far as windows need it: where it came from and when.
type Origin struct {
	Second    int64 // Unix second in which it counts
	Offset    int64
	Partition int32
	Values    uint32 // where its key values begin in Deltas.Values
}

// Row is one event's contribution to one key.
type Row struct {
	Key    Key
	Mask   uint64 // which series it feeds (Series.Bit)
	Parent uint64 // Key.Lo of the population's key, where Table.Parent
	Event  uint32 // index in Deltas.Events
	From   uint32 // index of its Deltas in the slice that Fold is given
	Table  uint16
	Unit   uint16
}

// Deltas is what one batch of events adds to the windows: the events that some
// table wants and, in Rows, the keys that each of them touches. Rows of the
// same key merge in any order. Folding does not change it.
type Deltas struct {
	Events []Origin
	Obs    []uint64 // Layout.Obs for each event
	Values []byte   // for each event the values of Layout.Fields, each a uvarint length and the bytes
	Rows   []Row
}
