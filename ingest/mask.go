package ingest

import "unicode/utf8"

// Mask returns the shape of a line that could not be read, at most limit runes
// of it: letters as a and A, digits as 0, what stands between them as it is.
// Nothing says where secrets are in a line that nobody understood, so none of
// its words are shown.
func Mask(line []byte, limit int) string {
	out := make([]byte, 0, min(len(line), limit)+3)
	for n := 0; len(line) > 0; n++ {
		if n == limit {
			return string(out) + "…"
		}
		r, size := utf8.DecodeRune(line)
		line = line[size:]
		switch {
		case r >= 'a' && r <= 'z':
			out = append(out, 'a')
		case r >= 'A' && r <= 'Z':
			out = append(out, 'A')
		case r >= '0' && r <= '9':
			out = append(out, '0')
		case r < ' ' || r > '~':
			out = append(out, '.')
		default:
			out = append(out, byte(r))
		}
	}
	return string(out)
}
