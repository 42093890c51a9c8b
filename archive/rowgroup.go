package archive

import (
	"weir/event"
	"weir/ingest"

	"github.com/apache/arrow/go/v17/parquet"
)

const (
	// groupEvents is about how many events a row group has at most.
	groupEvents = 128 << 10
	// groupBytes is about how many bytes of texts one has in memory at most.
	groupBytes = 64 << 20
	// dictBytes and dictTexts are up to where a column of texts has a dictionary.
	dictBytes = 512 << 10
	dictTexts = 32 << 10
	// dictTrial is from how many events on a column keeps its dictionary only
	// where texts come again.
	dictTrial = 4096
)

// group collects the events of a row group, by column.
type group struct {
	n     int
	bytes int
	cols  []groupColumn
	remap []int32
}

// groupColumn is a column of a row group. Texts are numbers of a dictionary
// until it grows too large; then they are what they are.
type groupColumn struct {
	longs []int64
	plain bool
	index []int32
	dict  map[string]int32
	texts []parquet.ByteArray // of the dictionary, or of all events
	bytes int                 // of texts
}

func newGroup() *group {
	g := &group{cols: make([]groupColumn, len(columns))}
	for c := range g.cols {
		if k := columns[c].kind; k == textColumn || k == addrColumn {
			g.cols[c].dict = make(map[string]int32)
		}
	}
	return g
}

// reset empties the group; its memory is used again, but for texts.
func (g *group) reset() {
	g.n, g.bytes = 0, 0
	for c := range g.cols {
		col := &g.cols[c]
		col.longs, col.index = col.longs[:0], col.index[:0]
		clear(col.dict)
		clear(col.texts)
		col.texts, col.plain, col.bytes = col.texts[:0], false, 0
	}
}

// full reports whether the group is large enough.
func (g *group) full() bool { return g.n >= groupEvents || g.bytes >= groupBytes }

// add appends the events of a frame, of the columns that the file has.
func (g *group) add(f *frame, mask uint64) {
	for c := range columns {
		if mask&(1<<c) == 0 {
			continue
		}
		v, col := &f.cols[c], &g.cols[c]
		switch k := columns[c].kind; {
		case k == textColumn || k == addrColumn:
			before := col.bytes
			g.addTexts(col, v, f.Events)
			g.bytes += col.bytes - before
		case v.there:
			col.longs = append(col.longs, v.longs...)
		default:
			absent := columns[c].absent
			if c == colAppended {
				absent = ingest.NoAppend
			}
			for range f.Events {
				col.longs = append(col.longs, absent)
			}
		}
	}
	g.n += f.Events
}

var noTexts = values{there: true, dict: []string{""}}

func (g *group) addTexts(col *groupColumn, v *values, n int) {
	if !v.there {
		v = &noTexts
	}
	if !col.plain && (col.bytes > dictBytes || len(col.texts) > dictTexts || len(col.index) >= dictTrial && len(col.texts) > len(col.index)/2) {
		col.unfold()
	}
	if col.plain {
		g.addPlain(col, v, n)
		return
	}
	g.remap = g.remap[:0]
	for _, s := range v.dict {
		k, ok := col.dict[s]
		if !ok {
			k = int32(len(col.texts))
			b := []byte(s)
			col.dict[event.View(b)] = k
			col.texts = append(col.texts, b)
			col.bytes += len(b)
		}
		g.remap = append(g.remap, k)
	}
	switch {
	case v.many:
		for _, k := range v.index {
			col.index = append(col.index, g.remap[k])
		}
	case len(v.dict) == 1:
		for range n {
			col.index = append(col.index, g.remap[0])
		}
	default:
		col.index = append(col.index, g.remap...)
	}
}

// addPlain appends texts; each of the frame's is copied once.
func (g *group) addPlain(col *groupColumn, v *values, n int) {
	size := 0
	for _, s := range v.dict {
		size += len(s)
	}
	mem := make([]byte, 0, size)
	at := make([]parquet.ByteArray, len(v.dict))
	for i, s := range v.dict {
		from := len(mem)
		mem = append(mem, s...)
		at[i] = mem[from:len(mem):len(mem)]
	}
	col.bytes += size
	switch {
	case v.many:
		for _, k := range v.index {
			col.texts = append(col.texts, at[k])
		}
	case len(at) == 1:
		for range n {
			col.texts = append(col.texts, at[0])
		}
	default:
		col.texts = append(col.texts, at...)
	}
}

// unfold gives the dictionary up.
func (col *groupColumn) unfold() {
	all := make([]parquet.ByteArray, len(col.index), groupEvents)
	for i, k := range col.index {
		all[i] = col.texts[k]
	}
	col.plain, col.texts = true, all
	col.index = col.index[:0]
	clear(col.dict)
}

// memory returns about how many bytes the group holds.
func (g *group) memory() (n int) {
	for c := range g.cols {
		col := &g.cols[c]
		n += cap(col.longs)*8 + cap(col.index)*4 + cap(col.texts)*24 + len(col.dict)*32 + col.bytes
	}
	return n
}
