package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fault is one thing that is wrong with a rule, and where.
type Fault struct {
	File         string // empty for an expression that stands in no file
	Line, Column int    // from 1, the column in characters
	Key          string // the key of the rule that it is about, or empty
	Message      string
	Source       string // the line, or the expression, that the caret stands under
	Caret        int    // characters in front of it
}

// Error says where, what, and shows the place:
//
//	rulesets/auth/login_bruteforce.yaml:11:7: when: unknown name fials (did you mean fails?)
//	 | fials >= 20 and users >= 3
//	 | ^
func (f *Fault) Error() string {
	var b strings.Builder
	if f.File != "" {
		b.WriteString(f.File)
		b.WriteByte(':')
	}
	fmt.Fprintf(&b, "%d:%d: ", f.Line, f.Column)
	if f.Key != "" {
		b.WriteString(f.Key)
		b.WriteString(": ")
	}
	b.WriteString(printable(f.Message))
	if f.Source == "" {
		return b.String()
	}
	text, caret := excerpt(f.Source, f.Caret)
	b.WriteString("\n | ")
	b.WriteString(text)
	b.WriteString("\n | ")
	b.WriteString(strings.Repeat(" ", caret))
	b.WriteByte('^')
	return b.String()
}

// The part of a long line that is shown around the caret, in characters.
const (
	shownBefore = 60
	shownAfter  = 40
)

// printable replaces what would move a cursor.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return utf8.RuneError
		}
		return c
	}, s)
}

// excerpt cuts a line to what is around the caret.
func excerpt(line string, caret int) (string, int) {
	r := []rune(printable(line))
	caret = min(max(caret, 0), len(r))
	from, to := 0, len(r)
	if to > shownBefore+shownAfter {
		from = max(0, caret-shownBefore)
		to = min(to, from+shownBefore+shownAfter)
	}
	out := string(r[from:to])
	caret -= from
	if from > 0 {
		out, caret = "…"+out, caret+1
	}
	if to < len(r) {
		out += "…"
	}
	return out, caret
}

// maxFaults is how many faults of one file are reported.
const maxFaults = 50

// document is a text whose faults are gathered: a rule file, or an expression
// that stands alone.
type document struct {
	file   string
	src    string
	starts []int // where each line begins
	faults []*Fault
}

func newDocument(file, src string) *document {
	d := &document{file: file, src: src, starts: []int{0}}
	for i := 0; i < len(src); i++ {
		if src[i] == '\n' {
			d.starts = append(d.starts, i+1)
		}
	}
	return d
}

// line returns line n (from 1) without its end.
func (d *document) line(n int) string {
	if n < 1 || n > len(d.starts) {
		return ""
	}
	s := d.src[d.starts[n-1]:]
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	return s
}

// place returns the line and column of a byte offset.
func (d *document) place(off int) (line, column int) {
	i, ok := slices.BinarySearch(d.starts, off)
	if !ok {
		i--
	}
	return i + 1, utf8.RuneCountInString(d.src[d.starts[i]:min(off, len(d.src))]) + 1
}

// offset returns the byte offset of a line and column.
func (d *document) offset(line, column int) int {
	if line < 1 || line > len(d.starts) {
		return len(d.src)
	}
	off := d.starts[line-1]
	for ; column > 1 && off < len(d.src) && d.src[off] != '\n'; column-- {
		_, n := utf8.DecodeRuneInString(d.src[off:])
		off += n
	}
	return off
}

// at makes a fault at a byte offset; it shows the line.
func (d *document) at(off int, key, message string) *Fault {
	line, column := d.place(off)
	text := d.line(line)
	trimmed := strings.TrimLeft(text, " \t")
	return &Fault{
		File: d.file, Line: line, Column: column, Key: key, Message: message,
		Source: trimmed, Caret: column - 1 - (len(text) - len(trimmed)),
	}
}

func (d *document) fail(off int, key, format string, args ...any) {
	d.add(d.at(off, key, fmt.Sprintf(format, args...)))
}

// add records a fault; a second one at the same place adds nothing.
func (d *document) add(f *Fault) {
	for _, g := range d.faults {
		if g.Line == f.Line && g.Column == f.Column && g.Key == f.Key {
			return
		}
	}
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, f)
	}
}

// err joins the faults in the order of the text.
func (d *document) err() error {
	slices.SortStableFunc(d.faults, func(a, b *Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	errs := make([]error, len(d.faults))
	for i, f := range d.faults {
		errs[i] = f
	}
	return errors.Join(errs...)
}

// phrase is an expression in a document.
type phrase struct {
	doc  *document
	key  string // the key it is the value of
	text string
	pos  []int // the offset in the document of each byte of text, and of its end
	cut  bool  // a comment follows that may have cut it short
}

// loose returns an expression that is a document of its own.
func loose(text string) *phrase {
	p := &phrase{doc: newDocument("", text), text: text, pos: make([]int, len(text)+1)}
	for i := range p.pos {
		p.pos[i] = i
	}
	return p
}

// at makes a fault at character n of the expression; it shows the expression.
func (p *phrase) at(n int, message string) *Fault {
	off, lineStart, caret := 0, 0, 0
	for off < len(p.text) && n > 0 {
		r, size := utf8.DecodeRuneInString(p.text[off:])
		off += size
		caret++
		n--
		if r == '\n' {
			lineStart, caret = off, 0
		}
	}
	text := p.text[lineStart:]
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	line, column := p.doc.place(p.pos[off])
	return &Fault{
		File: p.doc.file, Line: line, Column: column, Key: p.key, Message: message,
		Source: text, Caret: caret,
	}
}

func (p *phrase) fail(n int, format string, args ...any) {
	p.doc.add(p.at(n, fmt.Sprintf(format, args...)))
}
