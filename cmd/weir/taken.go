package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"weir/event"
	"weir/ingest"
)

// taken is all that decisions follow from besides the records and the journal,
// as it was read: once, so that what decides is what its hash is of.
type taken struct {
	said  decides
	files map[string][]byte // what a copy consists of, by their paths in it
	dirs  []string          // what the directories of rules are called in messages
}

// decides is what a configuration says that decisions follow from.
type decides struct {
	Format  int            `yaml:"format"`
	Stage   string         `yaml:"stage"`
	Set     []stageSet     `yaml:"set,omitempty"`
	Disk    int64          `yaml:"disk"` // how often and where state and events come to disk decides nothing
	Key     string         `yaml:"key"`  // tells the key file from others
	Site    bool           `yaml:"site"`
	Rules   int            `yaml:"rules"`             // directories of rules
	Sources []sourceConfig `yaml:"sources,omitempty"` // of where they are read only the path or the topic
	Tables  []tableFile    `yaml:"tables,omitempty"`
}

const (
	takenFormat = 1
	decideFile  = "decide.yaml"
	siteFile    = "site.yaml"
	rulesDir    = "rules"
	// Limits on what is read: the parser refuses what is over its own, and says so.
	maxTakenFile  = 1 << 20
	maxTakenRules = 16 << 10
)

// take reads what the configuration names.
func (c *config) take(key *event.Key) (*taken, error) {
	t := &taken{files: map[string][]byte{}}
	t.said = decides{
		Format: takenFormat, Stage: c.Stage, Set: c.Rules.Set, Disk: c.disk(), Key: keyID(key), Site: c.Site != "", Rules: len(c.Rules.Dirs),
	}
	for _, s := range c.Sources {
		t.said.Sources = append(t.said.Sources, s.deciding())
	}
	if c.Site != "" {
		text, err := siteText(c)
		if err != nil {
			return nil, err
		}
		t.files[siteFile] = []byte(text)
	}
	if err := c.rulesThere(); err != nil {
		return nil, err
	}
	for i, d := range c.ruleDirs() {
		t.dirs = append(t.dirs, d.name)
		if err := t.takeRules(i, d); err != nil {
			return nil, usagef("rules: %w", err)
		}
	}
	kept := int64(0)
	tables, err := c.tableFiles(func(f *tableFile, text []byte) bool {
		if kept+int64(len(text)) > maxTablesKept {
			return false
		}
		kept += int64(len(text))
		t.files[f.inCopy()] = text
		return true
	})
	if err != nil {
		return nil, err
	}
	t.said.Tables = tables
	t.wholeOrNot()
	said, err := yaml.Marshal(t.said)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	t.files[decideFile] = said
	return t, nil
}

// keyID tells a key from others, and gives nothing of it away.
func keyID(k *event.Key) string { return hex.EncodeToString(k.MAC("fingerprint", nil))[:32] }

// deciding returns a source without what decides nothing: how it is reached and
// where a new state begins.
func (s sourceConfig) deciding() sourceConfig {
	s.File = fileConfig{Path: s.File.Path}
	if s.Kafka != nil {
		s.Kafka = &kafkaConfig{Topic: s.Kafka.Topic}
	}
	return s
}

// takeRules reads the rules of the directory with a number.
func (t *taken) takeRules(number int, d ruleDir) error {
	return fs.WalkDir(d.fs, d.name, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
			return err
		}
		if len(t.files) > maxTakenRules {
			return fmt.Errorf("more than %d files", maxTakenRules)
		}
		text, err := readPart(d.fs, name)
		if err != nil {
			return err
		}
		below := strings.TrimPrefix(strings.TrimPrefix(name, path.Clean(d.name)), "/")
		if path.Clean(d.name) == "." {
			below = name
		}
		t.files[path.Join(rulesDir, strconv.Itoa(number), below)] = text
		return nil
	})
}

