package replay

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/zeebo/xxh3"

	"weir/event"
)

// The limits on what is sent.
const (
	maxRepeats = 1_000_000 // of one send
	maxStory   = 1_000_000 // events between two resets
	maxFields  = 40        // of one send
	maxValue   = 2 << 10   // bytes
	maxSpan    = maxDay * 24 * time.Hour
)

// send is one statement that makes events.
type send struct {
	line       int
	days       days
	at         time.Duration // since midnight
	every, gap time.Duration // between two; gap is the most, where it is random
	count      int
	fields     []assignment
	seed       uint64
}

// events is how many events it makes.
func (s *send) events() int { return s.count * (s.days.last - s.days.first + 1) }

// send reads `send [day N] HH:MM:SS [every DUR] [xN] field=value …`.
func (p *parser) send(ws []word) *send {
	l := p.line
	s := &send{line: l.number, count: 1, seed: xxh3.HashString(l.text)}
	s.days, ws = l.day(ws, true)
	if len(ws) == 0 {
		l.fail(len(l.text), "send without a time, must be like: send 10:00:00 every 10s x20 ip=192.0.2.7 path=/login")
		return s
	}
	s.at = l.clock(ws[0])
	ws = ws[1:]
	for len(ws) > 0 && !strings.Contains(ws[0].text, "=") {
		switch w := ws[0]; {
		case w.text == "every" && len(ws) > 1:
			s.every, s.gap = l.every(ws[1])
			ws = ws[1:]
		case w.text == "every":
			l.fail(w.off, "every without a duration, must be like every 10s")
		case isRepeat(w.text):
			s.count = l.repeat(w)
		default:
			l.fail(w.off, "unknown word %s in send; there are every 10s, x20 and field=value", w.text)
		}
		ws = ws[1:]
	}
	if n := s.count - 1; n > 0 && s.gap > maxSpan/time.Duration(n) {
		l.fail(0, "the last of %d events would come more than %s after the first", s.count, showDuration(maxSpan))
	}
	if len(ws) == 0 {
		l.fail(len(l.text), "send without a field, needs at least one, such as ip=192.0.2.7")
	}
	if len(ws) > maxFields {
		l.fail(ws[maxFields].off, "%d fields, must be at most %d", len(ws), maxFields)
		ws = ws[:maxFields]
	}
	for _, w := range ws {
		p.assign(s, w)
	}
	return s
}

// every reads a distance, or the range 5s-15s for one that differs each time.
func (l *line) every(w word) (least, most time.Duration) {
	from, to, cut := strings.Cut(w.text, "-")
	least = l.duration(from, w.off)
	if !cut {
		return least, least
	}
	most = l.duration(to, w.off+len(from)+1)
	if most < least {
		l.fail(w.off, "every %s: the first must not be larger than the second", w.text)
		return most, most
	}
	return least, most
}

// isRepeat reports whether a word is like x20.
func isRepeat(s string) bool {
	return len(s) > 1 && s[0] == 'x' && s[1] >= '0' && s[1] <= '9'
}

func (l *line) repeat(w word) int {
	n, err := strconv.Atoi(w.text[1:])
	if err != nil || n < 1 || n > maxRepeats {
		l.fail(w.off, "%s, must be x1 to x%d", w.text, maxRepeats)
		return 1
	}
	return n
}

// assign reads one field=value and tries the value, so that what is wrong with
// it is said with its line.
func (p *parser) assign(s *send, w word) {
	l := p.line
	name, value, off, ok := l.pair(w)
	if !ok {
		l.fail(w.off, "unknown word %s behind the first field, must be field=value", w.text)
		return
	}
	f := l.field(name, w.off, p.lib.Extras)
	if f == event.NoField {
		return
	}
	if why := fixed[f]; why != "" {
		l.fail(w.off, "%s cannot be set: %s", name, why)
		return
	}
	for _, a := range s.fields {
		if a.field == f {
			l.fail(w.off, "%s is set twice", name)
			return
		}
	}
	if len(value) > maxValue {
		l.fail(off, "%s has %d bytes, must have at most %d", name, len(value), maxValue)
		return
	}
	faults := len(l.faults)
	t := l.template(value, off, f == event.FieldEndpoint, s.seed)
	if len(l.faults) > faults {
		return
	}
	s.fields = append(s.fields, assignment{f, t})
	p.try(s, f, name, t, off)
}

// tried is how many repetitions of a value are tried when a script is read.
const tried = 100

// try expands a value for the first repetitions and the last one.
func (p *parser) try(s *send, f event.Field, name string, t template, off int) {
	l := p.line
	for i := range t {
		if t[i].kind == address && t[i].plain && uint64(s.count) > t[i].room() {
			l.fail(off, "{ip %s} has %d addresses, too few for x%d (let them come again with {ip %s n%%%d})",
				t[i].prefix, t[i].room(), s.count, t[i].prefix, t[i].room())
			return
		}
	}
	var ev event.Event
	var b []byte
	for n := 1; n <= s.count; n++ {
		if n == tried {
			n = s.count
		}
		b = t.append(b[:0], int64(n))
		if problem := set(&ev, f, string(b)); problem != "" {
			l.fail(off, "%s: %s", name, wrong(b, problem, t, n))
			return
		}
		if t.constant() {
			return
		}
	}
}

// wrong says what is wrong with an expanded value.
func wrong(text []byte, problem string, t template, n int) string {
	s := fmt.Sprintf("%q %s", text, problem)
	if !t.constant() {
		s += fmt.Sprintf(" (n is %d)", n)
	}
	return s
}
