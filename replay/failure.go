package replay

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"weir/event"
	"weir/rules"
)

// Failure is something that did not come out as a script expects.
type Failure struct {
	File    string
	Line    int
	Message string
	Source  string   // the statement, if it is about one
	Got     []string // what came instead, or besides

	nothing bool // came that could have been meant
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
	b.WriteString(st.targetText(s, d.Target))
	if d.Except != "" {
		b.WriteString(" except " + d.Except)
	}
	b.WriteString(measuresText(d.Evidence))
	return b.String()
}

// targetText writes a target, each dimension behind a space.
func (st *story) targetText(s *stage, t event.Target) string {
	var b strings.Builder
	for _, v := range t {
		b.WriteString(" " + v.Field + "=" + quote(st.plain(s, v)))
	}
	return b.String()
}

// measuresText writes the figures that are defined, each behind a space.
func measuresText(ms []event.Measure) string {
	var b strings.Builder
	for _, m := range ms {
		if !math.IsNaN(m.Value) && !math.IsInf(m.Value, 0) {
			b.WriteString(" " + m.Name + "=" + showNumber(m.Value))
		}
	}
	return b.String()
}

// nearText says how near a key came to the condition.
func (st *story) nearText(s *stage, n *rules.Near) string {
	return fmt.Sprintf("nearest: %s%s:%s; lacks %s",
		showTime(time.Unix(n.Tick, 0)), st.targetText(s, n.Key), measuresText(n.Values), strings.Join(n.Lacks, " and "))
}

// firstText shows what enrich and the script make of the first event.
func (st *story) firstText(s *stage, events []sent) string {
	s.batch.Reset()
	ev := s.batch.Next()
	st.fill(ev, &s.batch.Arena, events[0], false)
	s.enricher().Enrich(&s.batch)
	st.fill(ev, &s.batch.Arena, events[0], true)
	var b strings.Builder
	for _, f := range []event.Field{event.FieldEndpoint, event.FieldKind, event.FieldOutcome, event.FieldFingerprint, event.FieldCrawler} {
		fmt.Fprintf(&b, "%s=%s ", f, quote(ev.Str(f)))
	}
	return strings.TrimSpace(b.String())
}

// figuresText writes what an expect need not say.
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
