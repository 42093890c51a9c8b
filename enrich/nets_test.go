package enrich

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"
)

func TestNetsReadsCSV(t *testing.T) {
	const rows = "start,end,asn,org\n" +
		"192.0.2.0,192.0.2.255,64500,\"Example, Inc.\"\n" +
		"# a comment\n" +
		"198.51.100.7,198.51.100.20,AS64501,Odd,de\n" +
		"203.0.113.0/25,64502\n" +
		"2001:db8::,2001:db8:0:ffff:ffff:ffff:ffff:ffff,4294967295,Six,NL\n" +
		"198.18.0.0,198.19.255.255,0,\n" +
		"0.0.0.0,0.255.255.255,64503,first\n" +
		"255.0.0.0,255.255.255.255,64504,last\n"
	plain := writeTable(t, "asn.csv", "\xef\xbb\xbf"+rows)
	for _, path := range []string{plain, writeTable(t, "asn.csv.gz", gzipped(t, rows))} {
		n, err := LoadNets(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			addr    string
			asn     uint32
			org     string
			country string
		}{
			{"192.0.2.0", 64500, "Example, Inc.", ""},
			{"192.0.2.255", 64500, "Example, Inc.", ""},
			{"192.0.3.0", 0, "", ""},
			{"198.51.100.6", 0, "", ""},
			{"198.51.100.7", 64501, "Odd", "DE"},
			{"198.51.100.20", 64501, "Odd", "DE"},
			{"198.51.100.21", 0, "", ""},
			{"203.0.113.127", 64502, "", ""},
			{"203.0.113.128", 0, "", ""},
			{"2001:db8:0:1::", 4294967295, "Six", "NL"},
			{"2001:db8:1::", 0, "", ""},
			{"198.18.0.1", 0, "", ""},
			{"0.0.0.0", 64503, "first", ""},
			{"255.255.255.255", 64504, "last", ""},
			{"::", 0, "", ""},
		} {
			asn, org, country := n.Lookup(netip.MustParseAddr(tt.addr))
			if asn != tt.asn || org != tt.org || country != tt.country {
				t.Errorf("%s: %d %q %q, want %d %q %q", tt.addr, asn, org, country, tt.asn, tt.org, tt.country)
			}
		}
		if asn, _, _ := n.Lookup(netip.Addr{}); asn != 0 || n.Rows != 7 || n.Overlaps != 0 {
			t.Errorf("asn %d of no address, %d rows, %d overlap", asn, n.Rows, n.Overlaps)
		}
	}
}

func TestNetsErrorsPoint(t *testing.T) {
	for data, want := range map[string]string{
		"192.0.2.0,192.0.2.9,1\nbogus,1,2\n":      `FILE:2: "bogus", must be an address`,
		"192.0.2.0\n":                             "FILE:1: 1 columns, want start,end,asn,org",
		"192.0.2.0,192.0.2.9\n":                   "FILE:1: no network number, want start,end,asn,org",
		"192.0.2.0,192.0.2.9,4294967296\n":        `FILE:1: network number "4294967296", must be 0 to 4294967295`,
		"192.0.2.0,192.0.2.9,x\n":                 `FILE:1: network number "x", must be 0 to 4294967295`,
		"192.0.2.9,192.0.2.0,1\n":                 "FILE:1: 192.0.2.9 to 192.0.2.0, must be a range of one family, smaller address first",
		"192.0.2.9,2001:db8::,1\n":                "FILE:1: 192.0.2.9 to 2001:db8::, must be a range of one family, smaller address first",
		"192.0.2.0/33,1\n":                        `FILE:1: "192.0.2.0/33", must be an address or a prefix`,
		"\n192.0.2.0,192.0.2.9,1,\"a\" b\n":       `FILE:2: extraneous or missing " in quoted-field`,
		"start,end\n":                             "FILE: no networks in it",
		"":                                        "FILE: no networks in it",
		"\xab\xcd\xefMaxMind.com":                 "FILE: at offset 0: unexpected end of database",
		string([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0}): "FILE: unexpected EOF",
	} {
		path := writeTable(t, "asn.csv", data)
		_, err := LoadNets(path)
		if err == nil || !strings.HasPrefix(strings.ReplaceAll(err.Error(), path, "FILE"), want) {
			t.Errorf("%.40q: %v, want %s", data, err, want)
		}
	}
	if _, err := LoadNets(filepath.Join(t.TempDir(), "none")); err == nil || !strings.HasSuffix(err.Error(), "none: no such file or directory") {
		t.Error(err)
	}
	if _, err := LoadNets(t.TempDir()); err == nil || !strings.HasSuffix(err.Error(), ": a directory, must be a file") {
		t.Error(err)
	}
}

