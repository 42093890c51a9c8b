package enrich

import (
	"bytes"
	"math/big"
	"net/netip"
	"strings"
	"testing"
)

func TestNetsReadsMMDB(t *testing.T) {
	path := writeTable(t, "asn.mmdb", string(mmdbOf(t, map[string]map[string]any{
		"192.0.2.0/24":    {"autonomous_system_number": uint32(64500), "autonomous_system_organization": "Example"},
		"198.51.100.0/25": {"asn": "AS64501", "as_name": "Odd", "country_code": "DE"},
		"203.0.113.0/24":  {"country": map[string]any{"iso_code": "NL"}},
		"2001:db8::/33":   {"asn": uint32(64502), "org": "Six", "country": "fr"},
	})))
	n, err := LoadNets(path)
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]owner{
		"192.0.2.255":          {64500, "Example", ""},
		"192.0.3.0":            {},
		"198.51.100.1":         {64501, "Odd", "DE"},
		"198.51.100.128":       {},
		"203.0.113.9":          {0, "", "NL"},
		"2001:db8:7fff:1::":    {64502, "Six", "FR"},
		"2001:db8:8000::":      {},
		"2002:c000:200::":      {},
		"::ffff:192.0.2.1":     {64500, "Example", ""},
		"64:ff9b::198.51.10.1": {},
	} {
		asn, org, country := n.Lookup(netip.MustParseAddr(addr))
		if (owner{asn, org, country}) != want {
			t.Errorf("%s: %d %q %q, want %v", addr, asn, org, country, want)
		}
	}
	path = writeTable(t, "city.mmdb", string(mmdbOf(t, map[string]map[string]any{"192.0.2.0/24": {"city": "Nowhere"}})))
	if _, err := LoadNets(path); err == nil || !strings.Contains(err.Error(), "none of its records has a network number") {
		t.Error(err)
	}
}

// mmdbOf writes a MaxMind DB file, format 2.0, with records of 24 bits.
func mmdbOf(t *testing.T, nets map[string]map[string]any) []byte {
	t.Helper()
	type node [2]int // of each side: a node, 0 for none, -1-offset for data
	nodes := []node{{}}
	var data bytes.Buffer
	for text, record := range nets {
		p := netip.MustParsePrefix(text)
		bits := p.Bits()
		ip := p.Addr().As16()
		if p.Addr().Is4() { // IPv4 stands under ::/96
			ip[10], ip[11] = 0, 0
			bits += 96
		}
		at := 0
		for i := range bits {
			side := ip[i/8] >> (7 - i%8) & 1
			if i == bits-1 {
				nodes[at][side] = -1 - data.Len()
				break
			}
			if nodes[at][side] == 0 {
				nodes = append(nodes, node{})
				nodes[at][side] = len(nodes) - 1
			}
			at = nodes[at][side]
		}
		mmdbValue(t, &data, record)
	}
	var out bytes.Buffer
	for _, n := range nodes {
		for _, side := range n {
			v := side
			switch {
			case side == 0:
				v = len(nodes)
			case side < 0:
				v = len(nodes) + 16 - 1 - side
			}
			out.Write([]byte{byte(v >> 16), byte(v >> 8), byte(v)})
		}
	}
	out.Write(make([]byte, 16))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	mmdbValue(t, &out, map[string]any{
		"node_count": uint32(len(nodes)), "record_size": uint16(24), "ip_version": uint16(6), "database_type": "test",
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1), "languages": []string{}, "description": map[string]any{},
	})
	return out.Bytes()
}

func mmdbValue(t *testing.T, b *bytes.Buffer, v any) {
	t.Helper()
	number := func(kind byte, v uint64) {
		digits := new(big.Int).SetUint64(v).Bytes()
		if kind > 7 {
			b.Write([]byte{byte(len(digits)), kind - 7})
		} else {
			b.WriteByte(kind<<5 | byte(len(digits)))
		}
		b.Write(digits)
	}
	switch v := v.(type) {
	case string:
		if len(v) > 28 {
			b.WriteByte(2<<5 | 29)
			b.WriteByte(byte(len(v) - 29))
		} else {
			b.WriteByte(2<<5 | byte(len(v)))
		}
		b.WriteString(v)
	case uint16:
		number(5, uint64(v))
	case uint32:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case []string:
		b.Write([]byte{0, 11 - 7})
	case map[string]any:
		b.WriteByte(7<<5 | byte(len(v)))
		for k, v := range v {
			mmdbValue(t, b, k)
			mmdbValue(t, b, v)
		}
	default:
		t.Fatalf("no encoding for %T", v)
	}
}
