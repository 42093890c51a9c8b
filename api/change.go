package api

import (
	"net/http"
	"time"
	"unicode/utf8"

	"weir/event"
)

// The limits of what a person may ask for.
const (
	maxReason = 1 << 10
	maxBy     = 128
)

// Order is what a person asks for. By is who they are to the operating system:
// whoever may use the socket is believed.
type Order struct {
	Target string `json:"target,omitempty"` // as ParseTarget reads it; of block and unblock
	Action string `json:"action,omitempty"` // of block; empty: block
	To     string `json:"to,omitempty"`     // of limit: 10/1m
	For    string `json:"for,omitempty"`    // a duration, of block and unblock
	What   string `json:"what,omitempty"`   // of approve: a rule or the id of a decision
	By     string `json:"by"`
	Reason string `json:"reason,omitempty"`
}

// Done is what came of an order.
type Done struct {
	ID        string    `json:"id,omitempty"`        // of a block
	Until     time.Time `json:"until,omitzero"`      // of a block, and of how long an unblock holds new ones
	Withdrawn int       `json:"withdrawn,omitempty"` // of an unblock
	Where     []Where   `json:"where,omitempty"`     // of a block, by point
	Points    []string  `json:"points,omitempty"`    // that get another list now
	Text      string    `json:"text,omitempty"`      // of a reload: what changed
}

// defaultUnblock is how long an unblock holds new decisions where nobody says.
const defaultUnblock = time.Hour

// order reads an order and checks what all of them have.
func order(r *http.Request) (o Order, err error) {
	if err := read(r, &o); err != nil {
		return o, err
	}
	for _, f := range []struct {
		name, text string
		limit      int
	}{{"by", o.By, maxBy}, {"reason", o.Reason, maxReason}, {"what", o.What, maxReason}} {
		if len(f.text) > f.limit || !utf8.ValidString(f.text) {
			return o, refuse(http.StatusBadRequest, "%s: %d bytes, must be text of at most %d", f.name, len(f.text), f.limit)
		}
	}
	if o.By == "" {
		return o, refuse(http.StatusBadRequest, "by: missing; the ledger says who did what")
	}
	return o, nil
}

// span reads how long something is to last.
func (o *Order) span(byDefault time.Duration) (time.Duration, error) {
	if o.For == "" && byDefault > 0 {
		return byDefault, nil
	}
	d, err := time.ParseDuration(o.For)
	if err != nil || d < time.Second {
		return 0, refuse(http.StatusBadRequest, "for: %q, must be a duration of at least 1s, such as 30m or 2h", o.For)
	}
	return d, nil
}

func (o *Order) target() (event.Target, error) {
	t, err := ParseTarget(o.Target)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "%v", err)
	}
	return t, nil
}

// because refuses an order that says no reason.
func (o *Order) because() error {
	if o.Reason == "" {
		return refuse(http.StatusBadRequest, "reason: missing; whoever reads the ledger later will ask")
	}
	return nil
}

// block puts a block by hand into the ledger; the guards look at it as at any other.
func (a *Server) block(r *http.Request) (any, error) {
	o, err := order(r)
	if err != nil {
		return nil, err
	}
	if err := o.because(); err != nil {
		return nil, err
	}
	t, err := o.target()
	if err != nil {
		return nil, err
	}
	d, err := o.span(0)
	if err != nil {
		return nil, err
	}
	action := event.Block
	if o.Action != "" {
		var ok bool
		if action, ok = event.ActionByName(o.Action); !ok || action == event.Alert {
			return nil, refuse(http.StatusBadRequest, "action: %q, must be block, limit, challenge or deceive", o.Action)
		}
	}
	if (action == event.Limit) != (o.To != "") {
		return nil, refuse(http.StatusBadRequest, "to: %q, must be there for limit, such as 10/1m, and for nothing else", o.To)
	}
	id, err := a.cfg.Ledger.Block(t, action, o.To, d, o.By, o.Reason)
	if err != nil {
		return nil, refuse(http.StatusConflict, "%v", err)
	}
	a.said("block", o)
	done := Done{ID: id, Until: a.cfg.Now().Add(d).UTC()}
	for _, in := range a.cfg.Ledger.InForce().Entries {
		if in.Decision.ID == id {
			done.Until = in.Until.UTC()
			done.Where = a.where(in)
		}
	}
	return done, nil
}

// unblock withdraws what covers a target, and holds new decisions on it.
func (a *Server) unblock(r *http.Request) (any, error) {
	o, err := order(r)
	if err != nil {
		return nil, err
	}
	if err := o.because(); err != nil {
		return nil, err
	}
	t, err := o.target()
	if err != nil {
		return nil, err
	}
	d, err := o.span(defaultUnblock)
	if err != nil {
		return nil, err
	}
	n, err := a.cfg.Ledger.Unblock(t, d, o.By, o.Reason)
	if err != nil {
		return nil, refuse(http.StatusConflict, "%v", err)
	}
	a.said("unblock", o)
	return Done{Withdrawn: n, Until: a.cfg.Now().Add(d).UTC(), Points: a.pointNames()}, nil
}

// approve lets a rule whose breaker is open go on, or a decision that was held.
func (a *Server) approve(r *http.Request) (any, error) {
	o, err := order(r)
	if err != nil {
		return nil, err
	}
	if o.What == "" {
		return nil, refuse(http.StatusBadRequest, "what: missing, must be a rule or the id of a decision")
	}
	if err := a.cfg.Ledger.Approve(o.What, o.By); err != nil {
		return nil, refuse(http.StatusConflict, "%v", err)
	}
	a.said("approve", o)
	return Done{Points: a.pointNames()}, nil
}

// stop empties every list, and holds everything until resume.
func (a *Server) stop(r *http.Request) (any, error) {
	o, err := order(r)
	if err != nil {
		return nil, err
	}
	if err := o.because(); err != nil {
		return nil, err
	}
	if err := a.cfg.Ledger.Stop(o.By, o.Reason); err != nil {
		return nil, refuse(http.StatusConflict, "%v", err)
	}
	a.said("stop", o)
	return Done{Points: a.pointNames()}, nil
}

func (a *Server) resume(r *http.Request) (any, error) {
	o, err := order(r)
	if err != nil {
		return nil, err
	}
	if err := a.cfg.Ledger.Resume(o.By); err != nil {
		return nil, refuse(http.StatusConflict, "%v", err)
	}
	a.said("resume", o)
	return Done{Points: a.pointNames()}, nil
}

// said notes what a person did.
func (a *Server) said(what string, o Order) {
	a.cfg.Log.Warn("an operator changed what is in force", "what", what, "by", o.By, "target", o.Target, "rule or id", o.What, "reason", o.Reason)
}

func (a *Server) pointNames() (names []string) {
	for _, r := range a.cfg.Points {
		names = append(names, r.Status().Name)
	}
	return names
}
