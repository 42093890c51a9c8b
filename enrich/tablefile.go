package enrich

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"
)

const (
	// maxTableBytes is how large a table file may be, after decompression.
	maxTableBytes = 2 << 30
	// maxTableLine is how long a line of a table file may be.
	maxTableLine = 64 << 10
)

// openTable opens a table file, which may be compressed with gzip. What is
// over maxTableBytes is an error, so that no file can fill the memory.
func openTable(path string) (io.ReadCloser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, tableError(path, err)
	}
	if info, err := file.Stat(); err != nil || info.IsDir() {
		file.Close()
		if err == nil {
			err = errors.New("a directory, must be a file")
		}
		return nil, tableError(path, err)
	}
	t := &table{file: file}
	r := bufio.NewReaderSize(file, 64<<10)
	t.r = r
	if head, _ := r.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		gz, err := gzip.NewReader(r)
		if err != nil {
			file.Close()
			return nil, tableError(path, err)
		}
		t.r = gz
	}
	return t, nil
}

// table is an open table file.
type table struct {
	file *os.File
	r    io.Reader
	n    int64
}

func (t *table) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	if t.n += int64(n); t.n > maxTableBytes {
		return n, fmt.Errorf("over %d bytes, the limit", maxTableBytes)
	}
	return n, err
}

func (t *table) Close() error { return t.file.Close() }

// tableError says in one sentence why a file cannot be read.
func tableError(path string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// tableLines calls each for every line of a file that is not empty once
// comments are gone: what begins with # at the start of a line or after a
// space. Errors of each get the file and the line in front.
func tableLines(path string, each func(line string) error) error {
	t, err := openTable(path)
	if err != nil {
		return err
	}
	defer t.Close()
	s := bufio.NewScanner(t)
	s.Buffer(nil, maxTableLine)
	n := 1
	for ; s.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(s.Text(), "\ufeff"))
		if i := strings.IndexByte(line, '#'); i == 0 {
			continue
		}
		for _, sep := range []string{" #", "\t#"} {
			if i := strings.Index(line, sep); i >= 0 {
				line = strings.TrimSpace(line[:i])
			}
		}
		if line == "" {
			continue
		}
		if err := each(line); err != nil {
			return fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	if err := s.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("%s:%d: line longer than %d bytes", path, n, maxTableLine)
	} else if err != nil {
		return fmt.Errorf("%s:%d: %w", path, n, err)
	}
	return nil
}
