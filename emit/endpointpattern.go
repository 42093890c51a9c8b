package emit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// pattern is one of net/http.ServeMux with a method, as far as a proxy's
// configuration can be told: every character of it is harmless there.
type pattern struct {
	method   string
	host     string
	segments []segment
	bare     bool // it was given without a method
}

type segment struct {
	kind segmentKind
	text string // without braces
}

// segmentKind is what a segment stands for, the special before the general.
type segmentKind uint8

const (
	exactly     segmentKind = iota // {$}: nothing behind the slash
	literal                        // itself
	placeholder                    // {name}: one segment
	rest                           // {name...}, or a slash at the end: all that follows
)

// readPatterns reads a pattern; one without a method becomes several.
func readPatterns(text string) ([]pattern, error) {
	text = strings.Join(strings.Fields(text), " ")
	if strings.Contains(text, " ") {
		p, err := readPattern(text)
		return []pattern{p}, err
	}
	var ps []pattern
	for _, method := range bare {
		p, err := readPattern(method + " " + text)
		if err != nil {
			return nil, err
		}
		p.bare = true
		ps = append(ps, p)
	}
	return ps, nil
}

// readPattern reads a pattern with a method.
func readPattern(text string) (p pattern, err error) {
	fail := func(format string, args ...any) (pattern, error) {
		return pattern{}, fmt.Errorf("endpoint %q: %s; must be like POST /login or GET /products/{id}", text, fmt.Sprintf(format, args...))
	}
	if len(text) > maxPattern {
		return pattern{}, fmt.Errorf("endpoint %.40q…: %d bytes, must be at most %d", text, len(text), maxPattern)
	}
	method, where, _ := strings.Cut(text, " ")
	if !slices.Contains(named, method) {
		return fail("method %q is none of %s", method, strings.Join(named, " "))
	}
	host, path, ok := strings.Cut(where, "/")
	if !ok {
		return fail("it has no path")
	}
	if !isHost(host) {
		return fail("host %q has other than letters, digits, dots and -", host)
	}
	p = pattern{method: method, host: host}
	segs := strings.Split(path, "/")
	for i, s := range segs {
		seg, ok := readSegment(s, i == len(segs)-1)
		if !ok {
			return fail("segment %q is neither a placeholder nor made of letters, digits and - _ . ~ : @", s)
		}
		p.segments = append(p.segments, seg)
	}
	if p.host == "" && p.segments[0].kind == rest {
		return fail("it is the whole site")
	}
	return p, nil
}

func readSegment(s string, last bool) (segment, bool) {
	if s == "" {
		return segment{kind: rest}, last // POST /static/ is everything below
	}
	if s == "." || s == ".." {
		return segment{}, false // no path that was cleaned has it
	}
	name, opened := strings.CutPrefix(s, "{")
	if !opened {
		for i := range len(s) {
			if !isWord(s[i]) && strings.IndexByte("-.~:@", s[i]) < 0 {
				return segment{}, false
			}
		}
		return segment{literal, s}, true
	}
	name, closed := strings.CutSuffix(name, "}")
	if !closed {
		return segment{}, false
	}
	if name == "$" {
		return segment{exactly, name}, last
	}
	kind := placeholder
	if short, ok := strings.CutSuffix(name, "..."); ok {
		kind, name = rest, short
	}
	for i := range len(name) {
		if !isWord(name[i]) || i == 0 && name[i] >= '0' && name[i] <= '9' {
			return segment{}, false
		}
	}
	return segment{kind, name}, name != "" && (kind == placeholder || last)
}

func isHost(s string) bool {
	for i := range len(s) {
		if (!isWord(s[i]) || s[i] == '_') && s[i] != '.' && s[i] != '-' {
			return false
		}
	}
	return true
}

// String returns the pattern as decisions name it.
func (p pattern) String() string {
	var b strings.Builder
	b.WriteString(p.method + " " + p.host)
	for _, s := range p.segments {
		b.WriteByte('/')
		switch s.kind {
		case literal:
			b.WriteString(s.text)
		case placeholder, exactly:
			b.WriteString("{" + s.text + "}")
		case rest:
			if s.text != "" {
				b.WriteString("{" + s.text + "...}")
			}
		}
	}
	return b.String()
}

// within reports whether a path without placeholders is one of another pattern's
// on every host.
func (p pattern) within(q pattern) bool {
	if q.host != "" || q.method != p.method {
		return false
	}
	for i, s := range q.segments {
		switch {
		case s.kind == rest:
			return true
		case s.kind == exactly, i == len(p.segments), s.kind == literal && s.text != p.segments[i].text:
			return false
		}
	}
	return len(q.segments) == len(p.segments)
}

// comparePatterns puts what is more special first: one with a host, at the
// first segment that differs in kind the one that matches less, one with a
// method, and HEAD before GET, which stands for both.
func comparePatterns(a, b pattern) int {
	if (a.host == "") != (b.host == "") {
		return strings.Compare(b.host, a.host) // the empty one last
	}
	for i := range min(len(a.segments), len(b.segments)) {
		if c := cmp.Compare(a.segments[i].kind, b.segments[i].kind); c != 0 {
			return c
		}
	}
	if c := cmp.Compare(len(b.segments), len(a.segments)); c != 0 {
		return c
	}
	if a.bare != b.bare { // a GET that was given takes the HEAD of all methods
		if b.bare {
			return -1
		}
		return 1
	}
	if head := a.method == "HEAD"; head != (b.method == "HEAD") {
		if head {
			return -1
		}
		return 1
	}
	return strings.Compare(a.String(), b.String())
}
