package enrich

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"

	"github.com/gaissmai/bart"
)

const (
	// maxNets is how many prefixes a table of networks holds. One takes about
	// 30 bytes; the whole internet has 0.8 million.
	maxNets = 8 << 20
	// maxOrg is the longest name of an organisation; a longer one is cut.
	maxOrg = 128
)

// Nets says whose an address is. It is made once and then only read, by as
// many goroutines as like to. The routed internet of 2026 takes 35 MB.
type Nets struct {
	table bart.Fast[uint32] // to the index of an owner
	owner []owner

	// Rows is how many rows the files had, and Overlaps how many of them
	// overlapped others: there the narrower one holds.
	Rows, Overlaps int
}

type owner struct {
	asn          uint32
	org, country string
}

// LoadNets reads tables of networks, each an MMDB or a CSV file of
// start,end,asn,org rows (see readNetsCSV), and makes one of them.
func LoadNets(paths ...string) (*Nets, error) {
	b := netsBuilder{nets: &Nets{owner: []owner{{}}}, index: make(map[owner]uint32), text: make(map[string]string)}
	var faults []error
	for _, path := range paths {
		mmdb, err := isMMDB(path)
		switch {
		case err != nil:
		case mmdb:
			err = readNetsMMDB(path, &b)
		default:
			err = readNetsCSV(path, &b)
		}
		if err == nil && b.rows == b.before {
			err = fmt.Errorf("%s: no networks in it", path)
		}
		b.before = b.rows
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return b.build()
}

// Lookup returns the number, the organisation and the country of the network
// that an address belongs to, as far as the table knows them: 0 and empty is
// a normal answer.
func (n *Nets) Lookup(a netip.Addr) (asn uint32, org, country string) {
	if n == nil {
		return 0, "", ""
	}
	i, _ := n.table.Lookup(a.Unmap())
	o := &n.owner[i]
	return o.asn, o.org, o.country
}

// Prefixes returns how many prefixes the table holds.
func (n *Nets) Prefixes() int { return n.table.Size() }

// netsBuilder collects the rows of all files.
type netsBuilder struct {
	nets         *Nets
	index        map[owner]uint32
	text         map[string]string
	v4, v6       []span
	rows, before int
}

// add adds a row. The strings of o are copied where they are new.
func (b *netsBuilder) add(first, last netip.Addr, o owner) error {
	b.rows++
	if o.asn == 0 && o.country == "" && o.org == "" {
		return nil // "not routed", as some tables say
	}
	if b.rows > maxNets {
		return fmt.Errorf("more than %d networks", maxNets)
	}
	if len(o.org) > maxOrg {
		o.org = strings.ToValidUTF8(o.org[:maxOrg], "")
	}
	i, ok := b.index[o]
	if !ok {
		o.org, o.country = b.intern(o.org), b.intern(o.country)
		i = uint32(len(b.nets.owner))
		b.nets.owner = append(b.nets.owner, o)
		b.index[o] = i
	}
	s := span{first: toWide(first), last: toWide(last), owner: i}
	if first.Is4() {
		b.v4 = append(b.v4, s)
	} else {
		b.v6 = append(b.v6, s)
	}
	return nil
}

func (b *netsBuilder) intern(s string) string {
	if t, ok := b.text[s]; ok {
		return t
	}
	s = strings.Clone(s)
	b.text[s] = s
	return s
}

func (b *netsBuilder) build() (*Nets, error) {
	n := b.nets
	n.Rows = b.rows
	for _, family := range []struct {
		spans []span
		bits  int
	}{{b.v4, 32}, {b.v6, 128}} {
		spans, overlaps := flatten(family.spans)
		n.Overlaps += overlaps
		for _, s := range spans {
			for p := range s.prefixes(family.bits) {
				n.table.Insert(p, s.owner)
			}
			if n.table.Size() > maxNets {
				return nil, fmt.Errorf("networks: more than %d prefixes", maxNets)
			}
		}
	}
	return n, nil
}

// isMMDB reports whether a file has the metadata that ends an MMDB.
func isMMDB(path string) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, tableError(path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, tableError(path, err)
	}
	if info.IsDir() {
		return false, fmt.Errorf("%s: a directory, must be a file", path)
	}
	tail := make([]byte, min(info.Size(), 128<<10)) // where the format wants it
	if _, err := file.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return false, tableError(path, err)
	}
	return bytes.Contains(tail, []byte("\xab\xcd\xefMaxMind.com")), nil
}
