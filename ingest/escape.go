package ingest

import "bytes"

// escape is how a field's writer hid what would have ended it.
type escape uint8

const (
	plain     escape = iota
	backslash        // \x22 \" \\ \n \t: nginx, Apache
	hash             // #22: HAProxy
	percent          // %22: CloudFront
	plus             // + for a space: IIS
)

var escapeSign = [...]byte{backslash: '\\', hash: '#', percent: '%', plus: '+'}

// decode undoes an escaping, once. What is not an escape stays as it is.
func (f *fields) decode(b []byte, esc escape) []byte {
	if esc == plain {
		return b
	}
	i := bytes.IndexByte(b, escapeSign[esc])
	if i < 0 {
		return b
	}
	out := f.mem.Grow(len(b))
	if esc == plus {
		out = append(out, b...)
		for j := i; j < len(out); j++ {
			if out[j] == '+' {
				out[j] = ' '
			}
		}
		f.mem.Keep(out)
		return out
	}
	for i >= 0 {
		out = append(out, b[:i]...)
		c, n := unescape(b[i:], esc)
		out = append(out, c)
		b = b[i+n:]
		i = bytes.IndexByte(b, escapeSign[esc])
	}
	out = append(out, b...)
	f.mem.Keep(out)
	return out
}

// unescape returns the byte that the escape at the start of b stands for, and
// how long the escape is.
func unescape(b []byte, esc escape) (c byte, n int) {
	switch esc {
	case hash, percent:
		if c, ok := hexByte(b[1:]); ok {
			return c, 3
		}
		return b[0], 1
	}
	if len(b) < 2 {
		return b[0], 1
	}
	switch b[1] {
	case 'x':
		if c, ok := hexByte(b[2:]); ok {
			return c, 4
		}
	case '"', '\\':
		return b[1], 2
	case 'n':
		return '\n', 2
	case 't':
		return '\t', 2
	case 'r':
		return '\r', 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'v':
		return '\v', 2
	}
	return b[0], 1
}

func hexByte(b []byte) (byte, bool) {
	if len(b) < 2 {
		return 0, false
	}
	hi, ok1 := nibble(b[0])
	lo, ok2 := nibble(b[1])
	return hi<<4 | lo, ok1 && ok2
}

func nibble(c byte) (byte, bool) {
	switch {
	case isDigit(c):
		return c - '0', true
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10, true
	}
	return 0, false
}
