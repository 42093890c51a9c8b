package enrich

import (
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"hash"
	"strings"
	"unicode"
	"unicode/utf8"

	"weir/event"
)

// The sizes of a pseudonym: of what names somebody, and of a value in a text,
// in hexadecimal digits.
const (
	pseudonymSize      = 32
	valuePseudonymSize = 16
)

// Credential returns the pseudonym of an account's name as events carry it:
// the first 32 hexadecimal digits of HMAC-SHA-256(key, name), the name trimmed
// and in lower case. An empty name has none.
func Credential(k *event.Key, name string) string {
	b := appendAccount(nil, name)
	if len(b) == 0 {
		return ""
	}
	return hex.EncodeToString(k.MAC("", b)[:pseudonymSize/2])
}

// appendAccount appends a name in the form in which names are compared.
func appendAccount(dst []byte, name string) []byte {
	name = trimSpace(name)
	for i := 0; i < len(name); {
		c := name[i]
		if c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				c += 0x20
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, c) // names that differ in broken bytes stay different
		} else {
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
		i += n
	}
	return dst
}

func trimSpace(s string) string {
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		if !unicode.IsSpace(r) {
			break
		}
		s = s[n:]
	}
	for s != "" {
		r, n := utf8.DecodeLastRuneInString(s)
		if !unicode.IsSpace(r) {
			break
		}
		s = s[:len(s)-n]
	}
	return s
}

// secret is what a value is, so that equal values of different sorts cannot be
// told to be equal.
type secret byte

const (
	account secret = iota
	session
	consumer
	value
	numSecrets
)

var secretNames = [numSecrets]string{account: "", session: "session", consumer: "consumer", value: "value"}

// pseudonyms replaces secrets. It belongs to one worker.
type pseudonyms struct {
	macs  [numSecrets]*mac
	known *memo[[pseudonymSize]byte]
	text  []byte // the sort and the secret
}

// The cache of pseudonyms: secrets that come again soon, as sessions do.
const (
	pseudonymSlots = 8192
	maxKnownSecret = 96
)

func newPseudonyms(k *event.Key, slots int) *pseudonyms {
	p := &pseudonyms{known: newMemo[[pseudonymSize]byte](k, slots, maxKnownSecret)}
	for s := range numSecrets {
		p.macs[s] = newMAC(k.HMACKey(secretNames[s]))
	}
	return p
}

// append appends the first n digits of a secret's pseudonym. An empty secret
// has none.
func (p *pseudonyms) append(dst []byte, sort secret, s string, n int) []byte {
	p.text = append(p.text[:0], byte(sort))
	if sort == account {
		p.text = appendAccount(p.text, s)
	} else {
		p.text = append(p.text, trimSpace(s)...)
	}
	if len(p.text) == 1 {
		return dst
	}
	digits, known := p.known.slot(p.text)
	if digits == nil {
		digits = new([pseudonymSize]byte) // too long to be kept; rare
	}
	if !known {
		hex.Encode(digits[:], p.macs[sort].of(p.text[1:])[:pseudonymSize/2])
	}
	return append(dst, digits[:n]...)
}

// keep returns the pseudonym of a secret, kept in mem.
func (p *pseudonyms) keep(mem *event.Arena, sort secret, s string) string {
	if s == "" {
		return ""
	}
	return mem.Keep(p.append(mem.Grow(pseudonymSize), sort, s, pseudonymSize))
}

// mac is HMAC-SHA-256 under one key, without allocating: the states behind the
// key's blocks are kept and taken up again for each message (RFC 2104,
// section 4).
type mac struct {
	h            hash.Hash
	state        encoding.BinaryUnmarshaler // h
	inner, outer []byte
	sum          [sha256.Size]byte
}

func newMAC(key []byte) *mac {
	h := sha256.New()
	m := &mac{h: h, state: h.(encoding.BinaryUnmarshaler)}
	m.inner = m.after(key, 0x36)
	m.outer = m.after(key, 0x5c)
	return m
}

// after returns the state behind the key, at most a block long, with pad.
func (m *mac) after(key []byte, pad byte) []byte {
	var block [sha256.BlockSize]byte
	copy(block[:], key)
	for i := range block {
		block[i] ^= pad
	}
	m.h.Reset()
	m.h.Write(block[:])
	state, err := m.h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic(err) // a digest's state can always be written
	}
	return state
}

// of returns the MAC of b; it is valid until the next call.
func (m *mac) of(b []byte) []byte {
	m.load(m.inner)
	m.h.Write(b)
	inner := m.h.Sum(m.sum[:0])
	m.load(m.outer)
	m.h.Write(inner)
	return m.h.Sum(m.sum[:0])
}

func (m *mac) load(state []byte) {
	if err := m.state.UnmarshalBinary(state); err != nil {
		panic(err) // the digest wrote it
	}
}

// domainOf returns the domain behind the at sign of an account's name. The
// rest of the name is a secret.
func domainOf(mem *event.Arena, name string) string {
	at := strings.LastIndexByte(name, '@')
	if at < 1 {
		return ""
	}
	return domain(mem, name[at+1:])
}

// domain returns a domain in lower case, or nothing where it does not look
// like one.
func domain(mem *event.Arena, d string) string {
	if d = trimSpace(d); !isDomain(d) {
		return ""
	}
	return mem.Keep(lowerInto(mem.Grow(len(d)), d))
}

// isDomain reports whether s is a name of at least two labels, the last of
// which is not a number.
func isDomain(s string) bool {
	if len(s) > 253 {
		return false
	}
	labels, size, letters := 1, 0, false
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if size == 0 || s[i-1] == '-' {
				return false
			}
			labels, size, letters = labels+1, 0, false
		case isLetter(c), isDigit(c), c == '-' && size > 0:
			size++
			letters = letters || isLetter(c)
			if size > 63 {
				return false
			}
		default:
			return false
		}
	}
	return labels >= 2 && size >= 2 && letters && s[len(s)-1] != '-'
}
