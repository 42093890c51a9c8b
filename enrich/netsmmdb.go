package enrich

import (
	"errors"
	"fmt"
	"strings"

	"github.com/oschwald/maxminddb-golang/v2"
)

// readNetsMMDB reads an MMDB of any vendor that names its fields as one of the
// common databases does. The whole tree is walked once, so that a lookup later
// decodes nothing. IPv4 networks that stand in the tree a second time (6to4,
// Teredo) are left out.
func readNetsMMDB(path string, b *netsBuilder) error {
	db, err := maxminddb.Open(path)
	if err != nil {
		return tableError(path, err)
	}
	defer db.Close()
	known := make(map[uintptr]owner) // most networks share a few records
	found := false
	for res := range db.Networks() {
		if err := res.Err(); err != nil {
			return tableError(path, err)
		}
		o, ok := known[res.Offset()]
		if !ok {
			var record map[string]any
			if err := res.Decode(&record); err != nil {
				return fmt.Errorf("%s: network %s: %w", path, res.Prefix(), err)
			}
			if o, err = ownerOf(record); err != nil {
				return fmt.Errorf("%s: network %s: %w", path, res.Prefix(), err)
			}
			known[res.Offset()] = o
		}
		found = found || o != owner{}
		p := res.Prefix().Masked()
		width := p.Addr().BitLen()
		if err := b.add(p.Addr(), toWide(p.Addr()).add(low(width-p.Bits())).addr(width), o); err != nil {
			return tableError(path, err)
		}
	}
	if !found {
		return tableError(path, errors.New("none of its records has a network number, an organisation or a country"))
	}
	return nil
}

// ownerOf picks what is wanted out of a record.
func ownerOf(record map[string]any) (o owner, err error) {
	for _, key := range []string{"autonomous_system_number", "asn", "as_number"} {
		switch v := record[key].(type) {
		case uint64:
			if v > 1<<32-1 {
				return o, fmt.Errorf("%s: %d, must be 0 to 4294967295", key, v)
			}
			o.asn = uint32(v)
		case string:
			if o.asn, err = parseASN(v); err != nil {
				return o, err
			}
		}
	}
	for _, key := range []string{"autonomous_system_organization", "as_name", "as_org", "organization", "org", "name"} {
		if s, ok := record[key].(string); ok && o.org == "" {
			o.org = strings.TrimSpace(s)
		}
	}
	if country, ok := record["country"].(map[string]any); ok {
		record = map[string]any{"country": country["iso_code"]}
	}
	for _, key := range []string{"country_code", "country", "as_country_code"} {
		if s, ok := record[key].(string); ok && o.country == "" && isCountry(s) {
			o.country = strings.ToUpper(s)
		}
	}
	return o, nil
}
