package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/goccy/go-yaml"
)

// fingerprint is a hash of all that decisions follow from besides the records,
// the tables and the journal: rules, site file, key, and what the configuration
// says about sources, enriching, stages, memory and disk.
func (g *engine) fingerprint() (string, error) {
	h := sha256.New()
	c := g.cfg
	said, err := yaml.Marshal(struct {
		Stage, Site string
		Sources     []sourceConfig
		Enrich      enrichConfig
		Rules       rulesConfig
		Disk        int64 // how often and where state and events come to disk decides nothing
	}{c.Stage, c.Site, c.Sources, c.Enrich, c.Rules, c.disk()})
	if err != nil {
		return "", fmt.Errorf("configuration: %w", err)
	}
	part := func(name string, b []byte) {
		fmt.Fprintf(h, "%s %d\n", name, len(b))
		h.Write(b)
	}
	part("configuration", said)
	part("key", g.key.MAC("fingerprint", nil))
	if c.Site != "" {
		text, err := siteText(c)
		if err != nil {
			return "", err
		}
		part("site", []byte(text))
	}
	for _, d := range c.ruleDirs() {
		err := fs.WalkDir(d.fs, d.name, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
				return err
			}
			b, err := fs.ReadFile(d.fs, name)
			part(name, b)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("rules: %w", err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// siteText returns what the site file says; empty without one.
func siteText(c *config) (string, error) {
	if c.Site == "" {
		return "", nil
	}
	b, err := os.ReadFile(c.path(c.Site))
	if err != nil {
		return "", fmt.Errorf("site: %w", err)
	}
	return string(b), nil
}
