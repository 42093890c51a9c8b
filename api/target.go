package api

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"weir/event"
)

// The limits of a target that a person writes.
const (
	maxDimensions = 8
	maxTarget     = 8 << 10 // bytes
)

// ParseTarget reads a target as people write it: an address, a prefix, or
// values of fields such as
//
//	asn=64500,endpoint="POST /login"
//
// Values end at a comma or a space unless they are quoted; in quotes \" and \\
// and \u00e9 mean what they mean in decisions.jsonl. Addresses and prefixes
// become what decisions hold: an IPv6 address its /64, a prefix as wide as a
// net that net. The result is in the order in which decisions have their fields.
func ParseTarget(text string) (event.Target, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, fmt.Errorf("target: empty, must be an address, a prefix or field=value")
	}
	if len(text) > maxTarget {
		return nil, fmt.Errorf("target: %d bytes, must be at most %d", len(text), maxTarget)
	}
	if !strings.Contains(text, "=") {
		v, err := addressOf(text)
		if err != nil {
			return nil, fmt.Errorf("target %s: must be an address such as 192.0.2.7, a prefix such as 192.0.2.0/24, or fields such as asn=64500,endpoint=\"POST /login\"", event.AppendJSONString(nil, text))
		}
		return event.Target{v}, nil
	}
	var t event.Target
	for rest := text; rest != ""; {
		v, after, err := dimension(rest)
		if err != nil {
			return nil, fmt.Errorf("target: %w", err)
		}
		if slices.ContainsFunc(t, func(o event.Value) bool { return o.Field == v.Field }) {
			return nil, fmt.Errorf("target: %s is there twice", v.Field)
		}
		if t = append(t, v); len(t) > maxDimensions {
			return nil, fmt.Errorf("target: more than %d fields", maxDimensions)
		}
		rest = after
	}
	slices.SortFunc(t, func(a, b event.Value) int { return compareFields(a.Field, b.Field) })
	return t, nil
}

// compareFields orders fields as decisions do; extras come last.
func compareFields(a, b string) int {
	x, y := event.FieldByName(a), event.FieldByName(b)
	switch {
	case x == y: // both are extras
		return strings.Compare(a, b)
	case x == event.NoField:
		return 1
	case y == event.NoField:
		return -1
	}
	return int(x) - int(y)
}

// dimension reads one field=value and what separates it from the next.
func dimension(text string) (v event.Value, rest string, err error) {
	name, rest, ok := strings.Cut(text, "=")
	if name = strings.TrimSpace(name); !ok {
		return v, "", fmt.Errorf("%s: must be field=value; quote a value that has a space or a comma in it", event.AppendJSONString(nil, name))
	}
	if err := fieldName(name); err != nil {
		return v, "", err
	}
	var value string
	if strings.HasPrefix(rest, `"`) {
		var after []byte
		if value, after, err = event.ReadJSONString([]byte(rest)); err != nil {
			return v, "", fmt.Errorf("%s: quotes that do not end, or a backslash that is neither \\\\, \\\" nor \\u and four digits", name)
		}
		rest = string(after)
	} else {
		end := strings.IndexAny(rest, ", \t")
		if end < 0 {
			end = len(rest)
		}
		value, rest = rest[:end], rest[end:]
		if strings.Contains(value, `"`) {
			return v, "", fmt.Errorf("%s: a quote in the middle of %s; quote all of it", name, event.AppendJSONString(nil, value))
		}
	}
	if rest != "" {
		trimmed := strings.TrimLeft(rest, " \t")
		after, comma := strings.CutPrefix(trimmed, ",")
		if !comma && len(trimmed) == len(rest) {
			return v, "", fmt.Errorf("%s: %s behind the value; a comma separates fields", name, event.AppendJSONString(nil, rest))
		}
		if rest = strings.TrimLeft(after, " \t"); rest == "" {
			return v, "", fmt.Errorf("%s: nothing behind the comma", name)
		}
	}
	v, err = valueOf(name, value)
	return v, rest, err
}

// fieldName refuses what no target can have.
func fieldName(name string) error {
	if extra, ok := strings.CutPrefix(name, "x."); ok && extra != "" && utf8.ValidString(extra) && !strings.ContainsAny(extra, " \t\",") {
		return nil
	}
	f := event.FieldByName(name)
	if f == event.NoField {
		return fmt.Errorf("there is no field %s; fields are ip, net, asn, endpoint, fingerprint, session … (docs/RULES.md)", event.AppendJSONString(nil, name))
	}
	if !f.Keyable() {
		return fmt.Errorf("%s: no decision has this field in its target", name)
	}
	return nil
}

