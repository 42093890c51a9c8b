package main

import (
	"fmt"
	"time"

	"weir/emit"
)

// maxAllowEnded is how many allow entries are named whose time is over.
const maxAllowEnded = 8

// allowEnded says which allow entries of the site file hide nothing any more,
// their time being over.
func (g *engine) allowEnded(now time.Time) (ended []string) {
	if g.site == nil {
		return nil
	}
	more := 0
	for _, a := range g.site.Allow {
		switch {
		case a.Until.IsZero() || a.Until.After(now):
		case len(ended) == maxAllowEnded:
			more++
		default:
			ended = append(ended, fmt.Sprintf("%s:%d: allow %s of %s (%s) ended on %s: take it out, or give it another end",
				g.site.File, a.Line, targetText(a.Match), a.Owner, a.Reason, a.Until.UTC().Format(time.DateOnly)))
		}
	}
	if more > 0 {
		ended = append(ended, fmt.Sprintf("%s: and %s more of allow: ended", g.site.File, entries(more)))
	}
	return ended
}

// allowTexts returns what the ledger counts by what allow entries hide, in the
// order of the site file.
func allowTexts(all []emit.Allow) (texts []string) {
	for i := range all {
		texts = append(texts, all[i].String())
	}
	return texts
}
