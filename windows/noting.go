package windows

import (
	"fmt"
	"math"
	"slices"
)

// noting is what a unit knows of the facts of its keys without looking at those
// that are not in memory.
type noting struct {
	judges []*judge // by table; nil: it has no facts
	notes  []notes  // by table
	// whole says that each key that only the store has has its notes. If not,
	// there are none.
	whole bool
	most  int64 // bytes that they may take
}

// Keep says which facts there are of each table's keys, so that Facts can be
// asked without reading keys of the store.
func (u *Unit) Keep(facts [][]Fact) {
	x := &u.noting
	same := len(x.judges) == len(facts)
	for t := 0; same && t < len(facts); t++ {
		j := x.judges[t]
		same = j == nil && len(facts[t]) == 0 || j != nil && slices.Equal(j.facts, facts[t])
	}
	if same {
		return
	}
	most := x.most
	if x.judges == nil {
		most = math.MaxInt64 // nobody has said
	}
	*x = noting{judges: make([]*judge, len(u.shapes)), notes: make([]notes, len(u.shapes)), most: most}
	for t := range facts {
		x.judges[t] = u.shapes[t].newJudge(facts[t])
	}
	x.whole = u.outside.keys == 0
}

// judgeOf returns the judge of a table, nil where it has none.
func (x *noting) judgeOf(table int) *judge {
	if len(x.judges) == 0 {
		return nil
	}
	return x.judges[table]
}

// Facts calls yield with every key of which facts are so as of a whole hour,
// wherever it is: with its table, Key.Lo and the facts as bits, in no order that
// means anything. asked are for each table the facts that matter. All of the
// unit's events lie before the hour, or less than an hour behind it, and hours
// never go back.
func (u *Unit) Facts(tick int64, asked []uint8, yield func(table int, key uint64, facts uint8)) {
	hour := uint32(max(0, tick) / secondsOfHour)
	u.factsInMemory(hour, asked, yield)
	x := &u.noting
	if !x.whole {
		u.outside.scanning = true
		defer func() { u.outside.scanning = false }()
		if err := u.takeNotes(hour, asked, yield); err != nil {
			u.fail(err)
		}
		return
	}
	for t := range x.notes {
		x.notes[t].sweep(func(n *note) (gone bool) {
			if n.until() <= hour || u.lines.dead(t, n.class(), n.last) {
				return true
			}
			if facts := n.facts() & asked[t]; facts != 0 && n.from() <= hour {
				yield(t, n.key, facts)
			}
			return false
		})
	}
}

// factsInMemory is for the keys in memory, in groups whose cache misses overlap.
func (u *Unit) factsInMemory(hour uint32, asked []uint8, yield func(table int, key uint64, facts uint8)) {
	var sum uint64
	for from := uint32(0); from < u.index.slots; from += group {
		end := min(from+group, u.index.slots)
		n := 0
		for i := from; i < end; i++ {
			s := u.index.slot(i)
			if s.used() && asked[s.table] != 0 {
				u.cells.slot[n] = i
				n++
				b := u.blob(s)
				sum += uint64(b[0]) + uint64(b[len(b)-1])
			}
		}
		for _, i := range u.cells.slot[:n] {
			s := u.index.slot(i)
			t := int(s.table)
			if facts := u.shapes[t].asOf(u.noting.judges[t], u.blob(s), hour) & asked[t]; facts != 0 {
				yield(t, s.key.Lo, facts)
			}
		}
	}
	u.sink += sum
}

// takeNotes makes the notes of all keys that only the store has, and calls
// yield for what is so of them as of an hour.
func (u *Unit) takeNotes(hour uint32, asked []uint8, yield func(table int, key uint64, facts uint8)) error {
	u.clearNotes()
	if u.outside.keys == 0 {
		return nil
	}
	for t, j := range u.noting.judges {
		if j == nil {
			continue
		}
		err := u.eachStoredOf(t, func(_ int, k Key, h header, value []byte) error {
			blob, err := u.readBlob(t, k, h, value)
			if err != nil {
				return err
			}
			if facts := u.shapes[t].asOf(j, blob, hour) & asked[t]; facts != 0 {
				yield(t, k.Lo, facts)
			}
			u.note(t, k, h.last, riskOf(h.ticks, h.near), blob)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// clearNotes begins anew; from here on whoever is not in memory is noted.
func (u *Unit) clearNotes() {
	clear(u.noting.notes)
	u.noting.whole = true
}

// readBlob returns the blob of a stored value as one of the unit's layout.
func (u *Unit) readBlob(table int, k Key, h header, value []byte) ([]byte, error) {
	_, blob, err := readValue(value)
	if err == nil {
		blob, err = u.converted(table, h.serial, blob)
	}
	if err == nil {
		err = u.shapes[table].check(blob, h.last, u.tick)
	}
	if err != nil {
		return nil, fmt.Errorf("key %016x%016x: %w", k.Hi, k.Lo, err)
	}
	return blob, nil
}

// note notes a key that is not in memory, or leaves it. When notes take more
// than they may, all are given up: Facts then reads the store.
func (u *Unit) note(table int, k Key, last uint32, class uint8, blob []byte) {
	x := &u.noting
	j := x.judgeOf(table)
	if j == nil || !x.whole {
		return
	}
	begin := uint32(u.tick) / secondsOfHour
	before := x.notes[table].held()
	u.shapes[table].eachSpan(j, blob, begin-min(1, begin), func(from, until uint32, facts uint8) {
		x.notes[table].add(newNote(k.Lo, last, class, facts, from, until))
	})
	if x.notes[table].held() > before {
		u.boundNotes(x.most)
	}
}

// boundNotes gives up the notes if they take more than so many bytes.
func (u *Unit) boundNotes(most int64) {
	x := &u.noting
	if x.most = most; x.held() > most {
		clear(x.notes)
		x.whole = false
	}
}

func (x *noting) held() (n int64) {
	for i := range x.notes {
		n += x.notes[i].held()
	}
	return n
}

// unnote forgets the notes of a key that came back to memory.
func (u *Unit) unnote(table int, k Key) {
	if len(u.noting.notes) > 0 {
		u.noting.notes[table].drop(k.Lo)
	}
}

// notesShare is the part of what may be resident that notes may take.
const notesShare = 2
