package archive

import (
	"bufio"
	"errors"
	"fmt"
	"os"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"weir/event"
)

const (
	// pageBytes is about how large a page is before compression: what a reader
	// holds of each column.
	pageBytes = 128 << 10
)

// fileWriter writes a file, a row group at a time.
type fileWriter struct {
	f       *os.File
	out     *sink
	w       *file.Writer
	mask    uint64 // the columns that it has
	about   about
	scratch []bool
}

// sink remembers the first error: arrow passes over some. It holds back the
// metadata, for their checksum stands before them.
type sink struct {
	w      *bufio.Writer
	err    error
	footer []byte
	hold   bool
}

func (s *sink) Write(b []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.hold {
		s.footer = append(s.footer, b...)
		return len(b), nil
	}
	n, err := s.w.Write(b)
	s.err = err
	return n, err
}

// newFileWriter begins a file with the columns in mask.
func newFileWriter(path string, info SourceInfo, extras event.Extras, mask uint64) (*fileWriter, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	props := []parquet.WriterProperty{
		parquet.WithCreatedBy("weir"), parquet.WithCompression(compress.Codecs.Zstd), parquet.WithVersion(parquet.V2_LATEST),
		parquet.WithDictionaryDefault(true), parquet.WithDictionaryPageSizeLimit(dictBytes), parquet.WithDataPageSize(pageBytes),
		parquet.WithBatchSize(1024), parquet.WithStats(false),
		parquet.WithDictionaryFor("offset", false), parquet.WithEncodingFor("offset", parquet.Encodings.DeltaBinaryPacked),
		parquet.WithStatsFor("time", true), parquet.WithStatsFor("offset", true), parquet.WithStatsFor("partition", true),
	}
	fields := schema.FieldList{schema.NewInt32Node("partition", parquet.Repetitions.Required, -1)}
	for c := range columns {
		if mask&(1<<c) != 0 {
			fields = append(fields, node(c, extras))
		}
	}
	root, err := schema.NewGroupNode("event", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	w := &fileWriter{f: f, out: &sink{w: bufio.NewWriterSize(f, 256<<10)}, mask: mask}
	w.about = about{
		Format: fileFormat, Source: info.Name, Disorder: int64(info.Disorder), MaxLateness: int64(info.MaxLateness), Unjudged: info.Unjudged,
		Appended: mask&(1<<colAppended) != 0,
	}
	w.w = file.NewParquetWriter(w.out, root, file.WithWriterProps(parquet.NewWriterProperties(props...)))
	return w, nil
}

// node is a column's place in the schema.
func node(c int, extras event.Extras) schema.Node {
	name := fileName(c, extras)
	if name == "" {
		name = columns[c].name // an extra whose name nobody knows any more
	}
	req := parquet.Repetitions.Required
	switch columns[c].kind {
	case textColumn, nameColumn:
		return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, req, schema.StringLogicalType{}, parquet.Types.ByteArray, -1, -1))
	case addrColumn:
		return schema.NewByteArrayNode(name, req, -1)
	case flagColumn:
		return schema.NewBooleanNode(name, req, -1)
	}
	if c == colTime || c == colAppended {
		return schema.MustPrimitive(schema.NewPrimitiveNodeLogical(name, req, schema.NewTimestampLogicalType(true, schema.TimeUnitNanos), parquet.Types.Int64, -1, -1))
	}
	return schema.NewInt64Node(name, req, -1)
}

// write appends the group as a row group.
func (w *fileWriter) write(partition int32, g *group) (err error) {
	defer recovered(&err)
	rg := w.w.AppendRowGroup()
	cw, err := rg.NextColumn()
	if err != nil {
		return err
	}
	same := make([]int32, g.n)
	for i := range same {
		same[i] = partition
	}
	if _, err := cw.(*file.Int32ColumnChunkWriter).WriteBatch(same, nil, nil); err != nil {
		return err
	}
	for c := range columns {
		if w.mask&(1<<c) == 0 {
			continue
		}
		cw, err := rg.NextColumn()
		if err != nil {
			return err
		}
		if err := w.writeColumn(cw, c, &g.cols[c]); err != nil {
			return fmt.Errorf("column %s: %w", columns[c].name, err)
		}
	}
	if err := rg.Close(); err != nil {
		return err
	}
	w.about.RowGroups = append(w.about.RowGroups, partition)
	return w.out.err
}

