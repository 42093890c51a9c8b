package emit

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"weir/event"
)

// Point is one place that enforces: a proxy, a firewall, a cloud list, a feed.
// It only translates: what goes into a list, how often it is handed out and
// what is done about errors is decided by the compiler and the reconciler. Its
// methods are called by one goroutine at a time, and return soon after ctx ends.
type Point interface {
	// Name is the point's name in the configuration.
	Name() string
	// Capabilities says what the point can hold.
	Capabilities() Capabilities
	// Read returns what the point holds now, in the order of List.Sort. What is
	// over by its own clock may be in it; where it is not, it goes with the next
	// list only. A point that cannot be read returns an error wrapping
	// ErrUnreadable, and its drift is unknown, not none. What stands there and is
	// no entry, such as a line that nobody can read, is returned as an Entry
	// without a prefix, so that it differs from any list and is repaired.
	Read(ctx context.Context) (List, error)
	// Apply turns have into want, whole or not at all where the point can. It is
	// called again after a failure; an error wrapping ErrPermanent is not
	// retried until want is another one. Apply must not retain its arguments.
	Apply(ctx context.Context, have, want List) error
	// Try finds out, without changing what is enforced, whether Read and Apply
	// would work: paths, permissions, programs, sockets, brokers. Each fault is
	// one sentence that says what to do. All that it may make are the point's own
	// files, empty, where they are missing and what reads them does not start
	// without.
	Try(ctx context.Context) error
	// Setup returns the lines with which the operator has the point use what it
	// is given, with a comment on each part; empty where nothing is needed.
	Setup() string
	// Close frees what the point holds; what it enforces stays.
	Close() error
}

// The errors by which the reconciler decides what to do next.
var (
	ErrUnreadable = errors.New("unreadable")
	ErrPermanent  = errors.New("permanent")
)

// Capabilities is what a point can hold.
type Capabilities struct {
	Any         bool           // every target and exception, as Entry.Decision; else addresses and endpoints only
	Actions     []event.Action // that the operator gave it
	Endpoints   []Endpoint     // that it can tell apart; none: only whole addresses
	Capacity    int            // entries; 0: no limit of its own
	Ends        bool           // it keeps the end of an entry, and acts on it without weir
	MinInterval time.Duration  // between two lists
	Unasked     string         // what a Try that went well leaves open where Read sees a file only, not the program that uses it; else empty
}

// Endpoint is an endpoint that a point's configuration knows by an id, so that
// lists need not name it. EndpointTable makes them. Decisions name a path with
// and without a slash at its end alike, so a pattern without placeholders is
// both; else it means what it means to net/http.ServeMux, GET also HEAD, and of
// two that match a request the more special one is meant.
type Endpoint struct {
	ID      string // e and 8 hexadecimal digits
	Pattern string // as decisions name it, "POST /login"; placeholders as in net/http.ServeMux
}

// Entry is one line of a list. No text of it comes out of a log.
type Entry struct {
	Prefix   netip.Prefix // masked; an address is a whole-length prefix. Not valid where the target has no address (Any)
	Endpoint string       // an Endpoint.ID; empty: all of the site
	Action   event.Action
	To       string         // of limit, such as 10/1m
	Until    time.Time      // in whole seconds, UTC; read back from a point that keeps no ends zero, or no earlier than the end
	ID       string         // the decision's, the first one's of a renewed one; empty where a point does not keep it
	Severity event.Severity // the ranking when there is no room for all; not read back
	Reason   string         // as the ledger gives it, for points that take every target; not read back
	// Decision is what stands behind the entry, for points that take every
	// target; nil in a list that was read back from one that does not.
	Decision *event.Decision
}

// List is what a point is to hold, or holds: sorted by action, endpoint, prefix
// and id. Compiled for a point that takes addresses only, no two entries agree
// in action, endpoint and prefix, and an entry inside a wider one with the same
// action and endpoint ends later than that, or with it and is a stricter limit:
// the longest prefix may decide.
type List struct {
	Entries []Entry
	// Meant says that it is a ledger's own word, also of one that cannot be
	// written. An empty list that is not meant is not applied.
	Meant bool
}
