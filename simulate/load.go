package simulate

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

//go:embed scenarios/*.yaml
var shipped embed.FS

// The limits of a scenario.
const (
	maxDays         = 366
	maxScenarioFile = 1 << 20
	maxBases        = 8
	maxIncludes     = 64
	baseName        = "shop" // is no scenario by itself
)

// Scenarios returns the names of the scenarios that ship, in order.
func Scenarios() []string {
	entries, err := fs.ReadDir(shipped, "scenarios")
	if err != nil {
		panic(err) // they are in the program
	}
	var names []string
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), ".yaml"); name != baseName {
			names = append(names, name)
		}
	}
	return names
}

// source is the file of a scenario, as people see it.
type source struct {
	file string
	text []byte
	tree *ast.File
	keys map[string]any
}

// Load reads a scenario, one that ships by its name or a file by its path, and
// what it is based on, and then sets single keys, each as key.key=value.
func Load(name string, sets []string) (*Scenario, error) {
	var chain []*source // the scenario, then what it is based on
	dir := ""
	for next := name; next != ""; {
		if len(chain) == maxBases {
			return nil, fmt.Errorf("%s: based on more than %d others, one on the other", name, maxBases)
		}
		src, err := open(next, dir)
		if err != nil {
			return nil, err
		}
		if err := src.check(); err != nil {
			return nil, err
		}
		chain = append(chain, src)
		included, err := src.included(dir)
		if err != nil {
			return nil, err
		}
		chain = append(chain, included...)
		if dir == "" && src.file == next {
			dir = filepath.Dir(next)
		}
		next, _ = src.keys["base"].(string)
	}
	merged := map[string]any{}
	for _, src := range slices.Backward(chain) {
		overlay(merged, src.keys)
	}
	if _, err := decode(merged); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, set := range sets {
		if err := apply(merged, set, chain); err != nil {
			return nil, err
		}
	}
	s, err := decode(merged)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.Name = strings.TrimSuffix(filepath.Base(name), ".yaml")
	return s, s.resolve(chain, sets)
}

// included opens the scenarios that one includes, the last first.
func (s *source) included(dir string) (all []*source, err error) {
	names, _ := s.keys["include"].([]any)
	if len(names) > maxIncludes {
		return nil, fmt.Errorf("%s: %d scenarios included, must be at most %d", s.file, len(names), maxIncludes)
	}
	for _, name := range slices.Backward(names) {
		text, _ := name.(string)
		src, err := open(text, dir)
		if err != nil {
			return nil, fmt.Errorf("%s: include: %w", s.file, err)
		}
		if err := src.check(); err != nil {
			return nil, err
		}
		maps.DeleteFunc(src.keys, func(key string, _ any) bool {
			return key != "campaigns" && key != "events" && key != "goals" && key != "honest"
		})
		all = append(all, src)
	}
	return all, nil
}

// open finds a scenario: a path, or the name of one that ships.
func open(name, dir string) (*source, error) {
	if !strings.ContainsAny(name, "/\\") && filepath.Ext(name) == "" {
		file := "scenarios/" + name + ".yaml"
		text, err := shipped.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("no scenario %s (weir simulate lists them); a file of one's own needs its ending, %s.yaml", name, name)
		}
		return &source{file: file, text: text}, err
	}
	if dir != "" && !filepath.IsAbs(name) {
		name = filepath.Join(dir, name)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxScenarioFile {
		return nil, fmt.Errorf("%s: %d bytes, must be at most %d", name, info.Size(), maxScenarioFile)
	}
	text, err := os.ReadFile(name)
	return &source{file: name, text: text}, err
}

// check reads a file strictly, so that what is wrong in it is told with its place.
func (s *source) check() error {
	var typed Scenario
	if err := yaml.UnmarshalWithOptions(s.text, &typed, yaml.Strict()); err != nil {
		return s.wrong(err)
	}
	var err error
	if s.tree, err = parser.ParseBytes(s.text, 0); err != nil {
		return s.wrong(err)
	}
	return yaml.Unmarshal(s.text, &s.keys)
}

// wrong says where in the file an error is.
func (s *source) wrong(err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil {
		at := e.GetToken().Position
		return s.at(at.Line, at.Column, message(err))
	}
	return fmt.Errorf("%s: %w", s.file, err)
}

// message says what is wrong in the words of who wrote the file.
func message(err error) string {
	if e, ok := errors.AsType[*yaml.TypeError](err); ok {
		return fmt.Sprintf("%s, must be %s", e.Token.Value, wanted(e.DstType))
	}
	if e, ok := errors.AsType[*yaml.UnknownFieldError](err); ok {
		return "unknown key " + e.Token.Value
	}
	if e, ok := errors.AsType[yaml.Error](err); ok {
		return e.GetMessage()
	}
	return err.Error()
}

