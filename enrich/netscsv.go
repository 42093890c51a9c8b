package enrich

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
)

// readNetsCSV reads rows of start,end,asn[,org[,country]], or with one prefix
// in place of start and end; the file may be compressed with gzip. A number
// may be written AS64500; a first row that begins with no address is taken for
// a heading.
func readNetsCSV(path string, b *netsBuilder) error {
	t, err := openTable(path)
	if err != nil {
		return err
	}
	defer t.Close()
	in := bufio.NewReaderSize(t, 64<<10)
	if bom, _ := in.Peek(3); string(bom) == "\xef\xbb\xbf" {
		if _, err := in.Discard(3); err != nil {
			return tableError(path, err)
		}
	}
	r := csv.NewReader(in)
	r.FieldsPerRecord, r.ReuseRecord, r.Comment, r.TrimLeadingSpace = -1, true, '#', true
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if pe := (*csv.ParseError)(nil); errors.As(err, &pe) {
			return fmt.Errorf("%s:%d: %w", path, pe.Line, pe.Err)
		}
		if err != nil {
			return tableError(path, err)
		}
		if first && row[0] != "" && !strings.ContainsAny(row[0], ".:0123456789") {
			continue // start_ip, network
		}
		if err := addRow(row, b); err != nil {
			line, _ := r.FieldPos(0)
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
	}
}

// addRow adds one row of a CSV file.
func addRow(row []string, b *netsBuilder) error {
	first, last, rest, err := rowRange(row)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return errors.New("no network number, want start,end,asn,org")
	}
	var o owner
	if o.asn, err = parseASN(rest[0]); err != nil {
		return err
	}
	if len(rest) > 1 {
		o.org = strings.TrimSpace(rest[1])
	}
	if len(rest) > 2 && isCountry(rest[2]) {
		o.country = strings.ToUpper(rest[2])
	}
	return b.add(first, last, o)
}

// rowRange reads the addresses in front of a row.
func rowRange(row []string) (first, last netip.Addr, rest []string, err error) {
	if strings.IndexByte(row[0], '/') >= 0 {
		p, err := netip.ParsePrefix(row[0])
		if err != nil || p.Addr().Is4In6() {
			return first, last, nil, fmt.Errorf("%q, must be an address or a prefix", row[0])
		}
		p = p.Masked()
		width := p.Addr().BitLen()
		return p.Addr(), toWide(p.Addr()).add(low(width - p.Bits())).addr(width), row[1:], nil
	}
	if len(row) < 2 {
		return first, last, nil, fmt.Errorf("%d columns, want start,end,asn,org", len(row))
	}
	for i, a := range []*netip.Addr{&first, &last} {
		if *a, err = netip.ParseAddr(row[i]); err != nil || a.Zone() != "" {
			return first, last, nil, fmt.Errorf("%q, must be an address", row[i])
		}
		*a = a.Unmap()
	}
	if first.Is4() != last.Is4() || first.Compare(last) > 0 {
		return first, last, nil, fmt.Errorf("%s to %s, must be a range of one family, smaller address first", first, last)
	}
	return first, last, row[2:], nil
}

// parseASN reads the number of a network; an empty one is 0.
func parseASN(s string) (uint32, error) {
	s = strings.TrimSpace(s)
	digits := s
	if len(s) > 2 && strings.EqualFold(s[:2], "as") {
		digits = s[2:]
	}
	if digits == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("network number %q, must be 0 to 4294967295", s)
	}
	return uint32(n), nil
}

// isCountry reports whether s looks like an ISO 3166 code of two letters.
func isCountry(s string) bool {
	return len(s) == 2 && s[0]|0x20 >= 'a' && s[0]|0x20 <= 'z' && s[1]|0x20 >= 'a' && s[1]|0x20 <= 'z'
}
