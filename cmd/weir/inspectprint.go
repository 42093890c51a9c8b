package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"weir/event"
)

// screen is how many columns a report has at most.
const screen = 100

// page writes a report, a section at a time, and keeps the first error.
type page struct {
	w   io.Writer
	err error
}

func (p *page) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

func (p *page) heading(text string) { p.line("\n%s", text) }

// wrapped writes a text below a label, broken between words.
func (p *page) wrapped(label string, indent int, text string) {
	label = "  " + label
	if n := utf8.RuneCountInString(label); n >= indent && n > 2 {
		label += " "
	} else {
		label += strings.Repeat(" ", max(0, indent-n))
	}
	for _, l := range wrap(text, screen-indent) {
		p.line("%s", strings.TrimRight(label+l, " "))
		label = strings.Repeat(" ", indent)
	}
}

// wrap breaks a text between words into lines of at most width columns.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// table writes rows in columns; right says which are numbers. The last column
// is cut where it would leave the screen; with 'w' it goes on below.
func (p *page) table(right string, rows ...[]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		line := " "
		for i, cell := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
			if i == len(row)-1 && right[i] != 'r' {
				room := screen - utf8.RuneCountInString(line) - 1
				if right[i] == 'w' {
					below := "\n" + strings.Repeat(" ", screen-room)
					cell = strings.Join(wrap(cell, room), below)
				}
				line += " " + cell
				if right[i] != 'w' {
					line = clip(line, screen)
				}
				continue
			}
			if right[i] == 'r' {
				cell = pad + cell
			} else {
				cell += pad
			}
			line += " " + cell + " "
		}
		p.line("%s", strings.TrimRight(line, " "))
	}
}

// shown writes a text of the log so that nothing in it can move a cursor, in
// at most width columns.
func shown(s string, width int) string {
	b := event.AppendJSONString(nil, s)
	text := string(b[1 : len(b)-1])
	text = strings.NewReplacer(`\"`, `"`, `\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `\\`, `\`).Replace(text)
	return clip(text, width)
}

// clip cuts a text that is longer than width, marking the cut.
func clip(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:max(0, width-1)]) + "…"
}

// percent writes a share; what is there is never shown as 0, nor what lacks
// something as 100.
func percent(share float64) string {
	switch {
	case share == 0:
		return "0 %"
	case share < 0.001:
		return "<0.1 %"
	case share < 0.1:
		return fmt.Sprintf("%.1f %%", share*100)
	case share < 1 && share > 0.995:
		return ">99 %"
	}
	return fmt.Sprintf("%.0f %%", share*100)
}
