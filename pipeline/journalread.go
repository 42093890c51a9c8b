package pipeline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"weir/internal/seal"
)

// maxMark is how long a line of a journal may be.
const maxMark = 16 << 10

// ReadJournal reads a journal without changing it. What stands behind the last
// newline and is no mark was cut short by a crash, or is still being written:
// it is left out, and repaired says so. Any other line that is no mark, or not
// the one that was written, is an error with its number. A line without an
// event is of one that woke.
func ReadJournal(path string) (marks []Mark, repaired string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	r, err := readJournal(f, path)
	return r.marks, r.repaired, err
}

// journalRead is what was read of a journal.
type journalRead struct {
	marks    []Mark
	repaired string
	whole    seal.Seal // of the marks' lines
	open     bool      // the last of them has no newline
	tidied   *tidied   // what the file was made of; nil: it never was tidied
}

func readJournal(f io.Reader, path string) (j journalRead, err error) {
	r := bufio.NewReaderSize(f, maxMark)
	for n := 1; ; n++ {
		line, end := r.ReadSlice('\n')
		if end != nil && !errors.Is(end, io.EOF) {
			if errors.Is(end, bufio.ErrBufferFull) {
				end = fmt.Errorf("longer than %d bytes", maxMark)
			}
			return journalRead{}, fmt.Errorf("journal: %s:%d: %w", path, n, end)
		}
		if end != nil {
			if !j.takeLast(line, n == 1) {
				j.repaired = fmt.Sprintf("%s:%d: the last line was cut short after %d bytes", path, n, len(line))
			}
			return j, nil
		}
		if err := j.take(line, n == 1); err != nil {
			return journalRead{}, fmt.Errorf("journal: %s:%d: %w", path, n, err)
		}
		j.whole = j.whole.With(line)
	}
}

// takeLast reads what stands behind the last newline: nothing, what a crash has
// torn, or a line that lacks only its newline, whatever stands in its place. It
// reports whether nothing was lost.
func (j *journalRead) takeLast(line []byte, first bool) bool {
	if len(line) == 0 {
		return true
	}
	whole := line[:bytes.LastIndexByte(line, '}')+1]
	if len(whole) == 0 || j.take(whole, first) != nil {
		return false
	}
	j.whole, j.open = j.whole.With(whole), true
	return true
}

// take reads a line.
func (j *journalRead) take(line []byte, first bool) error {
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	line, err := checkSum(line)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(line, []byte(tidiedBegin)) {
		if !first {
			return errors.New("only the first line says what a journal was made of")
		}
		j.tidied, err = readTidied(line)
		return err
	}
	m, err := readMark(line)
	if err == nil {
		j.marks = append(j.marks, m)
	}
	return err
}

// The end of a line: its sum is of all that stands before it.
const (
	sumMember = `,"sum":"`
	sumDigits = 8
	sumEnd    = `"}`
)

// closeLine ends a line that lacks only its closing brace.
func closeLine(b []byte, from int) []byte {
	sum := seal.Sum(b[from:])
	return fmt.Appendf(append(b, sumMember...), "%08x"+sumEnd+"\n", sum)
}

// checkSum returns a line as it is without its sum. A line that has none, of an
// older version or made by hand, is taken as it is.
func checkSum(line []byte) ([]byte, error) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	n := len(line) - len(sumMember) - sumDigits - len(sumEnd)
	if n < 0 || string(line[n:n+len(sumMember)]) != sumMember {
		return line, nil
	}
	said := string(line[n+len(sumMember) : len(line)-len(sumEnd)])
	if sum := fmt.Sprintf("%08x", seal.Sum(line[:n])); said != sum || string(line[len(line)-len(sumEnd):]) != sumEnd {
		return nil, fmt.Errorf("it is not as it was written: its sum is %s, must be %.8q", sum, said)
	}
	return append(slices.Clip(line[:n]), '}'), nil
}

func readMark(line []byte) (m Mark, err error) {
	if err := readLine(line, &m); err != nil {
		return m, err
	}
	if m.Event == "" {
		m.Event = MarkWake
	}
	return m, m.validate()
}

// readLine reads the one value of a line.
func readLine(line []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one value in a line")
	}
	return nil
}

// validate says what is wrong with a mark.
func (m *Mark) validate() error {
	switch {
	case !slices.Contains(markEvents, m.Event):
		return fmt.Errorf("event %q, must be one of %v", m.Event, markEvents)
	case m.Partition < 0 || m.Partition >= maxLocal:
		return fmt.Errorf("partition %d, must be from 0 to %d", m.Partition, maxLocal-1)
	case m.Offset < 0 || m.Offset == math.MaxInt64:
		return fmt.Errorf("offset %d, must be at least 0 and below %d", m.Offset, int64(math.MaxInt64))
	case m.Watermark < 0 || m.Watermark > LastSecond:
		return fmt.Errorf("watermark %d, must be from 0 to %d", m.Watermark, int64(LastSecond))
	}
	return nil
}

func appendMark(b []byte, m *Mark) []byte {
	line, err := json.Marshal(m)
	if err != nil {
		panic(err) // of a struct of strings and integers
	}
	from := len(b)
	return closeLine(append(b, line[:len(line)-1]...), from)
}