// readPart reads a file up to what one may have: what is longer is refused by
// whoever reads it for what it means.
func readPart(fsys fs.FS, name string) (b []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	b, err = io.ReadAll(io.LimitReader(f, maxTakenFile))
	return b, errors.Join(err, f.Close())
}

// hash tells what was taken from anything else.
func (t *taken) hash() string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		fmt.Fprintf(h, "%d %s %d\n", len(name), name, len(t.files[name]))
		h.Write(t.files[name])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// ruleDirs returns the directories of rules, from memory.
func (t *taken) ruleDirs() (dirs []ruleDir, err error) {
	for i := range t.said.Rules {
		called := rulesDir
		if i < len(t.dirs) {
			called = t.dirs[i]
		}
		below := map[string][]byte{}
		prefix := path.Join(rulesDir, strconv.Itoa(i)) + "/"
		for name, text := range t.files {
			if name, ok := strings.CutPrefix(name, prefix); ok {
				below[path.Join(called, name)] = text
			}
		}
		held, err := inMemory(called, below)
		if err != nil {
			return nil, err
		}
		dirs = append(dirs, ruleDir{called, held})
	}
	return dirs, nil
}

// inMemory returns files as a file system with a directory: an archive, of which
// the standard library has one that is a file system.
func inMemory(dir string, files map[string][]byte) (fs.FS, error) {
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	if dir != "." {
		if _, err := w.Create(dir + "/"); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return nil, err
		}
		if _, err := f.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
}

// config returns a configuration that decides as this one said: what decides
// nothing, and how its sources are reached, is as now says.
func (t *taken) config(now *config, reached []reachedBy) *config {
	c := *now
	c.Stage, c.Rules.Set, c.State.Disk = t.said.Stage, t.said.Set, sizeText(t.said.Disk)
	if c.Site = ""; t.said.Site {
		c.Site = siteFile
	}
	c.Sources = nil
	for _, s := range t.said.Sources {
		s.reachAs(now.Sources, reached)
		c.Sources = append(c.Sources, s)
	}
	return &c
}

// reachedBy is how a source is reached, which decides nothing.
type reachedBy struct {
	Name  string       `yaml:"name"`
	File  fileConfig   `yaml:"file"`
	Kafka *kafkaConfig `yaml:"kafka,omitempty"`
}

// reachAs has the source reached as today's configuration says, if it names the
// same file or topic, or else as it was when it was read.
func (s *sourceConfig) reachAs(now []sourceConfig, kept []reachedBy) {
	all := make([]reachedBy, 0, len(now)+len(kept))
	for i := range now {
		all = append(all, now[i].reached())
	}
	for _, r := range append(all, kept...) {
		switch {
		case r.Name != s.Name:
		case s.Kafka != nil && r.Kafka != nil && r.Kafka.Topic == s.Kafka.Topic,
			s.Kafka == nil && r.Kafka == nil && r.File.Path == s.File.Path:
			s.File, s.Kafka = r.File, r.Kafka
			return
		}
	}
}

func (s *sourceConfig) reached() reachedBy { return reachedBy{s.Name, s.File, s.Kafka} }

// sameLog reports whether two sources are read from the same place.
func (s *sourceConfig) sameLog(o *sourceConfig) bool {
	if s.Kafka != nil || o.Kafka != nil {
		return s.Kafka != nil && o.Kafka != nil && s.Kafka.Topic == o.Kafka.Topic
	}
	return s.File.Path == o.File.Path
}

// rulesThere reports the directories of rules that are missing.
func (c *config) rulesThere() (missing error) {
	for _, d := range c.Rules.Dirs {
		if d != "builtin" {
			missing = errors.Join(missing, c.there("rules: dirs", d, "directory"))
		}
	}
	return missing
}

// resolved gives sources whose format the lines must tell the one that an
// earlier start found: it is part of what decides.
func (c *config) resolved(formats map[string]ingest.Config) {
	c.Sources = slices.Clone(c.Sources)
	for i := range c.Sources {
		s := &c.Sources[i]
		if f, ok := formats[s.Name]; ok && s.unknownFormat() {
			s.Config = f
		}
	}
}
