package archive

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"weir/state"
)

// marksVersion is the format version of the file of marks. Version 1 did not say
// how far partitions were ever read, version 2 not of which logs they are.
const marksVersion = 3

// marks is what the archive knows beside its files and spools: up to where each
// partition is safe. It is written anew at each Sync and for each file.
type marks struct {
	parts  map[Part]mark
	spools map[spoolName]int64 // how much of each is synced
	// Behind which offset of each partition nothing has ever been added, whatever
	// became of what was: when the archive was resumed last.
	reached map[Part]int64
	logs    map[string]string // by source, which log its offsets are of, where that is known
}

// mark is what is known of a partition.
type mark struct {
	synced int64 // events before it are in files or synced spools
	done   int64 // events before it are in files
	max    int64 // the largest time in files
}

type spoolName struct {
	source string
	name   name
}

func (m *marks) encode() []byte {
	b, start := state.BeginRecord(nil)
	w := state.Writer{B: b}
	w.Uint(uint64(len(m.parts)))
	for _, p := range slices.SortedFunc(maps.Keys(m.parts), Part.compare) {
		k := m.parts[p]
		w.String(p.Source)
		w.Int(int64(p.Partition))
		w.Int(k.synced)
		w.Int(k.done)
		w.Int(k.max)
	}
	w.Uint(uint64(len(m.spools)))
	for _, s := range slices.SortedFunc(maps.Keys(m.spools), func(a, b spoolName) int {
		return cmp.Or(cmp.Compare(a.source, b.source), a.name.compare(b.name))
	}) {
		w.String(s.source)
		w.Int(s.name.begin)
		w.Int(int64(s.name.num))
		w.Int(m.spools[s])
	}
	w.Uint(uint64(len(m.reached)))
	for _, p := range slices.SortedFunc(maps.Keys(m.reached), Part.compare) {
		w.String(p.Source)
		w.Int(int64(p.Partition))
		w.Int(m.reached[p])
	}
	w.Uint(uint64(len(m.logs)))
	for _, name := range slices.Sorted(maps.Keys(m.logs)) {
		w.String(name)
		w.String(m.logs[name])
	}
	state.EndRecord(w.B, start, marksVersion)
	return w.B
}

func (p Part) compare(o Part) int {
	return cmp.Or(cmp.Compare(p.Source, o.Source), cmp.Compare(p.Partition, o.Partition))
}

func decodeMarks(b []byte) (m marks, err error) {
	m = marks{parts: make(map[Part]mark), spools: make(map[spoolName]int64), reached: make(map[Part]int64), logs: make(map[string]string)}
	version := byte(marksVersion)
	if len(b) > 0 && b[0] > 0 && b[0] < marksVersion {
		version = b[0]
	}
	body, rest, err := state.ReadRecord(b, version)
	if err != nil {
		return m, err
	}
	r := state.Reader{B: body}
	for range r.Len() {
		p := Part{Source: r.String(), Partition: int32(r.Int())}
		m.parts[p] = mark{synced: r.Int(), done: r.Int(), max: r.Int()}
	}
	for range r.Len() {
		s := spoolName{source: r.String(), name: name{begin: r.Int(), num: int(r.Int())}}
		m.spools[s] = r.Int()
	}
	if version > 1 {
		for range r.Len() {
			p := Part{Source: r.String(), Partition: int32(r.Int())}
			m.reached[p] = r.Int()
		}
	}
	if version > 2 {
		for range r.Len() {
			name := r.String()
			m.logs[name] = r.String()
		}
	}
	if r.Err != nil {
		return m, r.Err
	}
	if len(r.B)+len(rest) > 0 {
		return m, fmt.Errorf("%w: %d bytes too many", state.ErrCorrupt, len(r.B)+len(rest))
	}
	return m, nil
}

// readMarks reads the file of marks; one that is not there is empty. With an
// error the marks are empty too.
func readMarks(path string) (marks, error) {
	empty, _ := decodeMarks(new(marks).encode())
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return empty, nil
	}
	if err != nil {
		return empty, err
	}
	m, err := decodeMarks(b)
	if err != nil {
		return empty, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// finished notes that events of a partition up to an offset, and a time, are
// in a file.
func (m *marks) finished(p Part, last, latest int64) {
	k, known := m.parts[p]
	k.done, k.synced = max(k.done, last+1), max(k.synced, last+1)
	if !known {
		k.max = latest
	}
	k.max = max(k.max, latest)
	m.parts[p] = k
}

// synced notes that events of a partition before an offset are safe.
func (m *marks) synced(p Part, at int64) {
	k := m.parts[p]
	k.synced = at
	m.parts[p] = k
}
