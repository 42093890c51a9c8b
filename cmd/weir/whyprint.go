package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"weir/api"
	"weir/emit"
	"weir/event"
	"weir/rules"
)

// whyAnswer is what is known of a target.
type whyAnswer struct {
	asked   string // as the person wrote it
	target  string // as weir understood it; FormatTarget
	now     time.Time
	lines   []emit.Line
	where   map[string][]api.Where // by the id of what is in force
	explain func(rule string) (*rules.Explanation, error)
	running bool
	stopped bool
	more    bool   // there may be older lines
	names   bool   // the logs name accounts
	config  string // that was named, for what people are told to type
	replay  string // the directory, where it is a replay's ledger
}

// whyIndent is where the texts of a decision begin.
const whyIndent = 13

// printWhy tells a person everything that was decided about a target.
func printWhy(w io.Writer, a *whyAnswer) error {
	p := &page{w: w}
	all := stories(a.lines)
	sortStories(all, a.now)
	name := shown(a.asked, 80)
	if a.target != "" && a.target != a.asked {
		name += " (" + shown(a.target, 100) + ")"
	}
	active := 0
	for _, s := range all {
		if s.fate(a.now) == inForce {
			active++
		}
	}
	held := a.holds()
	switch {
	case len(all) == 0 && len(held) > 0:
		para(p, fmt.Sprintf("Nothing was decided about %s in all that the ledger keeps.", name))
		printHolds(p, held, a.now)
		return p.err
	case len(all) == 0 && a.replay != "":
		para(p, "No decision of the replay in "+shown(a.replay, 200)+" covers "+name+".")
		para(p, "What a rule needs to find it, and how near the log came: weir rules explain ID LOG.")
		return p.err
	case a.replay != "":
		para(p, fmt.Sprintf("%s of the replay in %s %s, by the log's time:", several(len(all), "decision"), shown(a.replay, 200), covers(len(all), name)))
	case len(all) == 0:
		para(p, "Nothing in the ledger covers "+name+".")
		para(p, "weir does nothing about it, and in all that the ledger keeps no rule has asked to. If its requests are "+
			"refused, something else refuses them; if it ought to be found, weir rules explain says what a rule needs.")
		return p.err
	case active == 0:
		para(p, fmt.Sprintf("Nothing is in force against %s now; %s in the ledger:", name, several(len(all), "decision")))
	default:
		para(p, fmt.Sprintf("%s in force against %s, of %s in the ledger:", isAre(active), name, several(len(all), "decision")))
	}
	printHolds(p, held, a.now)
	if a.stopped {
		para(p, "All blocking is stopped: the lists are empty, whatever is said below (weir stop-blocking --resume ends that).")
	}
	if !a.running && a.replay == "" {
		para(p, "weir is not running: this is what the ledger's files say, and whether the points hold it is not known.")
	}
	for i, s := range all {
		if i == maxStories {
			p.line("")
			para(p, fmt.Sprintf("and %s, older (weir why --json has all of them)", several(len(all)-i, "decision")))
			break
		}
		a.printStory(p, s)
	}
	return p.err
}

// para writes a text from the left margin on.
func para(p *page, text string) {
	for _, l := range wrap(text, screen) {
		p.line("%s", l)
	}
}

func covers(n int, name string) string {
	if n == 1 {
		return "covers " + name
	}
	return "cover " + name
}

// maxStories is how many decisions one answer tells in full.
const maxStories = 12

func isAre(n int) string {
	if n == 1 {
		return "1 decision is"
	}
	return count(int64(n)) + " decisions are"
}

// printStory tells one decision.
func (a *whyAnswer) printStory(p *page, s *story) {
	d := &s.line.Decision
	p.heading(clip(a.headline(s), screen))
	p.wrapped("target", whyIndent, targetWords(d))
	if len(s.lacks) > 0 {
		p.wrapped("", whyIndent, "so only requests that have all of that; of "+strings.Join(s.lacks, " and ")+" the question did not speak")
	}
	a.printTimes(p, s)
	if d.Rule == operatorRule {
		p.wrapped("by hand", whyIndent, byText(s.line))
	} else {
		a.printRule(p, s)
	}
	a.printFate(p, s)
	p.wrapped("id", whyIndent, shown(s.id, 64))
	a.printUndo(p, s)
}

