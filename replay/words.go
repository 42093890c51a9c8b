package replay

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"weir/rules"
)

// line is one line of a script with the faults found in it.
type line struct {
	file   string
	number int
	text   string
	faults []error
}

// word is a part of a line between spaces; quotes and braces hold spaces
// together.
type word struct {
	text string
	off  int // in the line, in bytes
}

// words splits the line; a # at the beginning of a word begins a comment.
func (l *line) words() []word {
	var ws []word
	s := l.text
	for i := 0; i < len(s); {
		switch s[i] {
		case ' ', '\t':
			i++
			continue
		case '#':
			return ws
		}
		end := l.endOfWord(i)
		ws = append(ws, word{s[i:end], i})
		i = end
	}
	return ws
}

// endOfWord returns where the word that begins at i ends.
func (l *line) endOfWord(i int) int {
	s := l.text
	open := -1
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case open >= 0:
			if c == '}' {
				open = -1
			}
		case c == ' ' || c == '\t':
			return i
		case c == '{':
			if i+1 < len(s) && s[i+1] == '{' {
				i++ // a brace that is meant
				continue
			}
			open = i
		case c == '"' && s[i-min(i, 1)] == '=':
			end := closingQuote(s, i+1)
			if end < 0 {
				l.fail(i, `a quote that is not closed`)
				return len(s)
			}
			i = end
		}
	}
	if open >= 0 {
		l.fail(open, "{ without } (write {{ for a brace)")
	}
	return i
}

// closingQuote returns where the quote that ends a text stands, or -1. \" is
// a quote inside it.
func closingQuote(s string, i int) int {
	for ; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

var unquoter = strings.NewReplacer(`\\`, `\`, `\"`, `"`)

// pair cuts name=value; ok is false for a word without an equals sign. off is
// where the value begins in the line.
func (l *line) pair(w word) (name, value string, off int, ok bool) {
	name, value, ok = strings.Cut(w.text, "=")
	if !ok {
		return w.text, "", w.off, false
	}
	off = w.off + len(name) + 1
	if strings.HasPrefix(value, `"`) {
		end := closingQuote(value, 1)
		if end < 0 {
			return name, "", off, true // reported by endOfWord
		}
		if end != len(value)-1 {
			l.fail(off+end+1, "characters behind the closing quote")
		}
		value, off = unquoter.Replace(value[1:end]), off+1
	}
	return name, value, off, true
}

// fail notes what is wrong at a byte of the line.
func (l *line) fail(off int, format string, args ...any) {
	l.faults = append(l.faults, l.fault(off, fmt.Sprintf(format, args...)))
}

func (l *line) fault(off int, message string) *rules.Fault {
	caret := utf8.RuneCountInString(l.text[:min(max(off, 0), len(l.text))])
	return &rules.Fault{File: l.file, Line: l.number, Column: caret + 1, Message: message, Source: l.text, Caret: caret}
}
