package emit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// searcher looks through the lines of a ledger, the newest file first.
type searcher struct {
	files  []*os.File
	memory [][]byte
}

// find returns the newest lines that answer a question, oldest first.
func (s *searcher) find(q Question) ([]Line, error) {
	defer closeAll(s.files)
	var found []Line
	for _, b := range s.memory {
		found = q.take(found, b, true)
	}
	for i, f := range slices.Backward(s.files) {
		older, err := s.read(f, q, i == 0)
		if err != nil {
			return nil, err
		}
		found = append(older, found...)
		if len(found) >= q.limit() {
			break
		}
	}
	return found[max(0, len(found)-q.limit()):], nil
}

// read looks through one file; of the newest only whole lines are there.
func (s *searcher) read(f *os.File, q Question, oldest bool) (found []Line, err error) {
	r := bufio.NewReaderSize(f, maxLedgerLine+1)
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return nil, fmt.Errorf("ledger: %s: %w", f.Name(), err)
		}
		if found = q.take(found, line[:len(line)-1], oldest); len(found) >= 2*q.limit() {
			found = append(found[:0], found[len(found)-q.limit():]...)
		}
	}
}

// take adds a line to what was found if it answers the question. What stands
// at the head of a file was said before, unless that file is the oldest.
func (q *Question) take(found []Line, b []byte, oldest bool) []Line {
	if bytes.HasPrefix(b, []byte(`{"v":1,"event":"standing"`)) && !oldest {
		return found
	}
	line, err := readLine(b)
	if err != nil {
		return found // it was checked when the ledger was opened; another program's word otherwise
	}
	if q.answers(&line) {
		found = append(found, line)
	}
	return found
}
