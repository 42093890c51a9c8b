package enrich

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// maxLookup is how many values one set holds.
const maxLookup = 8 << 20

// Lookups are the operator's named sets of values, which rules ask with
// lookup("name", field). They see a field as events carry it: a pseudonymised
// one never matches a clear value, credential_domain is clear. They are made
// once and then only read, by as many goroutines as like to.
type Lookups struct {
	sets map[string]*lookupSet
}

// lookupSet is one set, of one of two kinds.
type lookupSet struct {
	values   map[string]struct{}
	prefixes *bart.Lite // where every line is an address or a prefix
}

// LoadLookups reads sets: of each, its name and the file that holds one value
// a line. Case does not count. Where every line is an address or a prefix, a
// value matches that lies in one of them; where every line is AS and a number,
// it matches the bare number, as the field asn has it.
func LoadLookups(files map[string]string) (*Lookups, error) {
	l := &Lookups{sets: make(map[string]*lookupSet, len(files))}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		set, err := loadLookup(files[name])
		if err != nil {
			faults = append(faults, fmt.Errorf("lookup %s: %w", name, err))
			continue
		}
		l.sets[name] = set
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return l, nil
}

// Names returns the sets' names, in order.
func (l *Lookups) Names() []string {
	if l == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(l.sets))
}

// Has reports whether a set holds a value. One that does not exist holds none.
func (l *Lookups) Has(name, value string) bool {
	if l == nil || l.sets[name] == nil {
		return false
	}
	return l.sets[name].has(value)
}

// Funcs returns for each set what reports whether it holds a value.
func (l *Lookups) Funcs() map[string]func(value string) bool {
	funcs := make(map[string]func(string) bool)
	for _, name := range l.Names() {
		funcs[name] = l.sets[name].has
	}
	return funcs
}

func loadLookup(path string) (*lookupSet, error) {
	values := make(map[string]struct{})
	prefixes, numbers := true, true // whether all lines are
	err := tableLines(path, func(line string) error {
		line = strings.ToLower(line)
		values[line] = struct{}{}
		if len(values) > maxLookup {
			return fmt.Errorf("more than %d values", maxLookup)
		}
		if prefixes {
			_, err := parsePrefix(line)
			prefixes = err == nil
		}
		numbers = numbers && len(line) > 2 && line[:2] == "as" && strings.Trim(line[2:], "0123456789") == ""
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("%s: no values in it", path)
	}
	switch {
	case prefixes:
		set := &lookupSet{prefixes: new(bart.Lite)}
		for v := range values {
			p, err := parsePrefix(v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			set.prefixes.Insert(p)
		}
		return set, nil
	case numbers:
		bare := make(map[string]struct{}, len(values))
		for v := range values {
			bare[v[2:]] = struct{}{}
		}
		values = bare
	}
	return &lookupSet{values: values}, nil
}

// has reports whether the set holds a value, or, of addresses, all of a prefix:
// the ip of an IPv6 client is one.
func (s *lookupSet) has(value string) bool {
	if value == "" {
		return false
	}
	if s.prefixes == nil {
		return s.hasText(value)
	}
	host, bits, isPrefix := strings.Cut(value, "/")
	a, ok := parseAddr(host)
	if !ok {
		return false
	}
	if !isPrefix {
		return s.prefixes.Contains(a)
	}
	n := 0
	for i := range len(bits) {
		if bits[i] < '0' || bits[i] > '9' || n > 128 {
			return false
		}
		n = 10*n + int(bits[i]-'0')
	}
	p := netip.PrefixFrom(a, n)
	return bits != "" && p.IsValid() && s.prefixes.LookupPrefix(p)
}

// hasText looks a value up in lower case, without allocating.
func (s *lookupSet) hasText(value string) bool {
	if !hasUpperOrWide(value) {
		_, ok := s.values[value]
		return ok
	}
	var buf [256]byte
	if len(value) > len(buf) {
		_, ok := s.values[strings.ToLower(value)]
		return ok
	}
	lower := buf[:len(value)]
	for i := range len(value) {
		c := value[i]
		if c >= 0x80 {
			_, ok := s.values[strings.ToLower(value)]
			return ok
		}
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	_, ok := s.values[string(lower)]
	return ok
}

// hasUpperOrWide reports whether lower-casing s may change it.
func hasUpperOrWide(s string) bool {
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' || c >= 0x80 {
			return true
		}
	}
	return false
}
