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
	"path/filepath"
	"slices"
	"sync"
)

// maxMark is how long a line of a journal may be.
const maxMark = 16 << 10

// Journal is the file that holds what a clock decided, a mark a line. What it
// was given is safe when Append has returned.
type Journal struct {
	mu       sync.Mutex
	path     string
	file     *os.File
	marks    []Mark
	repaired string
	size     int64 // of what is safe
	torn     bool  // there may be more behind it, of a write that failed
	tidyFrom int64 // it is never written anew below this size
	tidyAt   int64 // and next at this one
	moved    bool  // it was written anew, and its name may still mean the old one
	line     []byte
}

// tidySize is how large a journal grows, at least, before it is written anew
// while it is open: a partition that stays idle has a line for each second with
// decisions, of which only the last one counts.
const tidySize = 32 << 20

// syncFile makes sure that what was written to a file outlasts a power failure;
// tests see through it what is safe, and when.
var syncFile = (*os.File).Sync

// OpenJournal opens a journal, or begins one, and writes it anew with one line
// for each source, partition, offset and event. A last line that a crash cut
// short is left out, see Repaired; any other line that is no mark is an error.
func OpenJournal(path string) (*Journal, error) {
	marks, repaired, err := ReadJournal(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	j := &Journal{path: path, marks: compact(marks), repaired: repaired, tidyFrom: tidySize, tidyAt: tidySize}
	if err := j.rewrite(j.marks); err != nil {
		if j.file != nil {
			err = errors.Join(err, j.file.Close())
		}
		return nil, fmt.Errorf("journal: %w", err)
	}
	return j, nil
}

// tidy writes an open journal anew. What fails before the new file is in place
// leaves the old one as it was, and is tried again when that has doubled.
func (j *Journal) tidy() error {
	j.tidyAt = 2 * j.size
	marks, _, err := ReadJournal(j.path)
	if err != nil {
		return err
	}
	old := j.file
	err = j.rewrite(compact(marks))
	if j.file != old {
		j.tidyAt = max(j.tidyFrom, 2*j.size)
		err = errors.Join(err, old.Close())
	}
	return err
}

// rewrite replaces the file by one of the marks, whole or not at all, and
// goes on behind them.
func (j *Journal) rewrite(marks []Mark) error {
	name := j.path + ".new"
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	var b []byte
	for i := range marks {
		b = appendMark(b, &marks[i])
	}
	_, err = f.Write(b)
	if err == nil {
		err = syncFile(f)
	}
	if err == nil {
		err = os.Rename(name, j.path)
	}
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(name))
	}
	j.file, j.size, j.moved = f, int64(len(b)), true
	return j.settle()
}

// settle makes sure that the journal's name means the new file even after a
// power failure.
func (j *Journal) settle() error {
	if !j.moved {
		return nil
	}
	d, err := os.Open(filepath.Dir(j.path))
	if err != nil {
		return err
	}
	if err := errors.Join(syncFile(d), d.Close()); err != nil {
		return err
	}
	j.moved = false
	return nil
}

// Marks returns the marks that the journal had when it was opened.
func (j *Journal) Marks() []Mark { return slices.Clone(j.marks) }

// Repaired returns what was cut off when the journal was opened, for a log;
// empty where nothing was.
func (j *Journal) Repaired() string { return j.repaired }

// Append writes marks, in their order, and returns when they are safe. After
// an error none of them counts, and it may be called again: what was written
// in part is taken back first.
func (j *Journal) Append(marks []Mark) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	b := j.line[:0]
	for i := range marks {
		if err := marks[i].validate(); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		from := len(b)
		if b = appendMark(b, &marks[i]); len(b)-from > maxMark {
			return fmt.Errorf("journal: a mark of %d bytes, must be at most %d", len(b)-from, maxMark)
		}
	}
	j.line = b
	if len(b) == 0 {
		return nil
	}
	if err := j.write(b); err != nil {
		j.torn = true
		return fmt.Errorf("journal: %w", err)
	}
	j.size += int64(len(b))
	if j.size > j.tidyAt {
		if err := j.tidy(); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	return nil
}

func (j *Journal) write(b []byte) error {
	if err := j.settle(); err != nil {
		return err
	}
	if j.torn {
		if err := j.file.Truncate(j.size); err != nil {
			return err
		}
		j.torn = false
	}
	if _, err := j.file.WriteAt(b, j.size); err != nil {
		return err
	}
	return syncFile(j.file)
}

// Close closes the file.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.file.Close(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// ReadJournal reads a journal without changing it. What stands behind the last
// newline and is no mark was cut short by a crash, or is still being written:
// it is left out, and repaired says so. Any other line that is no mark is an
// error with its number. A line without an event is of one that woke.
func ReadJournal(path string) (marks []Mark, repaired string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, maxMark)
	for n := 1; ; n++ {
		line, end := r.ReadSlice('\n')
		if end != nil && !errors.Is(end, io.EOF) {
			if errors.Is(end, bufio.ErrBufferFull) {
				end = fmt.Errorf("longer than %d bytes", maxMark)
			}
			return nil, "", fmt.Errorf("journal: %s:%d: %w", path, n, end)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			m, err := readMark(line)
			switch {
			case err == nil:
				marks = append(marks, m)
			case end != nil:
				return marks, fmt.Sprintf("%s:%d: the last line was cut short after %d bytes", path, n, len(line)), nil
			default:
				return nil, "", fmt.Errorf("journal: %s:%d: %w", path, n, err)
			}
		}
		if end != nil {
			return marks, "", nil
		}
	}
}

func readMark(line []byte) (m Mark, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return m, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return m, errors.New("more than one value in a line")
	}
	if m.Event == "" {
		m.Event = MarkWake
	}
	return m, m.validate()
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
	return append(append(b, line...), '\n')
}

// compact keeps, of marks with the same source, partition, offset and event,
// one with the highest watermark: where the first stood, with what the last
// says of a file.
func compact(marks []Mark) []Mark {
	type place struct {
		event     MarkEvent
		source    string
		partition int32
		offset    int64
	}
	at := make(map[place]int, len(marks))
	out := make([]Mark, 0, len(marks))
	for _, m := range marks {
		p := place{m.Event, m.Source, m.Partition, m.Offset}
		i, ok := at[p]
		if !ok {
			at[p] = len(out)
			out = append(out, m)
			continue
		}
		m.Watermark = max(m.Watermark, out[i].Watermark)
		out[i] = m
	}
	return out
}
