package main

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/enrich"
	"weir/replay"
	"weir/rules"
)

func rulesCommand(e *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Check, test and explain rules",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(rulesCheckCommand(e), rulesTestCommand(e), rulesExplainCommand(e), rulesStageCommand(e), rulesReportCommand(e), rulesAllowCommand(e))
	return cmd
}

// chosenRules is the rules that a command is about, and those beside them that
// they may refer to.
type chosenRules struct {
	cfg   *config
	named bool // a configuration was given
	opt   rules.Options
	dirs  []chosenDir
	rules []*rules.Rule // of all directories, by id each once
}

// chosenDir is a directory of rules of which only a part is asked for.
type chosenDir struct {
	ruleDir
	only string // files whose path begins so; the whole directory's name for all
	rest bool   // nothing of it is asked for: others may refer to its rules
	root string // where it is on disk; empty: it ships with weir
}

// chooseRules finds the directories of rules: those of the configuration, or
// those that the arguments are or lie in, with the configuration's beside them.
// An argument may also be the id of one of the configuration's rules.
func chooseRules(configPath string, args []string) (*chosenRules, error) {
	cfg, err := loadConfig(configPath)
	if err != nil {
		return nil, err
	}
	extras, err := cfg.extras()
	if err != nil {
		return nil, err
	}
	s := &chosenRules{cfg: cfg, named: configPath != "", opt: cfg.ruleOptions(extras)}
	for _, arg := range args {
		d, err := s.dirOf(arg)
		if errors.Is(err, fs.ErrNotExist) {
			d, err = s.dirOfID(arg)
		}
		if err != nil {
			return nil, err
		}
		s.dirs = append(s.dirs, d)
	}
	for i, d := range cfg.ruleDirs() {
		s.dirs = append(s.dirs, chosenDir{ruleDir: d, only: d.name, rest: len(args) > 0, root: cfg.rulesRoot(i)})
	}
	return s, nil
}

// rulesRoot returns where the configuration's i-th directory of rules is; empty
// for the rules that ship.
func (c *config) rulesRoot(i int) string {
	if c.Rules.Dirs[i] == "builtin" {
		return ""
	}
	return c.path(c.Rules.Dirs[i])
}

// dirOf returns the directory of rules that a path is or lies in: what is left
// of it without what the id of a rule there says.
func (s *chosenRules) dirOf(arg string) (chosenDir, error) {
	abs, err := filepath.Abs(arg)
	if err != nil {
		return chosenDir{}, usagef("%s: %w", arg, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return chosenDir{}, usagef("%s: %w", arg, errors.Unwrap(err))
	}
	root, only := abs, ""
	if !info.IsDir() {
		root, only = filepath.Dir(abs), filepath.Base(abs)
	}
	for up := root; len(up) > 1; up = filepath.Dir(up) {
		if s.isRoot(up, abs) {
			if only, err = filepath.Rel(up, abs); err != nil {
				return chosenDir{}, usagef("%s: %w", arg, err)
			}
			root = up
			break
		}
	}
	d := dirOf(root)
	return chosenDir{ruleDir: d, only: path.Join(d.name, filepath.ToSlash(only)), root: root}, nil
}

// dirOfID returns the configuration's directory that has a rule of that id.
func (s *chosenRules) dirOfID(id string) (chosenDir, error) {
	file := strings.ReplaceAll(id, ".", "/") + ".yaml"
	for i, d := range s.cfg.ruleDirs() {
		name := path.Join(d.name, file)
		if _, err := fs.Stat(d.fs, name); err == nil {
			return chosenDir{ruleDir: d, only: name, root: s.cfg.rulesRoot(i)}, nil
		}
	}
	among := "a rule that ships; name yours with -c"
	if s.named {
		among = "a rule of the configuration"
	}
	return chosenDir{}, usagef("%s: neither a file or directory, as seen from the current one, nor the id of %s", id, among)
}

// isRoot reports whether ids are paths below dir, going by a rule at or below
// `at`, or beside it where it is a script.
func (s *chosenRules) isRoot(dir, at string) (yes bool) {
	look := at
	if strings.HasSuffix(at, ".test") {
		look = filepath.Dir(at)
	}
	found := errors.New("found")
	err := filepath.WalkDir(look, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".yaml" {
			return err
		}
		src, err := os.ReadFile(file)
		if err != nil || len(src) > rules.MaxSource {
			return err
		}
		if r, err := rules.Parse(file, src, s.opt); err == nil {
			yes = file == filepath.Join(dir, filepath.FromSlash(strings.ReplaceAll(r.ID, ".", "/"))+".yaml")
			return found
		}
		return nil
	})
	return yes && errors.Is(err, found)
}

