package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
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
		err = errors.Join(err, c.nestedPlaces())
	}
	claim(c.KeyFile, "key_file")
	claim(c.Site, "site")
	for i := range c.Points {
		claim(written(&c.Points[i]), "point "+c.Points[i].Name)
	}
	return err
}

// nestedPlaces refuses an archive in the state's directory, and a state in the
// archive's: who moves or deletes the one as its messages say would take the
// other along, and whose a file is could not be told from where it is.
func (c *config) nestedPlaces() error {
	state, archive := realPlace(c.path(c.State.Dir)), realPlace(c.path(c.Archive.Dir))
	within := func(inner, outer string) bool {
		rel, err := filepath.Rel(outer, inner)
		return err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, "../")
	}
	switch {
	case c.State.Dir == "":
	case within(archive, state):
		return fmt.Errorf("archive: dir: %s lies in that of state: dir (%s); each needs a directory beside the other", c.Archive.Dir, c.State.Dir)
	case within(state, archive):
		return fmt.Errorf("state: dir: %s lies in that of archive: dir (%s); each needs a directory beside the other", c.State.Dir, c.Archive.Dir)
	}
	return nil
}

// realPlace returns where a path leads to as far as it exists.
func realPlace(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	there := nearest(path)
	if real, err := filepath.EvalSymlinks(there); err == nil {
		return filepath.Join(real, strings.TrimPrefix(path, there))
	}
	return path
}

// nearest returns what is there of a path: itself, or the nearest directory
// above it.
func nearest(path string) string {
	for path != filepath.Dir(path) {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		path = filepath.Dir(path)
	}
	return path
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
