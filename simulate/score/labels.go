package score

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"weir/simulate"
)

// maxLabels is how many labels a log may have.
const maxLabels = 512

// labels reads the label of each line of a log.
type labels struct {
	dec  *zstd.Decoder
	in   *bufio.Reader
	at   map[string]int
	line int64 // the number of the last one that was read
}

func newLabels(r io.Reader, of []simulate.Label) (*labels, error) {
	if len(of) > maxLabels {
		return nil, fmt.Errorf("%s: %d labels, must be at most %d", simulate.TruthFile, len(of), maxLabels)
	}
	l := &labels{at: map[string]int{}}
	for i := range of {
		if _, twice := l.at[of[i].Name]; twice {
			return nil, fmt.Errorf("%s: label %.80q stands twice", simulate.TruthFile, of[i].Name)
		}
		l.at[of[i].Name] = i
	}
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", simulate.LabelsFile, err)
	}
	l.dec, l.in = dec, bufio.NewReaderSize(dec, 64<<10)
	return l, nil
}

// next returns the label of the log's next line. At the end it is io.EOF.
func (l *labels) next() (int, error) {
	b, err := l.in.ReadSlice('\n')
	switch {
	case errors.Is(err, io.EOF) && len(b) == 0:
		return 0, io.EOF
	case errors.Is(err, bufio.ErrBufferFull):
		return 0, fmt.Errorf("%s: line %d: longer than any label", simulate.LabelsFile, l.line+1)
	case err != nil && !errors.Is(err, io.EOF):
		return 0, fmt.Errorf("%s: line %d: %w", simulate.LabelsFile, l.line+1, err)
	}
	l.line++
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	i, ok := l.at[string(b)]
	if !ok {
		return 0, fmt.Errorf("%s: line %d: label %.80q is not in %s", simulate.LabelsFile, l.line, b, simulate.TruthFile)
	}
	return i, nil
}

func (l *labels) close() { l.dec.Close() }
