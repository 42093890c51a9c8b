package enrich

import (
	"bytes"
	"strings"

	"weir/event"
)

// text returns s, from start on a path or (inQuery) a query, with its secrets
// replaced. What separates is kept, so that the parts stay what they are.
func (r *redactor) text(mem *event.Arena, s string, start int, inQuery bool) string {
	var out []byte
	copied, replaced := 0, 0
	for n := 0; start < len(s); n++ {
		if n == maxParameters || replaced == maxReplacements {
			out = r.replace(mem, out, s, copied, start, len(s))
			copied = len(s)
			break
		}
		end, eq, odd := readPart(s, start, inQuery)
		from, to := start, end
		hidden := false
		if eq >= 0 {
			from = eq + 1
			if hidden = r.secretName(s[start:eq]); hidden {
				// A secret ends where the parameter surely does.
				to = from + secretEnd(s[from:], inQuery)
				end = to
			}
		}
		if to > from && (hidden || odd && r.secretValue(s[from:to])) {
			out = r.replace(mem, out, s, copied, from, to)
			copied = to
			replaced++
		}
		if end < len(s) && s[end] == '?' {
			inQuery = true
		}
		start = end + 1
	}
	if out == nil {
		return s
	}
	return mem.Keep(append(out, s[copied:]...))
}

// replace appends what stands before a secret, and its pseudonym.
func (r *redactor) replace(mem *event.Arena, out []byte, s string, copied, from, to int) []byte {
	if out == nil {
		out = mem.Grow(len(s) + (maxReplacements+1)*valuePseudonymSize)
	}
	r.value = appendAllUnescaped(r.value[:0], s[from:to])
	return r.hide.append(append(out, s[copied:from]...), value, event.View(r.value), valuePseudonymSize)
}

// readPart returns where the part that begins at start ends, where its name
// does (-1: it has none), and whether its value may be secret for itself: it
// has an at sign, an escape, another equals sign or enough digits for a card.
func readPart(s string, start int, inQuery bool) (end, eq int, odd bool) {
	eq = -1
	digits := 0
	for end = start; end < len(s); end++ {
		c := s[end]
		class := classes[c]
		if class <= digitByte {
			digits += int(class)
			continue
		}
		switch {
		case class == endByte:
			if c != '/' || !inQuery {
				return end, eq, odd || digits >= minCard
			}
		case c == '=' && eq < 0:
			eq = end
		default:
			odd = true
		}
	}
	return end, eq, odd || digits >= minCard
}

// The classes of bytes in a query or path; that of a digit counts it.
const (
	plainByte = iota
	digitByte
	endByte
	oddByte
)

var classes = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] = digitByte
	}
	for _, c := range "&;#?/" {
		t[c] = endByte
	}
	for _, c := range "=@%" {
		t[c] = oddByte
	}
	return t
}()

// partEnd returns where the first parameter of a query, or segment or
// parameter of a path, ends.
func partEnd(s string, inQuery bool) int {
	for i := range len(s) {
		switch s[i] {
		case '&', ';', '#', '?':
			return i
		case '/':
			if !inQuery {
				return i
			}
		}
	}
	return len(s)
}

// secretEnd returns where a secret value ends: in a query, what other
// parameters may end with could be part of it.
func secretEnd(s string, inQuery bool) int {
	if !inQuery {
		return partEnd(s, false)
	}
	for i := range len(s) {
		if s[i] == '&' || s[i] == '#' {
			return i
		}
	}
	return len(s)
}

// secretName reports whether a parameter's value is secret: its name is listed,
// or one of the names that it is made of (user[password], form.email), or it
// has one of a few words in it.
func (r *redactor) secretName(name string) bool {
	if secret, ok := r.names.find(name); ok {
		return secret
	}
	secret := r.findSecret(name)
	r.names.put(name, secret)
	return secret
}

// findSecret is secretName of a name that was not there before.
func (r *redactor) findSecret(name string) bool {
	if len(name) > len(r.name) {
		name = name[len(name)-len(r.name):] // the last part says what it is
	}
	lower := appendAllUnescaped(r.name[:0], name)
	for i, c := range lower {
		if c >= 'A' && c <= 'Z' {
			lower[i] = c + 0x20
		}
	}
	if r.listed(lower) {
		return true
	}
	part := 0
	for i, c := range lower {
		switch {
		case isLetter(c), isDigit(c), c == '_', c == '-':
			if hasSecretWord(lower[i:]) {
				return true
			}
			continue
		}
		if i > part && r.listed(lower[part:i]) {
			return true
		}
		part = i + 1
	}
	return part > 0 && part < len(lower) && r.listed(lower[part:])
}

