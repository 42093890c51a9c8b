package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"weir/api"
	"weir/emit"
	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/rules"
	"weir/rulesets"
)

// config is weir.yaml: every package's own configuration, put together.
type config struct {
	Stage   string             `yaml:"stage"`
	Sources []sourceConfig     `yaml:"sources"`
	Site    string             `yaml:"site"`
	Enrich  enrichConfig       `yaml:"enrich"`
	KeyFile string             `yaml:"key_file"`
	Rules   rulesConfig        `yaml:"rules"`
	State   stateConfig        `yaml:"state"`
	Archive archiveConfig      `yaml:"archive"`
	Points  []emit.PointConfig `yaml:"points"`
	Protect []string           `yaml:"protect"` // addresses and prefixes that no list ever meets
	API     apiConfig          `yaml:"api"`

	dir string // relative paths begin here
}

type enrichConfig struct {
	ASN      string            `yaml:"asn"`
	Crawlers []string          `yaml:"crawlers"`
	Lookups  map[string]string `yaml:"lookups"`
}

type rulesConfig struct {
	Dirs []string   `yaml:"dirs"`
	Set  []stageSet `yaml:"set"`
}

// stageSet gives rules the highest stage that the operator allows them. Rule is
// an id in which * stands for anything; the last entry that fits counts.
type stageSet struct {
	Rule  string `yaml:"rule"`
	Stage string `yaml:"stage"`
}

type apiConfig struct {
	Listen string `yaml:"listen"`
}

// Defaults where a configuration says nothing. A log whose disorder nobody
// stated may come from a server that writes a line when the response ends.
const (
	defaultDisorder    = 2 * time.Second
	guessedDisorder    = time.Minute
	defaultMaxLateness = time.Hour
)

// loadConfig reads weir.yaml; an empty path is no configuration at all.
func loadConfig(path string) (*config, error) {
	if path == "" {
		return &config{Rules: rulesConfig{Dirs: []string{"builtin"}}, dir: "."}, nil
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("configuration: %w", err)
	}
	c := &config{dir: filepath.Dir(path)}
	if err := yaml.UnmarshalWithOptions(src, c, yaml.Strict()); err != nil {
		return nil, usagef("%s: %s%s", path, strings.TrimSpace(yamlText(err)), colonHint(err))
	}
	if len(c.Rules.Dirs) == 0 {
		c.Rules.Dirs = []string{"builtin"}
	}
	if err := c.Validate(); err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	return c, nil
}

// colonHint explains what the YAML reader makes of [kafka1.example:9093].
func colonHint(err error) string {
	if text := err.Error(); strings.Contains(text, "cannot unmarshal map") && strings.Contains(text, "of type string") {
		return "\ntext with a colon in it needs quotes here, such as [\"kafka1.example:9093\"]"
	}
	return ""
}

// Validate reports every fault that can be seen without opening anything.
func (c *config) Validate() (err error) {
	if c.Stage != "" {
		if _, ok := event.StageByName(c.Stage); !ok {
			err = errors.Join(err, fmt.Errorf("stage: %s, must be shadow, alert or enforce", c.Stage))
		}
	}
	names := map[string]bool{}
	for i, s := range c.Sources {
		if s.Name == "" {
			err = errors.Join(err, fmt.Errorf("sources[%d]: name: missing", i))
		}
		if names[s.Name] {
			err = errors.Join(err, fmt.Errorf("sources[%d]: name: %s is used twice", i, s.Name))
		}
		names[s.Name] = true
		for _, e := range s.faults(c) {
			err = errors.Join(err, fmt.Errorf("sources[%d] %s: %w", i, s.Name, e))
		}
	}
	if _, e := c.extras(); e != nil {
		err = errors.Join(err, e)
	}
	for i, set := range c.Rules.Set {
		if _, e := path.Match(set.Rule, ""); e != nil || set.Rule == "" {
			err = errors.Join(err, fmt.Errorf("rules: set[%d]: rule: %q, must be an id such as ato.stuffing_source or ato.*", i, set.Rule))
		}
		if _, ok := event.StageByName(set.Stage); !ok {
			err = errors.Join(err, fmt.Errorf("rules: set[%d]: stage: %q, must be shadow, alert or enforce", i, set.Stage))
		}
	}
	for _, text := range c.Protect {
		if _, e := prefixOf(text); e != nil {
			err = errors.Join(err, fmt.Errorf("protect: %w", e))
		}
	}
	err = errors.Join(err, emit.ValidatePoints(c.Points), c.sharedPlaces())
	if c.API.Listen != "" {
		if e := api.CheckListen(c.API.Listen); e != nil {
			err = errors.Join(err, fmt.Errorf("api: %w", e))
		}
	}
	return errors.Join(err, c.stateFaults())
}