// operatorRule is the rule of what a person blocked.
const operatorRule = "operator"

// headline says what is done, in one line.
func (a *whyAnswer) headline(s *story) string {
	done := deed(s)
	switch s.fate(a.now) {
	case inForce:
		return fmt.Sprintf("%s until %s, for another %s", upper(done), dayText(s.until, a.now), spanText(s.until.Sub(a.now)))
	case waiting:
		return fmt.Sprintf("To be %s, and waits", done)
	case reported:
		return "Reported, nothing is done"
	case watched:
		return fmt.Sprintf("Only watched (shadow): it would be %s", wouldBe(s))
	case heldBack:
		return fmt.Sprintf("Not %s: a guard held it", wouldBe(s))
	case tooLate:
		return fmt.Sprintf("Found too late to be %s: its end had passed when it was found", wouldBe(s))
	case takenBack:
		if a.replay != "" {
			return fmt.Sprintf("Would have been %s until it was withdrawn, %s", done, dayText(s.withdrawn.At, a.now))
		}
		return fmt.Sprintf("Was %s, and is not any more: it was withdrawn %s", done, ago(s.withdrawn.At, a.now))
	}
	if a.replay != "" {
		return fmt.Sprintf("Would have been %s until %s", done, dayText(s.until, a.now))
	}
	return fmt.Sprintf("Was %s until %s", done, dayText(s.until, a.now))
}

// deed says what is done to a target, as "blocked".
func deed(s *story) string {
	action, ok := event.ActionByName(s.action)
	if !ok || action == event.NoAction {
		action = s.line.Decision.Would
	}
	return deedOf(action, s.line.Decision.To)
}

func wouldBe(s *story) string { return deedOf(s.line.Decision.Would, s.line.Decision.To) }

