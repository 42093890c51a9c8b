package archive

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
)

const (
	// maxPage is how large a page may be; the writer stays far below.
	maxPage = 16 << 20
	// streamBuffer is how much of a column is read from the disk at a time, at
	// least as much as arrow looks at for a page's header.
	streamBuffer = 32 << 10
)

// pageStream hands a column's bytes to arrow, which asks for each page's header
// with Peek. A header that claims more than there may be is an error.
type pageStream struct {
	*bufio.Reader
	left int64 // bytes that were not taken
	rows int64
}

func newPageStream(r io.ReaderAt, from, size, rows int64) *pageStream {
	return &pageStream{Reader: bufio.NewReaderSize(io.NewSectionReader(r, from, size), streamBuffer), left: size, rows: rows}
}

// Peek returns what comes next: a header.
func (s *pageStream) Peek(n int) ([]byte, error) {
	b, err := s.Reader.Peek(n)
	if len(b) == 0 {
		return b, err
	}
	h, herr := readPageHead(b)
	switch {
	case herr != nil:
		return nil, herr
	case h.raw < 0 || h.raw > maxPage || h.stored < 0 || h.stored > s.left || h.values < 0:
		return nil, fmt.Errorf("a page of %d bytes, %d in the file, at most %d and %d may be", h.raw, h.stored, maxPage, s.left)
	case h.kind != 0 && h.kind != 2:
		return nil, fmt.Errorf("a page of kind %d", h.kind)
	case h.kind == 0 && h.values > s.rows || h.kind == 2 && h.values > h.raw:
		return nil, fmt.Errorf("a page of %d values for %d rows, in %d bytes", h.values, s.rows, h.raw)
	}
	return b, err
}

// Discard passes over bytes.
func (s *pageStream) Discard(n int) (int, error) {
	k, err := s.Reader.Discard(n)
	s.left -= int64(k)
	return k, err
}

// Read takes bytes.
func (s *pageStream) Read(b []byte) (int, error) {
	k, err := s.Reader.Read(b)
	s.left -= int64(k)
	return k, err
}

// checkedPages looks at pages before arrow decodes them.
type checkedPages struct {
	file.PageReader
	entries int64 // of the dictionary
	err     error
}

// Next goes to the next page.
func (p *checkedPages) Next() bool {
	if p.err != nil || !p.PageReader.Next() {
		return false
	}
	switch page := p.Page().(type) {
	case *file.DictionaryPage:
		p.entries = int64(page.NumValues())
	case *file.DataPageV1:
		p.err = p.check(page)
	default:
		p.err = fmt.Errorf("a page of another version")
	}
	return p.err == nil
}

// Err returns why there is no next page; nil at the end.
func (p *checkedPages) Err() error {
	if p.err != nil {
		return p.err
	}
	return p.PageReader.Err()
}

func (p *checkedPages) check(page *file.DataPageV1) error {
	b := page.Data()
	switch enc := parquet.Encoding(page.Encoding()); enc {
	case parquet.Encodings.Plain:
		return nil
	case parquet.Encodings.RLEDict, parquet.Encodings.PlainDict:
		// The width says up to which number of the dictionary arrow makes room.
		if len(b) > 0 && (b[0] > 24 || b[0] > 0 && int64(1)<<(b[0]-1) > p.entries) {
			return fmt.Errorf("numbers of %d bits for a dictionary of %d", b[0], p.entries)
		}
		return nil
	case parquet.Encodings.DeltaBinaryPacked:
		block, n := binary.Uvarint(b)
		b = b[max(n, 0):]
		minis, m := binary.Uvarint(b)
		b = b[max(m, 0):]
		total, k := binary.Uvarint(b)
		if n <= 0 || m <= 0 || k <= 0 || minis < 1 || minis > 32 || block < 32 || block > 4096 || block%minis != 0 || total != uint64(page.NumValues()) || total == 0 {
			return fmt.Errorf("differences in blocks of %d by %d, %d of %d", block, minis, total, page.NumValues())
		}
		return nil
	default:
		return fmt.Errorf("encoding %v", enc)
	}
}
