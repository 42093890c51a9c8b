package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"weir/event"
)

// ErrDirective is what a line such as "#Fields: …" is rejected with. It is no
// request and no fault, so it is counted apart.
var ErrDirective = &Malformed{"directive"}

var errColumns = &Malformed{"not as many columns as fields"}

var spaceSeparator, tabSeparator = []byte(" "), []byte("\t")

// maxColumns bounds the columns of a W3C log.
const maxColumns = 128

// w3cColumns says which columns give a field, the best first.
var w3cColumns = []struct {
	field   string
	columns []string
}{
	{"ip", []string{"c-ip"}},
	{"forwarded", []string{"x-forwarded-for", "cs(x-forwarded-for)"}},
	{"site", []string{"x-host-header", "cs-host", "cs(host)"}},
	{"method", []string{"cs-method"}},
	{"uri", []string{"cs-uri"}},
	{"path", []string{"cs-uri-stem"}},
	{"query", []string{"cs-uri-query"}},
	{"status", []string{"sc-status"}},
	{"bytes", []string{"sc-bytes"}},
	{"agent", []string{"cs(user-agent)", "cs-user-agent"}},
	{"referer", []string{"cs(referer)", "cs-referer"}},
	{"language", []string{"cs(accept-language)", "cs-accept-language"}},
	{"protocol", []string{"cs-protocol-version", "cs-version"}},
	{"credential", []string{"cs-username"}},
	{"tls", []string{"ssl-protocol"}},
	{"ja3", []string{"cs-ja3-fingerprint", "ja3-fingerprint"}},
	{"ja4", []string{"cs-ja4-fingerprint", "ja4-fingerprint"}},
	{"country", []string{"c-country"}},
	{"asn", []string{"asn"}},
	{"id", []string{"x-edge-request-id"}},
}

// w3cPlan says what each column holds.
type w3cPlan struct {
	tabs              bool // CloudFront's form: columns between tabs, values percent-encoded
	slots             []slot
	escapes           []escape
	date, clock, unix int // columns, or -1
}

// Columns returns the columns that a "#Fields:" line names.
func Columns(line []byte) (names []string, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte("#Fields:"))
	if !ok {
		return nil, false
	}
	names = strings.Fields(string(rest))
	return names, len(names) > 0 && len(names) <= maxColumns
}

// Learn returns c with what the first lines of a log say about the rest of it:
// the columns of a w3c log that c does not name.
func (c Config) Learn(lines [][]byte) Config {
	if c.Format != "w3c" || len(c.Columns) > 0 {
		return c
	}
	for _, line := range lines {
		if names, ok := Columns(line); ok {
			c.Columns = names
			break
		}
	}
	return c
}

// newW3C reads W3C extended logs as CloudFront and IIS write them, with the
// columns that the configuration names or that the "#Fields:" line of a file
// gave it.
func newW3C(cfg Config) (Decoder, error) {
	p, err := planW3C(cfg)
	if err != nil {
		return nil, err
	}
	key := cfg.Key
	return func(line []byte, ev *event.Event, mem *event.Arena) error {
		f := begin(line, mem, key)
		if len(f.rest) > 0 && f.rest[0] == '#' {
			return ErrDirective
		}
		p.read(&f, ev)
		return f.done()
	}, nil
}

func (p *w3cPlan) read(f *fields, ev *event.Event) {
	separator := spaceSeparator
	if p.tabs {
		separator = tabSeparator
	}
	if f.err == nil && bytes.Count(f.rest, separator) != len(p.slots)-1 {
		f.fail(errColumns)
	}
	if f.err != nil {
		return
	}
	var date, clock, unix []byte
	rest := f.rest
	for i := range p.slots {
		b := rest
		if j := bytes.IndexByte(rest, separator[0]); j >= 0 {
			b, rest = rest[:j], rest[j+1:]
		}
		switch i {
		case p.date:
			date = b
		case p.clock:
			clock = b
		case p.unix:
			unix = b
		default:
			if p.slots[i].kind != slotSkip {
				f.assign(p.slots[i], b, p.escapes[i], ev)
			}
		}
	}
	if p.unix >= 0 {
		ev.Time = f.time(LayoutUnix, unix)
		return
	}
	ev.Time = f.dateTime(date, clock)
}

// dateTime reads a date and a time of day, in UTC.
func (f *fields) dateTime(date, clock []byte) int64 {
	var b [32]byte
	if len(date) != 10 || len(clock) < 8 || len(clock) > len(b)-11 {
		f.fail(errTime)
		return 0
	}
	copy(b[:], date)
	b[10] = 'T'
	ns, ok := parseISO(b[:11+copy(b[11:], clock)], false)
	if !ok {
		f.fail(errTime)
	}
	return ns
}

func planW3C(cfg Config) (*w3cPlan, error) {
	names := make([]string, len(cfg.Columns))
	for i, n := range cfg.Columns {
		names[i] = strings.ToLower(n)
	}
	if len(names) == 0 {
		return nil, errors.New("columns: none; a w3c log names them in its #Fields: line")
	}
	if len(names) > maxColumns {
		return nil, fmt.Errorf("columns: %d, must be at most %d", len(names), maxColumns)
	}
	for i, n := range names {
		if slices.Index(names, n) < i {
			return nil, fmt.Errorf("columns: %s stands twice", n)
		}
	}
	p := &w3cPlan{slots: make([]slot, len(names)), escapes: make([]escape, len(names))}
	p.date, p.clock, p.unix = slices.Index(names, "date"), slices.Index(names, "time"), slices.Index(names, "timestamp")
	p.tabs = p.unix >= 0 || slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "x-edge-") })
	if p.unix < 0 && (p.date < 0 || p.clock < 0) {
		return nil, errors.New("columns: date and time, or timestamp, are missing")
	}
	for _, c := range w3cColumns {
		for _, column := range c.columns {
			if i := slices.Index(names, column); i >= 0 && cfg.Fields[c.field] == "" {
				if err := p.put(c.field, i, cfg); err != nil {
					return nil, err
				}
				break
			}
		}
	}
	if i := slices.Index(names, "time-taken"); i >= 0 && cfg.Fields["duration"] == "" {
		p.slots[i] = slot{kind: slotMillis}
		if p.tabs {
			p.slots[i].kind = slotSeconds
		}
	}
	for _, field := range sortedKeys(cfg.Fields) {
		i := slices.Index(names, strings.ToLower(cfg.Fields[field]))
		if i < 0 {
			return nil, fmt.Errorf("fields: %s: no column %s", field, cfg.Fields[field])
		}
		if err := p.put(field, i, cfg); err != nil {
			return nil, fmt.Errorf("fields: %w", err)
		}
	}
	if !slices.ContainsFunc(p.slots, func(s slot) bool { return s.kind == slotIP }) {
		return nil, errors.New("columns: c-ip is missing")
	}
	return p, nil
}

// put has column i give a field.
func (p *w3cPlan) put(field string, i int, cfg Config) error {
	s, err := slotFor(field, cfg)
	if err != nil {
		return err
	}
	p.slots[i], p.escapes[i] = s, plain
	switch field {
	case "path", "uri", "query": // as the client sent it
	default:
		p.escapes[i] = plus
		if p.tabs {
			p.escapes[i] = percent
		}
	}
	return nil
}
