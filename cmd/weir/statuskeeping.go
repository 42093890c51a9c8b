package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"weir/api"
)

// maxShownIncomplete is how many rules are named whose windows are not complete.
const maxShownIncomplete = 3

// printKeeping writes what the engine knows, where it keeps it, and what of it
// is not whole.
func printKeeping(p *page, e *api.Engine, now time.Time) {
	k := &e.Keeping
	p.heading("What it keeps")
	text := fmt.Sprintf("%s, %s", plural(e.Keys, "key"), bytesText(e.StateBytes))
	if k.Memory.AccountedLimit > 0 {
		text += fmt.Sprintf(" of at most %s (state: disk:)", bytesText(k.Memory.AccountedLimit))
	}
	p.wrapped("windows", 16, fmt.Sprintf("%s; rules are on for %s", text, several(e.OnRules, "key")))
	if m := &k.Memory; m.Limit > 0 {
		p.wrapped("in memory", 16, fmt.Sprintf("%s of at most %s (state: memory:)", bytesText(m.Resident+m.Store), bytesText(m.Limit)))
	}
	if c := &k.Checkpoint; !c.At.IsZero() {
		p.wrapped("on disk", 16, fmt.Sprintf("%s in files of %s, up to %s, saved %s in %s",
			plural(k.Store.Keys, "key"), bytesText(k.Store.Disk), dayText(c.Tick, now), ago(c.At, now), spanText(seconds(c.Seconds))))
	} else if k.Memory.Limit > 0 {
		p.wrapped("on disk", 16, "nothing yet: no checkpoint has been made")
	}
	if why := k.Checkpoint.Why; why != "" {
		p.wrapped("NOT SAVED", 16, shown(why, 300)+"; input waits when too much has changed")
	} else if n := k.Checkpoint.Failed; n > 0 {
		p.wrapped("", 16, fmt.Sprintf("%s could not be made since this start; the last one could", plural(n, "checkpoint")))
	}
	if a := k.Archive; a != nil {
		p.wrapped("archive", 16, archiveText(a))
		if a.Why != "" {
			p.wrapped("NOT SAVED", 16, "the archive: "+shown(a.Why, 300)+"; input waits for it")
		}
	}
	if !k.Resumed.IsZero() {
		p.wrapped("resumed", 16, fmt.Sprintf("this run went on from what had been saved up to %s", dayText(k.Resumed, now)))
	}
	printIncomplete(p, k, now)
	printShed(p, e)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func archiveText(a *api.Archive) string {
	text := fmt.Sprintf("files of %s", bytesText(a.Bytes))
	if a.Queue > 0 {
		text += fmt.Sprintf("; %s of events wait to be written, the oldest for %s", bytesText(a.Queue), spanText(seconds(a.Lag)))
	}
	return text
}

// printIncomplete says which windows do not reach back as far as they are to.
func printIncomplete(p *page, k *api.Keeping, now time.Time) {
	if !k.Gap.IsZero() {
		p.wrapped("INCOMPLETE", 16, fmt.Sprintf("the log has a gap before %s: windows that reach back behind it count too little, "+
			"and decisions that rest on them say so", dayText(k.Gap, now)))
	}
	for i, in := range k.Incomplete {
		if i == maxShownIncomplete {
			p.wrapped("", 16, fmt.Sprintf("and %s more", several(len(k.Incomplete)-i, "rule")))
			break
		}
		p.wrapped("warming up", 16, fmt.Sprintf("%s: its windows are complete from %s on", shown(in.Rule, 80), dayText(in.Until, now)))
	}
}

// printShed says what there was no room for, now and since the start.
func printShed(p *page, e *api.Engine) {
	var lost []string
	for _, kind := range slices.Sorted(maps.Keys(e.Shed)) {
		if n := e.Shed[kind]; n > 0 {
			lost = append(lost, count(n)+" "+strings.ReplaceAll(kind, "_", " "))
		}
	}
	if n := e.Keeping.TurnedAway; n > 0 {
		lost = append(lost, count(n)+" new keys at their first sight")
	}
	if e.Degraded {
		p.wrapped("DEGRADED", 16, fmt.Sprintf("new keys come faster than state: disk: in the configuration has room for, or fill it: in %s of 64 parts "+
			"a new key is kept only when it comes again; where there is no room at all those that matter least are given up", count(int64(e.Keeping.Units))))
	}
	if len(lost) > 0 {
		p.wrapped("no room for", 16, strings.Join(lost, ", ")+", since this start")
	}
}
