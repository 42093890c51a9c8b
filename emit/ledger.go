package emit

import (
	"errors"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"weir/event"
)

// LedgerConfig is what a ledger depends on.
type LedgerConfig struct {
	Path   string // of ledger.jsonl; empty: kept in memory only
	Key    *event.Key
	Guards *Guards // nil: none
	// Now is the ledger's clock; nil: the time of the decisions and reviews
	// themselves, as in a replay. Then lines are synced at the end only.
	Now func() time.Time
	Log *slog.Logger // nil: silent
}

// The limits of a ledger.
const (
	maxInForce    = 1 << 18  // entries
	maxQueue      = 10000    // decisions that wait
	maxPace       = 200      // entries with a good account behind them that come into force in a minute
	maxReview     = 2000     // entries that one Review looks at, half of them in turn
	maxSeen       = 1 << 20  // ids that are recognised again
	maxHeld       = 10000    // held decisions that may still be approved
	maxUnblocks   = 1000     // targets that are unblocked at a time
	maxRecent     = 10000    // lines that are kept in memory
	maxPending    = 8 << 20  // bytes of lines that wait for a disk that has room again
	maxRules      = 10000    // rules that are counted each by itself
	maxWords      = 1024     // bytes of a person's name or reason
	maxDimensions = 16       // of a target that a person names
	maxTarget     = 16 << 10 // its bytes
	maxBlock      = 366 * 24 * time.Hour
	maxUnblock    = 30 * 24 * time.Hour
	aheadOfClock  = 5 * time.Minute // that a decision may be of the wall clock
)

// limits are those that tests lower.
type ledgerLimits struct {
	inForce, queue, seen, held, unblocks, pending int
	fileBytes                                     int64
	files                                         int
}

// Ledger is what is in force, and the log of how it came to be. It may be used
// by several goroutines. See docs/adr/0006.
type Ledger struct {
	cfg    LedgerConfig
	log    *slog.Logger
	limits ledgerLimits

	mu      sync.Mutex
	closed  bool
	only    bool // to be read, not to be written
	at      time.Time
	clock   drift
	entries map[string]*entry
	order   []*entry // as they came into force; those that are over are left out when it is published
	dead    int      // of order
	ends    endQueue
	queue   waiting
	breaker breaker
	crowds  crowds
	warned  map[string]time.Time // of which rule, that it hits crowds
	seen    seen
	newest  time.Time // of the engine's decisions in the files when they were opened: what is before it was seen, even if its id is forgotten
	held    heldMemory
	spared  []unblock
	stopped *Line    // the line that says so
	byFile  bool     // the file that stops all blocking was seen
	next    int      // of order: the entry that is reviewed next
	last    int      // of order: where the turn ends that it has, behind what was there when it began
	unseen  []*entry // that came or were renewed since they were reviewed: looked at before
	site    event.Asked
	fresh   []*entry
	count   Counts
	file    *ledgerFile // nil: in memory only
	recent  recent

	dirty   bool
	version uint64
	well    bool
	force   atomic.Pointer[Force]
	changed atomic.Pointer[chan struct{}]
}

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
	Stopped bool // all blocking was stopped: Entries is empty
	Meant   bool // the ledger's own word, also where it cannot be written; else an empty Force is no reason to empty a list
	Well    bool // the ledger can be written
}

// entry is one decision in force.
type entry struct {
	key     string
	d       event.Decision // the first one, with the latest end
	action  event.Action
	since   time.Time
	good    float64
	hits    float64 // the regulars of them
	by      string
	reason  string
	excused bool // approved: it does not count for the breaker
	over    bool
	unseen  bool // among the ledger's
	turned  bool // it needs no turn among those that may hurt somebody: it had it, or a review found that it hurts nobody
	index   int  // in the queue of ends
	public  *InForce
	asked   event.Asked
}

// stands notes what a decision says of its target.
func (e *entry) stands(d *event.Decision) { e.good, e.hits = number(d.Good), number(d.Regulars) }

// soften makes an entry milder where its target is shared.
func (e *entry) soften(d *event.Decision) (softened bool) {
	if e.by != "" || !shared(d.Good, d.Tried) || milder(e.action) == e.action {
		return false
	}
	e.action, e.reason = milder(e.action), sharedReason(d)
	return true
}

