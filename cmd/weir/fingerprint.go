package main

import "os"

// fingerprint is a hash of all that decisions follow from besides the records
// and the journal: rules, site file, tables, key, and what the configuration
// says about sources, stages and disk.
func (g *engine) fingerprint() (string, error) {
	if g.taken == nil {
		var err error
		if g.taken, err = g.cfg.take(g.key); err != nil {
			return "", err
		}
	}
	return g.taken.hash(), nil
}

// siteText returns what the site file says; empty without one.
func siteText(c *config) (string, error) {
	if c.Site == "" {
		return "", nil
	}
	if err := c.there("site", c.Site, "file"); err != nil {
		return "", err
	}
	b, err := os.ReadFile(c.path(c.Site))
	if err != nil {
		return "", usagef("site: %w", err)
	}
	return string(b), nil
}
