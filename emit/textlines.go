package emit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"time"
)

// textHead is the first line of a plain list.
type textHead struct {
	entries int
	valid   time.Time // the end of its last entry; zero: it has none
	sum     string    // SHA-256 of the lines behind it, hexadecimal
}

func newTextHead(body []byte, entries int, valid time.Time) textHead {
	sum := sha256.Sum256(body)
	return textHead{entries, valid, hex.EncodeToString(sum[:])}
}

// append appends the line with its newline.
func (h textHead) append(b []byte) []byte {
	valid := "-"
	if !h.valid.IsZero() {
		valid = h.valid.UTC().Format(time.RFC3339)
	}
	return fmt.Appendf(b, "# weir: %d entries, valid until %s, sha256 %s\n", h.entries, valid, h.sum)
}

var textHeadForm = regexp.MustCompile(`^# weir: (\d{1,9}) entries, valid until (-|[0-9TZ:-]{20}), sha256 ([0-9a-f]{64})$`)

// parseHead reads the line; nil: it is none of weir's.
func parseHead(line []byte) *textHead {
	m := textHeadForm.FindSubmatch(line)
	if m == nil {
		return nil
	}
	h := textHead{sum: string(m[3])}
	var err error
	if h.entries, err = strconv.Atoi(string(m[1])); err != nil {
		return nil
	}
	if valid := string(m[2]); valid != "-" {
		if h.valid, err = time.Parse(time.RFC3339, valid); err != nil {
			return nil
		}
	}
	return &h
}

// check says how the lines differ from what the header says.
func (h *textHead) check(body []byte, entries int) error {
	if now := newTextHead(body, entries, h.valid); now != *h {
		return fmt.Errorf("its header says %d entries and sha256 %.12s…, it has %d and %.12s…", h.entries, h.sum, now.entries, now.sum)
	}
	return nil
}

// listText returns the lines: an address, or a prefix where it is more than
// one. IPv6 is written as a prefix but for single addresses.
func listText(es []Entry) (b []byte) {
	for i := range es {
		p := es[i].Prefix
		if p.IsSingleIP() {
			b = p.Addr().AppendTo(b)
		} else {
			b = p.AppendTo(b)
		}
		b = append(b, '\n')
	}
	return b
}

// parsePlainLines reads the lines; the error is the first that is no address.
func parsePlainLines(body []byte) (ps []netip.Prefix, fault error) {
	for n := 1; len(body) > 0; n++ {
		line, rest, ended := bytes.Cut(body, []byte{'\n'})
		body = rest
		p, ok := parsePlain(line)
		if !ok || !ended {
			fault = errors.Join(fault, fmt.Errorf("line %d is no address", n))
			if !ok {
				return ps, fault
			}
		}
		ps = append(ps, p)
	}
	return ps, fault
}

// parsePlain reads an address or a masked prefix.
func parsePlain(line []byte) (p netip.Prefix, ok bool) {
	if len(line) > 64 {
		return p, false
	}
	if bytes.IndexByte(line, '/') >= 0 {
		p, err := netip.ParsePrefix(string(line))
		return p, err == nil && p == p.Masked()
	}
	a, err := netip.ParseAddr(string(line))
	if err != nil || a.Zone() != "" {
		return p, false
	}
	return netip.PrefixFrom(a, a.BitLen()), true
}
