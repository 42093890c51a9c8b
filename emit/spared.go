package emit

import (
	"time"

	"weir/event"
)

// Spared is a target that a person unblocked: nothing new about it comes into
// force until then.
type Spared struct {
	Target event.Target
	Until  time.Time
	By     string
}

// Spared returns what is unblocked now, in the order in which it was.
func (l *Ledger) Spared() (all []Spared) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.at
	switch {
	case l.only: // its clock stands still
		now = time.Now()
	case l.cfg.Now != nil:
		now = l.cfg.Now()
	}
	for _, u := range l.spared {
		if u.until.After(now) {
			all = append(all, Spared{u.target, u.until, u.by})
		}
	}
	return all
}
