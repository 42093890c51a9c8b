package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"weir/event"
)

var errPattern = &Malformed{"does not fit the pattern"}

// maxPattern bounds the text of a pattern, in bytes.
const maxPattern = 1024

// pattern is a format that a configuration spells out: literals and fields in
// turn, from the first byte of a line to its last.
type pattern struct {
	start []byte // the literal in front of the first field
	steps []patternStep
}

// patternStep is a field and the literal behind it, at which it ends; the last
// step may have none and ends with the line.
type patternStep struct {
	slot   slot
	quoted bool // it stands in quotes, in which a quote is escaped by a backslash
	end    []byte
}

// newPattern reads the format that cfg.Pattern spells out, such as
//
//	<ip> - <credential> [<time>] "<request>" <status> <bytes> "<referer>" "<agent>"
//
// The names are those of the event's fields that a log can give, x.NAME, and
// time, uri (path and query), request (a request line), forwarded, duration_ms
// and duration_us, and _ for what is passed over; << is the character itself.
//
// A field ends at the first place where the literal behind it stands, so what
// clients can write belongs in quotes, or behind what they cannot.
func newPattern(cfg Config) (Decoder, error) {
	p, err := parsePattern(cfg)
	if err != nil {
		return nil, err
	}
	key := cfg.Key
	return func(line []byte, ev *event.Event, mem *event.Arena) error {
		f := begin(line, mem, key)
		p.read(&f, ev)
		return f.done()
	}, nil
}

func (p *pattern) read(f *fields, ev *event.Event) {
	line := f.rest
	if f.err != nil {
		return
	}
	if !bytes.HasPrefix(line, p.start) {
		f.fail(errPattern)
		return
	}
	at := len(p.start)
	for i := range p.steps {
		s := &p.steps[i]
		end, esc := p.end(line, at, i)
		if end < 0 {
			f.fail(errPattern)
			return
		}
		if s.slot.kind != slotSkip {
			f.assign(s.slot, line[at:end], esc, ev)
			if f.err != nil {
				return
			}
		}
		at = end + len(s.end)
	}
	if at != len(line) {
		f.fail(errPattern)
	}
}

// end returns where the field of step i ends that starts at at, or -1.
func (p *pattern) end(line []byte, at, i int) (int, escape) {
	s := &p.steps[i]
	switch {
	case s.quoted:
		n, esc := quoteEnd(line[at-1:])
		if n < 0 || !bytes.HasPrefix(line[at-1+n:], s.end) {
			return -1, plain
		}
		return at - 1 + n, esc
	case len(s.end) == 0:
		return len(line), backslash
	}
	beforeTime := i+1 < len(p.steps) && p.steps[i+1].slot.kind == slotTime
	for from := at; ; {
		n := bytes.Index(line[from:], s.end)
		if n < 0 {
			return -1, plain
		}
		end := from + n
		if !beforeTime || p.timeAt(line[end+len(s.end):], &p.steps[i+1]) {
			return end, backslash
		}
		from = end + 1
	}
}

// maxTime is the longest text that may be a time.
const maxTime = 64

// timeAt reports whether a time and what must follow it stand at the start of
// b. A user name may hold all that leads up to a time, so the field in front
// of one ends where one is.
func (p *pattern) timeAt(b []byte, s *patternStep) bool {
	n := len(b)
	if len(s.end) > 0 {
		n = bytes.Index(b[:min(len(b), maxTime+len(s.end))], s.end)
	}
	if n < 0 || n > maxTime {
		return false
	}
	_, ok := ParseTime(s.slot.layout, b[:n])
	return ok
}

// parsePattern compiles cfg.Pattern and reports every fault in it.
func parsePattern(cfg Config) (*pattern, error) {
	text := cfg.Pattern
	if text == "" {
		return nil, errors.New("pattern: empty")
	}
	if len(text) > maxPattern {
		return nil, fmt.Errorf("pattern: %d bytes, must be at most %d", len(text), maxPattern)
	}
	var errs []error
	fault := func(at int, format string, args ...any) {
		errs = append(errs, &patternError{text, at, fmt.Sprintf(format, args...)})
	}
	p := &pattern{}
	var literal []byte
	seen := map[string]bool{}
	for i := 0; i < len(text); {
		switch {
		case text[i] != '<':
			literal = append(literal, text[i])
			i++
			continue
		case strings.HasPrefix(text[i:], "<<"): // a '<' itself
			literal = append(literal, '<')
			i += 2
			continue
		}
		n := strings.IndexByte(text[i:], '>')
		if n < 0 {
			fault(i, "< without >; write << for the character")
			return nil, errors.Join(errs...)
		}
		name := text[i+1 : i+n]
		s, err := slotFor(name, cfg)
		if err != nil {
			fault(i+1, "%v", err)
		}
		if seen[name] && name != "_" {
			fault(i+1, "<%s> stands twice", name)
		}
		seen[name] = true
		if len(p.steps) == 0 {
			p.start = literal
		} else {
			if len(literal) == 0 {
				fault(i, "nothing stands between this field and the one before it, so where that ends is open")
			}
			p.steps[len(p.steps)-1].end = literal
		}
		quoted := len(literal) > 0 && literal[len(literal)-1] == '"' && strings.HasPrefix(text[i+n+1:], `"`)
		p.steps = append(p.steps, patternStep{slot: s, quoted: quoted})
		literal = nil
		i += n + 1
	}
	if len(p.steps) > 0 {
		p.steps[len(p.steps)-1].end = literal
	}
	if !seen["ip"] && !seen["peer"] {
		fault(len(text), "<ip> is missing")
	}
	if !seen["time"] {
		fault(len(text), "<time> is missing")
	}
	return p, errors.Join(errs...)
}

// patternError points at a fault.
type patternError struct {
	text string
	at   int
	what string
}

func (e *patternError) Error() string {
	lead := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, e.text[:e.at])
	return fmt.Sprintf("pattern:%d: %s\n | %s\n | %s^", e.at+1, e.what, e.text, lead)
}
