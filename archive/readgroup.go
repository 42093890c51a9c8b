package archive

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"

	"weir/event"
	"weir/ingest"
)

// allocator makes the memory of pages. The collector frees it, not arrow: texts
// of events point into it, for as long as anybody holds one.
var allocator memory.Allocator = memory.NewGoAllocator()

// buffers is arrow's pool for skipping values, which is never done here.
var buffers = sync.Pool{New: func() any { return memory.NewResizableBuffer(allocator) }}

// groupReader reads a row group.
type groupReader struct {
	left     int64
	cols     []columnReader
	appended *columnReader
}

// columnReader reads one column of a row group.
type columnReader struct {
	*column
	c     int
	texts *file.ByteArrayColumnChunkReader
	longs *file.Int64ColumnChunkReader
	flags *file.BooleanColumnChunkReader

	text []parquet.ByteArray
	long []int64
	flag []bool
}

// group opens a row group's columns, those that are wanted.
func (af *archiveFile) group(i int, cfg ReadConfig) (g *groupReader, err error) {
	defer recovered(&err)
	g = &groupReader{left: af.meta.RowGroups[i].NumRows}
	for c := range columns {
		name := fileName(c, cfg.Extras)
		at, there := af.names[name]
		if !there {
			if c == colTime || c == colOffset {
				return nil, fmt.Errorf("no column %s", name)
			}
			continue
		}
		if !wanted(c, cfg.Reads) {
			continue
		}
		r := columnReader{column: &columns[c], c: c}
		switch r.kind {
		case textColumn, nameColumn, addrColumn:
			col, err := af.column(i, at, parquet.Types.ByteArray)
			if err != nil {
				return nil, err
			}
			r.texts = col.(*file.ByteArrayColumnChunkReader)
		case longColumn:
			col, err := af.column(i, at, parquet.Types.Int64)
			if err != nil {
				return nil, err
			}
			r.longs = col.(*file.Int64ColumnChunkReader)
		case flagColumn:
			col, err := af.column(i, at, parquet.Types.Boolean)
			if err != nil {
				return nil, err
			}
			r.flags = col.(*file.BooleanColumnChunkReader)
		}
		if c == colAppended {
			g.appended = &r
		} else {
			g.cols = append(g.cols, r)
		}
	}
	return g, nil
}

// read appends the next events to b, and their append times if times are wanted.
func (g *groupReader) read(max int, b *event.Batch, appended []int64, times bool) (_ []int64, err error) {
	defer recovered(&err)
	n := int(min(int64(max), g.left))
	from := len(b.Events)
	for range n {
		b.Next()
	}
	events := b.Events[from:]
	for i := range g.cols {
		if err := g.cols[i].read(events); err != nil {
			return appended, fmt.Errorf("column %s: %w", g.cols[i].name, err)
		}
	}
	if times && g.appended != nil {
		if err := g.appended.readLongs(n); err != nil {
			return appended, fmt.Errorf("column %s: %w", g.appended.name, err)
		}
		appended = append(appended, g.appended.long...)
	} else if times {
		for range n {
			appended = append(appended, ingest.NoAppend)
		}
	}
	g.left -= int64(n)
	return appended, nil
}

// read fills the column's field of all events.
func (r *columnReader) read(events []event.Event) error {
	n := len(events)
	switch r.kind {
	case longColumn:
		if err := r.readLongs(n); err != nil {
			return err
		}
		return r.storeLongs(events)
	case flagColumn:
		r.flag = sized(r.flag, n)
		k, _, err := r.flags.ReadBatch(int64(n), r.flag, nil, nil)
		if err := short(k, n, err, r.flags.Err()); err != nil {
			return err
		}
		for i, v := range r.flag {
			r.store(&events[i], number(v))
		}
		return nil
	}
	r.text = sized(r.text, n)
	k, _, err := r.texts.ReadBatch(int64(n), r.text, nil, nil)
	if err := short(k, n, err, r.texts.Err()); err != nil {
		return err
	}
	switch r.kind {
	case textColumn:
		at := r.column.text
		for i, b := range r.text {
			*at(&events[i]) = event.View(b)
		}
		return nil
	case nameColumn:
		return r.storeNames(events)
	}
	return r.storeAddrs(events)
}

func (r *columnReader) readLongs(n int) error {
	r.long = sized(r.long, n)
	k, _, err := r.longs.ReadBatch(int64(n), r.long, nil, nil)
	return short(k, n, err, r.longs.Err())
}

// storeLongs sets a number of all events; the commonest without a call.
func (r *columnReader) storeLongs(events []event.Event) error {
	switch r.c {
	case colTime:
		for i, v := range r.long {
			events[i].Time = v
		}
	case colOffset:
		for i, v := range r.long {
			events[i].Offset = v
		}
	default:
		for i, v := range r.long {
			r.store(&events[i], v)
		}
	}
	return nil
}

// storeNames sets what has a number in memory and a name in files.
func (r *columnReader) storeNames(events []event.Event) error {
	var before *byte // texts of a dictionary are the same bytes
	v := int64(-1)
	for i, b := range r.text {
		if p := unsafe.SliceData(b); p != before || v < 0 || len(b) != len(r.names[v]) {
			before = p
			if v = numberOf(r.names, event.View(b)); v < 0 {
				return fmt.Errorf("%.32q is not known", b)
			}
		}
		r.store(&events[i], v)
	}
	return nil
}

func numberOf(names []string, s string) int64 {
	for i, name := range names {
		if name == s {
			return int64(i)
		}
	}
	return -1
}

func (r *columnReader) storeAddrs(events []event.Event) error {
	for i, b := range r.text {
		a, ok := addrOf(event.View(b))
		if !ok {
			return fmt.Errorf("an address of %d bytes", len(b))
		}
		if r.c == colIP {
			events[i].IP = a
		} else {
			events[i].Peer = a
		}
	}
	return nil
}

// short says why fewer than n values were read.
func short(k int64, n int, err, of error) error {
	switch {
	case err != nil:
		return err
	case k == int64(n):
		return nil
	case of != nil:
		return of
	}
	return fmt.Errorf("it ends %d values too early", int64(n)-k)
}

func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
