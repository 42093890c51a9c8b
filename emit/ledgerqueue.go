package emit

import (
	"slices"
	"strconv"
	"time"

	"weir/event"
)

// waiting are the decisions that wait to come into force, in their order.
type waiting struct {
	all []*waiter
	by  map[string]*waiter
}

type waiter struct {
	key    string
	d      event.Decision
	reason string
}

func (w *waiting) find(key string) *waiter { return w.by[key] }

func (w *waiting) add(x *waiter) {
	if w.by == nil {
		w.by = map[string]*waiter{}
	}
	w.all = append(w.all, x)
	w.by[x.key] = x
}

func (w *waiting) remove(key string) {
	if x := w.by[key]; x != nil {
		delete(w.by, key)
		w.all = slices.DeleteFunc(w.all, func(y *waiter) bool { return y == x })
	}
}

// renew gives a decision that waits the end and the figures of its renewal, which
// of a sign-up does not know what a review found.
func (w *waiter) renew(d *event.Decision) {
	w.d.Until = later(w.d.Until, d.Until)
	if w.d.Tried, w.d.Clean = d.Tried, d.Clean; number(d.Good) > 0 {
		w.d.Good, w.d.Regulars = d.Good, d.Regulars
	}
}

// mustWait says why an entry that may hurt somebody cannot come into force right
// now; empty where it can.
func (l *Ledger) mustWait() string {
	switch {
	case !l.breaker.known:
		return "waits until it is known how many accounts there are"
	case !l.breaker.pace.free(l.at):
		return "waits: " + strconv.Itoa(maxPace) + " entries that may hurt somebody came into force within a minute"
	}
	return ""
}

// wait has an entry wait its turn.
func (l *Ledger) wait(e *entry) {
	if len(l.queue.all) >= l.limits.queue {
		l.hold(&e.d, GuardQueue, strconv.Itoa(l.limits.queue)+" decisions that may hurt somebody wait already")
		return
	}
	reason := l.mustWait()
	if reason == "" {
		reason = "waits behind others"
	}
	l.queue.add(&waiter{key: e.key, d: e.d, reason: reason})
	l.write(Line{Event: LineQueued, Decision: e.d, Mode: event.Enforce.String(), Action: noAction, Reason: reason})
}

// lapse holds what waited to its end.
func (l *Ledger) lapse() {
	l.queue.all = slices.DeleteFunc(l.queue.all, func(w *waiter) bool {
		if w.d.Until.After(l.at) {
			return false
		}
		delete(l.queue.by, w.key)
		l.hold(&w.d, GuardQueue, "its end came while it waited")
		return true
	})
}

// letIn puts into force what waited, as far as its turn has come.
func (l *Ledger) letIn() {
	if !l.well || l.stopped != nil {
		return
	}
	n := 0
	for n < len(l.queue.all) && l.mustWait() == "" {
		w := l.queue.all[n]
		n++
		delete(l.queue.by, w.key)
		d := w.d
		if guard, reason := l.objects(&d); guard != "" {
			l.hold(&d, guard, reason)
			continue
		}
		e := &entry{key: w.key, d: d, action: d.Would, since: l.at}
		e.stands(&d)
		e.soften(&d)
		l.enforce(e)
	}
	l.queue.all = slices.Delete(l.queue.all, 0, n)
}

// seen recognises ids: of the newest, at least half as many as it may keep.
type seen struct{ now, before map[uint64]struct{} }

// add notes an id and reports whether it was known.
func (s *seen) add(id uint64, most int) (known bool) {
	if _, known = s.now[id]; known {
		return true
	}
	_, known = s.before[id]
	if s.now == nil || len(s.now) >= max(1, most/2) {
		s.before, s.now = s.now, map[uint64]struct{}{}
	}
	s.now[id] = struct{}{}
	return known
}

// heldMemory keeps the newest decisions that are held, so that they can be
// approved.
type heldMemory struct {
	by    map[string]*event.Decision
	order []string
}

func (h *heldMemory) add(d *event.Decision, most int) {
	if h.by == nil {
		h.by = map[string]*event.Decision{}
	}
	if _, ok := h.by[d.ID]; !ok {
		h.order = append(h.order, d.ID)
	}
	kept := *d
	h.by[d.ID] = &kept
	for len(h.order) > most {
		delete(h.by, h.order[0])
		h.order = h.order[1:]
	}
}

// forget forgets a held decision.
func (h *heldMemory) forget(id string) {
	if h.by[id] != nil {
		delete(h.by, id)
		h.order = slices.DeleteFunc(h.order, func(s string) bool { return s == id })
	}
}

// unblock is a target of which nothing comes into force for a while.
type unblock struct {
	target event.Target
	until  time.Time
	by     string
}

func (u unblock) equal(v unblock) bool {
	return u.until.Equal(v.until) && u.by == v.by && slices.Equal(u.target, v.target)
}

// unblocked returns who unblocked a decision's target.
func (l *Ledger) unblocked(d *event.Decision) string {
	for _, u := range l.spared {
		if u.until.After(l.at) && relate(d.Target, u.target).means() {
			return u.by
		}
	}
	return ""
}