func deedOf(a event.Action, to string) string {
	switch a {
	case event.Block:
		return "blocked"
	case event.Limit:
		return "limited to " + shown(to, 20)
	case event.Challenge:
		return "challenged"
	case event.Deceive:
		return "deceived"
	}
	return "reported"
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// targetWords writes a target and its exception.
func targetWords(d *event.Decision) string {
	text := clip(targetText(d.Target), 400)
	if d.Except != "" {
		text += ", except " + exceptWords(d.Except)
	}
	return text
}

// exceptWords explains an exception.
func exceptWords(except string) string {
	if field, ok := strings.CutPrefix(except, "known("); ok {
		return fmt.Sprintf("where its %s has succeeded here before (%s)", shown(strings.TrimSuffix(field, ")"), 40), shown(except, 60))
	}
	return shown(except, 60)
}

func (a *whyAnswer) printTimes(p *page, s *story) {
	text := "decided " + dayText(s.made, a.now)
	if s.line.Decision.Rule != operatorRule {
		text += " by the log's time"
	}
	if a.replay == "" {
		text += ", " + ago(s.made, a.now)
	}
	switch fate := s.fate(a.now); {
	case fate == tooLate:
		text += ", found " + dayText(s.line.At, a.now)
	case (fate == inForce || fate == takenBack || fate == over) && s.since.After(s.made.Add(time.Second)):
		text += ", in force since " + dayText(s.since, a.now)
	}
	switch {
	case s.renewals == 1:
		text += "; renewed since it went on"
	case s.renewals > 1:
		text += fmt.Sprintf("; renewed %d times since it went on", s.renewals)
	}
	if !s.renewed.IsZero() {
		text += ", last " + dayText(s.renewed, a.now)
	}
	p.wrapped("since", whyIndent, text)
}

func ago(t, now time.Time) string {
	switch d := now.Sub(t); {
	case d >= time.Second:
		return spanText(d.Round(time.Second)) + " ago"
	case d > -time.Second:
		return "just now"
	}
	return "in " + spanText(t.Sub(now))
}

func byText(l *emit.Line) string {
	text := "by " + cmp0(shown(l.By, 128), "weir itself")
	if l.Reason != "" {
		text += ": " + shown(l.Reason, 400)
	}
	return text
}

// printRule says which rule it was and what it saw.
func (a *whyAnswer) printRule(p *page, s *story) {
	d := &s.line.Decision
	x, err := a.explain(d.Rule)
	if err != nil {
		p.wrapped("rule", whyIndent, fmt.Sprintf("%s, version %d, severity %s; the configuration has no such rule any more", shown(d.Rule, 80), d.Version, d.Severity))
		printMeasures(p, d.Evidence, nil)
		return
	}
	p.wrapped("rule", whyIndent, fmt.Sprintf("%s, version %d, severity %s: %s", d.Rule, d.Version, d.Severity, x.Rule.Title))
	if x.Rule.Version != d.Version {
		p.wrapped("", whyIndent, fmt.Sprintf("what follows is the text of version %d, which is the one there is now", x.Rule.Version))
	}
	p.wrapped("because", whyIndent, "for this "+strings.Join(x.Key, " and ")+besideKey(d)+" it read")
	printMeasures(p, d.Evidence, x.Features)
	p.wrapped("", whyIndent, "and it fires where "+x.Rule.When.Text)
	p.wrapped("behind it", whyIndent, goodText(d, a.names))
}

// besideKey names the key where the target does not.
func besideKey(d *event.Decision) string {
	if slices.Equal(d.Key, d.Target) || len(d.Key) == 0 {
		return ""
	}
	return " (" + clip(targetText(d.Key), 200) + ")"
}

// printMeasures writes the evidence in the order of the rule's features, each
// beside its definition.
func printMeasures(p *page, evidence []event.Measure, features []rules.FeatureUse) {
	var rows [][]string
	pad := strings.Repeat(" ", whyIndent-4)
	for _, m := range evidence {
		text := ""
		if i := slices.IndexFunc(features, func(f rules.FeatureUse) bool { return f.Name == m.Name }); i >= 0 {
			text = "= " + features[i].Text
		}
		v := "none"
		if m.Value == m.Value {
			v = fmt.Sprintf("%.4g", m.Value)
		}
		rows = append(rows, []string{pad, shown(m.Name, 40), v, text})
	}
	p.table("llrl", rows...)
}

// goodText says whom the decision meets besides: accounts, or where no log names
// them, clients.
func goodText(d *event.Decision, names bool) string {
	who := "client"
	if names {
		who = "account"
	}
	tried, good := int64(d.Tried), int64(d.Good)
	if tried == 0 && good == 0 {
		return "no " + who + " is known to have tried to log in with this target in seven days"
	}
	text := fmt.Sprintf("of %s that tried with this target in seven days, %s got in", plural(tried, who), count(good))
	if good > 0 && good*5 >= tried {
		text += ": that is how honest people look"
	} else if good == 0 {
		text += ": nobody honest is known to stand behind it"
	}
	return text
}

// printFate says what came of the decision, and who did it.
func (a *whyAnswer) printFate(p *page, s *story) {
	switch s.fate(a.now) {
	case heldBack:
		p.wrapped("held by", whyIndent, fmt.Sprintf("%s: %s", cmp0(string(s.held.Guard), "a guard"), shown(s.held.Reason, 400)))
	case waiting:
		p.wrapped("waits", whyIndent, cmp0(shown(s.held.Reason, 400), "for its turn"))
	case takenBack:
		p.wrapped("withdrawn", whyIndent, byText(s.withdrawn))
	case inForce:
		a.printWhere(p, s)
	}
	if m := s.milder; m != nil {
		p.wrapped("milder", whyIndent, cmp0(shown(m.Reason, 400), "than the rule asks for"))
	} else if l := s.line; s.fate(a.now) == inForce && l.Decision.Rule != operatorRule && l.Action != "" && l.Action != l.Decision.Would.String() {
		p.wrapped("milder", whyIndent, fmt.Sprintf("the rule asks for %s; %s", l.Decision.Would, shown(l.Reason, 400)))
	}
	if ap := s.approved; ap != nil {
		p.wrapped("approved", whyIndent, byText(ap))
	}
}

// printWhere says which points enforce the decision.
func (a *whyAnswer) printWhere(p *page, s *story) {
	where := a.where[s.id]
	label := "enforced"
	for _, w := range where {
		p.wrapped(label, whyIndent, fmt.Sprintf("at %s: %s", shown(w.Point, 64), shown(w.Text, 400)))
		label = ""
	}
	if len(where) == 0 && a.running {
		p.wrapped(label, whyIndent, "nowhere: there are no points in the configuration")
	}
}
