package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"weir/enrich"
	"weir/event"
	"weir/rules"
)

// siteFile is a site file as it was read; each set of tables takes a copy.
type siteFile struct {
	name string
	src  []byte
}

// site reads the site file for the stories from here to the next rule.
func (p *parser) site(first word, ws []word) {
	if p.started(first) {
		return
	}
	if len(ws) != 1 {
		p.line.fail(first.off, "site must be followed by one file, such as site shop.site")
		return
	}
	name := path.Join(path.Dir(p.file), ws[0].text)
	if !fs.ValidPath(name) {
		p.line.fail(ws[0].off, "site %s: must lie in the directory of the rules or beside it", ws[0].text)
		return
	}
	file, err := p.siteFile(name)
	switch {
	case errors.Is(err, errNoSite):
		p.line.fail(ws[0].off, "site %v", err)
	case err != nil:
		p.line.faults = append(p.line.faults, err) // it says where in the site file
	}
	p.story.site = file
}

// errNoSite marks a site file that could not be read at all.
var errNoSite = errors.New("cannot be read")

// siteFile reads and checks a site file, each once.
func (p *parser) siteFile(name string) (*siteFile, error) {
	if f := p.sites[name]; f != nil {
		return f, nil
	}
	src, err := fs.ReadFile(p.fs, name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoSite, err)
	}
	f := &siteFile{name, src}
	if _, err := f.tables(p.lib); err != nil {
		return nil, err
	}
	p.sites[name] = f
	return f, nil
}

// tables returns what events are enriched from; a nil file guesses everything.
func (f *siteFile) tables(lib *Library) (*enrich.Tables, error) {
	cfg := enrich.Config{Key: event.FixedKey()}
	if f != nil {
		site, err := enrich.ParseSite(f.name, f.src)
		if err != nil {
			return nil, err
		}
		cfg.Site = site
	}
	opt := rules.Options{Extras: lib.Extras}
	for name := range lib.Lookups {
		opt.Lookups = append(opt.Lookups, name)
	}
	cfg.Compile = rules.Compiler(opt, lib.Lookups)
	return enrich.New(cfg)
}