func TestNarrowerRowWins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "asn.csv")
	rapid.Check(t, func(r *rapid.T) {
		six := rapid.Bool().Draw(r, "six")
		near := uint64(rapid.SampledFrom([]uint32{16, 300, 5000}).Draw(r, "near"))
		edge := rapid.SampledFrom([]uint64{0, 1 << 20, 1<<32 - near - 1}).Draw(r, "edge")
		addr := func(n uint64) netip.Addr {
			w := wide{0, edge + n}
			if !six {
				return w.addr(32)
			}
			// IPv6 addresses around a carry from the lower half to the upper
			return wide{0x20010db8_00000000, ^uint64(0) - near/2}.add(wide{0, n}).addr(128)
		}
		type row struct{ first, last, asn uint64 }
		var rows []row
		var csv bytes.Buffer
		for i := range rapid.IntRange(1, 30).Draw(r, "rows") {
			first := rapid.Uint64Range(0, near).Draw(r, "first")
			last := rapid.Uint64Range(first, near).Draw(r, "last")
			asn := uint64(i + 1)
			rows = append(rows, row{first, last, asn})
			fmt.Fprintf(&csv, "%s,%s,%d,org %d\n", addr(first), addr(last), asn, asn%3)
		}
		if err := os.WriteFile(path, csv.Bytes(), 0o600); err != nil {
			r.Fatal(err)
		}
		n, err := LoadNets(path)
		if err != nil {
			r.Fatal(err)
		}
		for range 50 {
			at := rapid.Uint64Range(0, near).Draw(r, "at")
			want := row{last: 1 << 40}
			for _, row := range rows {
				if row.first <= at && at <= row.last && row.last-row.first < want.last-want.first {
					want = row
				}
			}
			if asn, _, _ := n.Lookup(addr(at)); uint64(asn) != want.asn {
				r.Fatalf("%s: %d, want %d of\n%s", addr(at), asn, want.asn, &csv)
			}
		}
	})
}

func TestOverlapsAreCounted(t *testing.T) {
	n, err := LoadNets(writeTable(t, "asn.csv", "192.0.2.0,192.0.2.255,1\n192.0.2.8,192.0.2.9,2\n192.0.2.9,192.0.3.0,3\n198.51.100.0,198.51.100.9,4\n"))
	if err != nil || n.Overlaps != 2 {
		t.Errorf("%d overlaps, %v", n.Overlaps, err)
	}
}

func TestPrefixesOfASpanAreTheFewest(t *testing.T) {
	for _, tt := range []struct{ first, last, want string }{
		{"0.0.0.0", "255.255.255.255", "0.0.0.0/0"},
		{"192.0.2.1", "192.0.2.6", "192.0.2.1/32 192.0.2.2/31 192.0.2.4/31 192.0.2.6/32"},
		{"::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
		{"2001:db8:0:ffff::", "2001:db8:1::ffff:ffff:ffff:ffff", "2001:db8:0:ffff::/64 2001:db8:1::/64"},
		{"2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::", "2001:db8::ffff:ffff:ffff:ffff/128 2001:db8:0:1::/128"},
	} {
		first, last := netip.MustParseAddr(tt.first), netip.MustParseAddr(tt.last)
		var got []string
		for p := range (span{first: toWide(first), last: toWide(last)}).prefixes(first.BitLen()) {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s-%s: %s, want %s", first, last, got, tt.want)
		}
	}
}

func TestSeveralTablesAreOne(t *testing.T) {
	n, err := LoadNets(writeTable(t, "four.csv", "192.0.2.0,192.0.2.255,4\n"), writeTable(t, "six.csv", "2001:db8::,2001:db8::ffff,6\n"))
	if err != nil {
		t.Fatal(err)
	}
	four, _, _ := n.Lookup(netip.MustParseAddr("192.0.2.1"))
	six, _, _ := n.Lookup(netip.MustParseAddr("2001:db8::1"))
	if four != 4 || six != 6 {
		t.Errorf("%d and %d", four, six)
	}
}

func TestNetsLookupDoesNotAllocate(t *testing.T) {
	n, err := LoadNets(writeTable(t, "asn.csv", "192.0.2.0,192.0.2.255,64500,Example\n"))
	if err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddr("192.0.2.1")
	if got := testing.AllocsPerRun(100, func() { n.Lookup(a) }); got > 0 {
		t.Errorf("%v allocations", got)
	}
	if asn, org, country := (*Nets)(nil).Lookup(a); asn != 0 || org != "" || country != "" {
		t.Error("no table knows something")
	}
}

func writeTable(t *testing.T, name, data string) string {
	t.Helper()
	return writeInto(t, t.TempDir(), name, data)
}

func writeInto(t *testing.T, dir, name, data string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil || w.Close() != nil {
		t.Fatal("gzip failed")
	}
	return b.String()
}