func (r *redactor) listed(name []byte) bool {
	return secretParameters[string(name)] || r.more[string(name)]
}

// hasSecretWord reports whether s begins with a word that makes a name secret
// wherever it stands in it.
func hasSecretWord(s []byte) bool {
	switch s[0] {
	case 'p':
		return hasPrefix(s, "passw") || hasPrefix(s, "passphrase") || hasPrefix(s, "passcode") || hasPrefix(s, "pwd") || hasPrefix(s, "phpsess")
	case 't':
		return hasPrefix(s, "token")
	case 's':
		return hasPrefix(s, "secret")
	case 'e':
		return hasPrefix(s, "email") || hasPrefix(s, "e-mail")
	case 'a':
		return hasPrefix(s, "apikey") || hasPrefix(s, "api_key") || hasPrefix(s, "api-key") || hasPrefix(s, "aspsession")
	case 'c':
		return hasPrefix(s, "credential") || hasPrefix(s, "creditcard") || hasPrefix(s, "credit_card") || hasPrefix(s, "cardnum")
	}
	return false
}

func hasPrefix(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && string(s[:len(prefix)]) == prefix
}

// secretValue reports whether a value is secret whatever its name: a mail
// address, a card number, or a text with secret parameters of its own.
func (r *redactor) secretValue(v string) bool {
	if strings.IndexByte(v, '%') < 0 && strings.IndexByte(v, '=') < 0 {
		return isMail(v) || hasCard(v)
	}
	r.nested = append(r.nested[:0], v...)
	for range maxUnescapes {
		if r.secretInside(event.View(r.nested)) {
			return true
		}
		if bytes.IndexByte(r.nested, '%') < 0 {
			return false
		}
		n := len(r.nested)
		r.nested = appendAllUnescaped(r.nested[:0], event.View(r.nested)) // in place: it only gets shorter
		if len(r.nested) == n {
			return false
		}
	}
	return bytes.IndexByte(r.nested, '%') >= 0 || r.secretInside(event.View(r.nested))
}

// secretInside looks at the parts of a value as if it were a URL.
func (r *redactor) secretInside(v string) bool {
	for n := 0; v != ""; n++ {
		if n == maxParameters {
			return true
		}
		end := partEnd(v, false)
		part := v[:end]
		if eq := strings.IndexByte(part, '='); eq >= 0 {
			if eq+1 < len(part) && r.secretName(part[:eq]) {
				return true
			}
			part = part[eq+1:]
		}
		if isMail(part) || hasCard(part) {
			return true
		}
		v = v[min(end+1, len(v)):]
	}
	return false
}

// appendAllUnescaped decodes all escapes; a plus stays one.
func appendAllUnescaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			dst = append(dst, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		} else {
			dst = append(dst, s[i])
		}
	}
	return dst
}

// The lengths of card numbers.
const minCard, maxCard = 13, 19

// hasCard reports whether there is a payment card's number in s, its digits
// together or in groups: the right length, beginning and check digit (Luhn).
func hasCard(s string) bool {
	if len(s) < minCard {
		return false
	}
	var digits [maxCard]byte
	n, group := 0, 0 // digits, and those before the last group
	for i := 0; i <= len(s); i++ {
		if i < len(s) && isDigit(s[i]) {
			if n < maxCard {
				digits[n] = s[i] - '0'
			}
			n++
			continue
		}
		if n >= minCard && n <= maxCard && (isCard(digits[:n]) || isCard(digits[group:n])) {
			return true
		}
		if i+1 < len(s) && n > 0 && n-group <= 6 && (s[i] == '-' || s[i] == ' ' || s[i] == '+' || s[i] == '.') && isDigit(s[i+1]) {
			group = n
			continue // between groups
		}
		n, group = 0, 0
	}
	return false
}

func isCard(d []byte) bool {
	if len(d) < minCard {
		return false
	}
	switch first, second := d[0], d[1]; len(d) {
	case 13:
		if first != 4 {
			return false // most numbers of that length are times in milliseconds
		}
	case 14:
		if first != 3 {
			return false
		}
	case 15:
		if first != 3 && !(first == 2 && second == 1 || first == 1 && second == 8) {
			return false
		}
	default:
		if first < 2 || first > 6 && first != 8 && first != 9 {
			return false
		}
	}
	sum := 0
	for i := range d {
		n := int(d[len(d)-1-i])
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// queryValue returns the value of a query's parameter as it stands there.
func queryValue(q, name string) (v string, ok bool) {
	for n := 0; q != "" && n < maxParameters; n++ {
		part, rest, _ := strings.Cut(q, "&")
		if k, v, ok := strings.Cut(part, "="); ok && k == name {
			return v, true
		}
		q = rest
	}
	return "", false
}
