package main

import (
	"errors"
	"strings"

	"weir/emit"
)

// pointsSetup prints what operators put into the configurations of their
// proxies. It needs the points only: rules, tables and state may come later.
func (e *environment) pointsSetup(opt *pointsOptions) (err error) {
	cfg, path, err := anyConfig(opt.config)
	if err != nil {
		return err
	}
	site, err := cfg.site()
	if err != nil {
		e.log.Warn("the site file cannot be read, its endpoints are left out", "error", err)
	}
	points, err := emit.OpenPoints(cfg.Points, sitePatterns(site), cfg.path, e.log)
	if err != nil {
		return usagef("%w", err)
	}
	defer func() { err = errors.Join(err, closePoints(points)) }()
	chosen, err := choose(points, opt.name, path)
	if err != nil {
		return err
	}
	p := &page{w: e.out}
	for _, pt := range chosen {
		printSetup(p, pt)
	}
	return p.err
}

// choose returns the point of that name, or all where none is named.
func choose(points []emit.Point, name, path string) ([]emit.Point, error) {
	if len(points) == 0 {
		return nil, usagef("%s: points: there are none", path)
	}
	if name == "" {
		return points, nil
	}
	var names []string
	for i, p := range points {
		if p.Name() == name {
			return points[i : i+1], nil
		}
		names = append(names, p.Name())
	}
	return nil, usagef("%s: points: there is no %s, there are: %s", path, name, strings.Join(names, ", "))
}

func printSetup(p *page, pt emit.Point) {
	text := pt.Setup()
	if text == "" {
		p.line("# %s: nothing to set up", pt.Name())
		return
	}
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		p.line("%s", line)
	}
}
