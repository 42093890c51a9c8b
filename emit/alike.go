package emit

import "time"

// notAlike is the end of an entry of which it is not known whether, or till
// when, a point enforces it. No list asks for such an end, so that it is a
// difference to any, and the point is brought to what it is to hold.
var notAlike = time.Unix(maxUntil+1, 0).UTC()

// unknownEntry stands for what a place holds and nobody can read.
var unknownEntry = Entry{Until: notAlike}

// notKnown returns a list that differs from every one that a point can be given.
func notKnown(es []Entry) List {
	for i := range es {
		es[i].Until = notAlike
	}
	if len(es) == 0 {
		es = []Entry{unknownEntry}
	}
	list := List{Entries: es}
	list.Sort()
	return list
}

// alike makes one list of what several places hold. What not all of them hold,
// or not in the same way, is in it as not alike.
func alike(all []Entry, places int) List {
	list := List{Entries: all}
	list.Sort()
	out := all[:0]
	for i := 0; i < len(all); {
		e, n := all[i], 1
		for i++; i < len(all) && compareKeys(&all[i], &e) == 0; i++ {
			if all[i].ID != e.ID || all[i].To != e.To || !all[i].Until.Equal(e.Until) {
				e.Until = notAlike
			}
			n++
		}
		if n != places {
			e.Until = notAlike
		}
		out = append(out, e)
	}
	list.Entries = out
	return list
}
