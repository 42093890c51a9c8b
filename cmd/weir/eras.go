package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"weir/pipeline"
)

// era is a stretch of ticks that is decided by the same rules: it begins with a
// `config` mark of the journal.
type era struct {
	number int64
	from   int64  // the tick behind which it begins; of the first one it does not matter
	hash   string // of the rules and the configuration
}

// erasOf returns the eras of a journal, in their order.
func erasOf(marks []pipeline.Mark) (eras []era) {
	for _, m := range marks {
		if m.Event == pipeline.MarkConfig {
			eras = append(eras, era{number: m.Offset, from: m.Watermark, hash: m.First})
		}
	}
	slices.SortFunc(eras, func(a, b era) int { return int(a.number - b.number) })
	return eras
}

const (
	configsDir = "configs" // beside the journal
	// maxConfigs is how many configurations are kept, the newest ones. A replay
	// of older decisions has to do with the rules of today.
	maxConfigs = 256
	decideFile = "decide.yaml"
	siteFile   = "site.yaml"
)

// decides is the part of a configuration that decisions follow from and that
// may change from one era to the next, besides the rules' own files.
type decides struct {
	Stage string
	Set   []stageSet
	Site  bool
}

// keepConfig writes a copy of the rules, their stages and the site file below a
// state's directory, so that what they decided can be decided again.
func (g *engine) keepConfig(state, hash string) (err error) {
	c := g.cfg
	dir := filepath.Join(state, configsDir)
	if _, err := os.Stat(filepath.Join(dir, hash)); err == nil {
		now := time.Now()
		return os.Chtimes(filepath.Join(dir, hash), now, now) // it counts as new again
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("state: %w", err)
	}
	made, err := os.MkdirTemp(dir, ".new-")
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("state: copy of the rules: %w", err), os.RemoveAll(made))
		}
	}()
	said, err := yaml.Marshal(decides{c.Stage, c.Rules.Set, c.Site != ""})
	if err != nil {
		return err
	}
	if err := writeSynced(filepath.Join(made, decideFile), said); err != nil {
		return err
	}
	if c.Site != "" {
		b, err := os.ReadFile(c.path(c.Site))
		if err != nil {
			return err
		}
		if err := writeSynced(filepath.Join(made, siteFile), b); err != nil {
			return err
		}
	}
	for i, d := range c.ruleDirs() {
		to := filepath.Join(made, "rules", strconv.Itoa(i))
		err := fs.WalkDir(d.fs, d.name, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || path.Ext(name) != ".yaml" {
				return err
			}
			b, err := fs.ReadFile(d.fs, name)
			if err != nil {
				return err
			}
			below, err := filepath.Rel(filepath.FromSlash(d.name), filepath.FromSlash(name))
			if err != nil {
				return err
			}
			file := filepath.Join(to, below)
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				return err
			}
			return writeSynced(file, b)
		})
		if err != nil {
			return err
		}
	}
	if err := os.Rename(made, filepath.Join(dir, hash)); err != nil {
		return err
	}
	return errors.Join(syncDir(dir), forgetConfigs(dir))
}

// forgetConfigs removes the oldest copies beyond maxConfigs, and what a crash
// left half made.
func forgetConfigs(dir string) error {
	found, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	type copied struct {
		name string
		at   time.Time
	}
	var all []copied
	for _, f := range found {
		info, err := f.Info()
		if err != nil {
			continue
		}
		if f.Name()[0] == '.' {
			err := os.RemoveAll(filepath.Join(dir, f.Name()))
			if err != nil {
				return err
			}
			continue
		}
		all = append(all, copied{f.Name(), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b copied) int { return b.at.Compare(a.at) })
	for _, c := range all[min(maxConfigs, len(all)):] {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, c.name)))
	}
	return err
}

func writeSynced(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// errNoCopy says that the rules of an era are not there any more.
var errNoCopy = errors.New("no copy of the rules")

// of returns the engine by which an era of a state was decided: this one, where
// it is of the same rules, or one with those that were kept.
func (g *engine) of(e *environment, state string, era era, guarded bool) (*engine, error) {
	now, err := g.fingerprint()
	if err != nil || now == era.hash {
		return g, err
	}
	dir := filepath.Join(state, configsDir, era.hash)
	b, err := os.ReadFile(filepath.Join(dir, decideFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w of %s in %s", errNoCopy, era.hash, filepath.Dir(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("state: copy of the rules: %w", err)
	}
	var d decides
	if err := yaml.UnmarshalWithOptions(b, &d, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("state: copy of the rules: %s: %w", filepath.Join(dir, decideFile), err)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	c := *g.cfg
	c.Stage, c.Rules.Set, c.Site, c.Rules.Dirs = d.Stage, d.Set, "", nil
	if d.Site {
		c.Site = filepath.Join(abs, siteFile)
	}
	for i := 0; ; i++ {
		dir := filepath.Join(abs, "rules", strconv.Itoa(i))
		if _, err := os.Stat(dir); err != nil {
			break
		}
		c.Rules.Dirs = append(c.Rules.Dirs, dir)
	}
	return e.engineOf(&c, guarded)
}
