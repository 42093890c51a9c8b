package ingest

import (
	"bytes"
	"fmt"

	"weir/event"
)

var (
	errNoWrapped   = &Malformed{"no line in the envelope"}
	errWrappedMany = &Malformed{"more than one line in the envelope"}
)

// unwrap returns a decoder of lines that a log shipper put into an envelope: a
// JSON object that holds the line itself at path, as a string, which is
// unescaped once, or as an object. Nothing else in the envelope counts.
func unwrap(path string, inner Decoder) (Decoder, error) {
	if err := checkPath(path); err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	root, err := jsonTree(jsonFields{jsonWrapped: {{path: path}}}, nil, nil)
	if err != nil {
		return nil, err
	}
	envelope := &jsonDecoder{root: root}
	return func(line []byte, ev *event.Event, mem *event.Arena) error {
		line, err := envelope.wrapped(line, mem)
		if err != nil {
			return err
		}
		return inner(line, ev, mem)
	}, nil
}

// wrapped returns the line in an envelope. Its newline, which some shippers
// keep, is not part of it, and it is not two lines: what one request wrote
// cannot begin another.
func (d *jsonDecoder) wrapped(line []byte, mem *event.Arena) ([]byte, error) {
	if len(line) > MaxLine {
		return nil, ErrTooLong
	}
	line = line[jsonSpace(line, 0):]
	s := jsonScan{b: line, out: fields{mem: mem}}
	plans := d.plans.Load()
	if err := s.line(d.root, plans.choose(line)); err != nil {
		return nil, err
	}
	if s.missed {
		d.learn(line, plans)
	}
	inner := bytes.TrimRight(s.read.wrapped, "\r\n")
	switch {
	case len(inner) == 0:
		return nil, errNoWrapped
	case bytes.IndexByte(inner, '\n') >= 0:
		return nil, errWrappedMany
	}
	return inner, nil
}
