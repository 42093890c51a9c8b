package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"weir/api"
)

// maxShownIncomplete is how many rules are named whose windows are not complete.
const maxShownIncomplete = 3

// printKeeping writes what the engine knows, where it keeps it, and what of it
// is not whole.
func printKeeping(p *page, s *api.Status, now time.Time) {
	e := s.Engine
	k := &e.Keeping
	p.heading("What it keeps")
	text := fmt.Sprintf("%s, %s", plural(e.Keys, "key"), bytesText(e.StateBytes))
	if k.Memory.AccountedLimit > 0 {
		text += fmt.Sprintf(" of at most %s (state: disk:)", bytesText(k.Memory.AccountedLimit))
	}
	p.wrapped("windows", 16, fmt.Sprintf("%s; rules are on for %s", text, several(e.OnRules, "key")))
	printMemory(p, &k.Memory, &s.Process)
	if c := &k.Checkpoint; !c.At.IsZero() {
		text := fmt.Sprintf("%s in files of %s, up to %s, saved %s",
			plural(k.Store.Keys, "key"), bytesText(k.Store.Disk), dayText(c.Tick, now), ago(c.At, now))
		if c.Seconds > 0 { // else an earlier run did
			text += " in " + spanText(seconds(c.Seconds))
		}
		p.wrapped("on disk", 16, text)
	} else if k.Memory.Limit > 0 {
		p.wrapped("on disk", 16, "nothing yet: no checkpoint has been made")
	}
	if why := k.Checkpoint.Why; why != "" {
		p.wrapped("NOT SAVED", 16, sinceText(k.Checkpoint.Since, now)+shown(plainDamage(why), 300)+"; input waits when too much has changed")
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
	printAside(p, k, now)
	printIncomplete(p, k, now)
	printShed(p, e, now)
}

// printMemory writes what of state: memory: is used, by what, and what the whole
// process takes.
func printMemory(p *page, m *api.Memory, whole *api.Process) {
	if m.Limit == 0 {
		return
	}
	text := fmt.Sprintf("keys take %s", bytesText(m.Resident))
	if m.Dirty > 0 {
		text += fmt.Sprintf(" (%s changed since they were last saved)", bytesText(m.Dirty))
	}
	text += fmt.Sprintf(", the directory of those on disk %s", bytesText(m.Store))
	if m.StoreLimit > 0 {
		text += fmt.Sprintf(", the store's own tables at most %s", bytesText(m.StoreLimit))
	}
	p.wrapped("in memory", 16, fmt.Sprintf("%s; all of it at most %s (state: memory:)", text, bytesText(m.Limit)))
	if whole.Heap > 0 {
		text = fmt.Sprintf("%s in Go's heap", bytesText(whole.Heap))
		if whole.Resident > 0 {
			text = fmt.Sprintf("%s as the kernel counts it, %s", bytesText(whole.Resident), text)
		}
		p.wrapped("process", 16, text)
	}
}

// printAside says which stores were put aside, and how far what was in the last
// is derived from the log again.
func printAside(p *page, k *api.Keeping, now time.Time) {
	for i, a := range k.Aside {
		if i == maxShownAside {
			p.wrapped("", 16, fmt.Sprintf("and %s more", several(len(k.Aside)-i, "store")))
			break
		}
		what := "an earlier state was put aside"
		if a.Now {
			what = "the state that this run found could not be used and was put aside"
		}
		p.wrapped("PUT ASIDE", 16, fmt.Sprintf("%s %s as %s: %s (when nobody needs it any more, delete it)", what, dayText(a.At, now), shown(filepath.Base(a.Where), 60), shown(plainDamage(a.Why), 300)))
	}
	switch r := k.Rebuild; {
	case r == nil && len(k.Aside) > 0 && k.Aside[0].Now:
		p.wrapped("rebuilt", 16, "all that had been decided before was derived from the log again")
	case r == nil:
	case r.Tick.IsZero():
		p.wrapped("rebuilding", 16, fmt.Sprintf("what had been decided up to %s is derived from the log again; nothing of it was read yet", dayText(r.To, now)))
	default:
		p.wrapped("rebuilding", 16, fmt.Sprintf("what had been decided up to %s is derived from the log again; it has come to %s, %s of the log are left",
			dayText(r.To, now), dayText(r.Tick, now), spanText(r.To.Sub(r.Tick))))
	}
}

// maxShownAside is how many stores that were put aside are named.
const maxShownAside = 2

// sinceText begins a sentence with when what it says began.
func sinceText(at, now time.Time) string {
	if at.IsZero() {
		return ""
	}
	return fmt.Sprintf("since %s: ", dayText(at, now))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func archiveText(a *api.Archive) string {
	text := fmt.Sprintf("files of %s", bytesText(a.Bytes))
	if a.Open > 0 {
		text += fmt.Sprintf(", and %s of open hours", bytesText(a.Open))
	}
	if a.Queue > 0 {
		text += fmt.Sprintf("; %s queued, the oldest for %s", bytesText(a.Queue), spanText(seconds(a.Lag)))
	}
	if a.Pending > 0 {
		text += "; " + several(a.Pending, "file") + " to be made"
	}
	if a.Deleted > 0 {
		text += "; " + plural(a.Deleted, "old file") + " deleted"
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
func printShed(p *page, e *api.Engine, now time.Time) {
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
		p.wrapped("DEGRADED", 16, fmt.Sprintf("%snew keys come faster than state: disk: in the configuration has room for, or fill it: in %s of 64 parts "+
			"a new key is kept only when it comes again; where there is no room at all those that matter least are given up. "+
			"It passes ten minutes of the log after the flood; if it is no flood, raise state: disk: and start weir again: it goes on from what is saved", sinceText(e.Keeping.Degraded, now), count(int64(e.Keeping.Units))))
	}
	if len(lost) > 0 {
		p.wrapped("no room for", 16, strings.Join(lost, ", ")+", since this start")
	}
}
