package pipeline

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"weir/internal/seal"
)

// tidied is what the first line of a journal says that was written anew: how
// much had been written to all files before it, and how the file began. The
// seal of a journal counts those bytes too, so that it is known whether it was
// taken before or after.
type tidied struct {
	Before int64     `json:"before"` // bytes
	Head   seal.Seal `json:"head"`   // of the lines that follow the first
}

// tidiedBegin is how that line begins.
const tidiedBegin = `{"tidied":`

type tidiedLine struct {
	Tidied tidied `json:"tidied"`
}

func appendTidied(b []byte, t tidied) []byte {
	line, err := json.Marshal(tidiedLine{t})
	if err != nil {
		panic(err) // of a struct of integers
	}
	from := len(b)
	return closeLine(append(b, line[:len(line)-1]...), from)
}

func readTidied(line []byte) (*tidied, error) {
	var t tidiedLine
	if err := readLine(line, &t); err != nil {
		return nil, err
	}
	if t.Tidied.Before < 0 || t.Tidied.Head.Size < 0 {
		return nil, errors.New("a journal was made of fewer bytes than none")
	}
	return &t.Tidied, nil
}

// Seal returns what the journal has that is safe, with what was written to the
// files that it was before it was tidied. It may be called by any goroutine.
func (j *Journal) Seal() seal.Seal { return j.seal.Load() }

// CheckJournal returns nil if the file at path still begins as the journal was
// sealed, or was made of one that did. It is to be asked before OpenJournal,
// which takes a file that was cut for one that a crash has torn.
func CheckJournal(path string, s seal.Seal) error {
	if err := checkJournal(path, s); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

func checkJournal(path string, s seal.Seal) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return seal.Check(s, path)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, maxMark)
	first, err := r.ReadSlice('\n')
	cut := errors.Is(err, io.EOF)
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return fmt.Errorf("%s:1: %w: the line is longer than %d bytes", path, seal.ErrBroken, maxMark)
	case err != nil && !cut:
		return fmt.Errorf("%s:1: %w", path, err)
	}
	var head journalRead
	switch err := head.take(first, true); {
	case err != nil && cut:
		return seal.Check(s, path) // which says how much is missing
	case err != nil:
		return fmt.Errorf("%s:1: %w: %w", path, seal.ErrBroken, err)
	}
	switch t := head.tidied; {
	case t == nil:
		return seal.Check(s, path)
	case s.Size <= t.Before: // it was sealed before, and all of that was taken over
		return seal.CheckReader(t.Head, r, path)
	default:
		return seal.Check(seal.Seal{Size: s.Size - t.Before, Sum: s.Sum}, path)
	}
}
