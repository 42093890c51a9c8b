package emit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// How a reconciler paces itself.
const (
	reconcileEvery = 10 * time.Second       // a point is read at least so often
	callTimeout    = 10 * time.Second       // of one Read or Apply
	minBackoff     = 250 * time.Millisecond // after the first failure in a row
	maxBackoff     = 30 * time.Second
	sweepAfter     = 30 * time.Second // what a point that keeps ends still holds then is taken out
	complainEvery  = time.Minute      // about an error that stays the same
)

// Reconciler keeps one point at what is in force. See docs/adr/0007.
type Reconciler struct {
	point   Point
	caps    Capabilities
	guards  *Guards
	inForce func() *Force
	changed func() <-chan struct{}
	log     *slog.Logger

	working sync.Mutex // one pass at a time
	pass    pass
	trouble trouble
	faults  int // that were logged last

	mu     sync.Mutex
	status PointStatus
}

// pass is what a reconciler remembers from one pass to the next.
type pass struct {
	have     []Entry // as last read
	read     time.Time
	ends     map[placeKey]time.Time // of what was applied last, for points that keep no ends
	applied  time.Time              // when a list was last handed out, well or not
	failures int                    // in a row
	notUntil time.Time              // the back-off
	refused  *refusal
}

// refusal is that a point will not take a list, whatever is tried.
type refusal struct {
	have, want []Entry
	err        error
}

// placeKey is what an entry is about.
type placeKey struct{ prefix, endpoint, id string }

// PointStatus is how a point stands.
type PointStatus struct {
	Name          string    `json:"name"`
	Desired       int       `json:"desired"`       // entries that it is to hold
	Held          int       `json:"held"`          // that it was last seen to hold
	Drift         int       `json:"drift"`         // entries in which the two differ; below 0: not known
	Inexpressible int       `json:"inexpressible"` // in force, but not expressible at this point
	Instead       int       `json:"instead"`       // to be deceived, and to be blocked by it, since it cannot deceive
	Shed          int       `json:"shed"`          // for which it has no room
	Faults        int       `json:"faults"`        // that the guards took out of the compiled list
	Applied       uint64    `json:"applied"`       // lists handed out so far
	Seen          time.Time `json:"seen"`          // when it was last read
	// File says that a file holds it: whether a program uses that was not asked.
	File  bool     `json:"file,omitempty"`
	Error string   `json:"error,omitempty"`
	Why   []string `json:"why,omitempty"` // examples of what is inexpressible, and what to do
}

// NewReconciler makes the reconciler of one point.
func NewReconciler(l *Ledger, p Point, g *Guards, log *slog.Logger) *Reconciler {
	return newReconciler(l.InForce, l.Changed, p, g, log)
}

func newReconciler(inForce func() *Force, changed func() <-chan struct{}, p Point, g *Guards, log *slog.Logger) *Reconciler {
	log = log.With("point", p.Name())
	return &Reconciler{
		point: p, caps: p.Capabilities(), guards: g, inForce: inForce, changed: changed,
		log: log, trouble: trouble{log: log}, status: PointStatus{Name: p.Name(), Drift: -1, File: p.Capabilities().Unasked != ""},
	}
}

// Status returns how the point stands. It may be called at any time.
func (r *Reconciler) Status() PointStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *Reconciler) report(change func(*PointStatus)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
}

// Run reconciles until ctx ends. What the point holds then is left as it is.
func (r *Reconciler) Run(ctx context.Context) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	var changed <-chan struct{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-wait.C:
		}
		changed = r.changed() // before the pass looks, so that nothing is missed
		wait.Reset(r.round(ctx))
	}
}

