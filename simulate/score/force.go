package score

import (
	"cmp"
	"math"
	"slices"

	"weir/event"
)

const maxTime = math.MaxInt64

// span is a time in which an entry is in force at the points, or would be.
type span struct {
	from, until int64 // Unix nanoseconds
	since       int64 // when it was decided
	target      uint64
	next        int32 // the target's next span, plus 1
	rule, rate  uint16
	shape       uint16
	action      event.Action // NoAction: it is not enforced, see idle
	idle        idleReason
	except      event.Field
}

// Resolve works out what was in force when. No more lines are read then.
func (l *Ledger) Resolve() {
	slices.SortFunc(l.acts, func(a, b act) int {
		return cmp.Or(cmp.Compare(a.entry, b.entry), cmp.Compare(a.at, b.at), cmp.Compare(a.word, b.word),
			cmp.Compare(a.until, b.until), cmp.Compare(a.action, b.action), cmp.Compare(a.rate, b.rate))
	})
	for i := 0; i < len(l.acts); {
		j := i + 1
		for j < len(l.acts) && l.acts[j].entry == l.acts[i].entry {
			j++
		}
		l.entry(l.acts[i:j])
		i = j
	}
	l.acts = nil
	slices.SortFunc(l.spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.until, b.until), cmp.Compare(a.target, b.target),
			cmp.Compare(l.rules.all[a.rule], l.rules.all[b.rule]), cmp.Compare(a.action, b.action))
	})
	for i := len(l.spans) - 1; i >= 0; i-- { // so that a target's first span stands first
		s := &l.spans[i]
		s.next = l.starts[s.target]
		l.starts[s.target] = int32(i + 1)
		sh := &l.shapes[s.shape]
		sh.first, sh.last = min(sh.first, s.since), max(sh.last, s.until)
	}
}

// entry works out when one entry is in force. Coming into force and being taken
// out take the delay; its end does not, for points know it.
func (l *Ledger) entry(acts []act) {
	delay := int64(l.how.Delay)
	var cur span
	open := false
	shut := func(at int64) {
		if cur.until = min(cur.until, at); open && cur.until > cur.from {
			l.spans = append(l.spans, cur)
		}
		open = false
	}
	for i := range acts {
		a := &acts[i]
		begun := span{
			from: a.at + delay, until: a.until, since: a.since, target: a.target, rule: a.rule, rate: a.rate,
			shape: a.shape, action: a.action, idle: a.idle, except: a.except,
		}
		switch a.word {
		case wordEnd:
			shut(a.at)
		case wordWithdrawn:
			shut(a.at + delay)
		case wordMilder:
			if open {
				begun.until = cur.until
				shut(begun.from)
				cur, open = begun, true
			}
		case wordForce:
			switch {
			case open && begun.from > cur.until:
				shut(maxTime)
			case open && cur.action == a.action && cur.rate == a.rate:
				cur.until = max(cur.until, a.until)
				continue
			case open:
				begun.until = max(begun.until, cur.until)
				shut(begun.from)
			}
			cur, open = begun, true
		}
	}
	shut(maxTime)
}

// judgement is what the decisions in force make of a request.
type judgement struct {
	fate fate
	rule int32 // that of the strongest; -1: none
	miss miss  // why it passed, if it did
}

// miss is why a request passed, the nearer to being stopped the later.
type miss uint8

const (
	never   miss = iota // no decision was ever about it
	ranOut              // one was, and had ended
	tooSoon             // one came later
	onItsWay
	shadowed
	held
	toldOnly
	spared // by an exception
	within // the rate of a limit
	numMisses
)

// judge finds what is in force about a request at its own time, wherever it
// stands in the log. Text is memory for it.
func (l *Ledger) judge(ev *event.Event, text *[]byte, s *standing, rates *buckets) judgement {
	j := judgement{rule: -1}
	at := ev.Time
	paused := l.stopped(at)
	var strongest *span
	limits := l.limits[:0]
	for i := range l.shapes {
		sh := &l.shapes[i]
		b := (*text)[:0]
		whole := true
		for _, f := range sh.fields {
			n := len(b)
			b = ev.AppendText(b, f)
			if whole = len(b) > n; !whole {
				break
			}
			b = append(b, 0)
		}
		*text = b
		if !whole {
			continue
		}
		for n := l.starts[l.how.hash(uint16(i), b)]; n > 0; n = l.spans[n-1].next {
			sp := &l.spans[n-1]
			if at < sp.from || at >= sp.until {
				j.near(sp, at)
				continue
			}
			switch {
			case sp.idle == inShadow:
				j.miss = max(j.miss, shadowed)
				continue
			case sp.idle == heldBack:
				j.miss = max(j.miss, held)
				continue
			case paused:
				j.miss = max(j.miss, held)
				continue
			case sp.except != event.NoField && !s.stranger(ev, sp.except):
				j.miss = max(j.miss, spared)
				continue
			}
			switch f := fateOf(sp.action); {
			case f == limited:
				limits = append(limits, n-1)
			case f > j.fate || f == j.fate && strongest != nil && l.before(sp, strongest):
				j.fate, strongest = f, sp
			}
		}
	}
	if j.fate == alerted {
		j.miss = max(j.miss, toldOnly)
	}
	l.limits = limits
	if len(limits) > 0 && j.fate < challenged { // what is stopped before does not use up a rate
		if sp := l.exceeded(limits, at, rates); sp != nil {
			j.fate, strongest = limited, sp
		} else {
			j.miss = within
		}
	}
	if strongest != nil {
		j.rule = int32(strongest.rule)
	}
	return j
}

// before reports whether of two decisions that do the same the first one is to
// be named.
func (l *Ledger) before(a, b *span) bool {
	return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(l.rules.all[a.rule], l.rules.all[b.rule])) < 0
}

// exceeded returns the limit of which a request exceeds the rate, if there is
// one; of several the first. A request that passes uses up of all of them.
func (l *Ledger) exceeded(spans []int32, at int64, rates *buckets) (first *span) {
	for _, n := range spans {
		sp := &l.spans[n]
		if !rates.room(sp.target, sp.rate, at) && (first == nil || l.before(sp, first)) {
			first = sp
		}
	}
	if first == nil {
		for i, n := range spans {
			sp := &l.spans[n]
			if !slices.ContainsFunc(spans[:i], func(m int32) bool { o := &l.spans[m]; return o.target == sp.target && o.rate == sp.rate }) {
				rates.take(sp.target, sp.rate) // once, however many rules ask for the same limit
			}
		}
	}
	return first
}

// near notes a decision about the request that is not in force.
func (j *judgement) near(sp *span, at int64) {
	switch {
	case sp.idle != enforced || sp.action == event.Alert:
	case at >= sp.until:
		j.miss = max(j.miss, ranOut)
	case at < sp.since:
		j.miss = max(j.miss, tooSoon)
	default:
		j.miss = max(j.miss, onItsWay)
	}
}

func (l *Ledger) stopped(at int64) bool {
	for _, s := range l.stops {
		if at >= s.from && at < s.until {
			return true
		}
	}
	return false
}

// reads reports whether a target or an exception asks for a field.
func (l *Ledger) reads(f event.Field) bool {
	for i := range l.shapes {
		if slices.Contains(l.shapes[i].fields, f) {
			return true
		}
	}
	return slices.Contains(l.known, f)
}
