package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// tableFile is a file of a table that events are enriched from: by its content,
// whatever its name. Large ones are only known by their sums.
type tableFile struct {
	Use  string `yaml:"use"`            // asn, lookup or crawlers
	Item int    `yaml:"item,omitempty"` // which of them in the configuration
	Name string `yaml:"name,omitempty"` // of a lookup; of a crawler, where it has one
	Path string `yaml:"path"`           // as the configuration says
	In   string `yaml:"in,omitempty"`   // of a directory Path, the file in it
	Size int64  `yaml:"size"`
	Sum  string `yaml:"sum"`
	Kept bool   `yaml:"kept"` // there is a copy of it
}

// Copies are kept of tables up to this size each, and all together.
const (
	maxTableKept  = 1 << 20
	maxTablesKept = 4 << 20
	tablesDir     = "tables"
)

// What a table is used for.
const (
	useASN      = "asn"
	useLookup   = "lookup"
	useCrawlers = "crawlers"
)

// file is the path of the file as the configuration says it.
func (f *tableFile) file() string { return filepath.Join(f.Path, f.In) }

// inCopy is its path in a copy.
func (f *tableFile) inCopy() string {
	return path.Join(tablesDir, f.Use+"-"+strconv.Itoa(f.Item), filepath.Base(f.file()))
}

// tableFiles reads the files of all tables. Keep is given those that are small,
// and says whether there is room for a copy; nil: they are only summed.
func (c *config) tableFiles(keep func(*tableFile, []byte) bool) (all []tableFile, err error) {
	if err := c.tablesThere(); err != nil {
		return nil, err
	}
	if c.Enrich.ASN != "" {
		all = append(all, tableFile{Use: useASN, Path: c.Enrich.ASN})
	}
	for i, name := range slices.Sorted(maps.Keys(c.Enrich.Lookups)) {
		all = append(all, tableFile{Use: useLookup, Item: i, Name: name, Path: c.Enrich.Lookups[name]})
	}
	for i, text := range c.Enrich.Crawlers {
		name, p, named := strings.Cut(text, "=")
		if !named {
			name, p = "", text
		}
		inside, err := filesIn(c.path(p))
		if err != nil {
			return nil, fmt.Errorf("enrich: crawlers: %w", err)
		}
		for _, in := range inside {
			all = append(all, tableFile{Use: useCrawlers, Item: i, Name: name, Path: p, In: in})
		}
	}
	for i := range all {
		f := &all[i]
		if err := f.read(c.path(f.file()), keep); err != nil {
			return nil, usagef("enrich: %s: %w", f.Use, err)
		}
	}
	return all, nil
}

// filesIn returns the names of a directory's files, or one that is empty for a
// file.
func filesIn(p string) (names []string, err error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{""}, nil
	}
	entries, err := os.ReadDir(p)
	for _, e := range entries {
		if e.Type().IsRegular() || e.Type()&os.ModeSymlink != 0 {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// read sums the file, and has it kept if it is small.
func (f *tableFile) read(name string, keep func(*tableFile, []byte) bool) (err error) {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if info, err := file.Stat(); err != nil || info.IsDir() {
		return err // whoever reads it for what it means says what is wrong
	}
	h := sha256.New()
	var text bytes.Buffer
	if f.Size, err = io.Copy(io.MultiWriter(h, &upTo{&text, maxTableKept + 1}), file); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	f.Sum = hex.EncodeToString(h.Sum(nil))
	f.Kept = keep != nil && f.Size <= maxTableKept && keep(f, text.Bytes())
	return nil
}

// wholeOrNot takes back the copies of a directory's files where not all of them
// are kept: they only mean something together.
func (t *taken) wholeOrNot() {
	for i := range t.said.Tables {
		if f := &t.said.Tables[i]; f.In != "" && !f.Kept {
			for k := range t.said.Tables {
				if o := &t.said.Tables[k]; o.Use == f.Use && o.Item == f.Item && o.Kept {
					o.Kept = false
					delete(t.files, o.inCopy())
				}
			}
		}
	}
}

// upTo passes on the first bytes that it is given, and swallows the rest.
type upTo struct {
	to   io.Writer
	left int
}

func (u *upTo) Write(b []byte) (int, error) {
	n := min(len(b), u.left)
	u.left -= n
	_, err := u.to.Write(b[:n])
	return len(b), err
}

// sameTables reports which of the files are not what they were: by what the
// configuration calls them.
func sameTables(was, now []tableFile) (other []string) {
	sums := map[string]string{}
	for _, f := range now {
		sums[f.Use+"\x00"+f.Name+"\x00"+f.file()] = f.Sum
	}
	for _, f := range was {
		id := f.Use + "\x00" + f.Name + "\x00" + f.file()
		if sums[id] != f.Sum {
			other = append(other, f.file())
		}
		delete(sums, id)
	}
	for _, id := range slices.Sorted(maps.Keys(sums)) {
		other = append(other, id[strings.LastIndexByte(id, 0)+1:])
	}
	return other
}

// tablesOf returns the tables that decided when a copy was made: out of it, or,
// those that it does not hold, from where they were. What is another one by now
// is named.
func (t *taken) tablesOf(now *config, dir string) (e enrichConfig, other []string) {
	e.Lookups = map[string]string{}
	crawlers := map[int]string{}
	for i := range t.said.Tables {
		f := &t.said.Tables[i]
		at := filepath.Join(dir, filepath.FromSlash(f.inCopy()))
		if !f.Kept {
			var err error
			if at, err = filepath.Abs(now.path(f.file())); err != nil {
				other = append(other, f.file())
				continue
			}
			seen := tableFile{}
			if err := seen.read(at, nil); err != nil || seen.Sum != f.Sum {
				other = append(other, f.file())
				if err != nil {
					continue
				}
			}
		}
		switch f.Use {
		case useASN:
			e.ASN = at
		case useLookup:
			e.Lookups[f.Name] = at
		case useCrawlers:
			if f.In != "" { // as a whole: names of files tell the crawlers
				at = filepath.Dir(at)
			}
			if f.Name != "" {
				at = f.Name + "=" + at
			}
			crawlers[f.Item] = at
		}
	}
	for _, i := range slices.Sorted(maps.Keys(crawlers)) {
		e.Crawlers = append(e.Crawlers, crawlers[i])
	}
	return e, other
}
