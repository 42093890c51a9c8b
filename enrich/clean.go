package enrich

import (
	"bytes"
	"strings"

	"weir/event"
)

// cleanPath returns a path in the form in which paths are compared:
// unreserved characters decoded, escapes in upper case, no empty or dot
// segments, no parameters (;jsessionid=…), no query. A slash at the end stays.
// A text that is not a path from the root comes back empty.
func cleanPath(p string, mem *event.Arena) string {
	if p == "" || p[0] != '/' {
		return ""
	}
	if isClean(p) {
		return p
	}
	if i := strings.IndexAny(p, "?#"); i >= 0 {
		p = p[:i]
	}
	out := mem.Grow(len(p) + 1) // nothing below makes a path longer
	for rest := p; rest != ""; {
		seg := rest[1:]
		rest = ""
		if i := strings.IndexByte(seg, '/'); i >= 0 {
			seg, rest = seg[:i], seg[i:]
		}
		if i := strings.IndexByte(seg, ';'); i >= 0 {
			seg = seg[:i]
		}
		start := len(out)
		out = appendUnescaped(append(out, '/'), seg)
		switch text := out[start+1:]; {
		case rest == "" && len(text) == 0: // the slash at the end
		case len(text) == 0, string(text) == ".":
			out = out[:start]
		case string(text) == "..":
			out = out[:max(0, bytes.LastIndexByte(out[:start], '/'))]
		default:
			continue
		}
		if rest == "" && (len(out) == 0 || out[len(out)-1] != '/') {
			out = append(out, '/')
		}
	}
	return mem.Keep(out)
}

// isClean reports whether cleanPath has nothing to do.
func isClean(p string) bool {
	prev := byte(0)
	for i := range len(p) {
		switch c := p[i]; c {
		case '%', ';', '?', '#':
			return false
		case '/', '.':
			if prev == '/' {
				return false // also where the segment only begins with a dot; that is rare
			}
			prev = c
			continue
		}
		prev = p[i]
	}
	return true
}

// appendUnescaped decodes what RFC 3986 says means the same undecoded. What is
// decoded never completes an escape with a stray percent sign before it, so
// that nothing is decoded twice.
func appendUnescaped(dst []byte, s string) []byte {
	stray := -3 // where the last percent sign stands that begins no escape
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' || i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			if c == '%' {
				stray = len(dst)
			}
			dst = append(dst, c)
			continue
		}
		d := unhex(s[i+1])<<4 | unhex(s[i+2])
		if len(dst)-stray <= 2 {
			dst = append(dst, '%', upper(s[i+1]), upper(s[i+2]))
		} else if isLetter(d) || isDigit(d) || d == '-' || d == '.' || d == '_' || d == '~' {
			dst = append(dst, d)
		} else {
			dst = append(dst, '%', upper(s[i+1]), upper(s[i+2]))
		}
		i += 2
	}
	return dst
}

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 0x20
	}
	return c
}

// lowerInto appends s with its ASCII letters in lower case.
func lowerInto(dst []byte, s string) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c += 0x20
		}
		dst = append(dst, c)
	}
	return dst
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if s[i] >= 'A' && s[i] <= 'Z' {
			return true
		}
	}
	return false
}
