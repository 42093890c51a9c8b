package main

import (
	"fmt"
	"strings"
	"time"

	"weir/emit"
)

// holds returns the lines by which people unblocked what was asked about, as far
// as they still hold: new decisions on it do not come into force.
func (a *whyAnswer) holds() (held []*emit.Line) {
	for i := range a.lines {
		if l := &a.lines[i]; l.Event == emit.LineUnblocked && l.Until.After(a.now) {
			held = append(held, l)
		}
	}
	return held
}

// maxHolds is how many of them one answer tells.
const maxHolds = 5

// printHolds tells them, the newest first.
func printHolds(p *page, held []*emit.Line, now time.Time) {
	for i := range held {
		if i == maxHolds {
			para(p, fmt.Sprintf("and %s", plural(int64(len(held)-i), "older hold")))
			return
		}
		l := held[len(held)-1-i]
		text := fmt.Sprintf("New decisions on %s are held until %s by %s", clip(targetText(l.Target), 200), dayText(l.Until, now), shown(l.By, 128))
		if l.Reason != "" {
			text += ": " + shown(l.Reason, 400)
		}
		if len(l.Lacks) > 0 {
			text += " (of " + strings.Join(l.Lacks, " and ") + " the question did not speak)"
		}
		para(p, text)
	}
}