func (w *fileWriter) writeColumn(cw file.ColumnChunkWriter, c int, col *groupColumn) error {
	switch columns[c].kind {
	case longColumn:
		lw := cw.(*file.Int64ColumnChunkWriter)
		if c != colOffset && various(col.longs) {
			lw.FallbackToPlain()
		}
		_, err := lw.WriteBatch(col.longs, nil, nil)
		return err
	case flagColumn:
		w.scratch = w.scratch[:0]
		for _, v := range col.longs {
			w.scratch = append(w.scratch, v != 0)
		}
		_, err := cw.(*file.BooleanColumnChunkWriter).WriteBatch(w.scratch, nil, nil)
		return err
	case nameColumn:
		dict := make([]parquet.ByteArray, len(columns[c].names))
		for i, name := range columns[c].names {
			dict[i] = []byte(name)
		}
		index := make([]int32, len(col.longs))
		for i, v := range col.longs {
			if v < 0 || int(v) >= len(dict) {
				return fmt.Errorf("%d, must be below %d", v, len(dict))
			}
			index[i] = int32(v)
		}
		return writeDict(cw.(*file.ByteArrayColumnChunkWriter), dict, index)
	}
	bw := cw.(*file.ByteArrayColumnChunkWriter)
	if !col.plain {
		return writeDict(bw, col.texts, col.index)
	}
	bw.FallbackToPlain()
	for from, to, size := 0, 0, 0; to < len(col.texts); from, size = to, 0 {
		for to < len(col.texts) && to-from < 1024 && size < pageBytes { // arrow looks at the size of a page only behind a batch
			size += len(col.texts[to]) + 4
			to++
		}
		if _, err := bw.WriteBatch(col.texts[from:to], nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// various reports whether numbers seldom come again, by a sample of them: then a
// dictionary costs more than it saves.
func various(all []int64) bool {
	const sample = 1024
	seen := make(map[int64]struct{}, sample)
	step := max(1, len(all)/sample)
	n := 0
	for i := 0; i < len(all); i += step {
		seen[all[i]] = struct{}{}
		n++
	}
	return len(seen) > n/2
}

// writeDict writes a column of numbers of a dictionary that is known already:
// so no value is hashed again.
func writeDict(w *file.ByteArrayColumnChunkWriter, dict []parquet.ByteArray, index []int32) error {
	offsets := make([]int32, 1, len(dict)+1)
	var data []byte
	for _, s := range dict {
		data = append(data, s...)
		offsets = append(offsets, int32(len(data)))
	}
	values := array.NewData(arrow.BinaryTypes.Binary, len(dict), []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(offsets)), memory.NewBufferBytes(data)}, nil, 0, 0)
	indexes := array.NewData(arrow.PrimitiveTypes.Int32, len(index), []*memory.Buffer{nil, memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(index))}, nil, 0, 0)
	enc, ok := w.CurrentEncoder().(interface{ PutDictionary(arrow.Array) error })
	if !ok {
		return fmt.Errorf("no dictionary can be given to a %T", w.CurrentEncoder())
	}
	if err := enc.PutDictionary(array.NewBinaryData(values)); err != nil {
		return err
	}
	return w.WriteDictIndices(array.NewInt32Data(indexes), nil, nil)
}

// close writes what is at the end and has it last.
func (w *fileWriter) close() (size int64, err error) {
	text, err := w.about.encode()
	if err == nil {
		err = w.w.AppendKeyValueMetadata(aboutKey, text)
	}
	if err == nil {
		err = w.footer()
	}
	if err == nil {
		err = w.out.err
	}
	if err == nil {
		err = w.out.w.Flush()
	}
	if err == nil {
		err = w.f.Sync()
	}
	if err == nil {
		size, err = w.f.Seek(0, 2)
	}
	return size, errors.Join(err, w.f.Close())
}

func (w *fileWriter) footer() (err error) {
	defer recovered(&err)
	w.out.hold = true
	err = w.w.FlushWithFooter() // Close loses the error
	w.out.hold = false
	if n := len(w.out.footer); err == nil && n > footerTail {
		_, err = w.out.Write(append(appendFooterSum(nil, w.out.footer[:n-footerTail]), w.out.footer...))
	}
	return err
}

// recovered makes an error of a panic of arrow's.
func recovered(err *error) {
	if r := recover(); r != nil {
		if e, ok := r.(error); ok {
			*err = fmt.Errorf("parquet: %w", e)
		} else {
			*err = fmt.Errorf("parquet: %v", r)
		}
	}
}
