package replay

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"weir/rules"
)

// parser reads one script.
type parser struct {
	fs      fs.FS
	file    string
	lib     *Library
	line    *line
	faults  []error
	story   *story // nil before the first rule
	stories []*story
	events  int // of the story
	sites   map[string]*siteFile
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

func hint(word string, known []string) string { return rules.DidYouMean(word, known) }
