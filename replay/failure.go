package replay

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"weir/event"
)

// Failure is something that did not come out as a script expects.
type Failure struct {
	File    string
	Line    int
	Message string
	Source  string   // the statement, if it is about one
	Got     []string // what came instead, or besides
}

// maxGot is how many lines of what came are shown.
const maxGot = 10

// Error says where, what was expected and what came.
func (f *Failure) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: %s", f.File, f.Line, f.Message)
	if f.Source != "" {
		b.WriteString("\n | " + f.Source)
	}
	for _, g := range f.Got {
		b.WriteString("\n   " + g)
	}
	return b.String()
}

// shorten leaves out what nobody would read.
func (f *Failure) shorten() *Failure {
	if n := len(f.Got); n > maxGot {
		f.Got = append(f.Got[:maxGot:maxGot], fmt.Sprintf("and %d more", n-maxGot))
	}
	return f
}

// describe writes a decision as the expect that it would satisfy.
func (s *stage) describe(st *story, d *event.Decision) string {
	var b strings.Builder
	b.WriteString("expect " + showTime(d.Time) + " ")
	if d.Step == event.Renew {
		b.WriteString("renew ")
	}
	b.WriteString(d.Would.String())
	for _, v := range d.Target {
		b.WriteString(" " + v.Field + "=" + quote(st.plain(s, v)))
	}
	if d.Except != "" {
		b.WriteString(" except " + d.Except)
	}
	for _, m := range d.Evidence {
		if !math.IsNaN(m.Value) && !math.IsInf(m.Value, 0) {
			b.WriteString(" " + m.Name + "=" + showNumber(m.Value))
		}
	}
	return b.String()
}

// figures writes what an expect need not say.
func figuresText(d *event.Decision) string {
	return fmt.Sprintf("good=%s tried=%s clean=%v mode=%s for=%s",
		showNumber(d.Good), showNumber(d.Tried), d.Clean, d.Mode, showDuration(d.Until.Sub(d.Time)))
}

// showNumber writes a figure as decision lines do, with at most four decimals.
func showNumber(v float64) string {
	s := strconv.FormatFloat(v, 'f', 4, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// quote writes a value as scripts do.
func quote(s string) string {
	plain := s != "" && !strings.ContainsAny(s, " \t\"\\#")
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] > ' ' && s[i] < 0x7f
	}
	if plain {
		return s
	}
	return strings.ReplaceAll(string(event.AppendJSONString(nil, s)), `\u003c`, "<")
}
