package simulate

import (
	"fmt"
	"strconv"
	"strings"
)

// parts is a pattern in pieces, so that a request's path is put together
// without looking at it again.
type parts struct {
	method string
	pieces []piece
}

// piece is text and the number behind it.
type piece struct {
	text string
	kind byte // 'n' an item, 'c' a copy, 0 nothing
}

// cut takes a pattern and a query apart.
func (e *Endpoint) cut() error {
	method, path, ok := strings.Cut(e.Pattern, " ")
	if !ok || method == "" || !strings.HasPrefix(path, "/") {
		return fmt.Errorf("pattern %q, must be like \"GET /products/{n}\"", e.Pattern)
	}
	e.parts = parts{method: method}
	rest := strings.TrimSuffix(path, "{$}")
	if e.Query != "" {
		rest += "?" + e.Query
	}
	for rest != "" {
		text, tail, found := strings.Cut(rest, "{")
		if !found {
			e.parts.pieces = append(e.parts.pieces, piece{text: text})
			break
		}
		name, after, closed := strings.Cut(tail, "}")
		kind, known := map[string]byte{"n": 'n', "copy": 'c'}[name]
		if !closed || !known {
			return fmt.Errorf("%q, a placeholder must be {n} or {copy}", rest)
		}
		e.parts.pieces = append(e.parts.pieces, piece{text, kind})
		rest = after
	}
	return nil
}

// appendURI appends what is asked for.
func (e *Endpoint) appendURI(b []byte, item uint64) []byte {
	for _, p := range e.parts.pieces {
		b = append(b, p.text...)
		switch p.kind {
		case 'n':
			b = strconv.AppendUint(b, item, 10)
		case 'c':
			b = appendCopy(b, item%uint64(max(e.Copies, 1)))
		}
	}
	return b
}

func appendCopy(b []byte, n uint64) []byte {
	if n++; n < 10 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, n, 10)
}

// patterns are those of the site file: a line for each copy.
func (e *Endpoint) patterns() (all []string) {
	for i := range max(e.Copies, 1) {
		p := strings.ReplaceAll(e.Pattern, "{copy}", string(appendCopy(nil, uint64(i))))
		all = append(all, strings.ReplaceAll(p, "{n}", "{id}"))
	}
	return all
}
