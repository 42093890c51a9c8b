package main

import (
	"fmt"
	"time"
)

// allowEnded says which allow entries of the site file hide nothing any more,
// their time being over.
func (g *engine) allowEnded(now time.Time) (ended []string) {
	if g.site == nil {
		return nil
	}
	for _, a := range g.site.Allow {
		if !a.Until.IsZero() && !a.Until.After(now) {
			ended = append(ended, fmt.Sprintf("%s:%d: allow %s of %s (%s) ended on %s: take it out, or give it another end",
				g.site.File, a.Line, targetText(a.Match), a.Owner, a.Reason, a.Until.UTC().Format(time.DateOnly)))
		}
	}
	return ended
}
