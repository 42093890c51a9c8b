package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"weir/event"
)

// Options is what rules may name besides the fields of events.
type Options struct {
	Extras  event.Extras // the configuration's extra fields
	Lookups []string     // the names of its lookups
}

// The limits on names in rules and on sets of rules.
const (
	maxID   = 100
	maxName = 64
	maxKey  = 6    // fields of a key or target
	maxSet  = 2000 // rules read from one directory
)

// Parse reads one rule file. All of its faults come back at once, joined; each
// is a *Fault.
func Parse(file string, src []byte, opt Options) (*Rule, error) {
	if len(src) > MaxSource {
		return nil, fmt.Errorf("%s: %d bytes, must be at most %d", file, len(src), MaxSource)
	}
	text := strings.TrimPrefix(strings.ReplaceAll(string(src), "\r\n", "\n"), "\ufeff")
	r := reader{document: newDocument(file, text), opt: opt}
	root := r.parseYAML()
	if root == nil {
		return nil, r.err()
	}
	rule := r.rule(root)
	if err := r.err(); err != nil {
		return nil, err
	}
	return rule, nil
}

// LoadFS reads every rule file (*.yaml) under dir. A rule's id is its path
// below dir. Faults of all files come back at once.
func LoadFS(fsys fs.FS, dir string, opt Options) ([]*Rule, error) {
	var rs []*Rule
	var errs []error
	files := 0
	err := fs.WalkDir(fsys, dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(file) != ".yaml" {
			return err
		}
		if files++; files > maxSet {
			return fmt.Errorf("%s: more than %d rules", dir, maxSet)
		}
		r, err := loadFile(fsys, dir, file, opt)
		if err != nil {
			errs = append(errs, err)
			return nil
		}
		rs = append(rs, r)
		return nil
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("rules: %w", err))
	}
	return rs, errors.Join(errs...)
}

