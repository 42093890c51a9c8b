package ingest

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"weir/event"
)

// The mark of a field that was cut: an ellipsis, '#' and 16 hex digits.
const (
	clipSign = "…#"
	clipMark = len(clipSign) + 16
)

// clip returns s, or what stands for it if it is longer than MaxField: its
// beginning, cut at a rune, and a keyed hash of the whole, so that two long
// values that differ anywhere stay different and nobody can write a short one
// that passes for a long one.
func clip(s string, mem *event.Arena, k *event.Key) string {
	if len(s) <= MaxField {
		return s
	}
	cut := MaxField - clipMark
	for back := 0; back < utf8.UTFMax-1 && !utf8.RuneStart(s[cut-back]); back++ {
		if utf8.RuneStart(s[cut-back-1]) {
			cut -= back + 1
			break
		}
	}
	b := append(mem.Grow(MaxField), s[:cut]...)
	b = append(b, clipSign...)
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], k.HashString(s))
	return mem.Keep(hex.AppendEncode(b, sum[:]))
}

// clipForwarded returns an address chain of at most MaxField bytes. Its right
// end is what the nearest proxy wrote and its left end whatever the client
// liked, so it is cut on the left, between two hops.
func clipForwarded(chain string) string {
	if len(chain) <= MaxField {
		return chain
	}
	tail := chain[len(chain)-MaxField:]
	if i := strings.IndexByte(tail, ','); i >= 0 {
		tail = tail[i+1:]
	}
	return tail
}
