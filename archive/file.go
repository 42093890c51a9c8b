package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/compress"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/metadata"
)

// maxFooter is how large a file's metadata may be: some 4 KiB a row group.
const maxFooter = 64 << 20

// magic begins and ends a Parquet file.
const magic = "PAR1"

// Before the metadata stand a tag and their checksum: Parquet has none for them.
const (
	footerTag  = "weir"
	footerSum  = len(footerTag) + 4
	footerTail = 8 // behind the metadata: their length and magic
)

var footerTable = crc32.MakeTable(crc32.Castagnoli)

// appendFooterSum appends what stands before metadata.
func appendFooterSum(dst, footer []byte) []byte {
	return binary.LittleEndian.AppendUint32(append(dst, footerTag...), crc32.Checksum(footer, footerTable))
}

var errNoArchive = errors.New("not a file of an archive")

// IsArchive reports whether a file is a Parquet file by its first bytes.
func IsArchive(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [len(magic)]byte
	_, err = f.ReadAt(b[:], 0)
	return err == nil && string(b[:]) == magic
}

// archiveFile is a file that is open.
type archiveFile struct {
	f     *os.File
	size  int64
	meta  *metadata.FileMetaData
	about *about
	names map[string]int // columns
}

// openFile opens a file and reads what it says of itself. Errors name it.
func openFile(path string) (af *archiveFile, err error) {
	registerCodec()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if af, err = readFooter(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, f.Close()))
	}
	return af, nil
}

func (af *archiveFile) close() error { return af.f.Close() }

func readFooter(f *os.File) (af *archiveFile, err error) {
	defer recovered(&err)
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var tail [footerTail]byte
	least := int64(len(magic) + footerSum + footerTail)
	if info.Size() < least {
		return nil, errNoArchive
	}
	if _, err := f.ReadAt(tail[:], info.Size()-footerTail); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != magic {
		return nil, errNoArchive
	}
	if n > info.Size()-least {
		return nil, errNoArchive
	}
	if n > maxFooter {
		return nil, fmt.Errorf("metadata of %d bytes, at most %d may be", n, maxFooter)
	}
	b := make([]byte, int64(footerSum)+n)
	if _, err := f.ReadAt(b, info.Size()-footerTail-int64(len(b))); err != nil {
		return nil, err
	}
	sum, b := b[:footerSum], b[footerSum:]
	if string(sum[:len(footerTag)]) != footerTag {
		return nil, errNoArchive
	}
	if !bytes.Equal(sum, appendFooterSum(nil, b)) {
		return nil, errors.New("its metadata are damaged")
	}
	if err := checkFooter(b); err != nil {
		return nil, err
	}
	meta, err := metadata.NewFileMetaData(b, nil)
	if err != nil {
		return nil, err
	}
	text := meta.KeyValueMetadata().FindValue(aboutKey)
	if text == nil {
		return nil, errNoArchive
	}
	af = &archiveFile{f: f, size: info.Size(), meta: meta, names: make(map[string]int)}
	if af.about, err = parseAbout(*text, len(meta.RowGroups)); err != nil {
		return nil, err
	}
	for i := range meta.Schema.NumColumns() {
		af.names[meta.Schema.Column(i).Path()] = i
	}
	return af, nil
}

// column opens column i of a row group, which must be of a physical type.
func (af *archiveFile) column(group, i int, want parquet.Type) (file.ColumnChunkReader, error) {
	rg := metadata.NewRowGroupMetaData(af.meta.RowGroups[group], af.meta.Schema, af.meta.WriterVersion(), nil)
	desc := af.meta.Schema.Column(i)
	chunk, err := rg.ColumnChunk(i)
	if err != nil {
		return nil, err
	}
	from, size := chunk.DataPageOffset(), chunk.TotalCompressedSize()
	if chunk.HasDictionaryPage() && chunk.DictionaryPageOffset() > 0 && chunk.DictionaryPageOffset() < from {
		from = chunk.DictionaryPageOffset()
	}
	codec := chunk.Compression()
	switch {
	case desc.PhysicalType() != want || desc.MaxDefinitionLevel() != 0 || desc.MaxRepetitionLevel() != 0:
		return nil, fmt.Errorf("column %s: of type %v, must be required and of type %v", desc.Path(), desc.PhysicalType(), want)
	case codec != compress.Codecs.Zstd && codec != compress.Codecs.Uncompressed:
		return nil, fmt.Errorf("column %s: compressed by %v, must be by ZSTD", desc.Path(), codec)
	case chunk.NumValues() != rg.NumRows() || chunk.CryptoMetadata() != nil:
		return nil, fmt.Errorf("column %s: %d values in %d rows", desc.Path(), chunk.NumValues(), rg.NumRows())
	case from < 4 || size < 0 || from > af.size || size > af.size-from:
		return nil, fmt.Errorf("column %s: %d bytes from %d on in a file of %d", desc.Path(), size, from, af.size)
	}
	pages, err := file.NewPageReader(newPageStream(af.f, from, size, rg.NumRows()), chunk.NumValues(), codec, allocator, nil)
	if err != nil {
		return nil, err
	}
	return file.NewColumnReader(desc, &checkedPages{PageReader: pages}, allocator, &buffers), nil
}
