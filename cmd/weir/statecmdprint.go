package main

import (
	"fmt"
	"time"
)

// How much of a state is shown one by one.
const (
	maxShownTables    = 30
	maxShownPositions = 16
)

// stateIndent is where the texts about a state begin.
const stateIndent = 18

// printState writes what is in a state's directory.
func printState(p *page, in *stateInfo, now time.Time) {
	p.line("%s", shown(in.Dir, screen))
	switch {
	case in.Refused != "":
		p.wrapped("REFUSED", stateIndent, shown(in.Refused, 400))
		p.wrapped("", stateIndent, in.Do)
	case len(in.Damage) > 0:
		p.wrapped("DAMAGED", stateIndent, shown(in.Damage[0], 400))
		if n := len(in.Damage) - 1; n > 0 {
			p.wrapped("", stateIndent, fmt.Sprintf("and %s more", several(n, "fault")))
		}
		p.wrapped("", stateIndent, "weir state verify says what to do")
	case in.Checkpoint == nil:
		p.wrapped("", 2, "There is no checkpoint in it: a run that begins here reads the log from where its journal begins.")
	}
	if at := in.Checkpoint; at != nil && len(in.Damage) == 0 {
		p.wrapped("checkpoint", stateIndent, fmt.Sprintf("of %s by the log, written %s", dayText(at.Tick, now), ago(at.Written, now)))
		p.wrapped("windows", stateIndent, fmt.Sprintf("%s, %s", plural(in.Keys, "key"), bytesText(in.Bytes)))
		if in.Garbage >= worthGiving {
			p.wrapped("superseded", stateIndent, bytesText(in.Garbage)+" that later checkpoints have replaced: given back by and by, or by weir state compact at once")
		}
		if !in.Oldest.IsZero() {
			p.wrapped("oldest event", stateIndent, dayText(in.Oldest, now))
		}
		printTables(p, in)
		printPositions(p, in, now)
	}
	p.heading("On disk")
	for _, f := range in.Files {
		text := fmt.Sprintf("%s in %s", bytesText(f.Bytes), several(f.Files, "file"))
		if f.What == ballastPart {
			text += ", given back when the disk runs full"
		}
		if f.Aside != "" {
			text += "; put aside, and made anew since: " + shown(f.Aside, 300) + " (it can be deleted)"
		}
		p.wrapped(f.What, stateIndent, text)
	}
}

func printTables(p *page, in *stateInfo) {
	if len(in.Tables) == 0 {
		return
	}
	p.heading("Keys, by what they are of")
	rows := [][]string{}
	for i, t := range in.Tables {
		if i == maxShownTables {
			rows = append(rows, []string{fmt.Sprintf("and %s more", several(len(in.Tables)-i, "kind")), "", "", ""})
			break
		}
		share := float64(t.Bytes) / float64(max(1, in.Bytes))
		rows = append(rows, []string{shown(t.Name, 50), count(t.Keys), bytesText(t.Bytes), percent(share)})
	}
	p.table("lrrr", rows...)
}

func printPositions(p *page, in *stateInfo, now time.Time) {
	if len(in.Positions) == 0 {
		return
	}
	p.heading("Where a run would read on")
	for i, at := range in.Positions {
		if i == maxShownPositions {
			p.line("  and %s more", several(len(in.Positions)-i, "partition"))
			break
		}
		text := fmt.Sprintf("partition %d from %s on", at.Partition, count(at.Offset))
		if at.Offset == 0 {
			text = fmt.Sprintf("partition %d from its beginning on", at.Partition)
		}
		if !at.Watermark.IsZero() {
			text += fmt.Sprintf("; it is complete up to %s by the log", dayText(at.Watermark, now))
		}
		p.wrapped(shown(at.Source, 20), stateIndent, text)
	}
}

// worthGiving is from how many superseded bytes on they are worth a word: a
// compacted store has a few of its last flip.
const worthGiving = 1 << 20