// valueOf brings a value into the form in which decisions hold it.
func valueOf(name, value string) (v event.Value, err error) {
	if value == "" {
		return v, fmt.Errorf("%s: no value", name)
	}
	switch event.FieldByName(name) {
	case event.FieldIP, event.FieldNet:
		if v, err = addressOf(value); err != nil {
			return v, fmt.Errorf("%s: %s, must be an address or a prefix", name, event.AppendJSONString(nil, value))
		}
		if name == event.FieldNet.String() && v.Field != name {
			return netOf(v.Text)
		}
		if name == event.FieldIP.String() {
			v.Field = name
		}
		return v, nil
	case event.FieldASN:
		digits := strings.TrimPrefix(strings.TrimPrefix(value, "AS"), "as")
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || n == 0 {
			return v, fmt.Errorf("asn: %s, must be a number such as 64500", event.AppendJSONString(nil, value))
		}
		return event.Value{Field: name, Text: strconv.FormatUint(n, 10)}, nil
	case event.FieldCredential:
		if !pseudonym(value) {
			return v, fmt.Errorf("credential: must be the 32 digits that decisions show; --account NAME makes them of a name")
		}
	}
	return event.Value{Field: name, Text: value}, nil
}

func pseudonym(s string) bool {
	const digits = 32
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

// addressOf reads an address or a prefix: of the width of a net it is one,
// everything else is an ip.
func addressOf(text string) (v event.Value, err error) {
	p, err := prefixOf(text)
	if err != nil {
		return v, err
	}
	bits := p.Bits()
	if p.Addr().Is4() {
		switch bits {
		case 32:
			return event.Value{Field: "ip", Text: p.Addr().String()}, nil
		case 24:
			return event.Value{Field: "net", Text: p.String()}, nil
		}
	} else if bits == 48 {
		return event.Value{Field: "net", Text: p.String()}, nil
	}
	return event.Value{Field: "ip", Text: p.String()}, nil
}

// netOf returns the net around an address.
func netOf(text string) (v event.Value, err error) {
	p, err := prefixOf(text)
	if err != nil {
		return v, err
	}
	bits := 48
	if p.Addr().Is4() {
		bits = 24
	}
	if p.Bits() < bits {
		return v, fmt.Errorf("net: %s, must be a /%d", p, bits)
	}
	return event.Value{Field: "net", Text: netip.PrefixFrom(p.Addr(), bits).Masked().String()}, nil
}

// prefixOf reads an address or a prefix; of IPv6 nothing below a /64 is told apart.
func prefixOf(text string) (p netip.Prefix, err error) {
	if strings.Contains(text, "/") {
		p, err = netip.ParsePrefix(text)
	} else {
		var a netip.Addr
		if a, err = netip.ParseAddr(text); err == nil {
			p = netip.PrefixFrom(a, a.BitLen()) // which a zone is lost in
		}
		if a.Zone() != "" {
			err = fmt.Errorf("%s: has a zone", text)
		}
	}
	if err != nil {
		return p, err
	}
	a := p.Addr()
	bits := p.Bits()
	if a.Is4In6() {
		if bits < 96 {
			return p, fmt.Errorf("%s: is half an IPv4 address", text)
		}
		a, bits = a.Unmap(), bits-96
	}
	if a.Is6() {
		bits = min(bits, 64)
	}
	return netip.PrefixFrom(a, bits).Masked(), nil
}

// FormatTarget writes a target so that ParseTarget reads it back. There is no
// single quote in it, so that a shell takes it literally between two of them,
// and nothing that a terminal would not show.
func FormatTarget(t event.Target) string {
	if len(t) == 1 && (t[0].Field == "ip" || t[0].Field == "net") {
		if v, err := addressOf(t[0].Text); err == nil && v == t[0] {
			return v.Text
		}
	}
	var b []byte
	for i, v := range t {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, v.Field...), '=')
		if plain(v.Text) {
			b = append(b, v.Text...)
		} else {
			b = append(b, strings.ReplaceAll(string(event.AppendJSONString(nil, v.Text)), "'", `\u0027`)...)
		}
	}
	return string(b)
}

// plain reports whether a value needs no quotes.
func plain(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("._-:/@+", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
