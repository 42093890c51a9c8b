package ingest

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// The functions here walk JSON text by the grammar of RFC 8259. They return the
// index behind what they read, or -1; they keep nothing and allocate nothing.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// jsonString returns the index of the closing quote of the string whose text
// begins at i, and whether it holds escapes.
func jsonString(b []byte, i int) (end int, escaped bool) {
	for {
		// Eight bytes at a time to the first quote, backslash or control
		// character. c^2 < 0x21 holds for the quote and the controls alone; a
		// borrow can only falsify bytes above the first true hit.
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			hit := (((x ^ 0x02*ones) - 0x21*ones) | ((x ^ '\\'*ones) - ones)) &^ x & highs
			if hit != 0 {
				i += bits.TrailingZeros64(hit) >> 3
				break
			}
			i += 8
		}
		for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
			i++
		}
		if i >= len(b) || b[i] < ' ' {
			return -1, false
		}
		if b[i] == '"' {
			return i, escaped
		}
		if i = jsonEscape(b, i+1); i < 0 {
			return -1, false
		}
		escaped = true
	}
}

// jsonEscape returns the index behind the escape whose backslash is at i-1.
func jsonEscape(b []byte, i int) int {
	if i >= len(b) {
		return -1
	}
	switch b[i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1
	case 'u':
		if i+5 <= len(b) && hex4(b[i+1:i+5]) >= 0 {
			return i + 5
		}
	}
	return -1
}

// hex4 returns the value of four hexadecimal digits, or -1.
func hex4(b []byte) rune {
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// jsonUnescape appends what the raw text of a string stands for. Bytes that
// are not UTF-8 stay as they are, and half a surrogate pair becomes its three
// bytes (WTF-8), so that different names stay different.
func jsonUnescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			j := i + 1
			for j < len(raw) && raw[j] != '\\' {
				j++
			}
			dst = append(dst, raw[i:j]...)
			i = j
			continue
		}
		c := raw[i+1]
		i += 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(raw[i : i+4])
			i += 4
			if !utf16.IsSurrogate(r) {
				dst = utf8.AppendRune(dst, r)
				continue
			}
			if i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
				if pair := utf16.DecodeRune(r, hex4(raw[i+2:i+6])); pair != utf8.RuneError {
					dst = utf8.AppendRune(dst, pair)
					i += 6
					continue
				}
			}
			dst = append(dst, 0xe0|byte(r>>12), 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
			continue
		}
		dst = append(dst, c)
	}
	return dst
}

// jsonNumber returns the index behind the number at i.
func jsonNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	start := i
	if i = jsonDigits(b, i); i < 0 || b[start] == '0' && i > start+1 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = jsonDigits(b, i+1); i < 0 {
			return -1
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return jsonDigits(b, i)
	}
	return i
}

// jsonDigits returns the index behind the digits at i; there must be some.
func jsonDigits(b []byte, i int) int {
	start := i
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

// jsonLiteral returns the index behind the true, false or null at i.
func jsonLiteral(b []byte, i int) int {
	for _, word := range [...]string{"null", "true", "false"} {
		if hasAt(b, i, word) {
			return i + len(word)
		}
	}
	return -1
}

// jsonSpace returns the index of the first byte from i on that is not white space.
func jsonSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// hasAt reports whether word stands in b at i.
func hasAt(b []byte, i int, word string) bool {
	return len(b)-i >= len(word) && string(b[i:i+len(word)]) == word
}

// jsonMember moves from the end of a member's value (or from the object's
// opening brace, if first) to the next member's value. At the object's end
// value is the index behind the brace and done is true. The raw key is
// b[from:to].
func jsonMember(b []byte, i int, first bool) (from, to, value int, escaped, done bool) {
	bad := func() (int, int, int, bool, bool) { return 0, 0, -1, false, false }
	i = jsonSpace(b, i)
	if !first && i < len(b) && b[i] == '}' {
		return 0, 0, i + 1, false, true
	}
	opens := byte(',')
	if first {
		opens = '{'
	}
	if i >= len(b) || b[i] != opens {
		return bad()
	}
	i = jsonSpace(b, i+1)
	if first && i < len(b) && b[i] == '}' {
		return 0, 0, i + 1, false, true
	}
	if i >= len(b) || b[i] != '"' {
		return bad()
	}
	from = i + 1
	to, escaped = jsonString(b, from)
	if to < 0 {
		return bad()
	}
	i = jsonSpace(b, to+1)
	if i >= len(b) || b[i] != ':' {
		return bad()
	}
	return from, to, jsonSpace(b, i+1), escaped, false
}

// jsonSkip returns the index behind the value at i, which stands in a
// container of the given depth (the outermost object has depth 1).
func jsonSkip(b []byte, i, depth int) (int, *Malformed) {
	if i >= len(b) {
		return -1, errJSON
	}
	switch b[i] {
	case '"':
		end, _ := jsonString(b, i+1)
		if end < 0 {
			return -1, errJSON
		}
		return end + 1, nil
	case '{', '[':
		if depth >= MaxDepth {
			return -1, errJSONDepth
		}
		if b[i] == '{' {
			return jsonSkipObject(b, i, depth+1)
		}
		return jsonSkipArray(b, i, depth+1)
	case 't', 'f', 'n':
		i = jsonLiteral(b, i)
	default:
		i = jsonNumber(b, i)
	}
	if i < 0 {
		return -1, errJSON
	}
	return i, nil
}

// jsonSkipObject returns the index behind the object at i, of that depth.
func jsonSkipObject(b []byte, i, depth int) (int, *Malformed) {
	for members := 0; ; members++ {
		_, _, value, _, done := jsonMember(b, i, members == 0)
		if value < 0 {
			return -1, errJSON
		}
		if done {
			return value, nil
		}
		if members >= maxMembers {
			return -1, errJSONMembers
		}
		var err *Malformed
		if i, err = jsonSkip(b, value, depth); err != nil {
			return -1, err
		}
	}
}

// jsonSkipArray returns the index behind the array at i, of that depth.
func jsonSkipArray(b []byte, i, depth int) (int, *Malformed) {
	for first := true; ; first = false {
		value, done := jsonElement(b, i, first)
		if value < 0 {
			return -1, errJSON
		}
		if done {
			return value, nil
		}
		var err *Malformed
		if i, err = jsonSkip(b, value, depth); err != nil {
			return -1, err
		}
	}
}

// jsonElement moves from the end of an array's element (or from its opening
// bracket, if first) to the next element. At the end value is the index behind
// the bracket and done is true.
func jsonElement(b []byte, i int, first bool) (value int, done bool) {
	if first {
		if i = jsonSpace(b, i+1); i < len(b) && b[i] == ']' {
			return i + 1, true
		}
		return i, false
	}
	i = jsonSpace(b, i)
	if i >= len(b) {
		return -1, false
	}
	switch b[i] {
	case ']':
		return i + 1, true
	case ',':
		return jsonSpace(b, i+1), false
	}
	return -1, false
}
