package enrich

import (
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCrawlersTakeOnlyCrawlersFromADirectory(t *testing.T) {
	dir := filepath.Dir(writeTable(t, "googlebot-ipv4_merged.txt", "# published\n192.0.2.0/28\n192.0.2.128 # one\n"))
	for name, data := range map[string]string{
		"googlebot-ipv6_merged.txt":   "2001:db8:1::/48\n",
		"bingbot.json":                `{"creationTime":"2026","prefixes":[{"ipv4Prefix":"198.51.100.0/27"},{"ipv6Prefix":"2001:db8:2::/48"}]}`,
		"google-ipv4_merged.txt":      "192.0.2.0/24\n",
		"amazon-ipv4_merged.txt":      "203.0.113.0/24\n",
		"apple-proxy-ipv4_merged.txt": "203.0.113.0/24\n",
		"README.md":                   "not a range\n",
	} {
		writeInto(t, dir, name, data)
	}
	c, err := LoadCrawlers(dir, "monitor="+writeTable(t, "probes.txt", "203.0.113.9\n"))
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{
		"192.0.2.15":           "googlebot",
		"192.0.2.16":           "",
		"192.0.2.128":          "googlebot",
		"::ffff:192.0.2.1":     "googlebot",
		"2001:db8:1:7::":       "googlebot",
		"198.51.100.31":        "bingbot",
		"2001:db8:2:ffff:1::1": "bingbot",
		"203.0.113.9":          "monitor",
		"203.0.113.10":         "",
	} {
		if got := c.Name(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	if got := c.Names(); !slices.Equal(got, []string{"bingbot", "googlebot", "monitor"}) {
		t.Errorf("names %v", got)
	}
	if len(c.PassedOver()) != 4 || len(c.Prefixes()) != 6 {
		t.Errorf("passed over %v, prefixes %v", c.PassedOver(), c.Prefixes())
	}
	if (*Crawlers)(nil).Name(netip.MustParseAddr("192.0.2.1")) != "" || c.Name(netip.Addr{}) != "" {
		t.Error("a crawler out of nothing")
	}
}

func TestSharedRangeKeepsTheFirstCrawler(t *testing.T) {
	c, err := LoadCrawlers("b="+writeTable(t, "x", "192.0.2.0/24\n"), "a="+writeTable(t, "x", "192.0.2.0/24\n"))
	if err != nil || c.Name(netip.MustParseAddr("192.0.2.1")) != "b" {
		t.Error(c.Names(), err)
	}
}

func TestCrawlersErrorsPoint(t *testing.T) {
	for _, tt := range []struct{ name, data, want string }{
		{"googlebot.txt", "192.0.2.0/24\nnonsense\n", `FILE:2: "nonsense", must be an address or a prefix`},
		{"googlebot.txt", "0.0.0.0/0\n", "FILE:1: 0.0.0.0/0, must not be wider than /8"},
		{"googlebot.txt", "2000::/3\n", "FILE:1: 2000::/3, must not be wider than /16"},
		{"googlebot.txt", "# none\n", "FILE: no address ranges in it"},
		{"googlebot.json", `{"prefixes":[{"ipv4Prefix":"192.0.2.0/24"},{"ipv4Prefix":"x"}]}`, `FILE: prefixes[1]: "x", must be an address or a prefix`},
		{"googlebot.json", `{"prefixes":`, "FILE: unexpected EOF"},
		{"amazon.txt", "192.0.2.0/24\n", `FILE: "amazon" is not a known crawler; write NAME=FILE if it is one`},
	} {
		path := writeTable(t, tt.name, tt.data)
		_, err := LoadCrawlers(path)
		if err == nil || strings.ReplaceAll(err.Error(), path, "FILE") != tt.want {
			t.Errorf("%s %q: %v, want %s", tt.name, tt.data, err, tt.want)
		}
	}
	dir := t.TempDir()
	if _, err := LoadCrawlers(dir); err == nil || err.Error() != dir+": no file is named after a known crawler" {
		t.Error(err)
	}
	if _, err := LoadCrawlers(dir + "/none"); err == nil || err.Error() != dir+"/none: no such file or directory" {
		t.Error(err)
	}
}