// load reads and checks the rules. Faults are those of what was asked for.
func (s *chosenRules) load() (faults []error) {
	byID := map[string]bool{}
	for _, d := range s.dirs {
		rs, err := rules.LoadFS(d.fs, d.name, s.opt)
		if !d.rest {
			faults = append(faults, d.faults(err)...)
		}
		for _, r := range rs {
			if d.rest && byID[r.ID] {
				continue
			}
			byID[r.ID] = true
			s.rules = append(s.rules, r)
		}
	}
	if len(faults) > 0 {
		return faults // a rule that could not be read would be missed by others
	}
	err := rules.Check(s.rules)
	for _, d := range s.dirs {
		if !d.rest {
			faults = append(faults, d.faults(err)...)
		}
	}
	return faults
}

// faults returns the errors about files that are asked for.
func (d chosenDir) faults(err error) (out []error) {
	for _, e := range flatten(err) {
		var f *rules.Fault
		if errors.As(e, &f) && !d.asks(f.File) {
			continue
		}
		out = append(out, e)
	}
	return out
}

// asks reports whether a file is asked for: a rule is with its script, and a
// script with its rule.
func (d chosenDir) asks(file string) bool {
	stem := strings.TrimSuffix(file, path.Ext(file))
	return !d.rest && (d.only == "." || stem == strings.TrimSuffix(d.only, path.Ext(d.only)) || strings.HasPrefix(file, d.only+"/"))
}

// flatten takes joined errors apart.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, flatten(e)...)
	}
	return out
}

// chosen returns the rules that are asked for, each with its directory.
func (s *chosenRules) chosen(visit func(d chosenDir, r *rules.Rule)) {
	for _, d := range s.dirs {
		for _, r := range s.rules {
			if d.asks(r.File) && d.has(r) {
				visit(d, r)
			}
		}
	}
}

// has reports whether the rule was read from this directory.
func (d chosenDir) has(r *rules.Rule) bool {
	_, err := fs.Stat(d.fs, r.File)
	return err == nil
}

// library is what scripts may use.
func (s *chosenRules) library() (*replay.Library, error) {
	files := map[string]string{}
	for name, p := range s.cfg.Enrich.Lookups {
		files[name] = s.cfg.path(p)
	}
	lookups, err := enrich.LoadLookups(files)
	if err != nil {
		return nil, err
	}
	return &replay.Library{Rules: s.rules, Extras: s.opt.Extras, Lookups: lookups.Funcs()}, nil
}

// scripts returns the scripts that are asked for, by directory.
func (s *chosenRules) scripts() (found []scriptFile, err error) {
	for _, d := range s.dirs {
		if d.rest {
			continue
		}
		e := fs.WalkDir(d.fs, d.name, func(file string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && path.Ext(file) == ".test" && d.asks(file) {
				found = append(found, scriptFile{d.fs, file})
			}
			return err
		})
		err = errors.Join(err, e)
	}
	slices.SortStableFunc(found, func(a, b scriptFile) int { return strings.Compare(a.name, b.name) })
	return found, err
}

// scriptFile is a script in one of the directories.
type scriptFile struct {
	fs   fs.FS
	name string
}

// scriptOf returns where a rule's script stands.
func scriptOf(r *rules.Rule) string { return strings.TrimSuffix(r.File, ".yaml") + ".test" }
