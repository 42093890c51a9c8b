package emit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"weir/event"
)

// searcher looks through the lines of a ledger, the newest file first.
type searcher struct {
	files  []*os.File
	memory [][]byte

	asked asking
	since time.Time
	limit int
	found []Line // in the file that is read
}

// find returns the newest lines that answer, oldest first.
func (s *searcher) find() ([]Line, error) {
	defer closeAll(s.files)
	for _, b := range s.memory {
		s.take(b, true)
	}
	all := s.found
	for i, f := range slices.Backward(s.files) {
		s.found = nil
		if err := s.read(f, i == 0); err != nil {
			return nil, err
		}
		if all = append(s.found, all...); len(all) >= s.limit {
			break
		}
	}
	return all[max(0, len(all)-s.limit):], nil
}

// read looks through one file; a line that is being written is left out.
func (s *searcher) read(f *os.File, oldest bool) error {
	r := bufio.NewReaderSize(f, maxLedgerLine+1)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ledger: %s: %w", f.Name(), err)
		}
		s.take(line[:len(line)-1], oldest)
	}
}

// take adds a line to what was found if it answers. What is said again at the
// head of a file counts only if that file is the oldest. Lines that cannot be
// read were refused when the ledger was opened.
func (s *searcher) take(b []byte, oldest bool) {
	// Most lines are about others: nothing but their target is looked at. No
	// text can look like its name, since quotes within texts are escaped.
	_, rest, ok := bytes.Cut(b, []byte(`,"target":`))
	if !ok {
		return
	}
	target, _, err := event.ReadTarget(rest)
	if err != nil {
		return
	}
	r := s.asked.relate(target)
	if !r.covers() {
		return
	}
	line, err := readLine(b)
	if err != nil || line.Again && !oldest || line.At.Before(s.since) {
		return
	}
	line.Lacks = r.lacks
	if s.found = append(s.found, line); len(s.found) >= 2*s.limit {
		s.found = append(s.found[:0], s.found[len(s.found)-s.limit:]...)
	}
}
