package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"weir/internal/seal"
)

// Journal is the file that holds what a clock decided, a mark a line. What it
// was given is safe when Append has returned.
type Journal struct {
	mu       sync.Mutex
	path     string
	file     *os.File
	marks    []Mark
	repaired string
	seal     seal.Kept // of what is safe, see Seal
	before   int64     // of its bytes, those that were written to the files before this one
	torn     bool      // there may be more behind it, of a write that failed
	tidyFrom int64     // it is never written anew below this size
	tidyAt   int64     // and next at this one
	moved    bool      // it was written anew, and its name may still mean the old one
	line     []byte
}

// tidySize is how large a journal grows, at least, before it is written anew
// while it is open: a partition that stays idle has a line for each second with
// decisions, of which only the last one counts.
const tidySize = 32 << 20

// syncFile makes sure that what was written to a file outlasts a power failure;
// tests see through it what is safe, and when.
var syncFile = (*os.File).Sync

// OpenJournal opens a journal, or begins one. A last line that a crash cut short
// is cut off, see Repaired; any other line that is no mark is an error.
func OpenJournal(path string) (*Journal, error) { return openJournal(path, tidySize) }

func openJournal(path string, tidyFrom int64) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{path: path, file: f, tidyFrom: tidyFrom, tidyAt: tidyFrom, moved: true}
	read, err := readJournal(f, path)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	j.marks, j.repaired = compact(read.marks), read.repaired
	if err := j.goOn(&read); err != nil {
		return nil, fmt.Errorf("journal: %w", errors.Join(err, j.file.Close()))
	}
	return j, nil
}

// goOn makes the file end behind a whole line and all of it safe, and writes it
// anew where it is large.
func (j *Journal) goOn(read *journalRead) error {
	if read.tidied != nil {
		j.before = read.tidied.Before
	}
	s := read.whole
	if err := j.file.Truncate(s.Size); err != nil {
		return err
	}
	if read.open {
		newline := []byte{'\n'}
		if _, err := j.file.WriteAt(newline, s.Size); err != nil {
			return err
		}
		s = s.With(newline)
	}
	if err := errors.Join(j.file.Chmod(0o600), syncFile(j.file)); err != nil {
		return err
	}
	j.seal.Set(seal.Seal{Size: j.before + s.Size, Sum: s.Sum})
	if err := j.settle(); err != nil {
		return err
	}
	if s.Size > j.tidyAt {
		return j.tidy()
	}
	return nil
}

// tidy writes an open journal anew. What fails before the new file is in place
// leaves the old one as it was, and is tried again when that has doubled.
func (j *Journal) tidy() error {
	j.tidyAt = 2 * j.size()
	marks, _, err := ReadJournal(j.path)
	if err != nil {
		return err
	}
	old := j.file
	err = j.rewrite(compact(marks))
	if j.file != old {
		j.tidyAt = max(j.tidyFrom, 2*j.size())
		err = errors.Join(err, old.Close())
	}
	return err
}

// size is how many bytes of the file are safe.
func (j *Journal) size() int64 { return j.seal.Load().Size - j.before }

// rewrite replaces the file by one of the marks, whole or not at all, and
// goes on behind them. Its first line says of how much it was made.
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
	before := j.seal.Load().Size
	b = append(appendTidied(nil, tidied{Before: before, Head: seal.Seal{}.With(b)}), b...)
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
	j.file, j.moved = f, true
	j.before = before
	j.seal.Set(seal.Seal{Size: before}.With(b))
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
	j.seal.Set(j.seal.Load().With(b))
	if j.size() > j.tidyAt {
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
		if err := j.file.Truncate(j.size()); err != nil {
			return err
		}
		j.torn = false
	}
	if _, err := j.file.WriteAt(b, j.size()); err != nil {
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
