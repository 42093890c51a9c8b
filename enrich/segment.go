package enrich

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of a literal segment.
const (
	maxLiteral    = 32 // bytes
	maxSeparators = 2
	maxHumps      = 3
)

// digitWords are names with digits in them.
var digitWords = stringSet("2fa auth0 base64 h2 h5 html5 http2 i18n k8s l10n log4j md5 mp3 mp4 oauth1 oauth2 p3p s3 sha1 sha256 utf8 " +
	"w3c web2 web3 x509")

// wordShape says what a segment is that may be made of words.
func wordShape(s string) (prefix int, name string) {
	if digitWords[s] || isVersion(s) {
		return 0, ""
	}
	stem, numbered := strings.CutSuffix(s, "{n}") // a template's own
	p := readParts(stem)
	switch {
	case p.foreign:
		if isText(stem) && !numbered {
			return 0, "{slug}"
		}
		return 0, "{id}"
	case p.odd || p.words == 0 || numbered && p.digits > 0:
		return 0, "{id}"
	case p.spaces > 0 && p.bad == 0:
		return 0, "{slug}" // what somebody typed
	case p.bad == 0 && p.separators <= maxSeparators && p.humps <= maxHumps && p.single <= 1 && len(stem) <= maxLiteral:
		if p.digits == 0 && !numbered {
			return 0, ""
		}
		if p.trailing > 0 || numbered {
			return min(p.number, len(stem)), "{n}"
		}
	}
	if p.separators >= 1 && p.bad == 0 || p.separators >= maxSeparators && p.words >= 2 && p.words >= p.bad {
		return 0, "{slug}"
	}
	return 0, "{id}"
}

// isVersion reports whether s is an API's version: v2, v10, v2.1.
func isVersion(s string) bool {
	if len(s) < 2 || len(s) > 5 || s[0]|0x20 != 'v' {
		return false
	}
	major, minor, ok := strings.Cut(s[1:], ".")
	return len(major) <= 2 && isDigits(major) && (!ok || len(minor) == 1 && isDigits(minor))
}

// parts counts what a segment is made of.
type parts struct {
	words, bad, single int // runs of letters: plausible ones, others, of one letter
	digits             int // runs of digits
	separators, humps  int
	spaces             int  // of the separators
	trailing           int  // 1: digits stand at the end only, behind a word
	number             int  // where they begin
	odd                bool // there is something that no name has in it
	foreign            bool // there are letters beyond ASCII
}

func readParts(s string) parts {
	p := parts{number: len(s)}
	lastWord := 0 // the length of the last run of letters
	for i := 0; i < len(s); {
		c, start := s[i], i
		switch {
		case isLetter(c):
			for i++; i < len(s) && isLetter(s[i]); i++ {
				if s[i] < 'a' && s[i-1] >= 'a' {
					p.humps++
					break
				}
			}
			lastWord = i - start
			switch {
			case !plausible(s[start:i]):
				p.bad++
			case lastWord == 1:
				p.single++
				p.words++
			default:
				p.words++
			}
			p.trailing = 0
		case isDigit(c):
			for i++; i < len(s) && (isDigit(s[i]) || s[i] == '.' && i+1 < len(s) && isDigit(s[i+1])); i++ {
			}
			p.digits++
			p.trailing = 0
			if p.digits == 1 && lastWord >= 3 {
				p.trailing, p.number = 1, start
			}
		case isSeparator(c):
			i++
			p.separators++
			if c == '+' {
				p.spaces++
			}
			// Separators that lead or follow one another are in no name.
			p.odd = p.odd || start == 0 || i < len(s) && isSeparator(s[i])
		case c == '%' && i+2 < len(s) && s[i+1] == '2' && s[i+2] == '0':
			i += 3
			p.separators++
			p.spaces++
		case c == '%' && i+2 < len(s) && s[i+1] >= '8' || c >= utf8.RuneSelf:
			p.foreign = true
			return p
		default:
			p.odd = true
			return p
		}
	}
	return p
}

func isSeparator(c byte) bool {
	switch c {
	case '-', '_', '.', ':', '+', ',', '~', '!', '\'':
		return true
	}
	return false
}

// isText reports whether s, unescaped, consists of letters, digits and what
// separates words, in any script.
func isText(s string) bool {
	var buf [256]byte
	if len(s) > len(buf) {
		return false
	}
	b := buf[:0]
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		} else {
			b = append(b, s[i])
		}
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError || !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune(" -_.,+", r) {
			return false
		}
		b = b[n:]
	}
	return true
}
