package emit

import (
	"bufio"
	"fmt"
	"io"

	"weir/event"
)

// Lines writes decisions as lines of JSON (decisions.jsonl). Equal decisions
// are equal bytes.
type Lines struct {
	w    *bufio.Writer
	line []byte
}

// NewLines writes to w, which stays the caller's to close.
func NewLines(w io.Writer) *Lines { return &Lines{w: bufio.NewWriter(w)} }

// Write writes a line for each decision. It does not keep them.
func (l *Lines) Write(ds []event.Decision) error {
	for i := range ds {
		l.line = append(ds[i].AppendJSON(l.line[:0]), '\n')
		if _, err := l.w.Write(l.line); err != nil {
			return fmt.Errorf("decisions: %w", err)
		}
	}
	return nil
}

// Flush writes out what is still held.
func (l *Lines) Flush() error {
	if err := l.w.Flush(); err != nil {
		return fmt.Errorf("decisions: %w", err)
	}
	return nil
}
