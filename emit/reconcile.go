package emit

import (
	"context"
	"log/slog"
	"time"
)

// Reconciler keeps one point at what is in force. See docs/adr/0007.
type Reconciler struct{}

// PointStatus is how a point stands.
type PointStatus struct {
	Name          string    `json:"name"`
	Desired       int       `json:"desired"`       // entries that it is to hold
	Held          int       `json:"held"`          // that it was last seen to hold
	Drift         int       `json:"drift"`         // entries in which the two differ; below 0: not known
	Inexpressible int       `json:"inexpressible"` // in force, but not expressible at this point
	Shed          int       `json:"shed"`          // for which it has no room
	Faults        int       `json:"faults"`        // that the guards took out of the compiled list
	Applied       uint64    `json:"applied"`       // lists handed out so far
	Seen          time.Time `json:"seen"`          // when it was last read
	Error         string    `json:"error,omitempty"`
	Why           []string  `json:"why,omitempty"` // examples of what is inexpressible, and what to do
}

// NewReconciler makes the reconciler of one point.
func NewReconciler(l *Ledger, p Point, g *Guards, log *slog.Logger) *Reconciler {
	panic("not written yet")
}

// Run reconciles until ctx ends.
func (r *Reconciler) Run(ctx context.Context) error { panic("not written yet") }

// Once reads the point, applies what is in force and reads again.
func (r *Reconciler) Once(ctx context.Context) error { panic("not written yet") }

// Status returns how the point stands. It may be called at any time.
func (r *Reconciler) Status() PointStatus { panic("not written yet") }
