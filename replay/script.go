package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"weir/event"
	"weir/rules"
)

// The limits on a script.
const (
	maxSource  = 64 << 10 // bytes
	maxStories = 100
	maxFaults  = 50
)

// Library is what scripts may use besides what stands in them.
type Library struct {
	Rules   []*rules.Rule // checked
	Extras  event.Extras
	Lookups map[string]func(value string) bool
}

func (lib *Library) rule(id string) *rules.Rule {
	for _, r := range lib.Rules {
		if r.ID == id {
			return r
		}
	}
	return nil
}

func (lib *Library) ids() (ids []string) {
	for _, r := range lib.Rules {
		ids = append(ids, r.ID)
	}
	return ids
}

// Script is one script file: stories, each from an empty state on.
type Script struct {
	File    string
	stories []*story
	lib     *Library
}

// story is what stands between two resets.
type story struct {
	line    *line
	rule    *rules.Rule
	with    []*rules.Rule
	site    *siteFile // nil: everything is guessed
	sends   []*send
	expects []*expect

	clear   map[string]string     // by pseudonym, what is sent; made when it is needed
	spoiled atomic.Pointer[error] // a value that no event can have
}

// Rules returns the ids of the rules under test, each once.
func (s *Script) Rules() (ids []string) {
	for _, st := range s.stories {
		if !slices.Contains(ids, st.rule.ID) {
			ids = append(ids, st.rule.ID)
		}
	}
	return ids
}

// Expectations returns how many expect statements there are.
func (s *Script) Expectations() (n int) {
	for _, st := range s.stories {
		n += len(st.expects)
	}
	return n
}

// HasNegative reports whether some story of the rule expects that nothing is decided.
func (s *Script) HasNegative(rule string) bool {
	for _, st := range s.stories {
		if st.rule.ID == rule && slices.ContainsFunc(st.expects, func(e *expect) bool { return e.none }) {
			return true
		}
	}
	return false
}

// Load reads a script from a file system. All faults come back at once, each
// with its line.
func Load(fsys fs.FS, file string, lib *Library) (*Script, error) {
	info, err := fs.Stat(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	if info.Size() > maxSource {
		return nil, fmt.Errorf("%s: %d bytes, must be at most %d", file, info.Size(), maxSource)
	}
	src, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("script: %w", err)
	}
	return Parse(fsys, file, src, lib)
}

// Parse reads a script; site files that it names are read from fsys, relative
// to it.
func Parse(fsys fs.FS, file string, src []byte, lib *Library) (*Script, error) {
	if len(src) > maxSource {
		return nil, fmt.Errorf("%s: %d bytes, must be at most %d", file, len(src), maxSource)
	}
	if !utf8.Valid(src) {
		return nil, fmt.Errorf("%s: not valid UTF-8", file)
	}
	p := &parser{fs: fsys, file: file, lib: lib, sites: map[string]*siteFile{}}
	text := strings.TrimPrefix(strings.ReplaceAll(string(src), "\r\n", "\n"), "\ufeff")
	for i, s := range strings.Split(text, "\n") {
		p.line = &line{file: file, number: i + 1, text: s}
		if ws := p.line.words(); len(ws) > 0 && len(p.line.faults) == 0 {
			p.statement(ws)
		}
		if p.faults = append(p.faults, p.line.faults...); len(p.faults) >= maxFaults {
			return nil, errors.Join(p.faults[:maxFaults]...)
		}
	}
	p.endStory()
	if len(p.faults) == 0 && len(p.stories) == 0 {
		p.faults = append(p.faults, fmt.Errorf("%s: nothing is tested in it, must be a script (rule, send, expect)", file))
	}
	if err := errors.Join(p.faults...); err != nil {
		return nil, err
	}
	return &Script{File: file, stories: p.stories, lib: lib}, nil
}