func loadFile(fsys fs.FS, dir, file string, opt Options) (*Rule, error) {
	info, err := fs.Stat(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	if info.Size() > MaxSource {
		return nil, fmt.Errorf("%s: %d bytes, must be at most %d", file, info.Size(), MaxSource)
	}
	src, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	r, err := Parse(file, src, opt)
	if err != nil {
		return nil, err
	}
	below := strings.TrimPrefix(strings.TrimPrefix(file, path.Clean(dir)), "/")
	if want := strings.ReplaceAll(strings.TrimSuffix(below, ".yaml"), "/", "."); r.ID != want {
		return nil, r.at.with("%s is not the file's path, which says %s", r.ID, want)
	}
	return r, nil
}

// with returns the fault with a message.
func (f *Fault) with(format string, args ...any) *Fault {
	g := *f
	g.Message = fmt.Sprintf(format, args...)
	return &g
}

// reader turns the items of one file into a rule.
type reader struct {
	*document
	opt   Options
	spent budget // by the expressions read so far
}

// ruleKeys are the keys of a rule file; those needed come first.
var ruleKeys = []string{
	"id", "version", "key", "where", "when",
	"title", "severity", "tags", "false_positives", "blind_spots", "features", "then", "stage",
}

const neededKeys = 5

var neededFor = map[string]string{
	"id": "the file's path, with dots", "version": "a whole number that rises when the behaviour changes",
	"key": "the fields whose values the rule tells apart", "where": `the events that the rule sees, "true" for all`,
	"when": "what must hold for a key",
}

// rule reads the whole file.
func (r *reader) rule(root *item) *Rule {
	rule := &Rule{File: r.file, Version: 1, Severity: event.Medium, extras: r.opt.Extras}
	have := map[string]*item{}
	for _, p := range root.pairs {
		if !slices.Contains(ruleKeys, p.key.text) {
			r.fail(p.key.off, "", "unknown key %s%s", p.key.text, didYouMean(p.key.text, ruleKeys))
			continue
		}
		have[p.key.text] = p.value
	}
	for _, k := range ruleKeys[:neededKeys] {
		if have[k] == nil {
			r.fail(root.off, k, "is missing (%s)", neededFor[k])
		}
	}
	r.describe(rule, have)
	if it := have["stage"]; it != nil {
		if s, ok := r.word(it, "stage", "stage", stageNames); ok {
			rule.Stage, _ = event.StageByName(s)
		}
	}
	if it := have["key"]; it != nil {
		rule.Key = r.fields(it, "key")
	}
	if it := have["where"]; it != nil {
		rule.Where = r.eventCond(it, "where")
	}
	if it := have["features"]; it != nil {
		r.features(rule, it)
	}
	if it := have["when"]; it != nil {
		rule.When = r.cond(it, "when", rule.Features, false)
	}
	r.surgesOf(rule, have)
	if it := have["then"]; it != nil {
		r.then(rule, it)
	}
	return rule
}

// describe reads what a rule says about itself.
func (r *reader) describe(rule *Rule, have map[string]*item) {
	if it := have["id"]; it != nil {
		rule.ID, _ = r.scalar(it, "id")
		rule.at = r.document.at(it.off, "id", "")
		if problem := idProblem(rule.ID); rule.ID != "" && problem != "" {
			r.fail(it.off, "id", "%q %s", rule.ID, problem)
		}
	}
	rule.Title = rule.ID
	if it := have["title"]; it != nil {
		rule.Title, _ = r.scalar(it, "title")
	}
	if it := have["version"]; it != nil {
		if s, ok := r.scalar(it, "version"); ok {
			n, err := strconv.Atoi(s)
			if err != nil || n < 1 || n > 1<<30 {
				r.fail(it.off, "version", "%q, must be a whole number from 1", s)
			}
			rule.Version = n
		}
	}
	if it := have["severity"]; it != nil {
		if s, ok := r.word(it, "severity", "severity", severityNames); ok {
			rule.Severity, _ = event.SeverityByName(s)
		}
	}
	for _, t := range []struct {
		key string
		to  *[]string
	}{{"tags", &rule.Tags}, {"false_positives", &rule.FalsePositives}, {"blind_spots", &rule.BlindSpots}} {
		if it := have[t.key]; it != nil {
			*t.to = r.texts(it, t.key)
		}
	}
}

// idProblem says what is wrong with an id: it is a path, with dots for slashes.
func idProblem(id string) string {
	if len(id) > maxID {
		return fmt.Sprintf("has %d characters, must have at most %d", len(id), maxID)
	}
	for part := range strings.SplitSeq(id, ".") {
		if !isName(part) {
			return "is not an id: names of a-z, 0-9 and _, with dots between, such as ato.stuffing_source"
		}
	}
	return ""
}

// isName reports whether s is a name of lower-case letters, digits and _ that
// begins with a letter.
func isName(s string) bool {
	for i, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return false
		}
	}
	return s != ""
}

// reserved are the words that a feature cannot be called, for expressions
// would read them as something else.
var reserved = []string{
	"good", "tried", "clean", "true", "false", "nil", "not", "and", "or", "in", "matches", "contains", "let", "if", "else", "x",
}

// features reads the named aggregates. One that is wrong keeps its name, so
// that the conditions that use it are not called wrong too.
func (r *reader) features(rule *Rule, it *item) {
	if it.kind != isMap {
		r.fail(it.off, "features", "is %s, must be a map of names to aggregates", it.kind)
		return
	}
	for _, p := range it.pairs {
		name := p.key.text
		key := "features." + name
		switch {
		case !isName(name):
			r.fail(p.key.off, "features", "%q is not a name of a-z, 0-9 and _", name)
			continue
		case len(name) > maxName:
			r.fail(p.key.off, "features", "the name has %d characters, must have at most %d", len(name), maxName)
			continue
		case event.FieldByName(name) != event.NoField:
			r.fail(p.key.off, "features", "%s is the name of a field (call the feature something else)", name)
			continue
		case slices.Contains(functionNames, name):
			r.fail(p.key.off, "features", "%s is the name of a function (call the feature something else)", name)
			continue
		case slices.Contains(reserved, name):
			r.fail(p.key.off, "features", "%s is a word of the language (call the feature something else)", name)
			continue
		}
		f := Feature{Name: name}
		if e := r.expression(p.value, key); e != nil {
			if root := e.syntax(&r.spent.nodes); root != nil {
				c := &checker{phrase: e, opt: r.opt, spent: &r.spent}
				f.Aggregate, _ = c.aggregate(root)
			}
		}
		rule.Features = append(rule.Features, f)
	}
}