// first names the entry for the decision that a renewal renews.
func (e *entry) first() {
	if e.d.Step == event.Renew && e.d.Renews != "" {
		e.d.Step, e.d.ID, e.d.Renews = event.New, e.d.Renews, ""
	}
}

// ruleOperator is the rule of what is made by hand.
const ruleOperator = "operator"

var errClosed = errors.New("ledger: closed, or only opened to be read")

// OpenLedger reads the ledger's files, if there are any, and goes on with them.
func OpenLedger(cfg LedgerConfig) (*Ledger, error) {
	l := newLedger(cfg)
	if cfg.Path == "" {
		l.publish()
		return l, nil
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	return l, nil
}

func newLedger(cfg LedgerConfig) *Ledger {
	if cfg.Key == nil {
		cfg.Key = event.FixedKey()
	}
	l := &Ledger{
		cfg: cfg, log: cfg.Log, well: true, dirty: true,
		limits: ledgerLimits{
			inForce: maxInForce, queue: maxQueue, seen: maxSeen, held: maxHeld, unblocks: maxUnblocks, pending: maxPending,
			fileBytes: ledgerFileBytes, files: ledgerFiles,
		},
		entries: map[string]*entry{}, breaker: breaker{rules: map[string]*ruleState{}}, crowds: crowds{}, warned: map[string]time.Time{},
		count: newCounts(),
	}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	changed := make(chan struct{})
	l.changed.Store(&changed)
	l.force.Store(&Force{Well: true}) // until it is read
	if cfg.Now != nil {
		l.at = wall(cfg.Now())
	}
	return l
}

// Add takes decisions of the engine, in their order. What it has seen already
// (same step and id) it passes over. It returns when the lines are synced. A
// ledger that cannot be written is not an error here: then nothing new comes
// into force, Advance says why, and goes on trying.
func (l *Ledger) Add(ds []event.Decision) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.only {
		return errClosed
	}
	if l.cfg.Now != nil {
		l.retry()
		l.advance(l.cfg.Now())
	}
	for i := range ds {
		if l.cfg.Now == nil {
			l.advance(ds[i].Time)
		}
		l.take(&ds[i])
	}
	l.settle()
	return nil
}

// Advance ends what is over by the ledger's clock and lets in what was queued.
// It returns why the ledger cannot be written, while that is so.
func (l *Ledger) Advance() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.only {
		return errClosed
	}
	if l.cfg.Now != nil {
		l.retry()
		l.advance(l.cfg.Now())
	}
	l.lookForFile()
	l.settle()
	if l.file != nil {
		return l.file.fault
	}
	return nil
}

// Review looks at the entries in force again: figures says how a target stands
// now, and without one how the whole site does; ok is false where nothing is
// known of it. It is called at whole ten seconds of event time.
func (l *Ledger) Review(at time.Time, figures func(*event.Asked) (f event.Figures, ok bool)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.only {
		return errClosed
	}
	if l.cfg.Now == nil {
		l.advance(at)
	} else {
		l.retry()
		l.advance(l.cfg.Now())
	}
	if f, ok := figures(&l.site); ok {
		l.breaker.site, l.breaker.known = number(f.Good), true
	}
	l.review(figures)
	l.letIn()
	l.settle()
	return nil
}

// InForce returns what is in force now.
func (l *Ledger) InForce() *Force { return l.force.Load() }

// Changed returns a channel that is closed when Force's version has risen.
func (l *Ledger) Changed() <-chan struct{} { return *l.changed.Load() }

// Close syncs and closes the ledger's file.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.file == nil || l.only {
		return nil
	}
	return l.file.close(&l.count)
}

// dir returns the directory of the ledger's files.
func (l *Ledger) dir() string { return filepath.Dir(l.cfg.Path) }

// forceKey is what makes two decisions one entry: rule, action, target and
// exception.
func forceKey(d *event.Decision) string {
	b := make([]byte, 0, 128)
	add := func(s string) { b = append(append(strconv.AppendInt(b, int64(len(s)), 10), ':'), s...) }
	add(d.Rule)
	add(d.Would.String())
	add(d.Except)
	for _, v := range d.Target {
		add(v.Field)
		add(v.Text)
	}
	return string(b)
}