// wanted names what a key takes.
func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int64, reflect.Uint64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	}
	return "keys"
}

// at makes an error that points.
func (s *source) at(line, column int, what string) error {
	lines := strings.Split(string(s.text), "\n")
	var text string
	if line >= 1 && line <= len(lines) {
		text = strings.ReplaceAll(strings.TrimRight(lines[line-1], "\r"), "\t", " ")
	}
	column = min(max(column, 1), len(text)+1)
	cut := min(len(text)-len(strings.TrimLeft(text, " ")), column-1)
	return fmt.Errorf("%s:%d:%d: %s\n | %s\n | %s^", s.file, line, column, what, text[cut:], strings.Repeat(" ", column-1-cut))
}

// overlay puts the keys of one mapping over those of another, deeply; a key
// with an empty value takes away what was there.
func overlay(under, over map[string]any) {
	for key, value := range over {
		deep, ok := value.(map[string]any)
		there, both := under[key].(map[string]any)
		switch {
		case value == nil:
			delete(under, key)
		case ok && both:
			overlay(there, deep)
		case ok:
			fresh := map[string]any{}
			overlay(fresh, deep)
			under[key] = fresh
		default:
			under[key] = value
		}
	}
}

func decode(keys map[string]any) (*Scenario, error) {
	text, err := yaml.Marshal(keys)
	if err != nil {
		return nil, err
	}
	s := new(Scenario)
	if err := yaml.UnmarshalWithOptions(text, s, yaml.Strict()); err != nil {
		return nil, errors.New(message(err))
	}
	return s, nil
}

// apply sets one key of what was read.
func apply(merged map[string]any, set string, chain []*source) error {
	path, text, ok := strings.Cut(set, "=")
	names := strings.Split(path, ".")
	if !ok || slices.Contains(names, "") {
		return fmt.Errorf("--set %s: must be like campaigns.stuffing.phases.flood.requests=1000", set)
	}
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return fmt.Errorf("--set %s: the value is no YAML", set)
	}
	at := merged
	for i, name := range names[:len(names)-1] {
		below, ok := at[name].(map[string]any)
		switch _, there := at[name]; {
		case ok:
		case there:
			return point(chain, names[:i+1], fmt.Sprintf("--set %s: %s has no keys below it", set, strings.Join(names[:i+1], ".")))
		case i == 0 || name == "adapt" || name == "knobs":
			below = map[string]any{}
			at[name] = below
		default:
			return point(chain, names[:i], fmt.Sprintf("--set %s: %s has no %s%s", set, strings.Join(names[:i], "."), name, near(slices.Collect(maps.Keys(at)))))
		}
		at = below
	}
	last := names[len(names)-1]
	before, had := at[last]
	if at[last] = value; value == nil {
		delete(at, last)
	}
	if _, err := decode(merged); err != nil {
		if delete(at, last); had {
			at[last] = before
		}
		where := names
		if !had {
			where = names[:len(names)-1]
		}
		return point(chain, where, fmt.Sprintf("--set %s: %s", set, err))
	}
	return nil
}

// near names what somebody may have meant.
func near(known []string) string {
	slices.Sort(known)
	if len(known) == 0 {
		return ""
	}
	if len(known) > 12 {
		return fmt.Sprintf(", there are %s …", strings.Join(known[:12], ", "))
	}
	return fmt.Sprintf(", there is %s", strings.Join(known, ", "))
}

// point makes an error that points to where a key stands, in the scenario or in
// what it is based on; where it stands nowhere, to the nearest one above it.
func point(chain []*source, names []string, what string) error {
	for ; len(names) > 0; names = names[:len(names)-1] {
		for _, src := range chain {
			if node := src.find(names); node != nil {
				at := node.GetToken().Position
				return src.at(at.Line, at.Column, what)
			}
		}
	}
	return fmt.Errorf("%s: %s", chain[0].file, what)
}

// find returns the key that a path leads to.
func (s *source) find(names []string) ast.Node {
	if len(s.tree.Docs) == 0 {
		return nil
	}
	var at ast.Node = s.tree.Docs[0].Body
	var key ast.Node
	for _, name := range names {
		var members []*ast.MappingValueNode
		switch m := at.(type) {
		case *ast.MappingNode:
			members = m.Values
		case *ast.MappingValueNode:
			members = []*ast.MappingValueNode{m}
		}
		i := slices.IndexFunc(members, func(m *ast.MappingValueNode) bool { return m.Key.GetToken().Value == name })
		if i < 0 {
			return nil
		}
		key, at = members[i].Key, members[i].Value
	}
	return key
}