// Once reads the point, applies what is in force and reads again. It returns
// when the point holds it, or why it does not.
func (r *Reconciler) Once(ctx context.Context) error {
	r.working.Lock()
	defer r.working.Unlock()
	// What went wrong before is no reason not to try once now, but two lists
	// still do not follow each other faster than the point takes them.
	r.pass.refused = nil
	want := r.compile(time.Now())
	change, err := r.look(ctx, &want)
	if err == nil && r.due(change, time.Now()) {
		if err = sleep(ctx, time.Until(r.pass.applied.Add(r.caps.MinInterval))); err == nil {
			want = r.compile(time.Now())
			err = r.apply(ctx, &want)
		}
	}
	r.settle(ctx, err)
	if err != nil {
		return fmt.Errorf("point %s: %w", r.point.Name(), err)
	}
	return nil
}

// round is one pass of Run; it returns when the next one is due at the latest.
func (r *Reconciler) round(ctx context.Context) time.Duration {
	r.working.Lock()
	defer r.working.Unlock()
	now := time.Now()
	want := r.compile(now)
	p := &r.pass
	if now.Before(p.notUntil) && !r.anotherThanRefused(&want, now) {
		return p.notUntil.Sub(now)
	}
	// Between two regular looks only what the point is to hold changes: where
	// that makes no difference to what it was seen to hold, it is left in peace.
	change := Diff(p.have, r.wanted(&want, p.have, now), r.caps, now)
	if now.Sub(p.read) < reconcileEvery && !r.due(change, now) {
		r.report(func(s *PointStatus) { s.Drift = change.drift() })
		return r.next(want.Entries, now)
	}
	if early := p.applied.Add(r.caps.MinInterval).Sub(now); early > 0 && now.Sub(p.read) < reconcileEvery {
		r.report(func(s *PointStatus) { s.Drift = change.drift() })
		return early
	}
	change, err := r.look(ctx, &want)
	if err == nil && r.due(change, now) {
		if early := p.applied.Add(r.caps.MinInterval).Sub(now); early > 0 {
			return early
		}
		err = r.apply(ctx, &want)
	}
	r.settle(ctx, err)
	if err != nil && p.refused == nil {
		return time.Until(p.notUntil)
	}
	return r.next(want.Entries, time.Now())
}

// next returns when to look again, if nothing changes: an end is applied at once
// where the point does not act on it, or only says so to others.
func (r *Reconciler) next(want []Entry, now time.Time) time.Duration {
	d := max(0, r.pass.read.Add(reconcileEvery).Sub(now))
	if r.caps.Ends && !r.caps.Any {
		return d
	}
	for i := range want {
		d = min(d, want[i].Until.Sub(now))
	}
	return max(d, time.Millisecond)
}

// due reports whether a difference is a reason for another list. What a point
// that keeps ends only still holds is over anyway: it goes with the next list,
// or after a while, so that a proxy is not reloaded for each.
func (r *Reconciler) due(c Change, now time.Time) bool {
	return c.drift() > 0 || c.Over > 0 && (r.caps.Any || now.Sub(c.Oldest) >= sweepAfter)
}

// compile makes the list and reports what is not in it.
func (r *Reconciler) compile(now time.Time) List {
	want, c := Compile(r.inForce(), r.caps, r.guards, now)
	if c.Faults > 0 && c.Faults != r.faults {
		r.log.Error("the guards took entries out of a compiled list, which should never have come so far", "count", c.Faults, "examples", c.FaultExamples)
	}
	r.faults = c.Faults
	r.report(func(s *PointStatus) {
		s.Desired, s.Inexpressible, s.Instead, s.Shed, s.Faults, s.Why = len(want.Entries), c.Inexpressible, c.Instead, c.Shed, c.Faults, c.Examples
	})
	return want
}

// wanted returns what is to be applied. A list that is empty and not meant so
// changes nothing, except that what is over goes: a ledger in trouble is no
// reason for blocks without an end.
func (r *Reconciler) wanted(want *List, have []Entry, now time.Time) []Entry {
	if len(want.Entries) > 0 || want.Meant {
		return want.Entries
	}
	var keep []Entry
	for _, e := range have {
		if !e.Prefix.IsValid() && !r.caps.Any {
			continue // what is no entry is not kept either
		}
		if until, ok := r.pass.ends[keyOf(&e)]; ok && !r.caps.Ends {
			e.Until = until
		}
		if e.Until.IsZero() || e.Until.After(now) {
			keep = append(keep, e)
		}
	}
	return keep
}

