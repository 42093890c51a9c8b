package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"weir/emit"
)

// sharedPlaces reports the files and directories that are named for two things,
// of which one is written: two points would take turns to overwrite each
// other's list for ever.
func (c *config) sharedPlaces() (err error) {
	taken := map[string]string{}
	claim := func(path, what string) {
		if path == "" {
			return
		}
		place := c.path(path)
		if abs, e := filepath.Abs(place); e == nil {
			place = abs
		}
		if dir, e := filepath.EvalSymlinks(filepath.Dir(place)); e == nil {
			place = filepath.Join(dir, filepath.Base(place))
		}
		if by, ok := taken[place]; ok {
			kind := "file"
			if strings.HasSuffix(what, ": dir") {
				kind = "directory"
			}
			err = errors.Join(err, fmt.Errorf("%s: %s is that of %s already; each needs a %s of its own", what, path, by, kind))
			return
		}
		taken[place] = what
	}
	read := map[string]bool{}
	for i := range c.Sources {
		if s := &c.Sources[i]; s.File.Path != "" && !read[s.File.Path] { // two sources may read parts of one file
			read[s.File.Path] = true
			claim(s.File.Path, "source "+s.Name)
		}
	}
	if c.Archive.Dir != "" {
		claim(c.State.Dir, "state: dir")
		claim(c.Archive.Dir, "archive: dir")
	}
	claim(c.KeyFile, "key_file")
	claim(c.Site, "site")
	for i := range c.Points {
		claim(written(&c.Points[i]), "point "+c.Points[i].Name)
	}
	return err
}

// written returns the file that a point writes; empty: none.
func written(p *emit.PointConfig) string {
	switch {
	case p.File != nil:
		return p.File.Path
	case p.Nginx != nil:
		return p.Nginx.Conf
	case p.HAProxy != nil:
		return p.HAProxy.Map
	}
	return ""
}