// faultsLive reports what a live run needs and the configuration does not have.
func (c *config) faultsLive() (err error) {
	fault := func(format string, args ...any) { err = errors.Join(err, fmt.Errorf(format, args...)) }
	if len(c.Sources) == 0 {
		fault("sources: none")
	}
	slow := 0
	for i := range c.Sources {
		s := &c.Sources[i]
		switch {
		case s.Kafka == nil && s.File.Path == "":
			fault("sources[%d] %s: neither kafka: nor file:, a run needs one of them", i, s.Name)
		case s.Kafka != nil && s.Kafka.Start == "":
			fault("sources[%d] %s: kafka: start: missing; where a new state begins: end, begin, or how far back such as -1h", i, s.Name)
		case s.Kafka == nil && !s.File.Follow:
			fault("sources[%d] %s: file: follow: true is needed in a run; weir replay reads a file once", i, s.Name)
		case s.Kafka != nil && s.unknownFormat():
			fault("sources[%d] %s: format: missing; weir inspect guesses it from a file with some of the lines", i, s.Name)
		}
		if s.Slow {
			slow++
		}
	}
	if slow > 0 && slow == len(c.Sources) {
		fault("sources: all are slow, one must not be: it drives the clock")
	}
	if c.KeyFile == "" {
		fault("key_file: missing; make one with: (umask 077; head -c 32 /dev/urandom > key)")
	}
	if c.State.Dir == "" {
		fault("state: dir: missing; where the windows, the journal and the ledger are kept, such as /var/lib/weir")
	}
	if c.memory() < minMemory {
		fault("state: memory: %s, must be at least %s in a run", c.State.Memory, sizeText(minMemory))
	}
	return err
}

// path returns a path of the configuration as seen from here.
func (c *config) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// optionalPath is path of a file that need not be named.
func (c *config) optionalPath(p string) string {
	if p == "" {
		return ""
	}
	return c.path(p)
}

// crawlers returns the paths of crawlers' ranges, of which each may have a name
// in front.
func (c *config) crawlers() []string {
	var out []string
	for _, text := range c.Enrich.Crawlers {
		name, p, named := strings.Cut(text, "=")
		if !named {
			out = append(out, c.path(text))
			continue
		}
		out = append(out, name+"="+c.path(p))
	}
	return out
}

// key returns the key of all pseudonyms; fixed reports that none was given.
func (c *config) key() (k *event.Key, fixed bool, err error) {
	if c.KeyFile == "" {
		return event.FixedKey(), true, nil
	}
	k, err = event.LoadKey(c.path(c.KeyFile))
	if err != nil {
		return nil, false, usagef("%w", err)
	}
	return k, false, nil
}

// extras returns the extra fields that the sources map, in the order in which
// they first appear.
func (c *config) extras() (event.Extras, error) {
	var x event.Extras
	for _, s := range c.Sources {
		for _, name := range ingest.ExtraNames(s.Config) {
			if x.Field(name) == event.NoField {
				x = append(x, name)
			}
		}
	}
	if len(x) > event.MaxExtras {
		return nil, fmt.Errorf("sources map %d extra fields, must be at most %d", len(x), event.MaxExtras)
	}
	return x, nil
}