func keyOf(e *Entry) placeKey {
	return placeKey{e.Prefix.String(), e.Endpoint, e.Action.String()}
}

// look reads the point and compares.
func (r *Reconciler) look(ctx context.Context, want *List) (Change, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var have List
	err := r.sheltered("read", func() (err error) {
		have, err = r.point.Read(ctx)
		return err
	})
	now := time.Now()
	if err != nil {
		r.report(func(s *PointStatus) { s.Drift = -1 })
		return Change{}, err
	}
	r.pass.have, r.pass.read = have.Entries, now
	wanted := r.wanted(want, have.Entries, now)
	c := Diff(have.Entries, wanted, r.caps, now)
	r.report(func(s *PointStatus) { s.Held, s.Drift, s.Seen = len(have.Entries)-c.Over, c.drift(), now })
	if len(want.Entries) == 0 && !want.Meant && len(have.Entries) > 0 && len(wanted) == len(have.Entries) {
		return Change{}, errors.New("the ledger is not well, so an empty list is not applied; what the point holds stays until it is over")
	}
	return c, nil
}

// apply hands a list out and reads it back.
func (r *Reconciler) apply(ctx context.Context, want *List) error {
	p := &r.pass
	wanted := r.wanted(want, p.have, time.Now())
	if f := p.refused; f != nil && sameLists(f.have, p.have, r.caps) && sameLists(f.want, wanted, r.caps) {
		p.failures = 0 // nothing was tried: there is nothing to be slower with
		return f.err
	}
	p.refused = nil
	change := Diff(p.have, wanted, r.caps, time.Now())
	p.applied = time.Now()
	call, cancel := context.WithTimeout(ctx, callTimeout)
	err := r.sheltered("apply", func() error {
		return r.point.Apply(call, List{Entries: p.have, Meant: true}, List{Entries: wanted, Meant: true})
	})
	cancel()
	r.report(func(s *PointStatus) { s.Applied++ })
	if !r.caps.Ends {
		p.ends = make(map[placeKey]time.Time, len(wanted))
		for i := range wanted {
			p.ends[keyOf(&wanted[i])] = wanted[i].Until
		}
	}
	if err != nil {
		err = fmt.Errorf("cannot be changed: %w", err)
		if errors.Is(err, ErrPermanent) {
			p.refused = &refusal{p.have, wanted, err}
		}
		p.read = time.Time{} // nobody knows what it holds now
		return err
	}
	left, err := r.look(ctx, want)
	switch {
	case err != nil:
		return err
	case left.drift() > 0:
		return fmt.Errorf("took a list of %d entries, but %d differ in what was read back", len(wanted), left.drift())
	}
	r.log.Info("list changed", "added", len(change.Add), "removed", len(change.Remove), "entries", len(wanted))
	return nil
}

// anotherThanRefused reports whether the point refused a list for good and is to
// hold another one by now: one entry that it will not take must not delay what
// it would.
func (r *Reconciler) anotherThanRefused(want *List, now time.Time) bool {
	f := r.pass.refused
	return f != nil && !sameLists(f.want, r.wanted(want, r.pass.have, now), r.caps)
}

func sameLists(a, b []Entry, caps Capabilities) bool {
	c := Diff(a, b, caps, time.Time{})
	return len(c.Add)+len(c.Remove) == 0
}

// settle notes how a pass ended.
func (r *Reconciler) settle(ctx context.Context, err error) {
	if err != nil && ctx.Err() != nil {
		return // it was broken off
	}
	p := &r.pass
	text := ""
	if err == nil {
		p.failures, p.notUntil = 0, time.Time{}
	} else {
		text = err.Error()
		backoff := min(maxBackoff, minBackoff<<min(p.failures, 16))
		backoff -= rand.N(backoff/4 + 1) // so that many points do not come back at once
		p.failures++
		p.notUntil = time.Now().Add(backoff)
	}
	r.report(func(s *PointStatus) { s.Error = text })
	r.trouble.is(text)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
