package replay

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"weir/enrich"
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

// siteFile is a site file as it was read; each set of tables takes a copy.
type siteFile struct {
	name string
	src  []byte
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
	p := &parser{fs: fsys, file: file, lib: lib}
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

// parser reads one script.
type parser struct {
	fs      fs.FS
	file    string
	lib     *Library
	line    *line
	faults  []error
	story   *story // nil before the first rule
	stories []*story
	events  int  // of the story
	broken  bool // the rule statement was wrong: nothing behind it can be read
}

// statements are the words that a line begins with.
var statements = []string{"rule", "with", "site", "send", "expect", "reset"}

func (p *parser) statement(ws []word) {
	first, rest := ws[0], ws[1:]
	switch {
	case !slices.Contains(statements, first.text):
		p.line.fail(first.off, "unknown word %s%s", first.text, hint(first.text, statements))
		return
	case first.text == "rule":
		p.rule(first, rest)
		return
	case p.broken:
		return
	case p.story == nil:
		p.line.fail(first.off, "%s before any rule: the first statement must be rule, such as rule ato.stuffing_source", first.text)
		p.broken = true
		return
	}
	switch first.text {
	case "with":
		p.with(first, rest)
	case "site":
		p.site(first, rest)
	case "send":
		p.addSend(first, p.send(rest))
	case "expect":
		e := p.expect(rest)
		e.sends = len(p.story.sends)
		if e.sends == 0 {
			p.line.fail(first.off, "expect without a send above it: nothing is tested")
		}
		if es := p.story.expects; len(es) > 0 && es[len(es)-1].sends == e.sends && (e.none || es[len(es)-1].none) {
			p.line.fail(first.off, "expect none beside another expect of the same sends: only one of them can be right")
		}
		p.story.expects = append(p.story.expects, e)
	case "reset":
		if len(rest) > 0 {
			p.line.fail(rest[0].off, "%s behind reset: nothing may stand there", rest[0].text)
		}
		p.reset()
	}
}

// rule begins a story of another rule.
func (p *parser) rule(first word, ws []word) {
	p.endStory()
	p.story, p.broken = nil, true
	if len(ws) != 1 {
		p.line.fail(first.off, "rule must be followed by one id, such as rule ato.stuffing_source")
		return
	}
	if r := p.known(ws[0]); r != nil {
		p.story, p.broken = &story{line: p.line, rule: r}, false
	}
}

// known returns the rule that a word names, or reports that there is none.
func (p *parser) known(w word) *rules.Rule {
	r := p.lib.rule(w.text)
	if r == nil {
		p.line.fail(w.off, "unknown rule %s%s", w.text, hint(w.text, p.lib.ids()))
	}
	return r
}

// with loads other rules beside the one under test.
func (p *parser) with(first word, ws []word) {
	if p.started(first) {
		return
	}
	if len(ws) == 0 {
		p.line.fail(first.off, "with must be followed by ids, such as with ato.stuffing_source, ato.low_and_slow")
	}
	for _, w := range ws {
		off := w.off
		for id := range strings.SplitSeq(w.text, ",") {
			if id != "" {
				if r := p.known(word{id, off}); r != nil && r != p.story.rule && !slices.Contains(p.story.with, r) {
					p.story.with = append(p.story.with, r)
				}
			}
			off += len(id) + 1
		}
	}
}

// site reads the site file for the stories from here to the next rule.
func (p *parser) site(first word, ws []word) {
	if p.started(first) {
		return
	}
	if len(ws) != 1 {
		p.line.fail(first.off, "site must be followed by one file, such as site shop.site")
		return
	}
	name := path.Join(path.Dir(p.file), ws[0].text)
	if !fs.ValidPath(name) {
		p.line.fail(ws[0].off, "site %s: must be a path below the directory of the rules", ws[0].text)
		return
	}
	src, err := fs.ReadFile(p.fs, name)
	if err != nil {
		p.line.fail(ws[0].off, "site: %v", err)
		return
	}
	file := &siteFile{name, src}
	if _, err := file.tables(p.lib); err != nil {
		p.line.faults = append(p.line.faults, err) // it says where in the site file
		return
	}
	p.story.site = file
}

// started reports whether the story has events already, and the fault that is.
func (p *parser) started(w word) bool {
	if len(p.story.sends) > 0 {
		p.line.fail(w.off, "%s behind a send: must stand before the first one of a story (put a reset in front)", w.text)
	}
	return len(p.story.sends) > 0
}

func (p *parser) addSend(first word, s *send) {
	if len(p.line.faults) > 0 {
		s.count = 0 // it is not going to be played
	}
	if p.events += s.events(); p.events > maxStory {
		p.line.fail(first.off, "the story has %d events up to here, must be at most %d", p.events, maxStory)
		p.events = 0
	}
	p.story.sends = append(p.story.sends, s)
}

// reset ends the story and begins another with the same rules and site.
func (p *parser) reset() {
	p.endStory()
	p.story = &story{line: p.line, rule: p.story.rule, with: p.story.with, site: p.story.site}
}

// endStory checks and keeps the story.
func (p *parser) endStory() {
	st := p.story
	p.events = 0
	if st == nil || len(st.sends) == 0 && len(st.expects) == 0 {
		return
	}
	if len(st.expects) == 0 {
		p.faults = append(p.faults, st.line.fault(0, "nothing is expected of what is sent from here on (say expect none)"))
	}
	if p.stories = append(p.stories, st); len(p.stories) == maxStories+1 {
		p.faults = append(p.faults, st.line.fault(0, fmt.Sprintf("more than %d stories", maxStories)))
	}
}

// tables returns what events are enriched from; a nil file guesses everything.
func (f *siteFile) tables(lib *Library) (*enrich.Tables, error) {
	cfg := enrich.Config{Key: event.FixedKey()}
	if f != nil {
		site, err := enrich.ParseSite(f.name, f.src)
		if err != nil {
			return nil, err
		}
		cfg.Site = site
	}
	opt := rules.Options{Extras: lib.Extras}
	for name := range lib.Lookups {
		opt.Lookups = append(opt.Lookups, name)
	}
	cfg.Compile = func(text string) (func(*event.Event) bool, error) {
		cond, err := rules.CompileEvent(text, opt)
		if err != nil {
			return nil, err
		}
		return func(ev *event.Event) bool { return cond.Match(ev, &rules.Facts{Lookups: lib.Lookups}) }, nil
	}
	return enrich.New(cfg)
}

func hint(word string, known []string) string { return rules.DidYouMean(word, known) }