// ruleOptions is what rules may name besides the fields of every event.
func (c *config) ruleOptions(x event.Extras) rules.Options {
	o := rules.Options{Extras: x}
	for name := range c.Enrich.Lookups {
		o.Lookups = append(o.Lookups, name)
	}
	return o
}

// loadRules reads and checks the rules of all directories.
func (c *config) loadRules(opt rules.Options) ([]*rules.Rule, error) {
	if err := c.rulesThere(); err != nil {
		return nil, err
	}
	return loadRules(c.ruleDirs(), opt)
}

// stages returns the highest stage of each rule that the operator set one for.
// An entry that fits no rule is an error: it is a slip of the pen.
func (c *config) stages(rs []*rules.Rule) (map[string]event.Stage, error) {
	stages := map[string]event.Stage{}
	for i, set := range c.Rules.Set {
		stage, _ := event.StageByName(set.Stage)
		fits := false
		for _, r := range rs {
			if ok, err := path.Match(set.Rule, r.ID); ok && err == nil {
				stages[r.ID], fits = stage, true
			}
		}
		if !fits {
			return nil, usagef("rules: set[%d]: there is no rule %s", i, set.Rule)
		}
	}
	return stages, nil
}

// ruleDirs returns the directories, as file systems.
func (c *config) ruleDirs() []ruleDir {
	var dirs []ruleDir
	for _, d := range c.Rules.Dirs {
		if d == "builtin" {
			dirs = append(dirs, ruleDir{".", rulesets.FS})
		} else {
			dirs = append(dirs, dirOf(c.path(d)))
		}
	}
	return dirs
}

// ruleDir is a directory of rule files below a file system.
type ruleDir struct {
	name string
	fs   fs.FS
}

// dirOf opens a directory from above, so that messages name it.
func dirOf(p string) ruleDir {
	return ruleDir{filepath.Base(p), os.DirFS(filepath.Dir(p))}
}

func loadRules(dirs []ruleDir, opt rules.Options) (all []*rules.Rule, err error) {
	for _, d := range dirs {
		rs, e := rules.LoadFS(d.fs, d.name, opt)
		err = errors.Join(err, e)
		all = append(all, rs...)
	}
	if err == nil {
		err = rules.Check(all)
	}
	if err == nil && len(all) == 0 {
		err = usagef("no rules")
	}
	return all, err
}

// tables loads what events are enriched from.
func (c *config) tables(k *event.Key, opt rules.Options) (*enrich.Tables, *enrich.Site, error) {
	site, err := c.site()
	if err != nil {
		return nil, nil, err
	}
	t, err := c.tablesWith(site, k, opt)
	return t, site, err
}

// tablesWith loads what events are enriched from, besides a site file that was
// read.
func (c *config) tablesWith(site *enrich.Site, k *event.Key, opt rules.Options) (*enrich.Tables, error) {
	ec := enrich.Config{
		ASN: c.optionalPath(c.Enrich.ASN), Crawlers: c.crawlers(), Lookups: map[string]string{},
		Key: k, Site: site,
		Compile: rules.Compiler(opt, nil),
	}
	for name, p := range c.Enrich.Lookups {
		ec.Lookups[name] = c.path(p)
	}
	if err := c.tablesThere(); err != nil {
		return nil, err
	}
	return enrich.New(ec)
}

// site reads the site file; nil where none is named.
func (c *config) site() (*enrich.Site, error) {
	if c.Site == "" {
		return nil, nil
	}
	if err := c.there("site", c.Site, "file"); err != nil {
		return nil, err
	}
	p := c.path(c.Site)
	src, err := os.ReadFile(p)
	if err != nil {
		return nil, usagef("site: %w", err)
	}
	s, err := enrich.ParseSite(p, src)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return s, nil
}

// unjudged reports whether a source is declared to have no outcomes.
func (c *config) unjudged() bool {
	return slices.ContainsFunc(c.Sources, func(s sourceConfig) bool { return s.Outcomes == noOutcomes })
}
