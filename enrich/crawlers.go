package enrich

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// maxCrawlerNets is how many prefixes of crawlers are kept.
const maxCrawlerNets = 1 << 20

// crawlerNames are the names of range files that are crawlers'. A directory of
// published ranges also holds those of whole clouds, delivery networks and
// relays (amazon, google, microsoft, cloudflare, apple-proxy …). Anybody can
// rent an address there, and what counts as a verified crawler is never
// blocked: so only names that stand here are taken from a directory, and who
// knows better says name=path.
var crawlerNames = []string{
	"ahrefs", "ahrefsbot", "amazonbot", "anthropic", "apple", "applebot", "baidu", "baiduspider", "bing", "bingbot",
	"ccbot", "chatgpt-user", "claudebot", "commoncrawl", "duckassistbot", "duckduckbot", "facebook", "facebookbot",
	"facebookexternalhit", "google-extended", "googlebot", "gptbot", "kagibot", "linkedinbot", "meta-externalagent", "mistralai-user",
	"mojeek", "mojeekbot", "oai-searchbot", "openai", "perplexity", "perplexitybot", "petalbot", "pinterest", "pinterestbot",
	"qwantbot", "qwantify", "semrush", "semrushbot", "seznam", "seznambot", "slackbot", "special-crawlers", "telegrambot",
	"twitterbot", "yahoo", "yandex", "yandexbot",
}

// Crawlers knows the verified crawlers by the address ranges that their owners
// publish. It is made once and then only read, by as many goroutines as like to.
type Crawlers struct {
	table  bart.Table[uint16] // to the index of a name
	names  []string
	passed []string
}

// LoadCrawlers reads files of ranges. A path is a file, a directory of them,
// or name=path. A file holds one prefix or address a line, or the JSON that
// search engines publish; without name= the file's name up to -ipv4, -ipv6,
// _merged or its ending names the crawler, and it must be a known one (see
// crawlerNames): other files of a directory are passed over.
func LoadCrawlers(paths ...string) (*Crawlers, error) {
	c := &Crawlers{}
	var faults []error
	for _, path := range paths {
		faults = append(faults, c.load(path))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return c, nil
}

// Name returns the crawler that an address belongs to, or "".
func (c *Crawlers) Name(a netip.Addr) string {
	if c == nil {
		return ""
	}
	i, ok := c.table.Lookup(a.Unmap())
	if !ok {
		return ""
	}
	return c.names[i]
}

// All returns the ranges and whose they are.
func (c *Crawlers) All() iter.Seq2[netip.Prefix, string] {
	return func(yield func(netip.Prefix, string) bool) {
		if c == nil {
			return
		}
		for p, i := range c.table.All() {
			if !yield(p, c.names[i]) {
				return
			}
		}
	}
}

// Names returns the crawlers that have ranges, in order.
func (c *Crawlers) Names() []string {
	names := slices.Clone(c.names)
	slices.Sort(names)
	return names
}

// PassedOver returns the files of directories that are no crawler's.
func (c *Crawlers) PassedOver() []string { return c.passed }

// Prefixes returns all ranges, for what must never be blocked.
func (c *Crawlers) Prefixes() []netip.Prefix {
	var ps []netip.Prefix
	for p := range c.table.AllSorted() {
		ps = append(ps, p)
	}
	return ps
}

func (c *Crawlers) load(path string) error {
	name, rest, named := strings.Cut(path, "=")
	if named && name != "" && !strings.ContainsRune(name, filepath.Separator) {
		return c.loadFile(rest, name)
	}
	info, err := os.Stat(path)
	if err != nil {
		return tableError(path, err)
	}
	if !info.IsDir() {
		name := crawlerName(path)
		if !slices.Contains(crawlerNames, name) {
			return fmt.Errorf("%s: %q is not a known crawler; write NAME=%s if it is one", path, name, path)
		}
		return c.loadFile(path, name)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return tableError(path, err)
	}
	taken := 0
	var faults []error
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		if name := crawlerName(file); !e.IsDir() && slices.Contains(crawlerNames, name) {
			taken++
			faults = append(faults, c.loadFile(file, name))
		} else {
			c.passed = append(c.passed, file)
		}
	}
	if taken == 0 {
		return fmt.Errorf("%s: no file is named after a known crawler", path)
	}
	return errors.Join(faults...)
}

// crawlerName returns whom a file is named after.
func crawlerName(path string) string {
	name := strings.ToLower(filepath.Base(path))
	for _, ext := range []string{".gz", ".txt", ".json", ".lst", ".list", "_merged", "-merged", "-ipv4", "-ipv6", "_ipv4", "_ipv6"} {
		name = strings.TrimSuffix(name, ext)
	}
	return name
}

func (c *Crawlers) loadFile(path, name string) error {
	i := slices.Index(c.names, name)
	if i < 0 {
		i = len(c.names)
		c.names = append(c.names, name)
	}
	asJSON, err := isJSON(path)
	if err != nil {
		return err
	}
	n := 0
	add := func(s string) error {
		p, err := parseRange(s)
		if err != nil {
			return err
		}
		n++
		if had, ok := c.table.Get(p); !ok || int(had) > i { // two crawlers in one range: the first keeps it
			c.table.Insert(p, uint16(i))
		}
		if c.table.Size() > maxCrawlerNets {
			return fmt.Errorf("more than %d ranges of crawlers", maxCrawlerNets)
		}
		return nil
	}
	if asJSON {
		err = jsonRanges(path, add)
	} else {
		err = tableLines(path, add)
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("%s: no address ranges in it", path)
	}
	return err
}

// parseRange reads an address or a prefix of a crawler. One that is a large
// part of the internet is refused: it would exempt everybody.
func parseRange(s string) (netip.Prefix, error) {
	p, err := parsePrefix(s)
	if err != nil {
		return p, err
	}
	if widest := map[bool]int{true: 8, false: 16}[p.Addr().Is4()]; p.Bits() < widest {
		return p, fmt.Errorf("%s, must not be wider than /%d", p, widest)
	}
	return p, nil
}

// parsePrefix reads a prefix or an address, which is a prefix of itself.
func parsePrefix(s string) (netip.Prefix, error) {
	if strings.IndexByte(s, '/') < 0 {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q, must be an address or a prefix", s)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q, must be an address or a prefix", s)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

func isJSON(path string) (bool, error) {
	t, err := openTable(path)
	if err != nil {
		return false, err
	}
	defer t.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(t, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, tableError(path, err)
	}
	return strings.HasPrefix(strings.TrimLeft(string(head[:n]), "\ufeff \t\r\n"), "{"), nil
}

// jsonRanges reads {"prefixes":[{"ipv4Prefix":"192.0.2.0/24"},{"ipv6Prefix":…}]}.
func jsonRanges(path string, add func(string) error) error {
	t, err := openTable(path)
	if err != nil {
		return err
	}
	defer t.Close()
	var doc struct {
		Prefixes []struct {
			V4 string `json:"ipv4Prefix"`
			V6 string `json:"ipv6Prefix"`
		} `json:"prefixes"`
	}
	if err := json.NewDecoder(io.LimitReader(t, 64<<20)).Decode(&doc); err != nil {
		return tableError(path, err)
	}
	for i, p := range doc.Prefixes {
		for _, s := range []string{p.V4, p.V6} {
			if s == "" {
				continue
			}
			if err := add(s); err != nil {
				return fmt.Errorf("%s: prefixes[%d]: %w", path, i, err)
			}
		}
	}
	return nil
}
