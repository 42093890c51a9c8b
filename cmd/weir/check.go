package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/emit"
	"weir/event"
)

func checkCommand(e *environment) *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "check -c weir.yaml",
		Short: "Try everything that a run would need, and enforce nothing",
		Long: "check loads what the configuration names, reaches every broker and file, reads the newest\n" +
			"lines of each source as a run would, and tries every point without changing what it holds.\n" +
			"Of the directories of the state and the archive it says what a start would find there; whether\n" +
			"all of it is as it was written, weir state verify says.\n" +
			"All that it makes are weir's own list files for nginx and HAProxy where they are missing, empty:\n" +
			"the proxies do not start without the files that their configuration names.\n" +
			"It exits with 1 if a run could not work.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return usagef("no configuration given (weir check -c weir.yaml)")
			}
			return e.check(cmd.Context(), path)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration")
	return cmd
}

// checklist prints what was tried as it goes.
type checklist struct {
	page
	faults int
}

const checkIndent = 24

func (c *checklist) ok(what, format string, args ...any)   { c.item("ok", what, format, args...) }
func (c *checklist) note(what, format string, args ...any) { c.item("note", what, format, args...) }

func (c *checklist) fault(what string, err error) {
	c.faults++
	text := strings.TrimPrefix(err.Error(), emit.ErrPermanent.Error()+": ") // a word for the reconciler
	c.item("FAULT", what, "%s", text)
}

func (c *checklist) item(mark, what, format string, args ...any) {
	// What is the fault of several parts is said once.
	lines := slices.Compact(strings.Split(fmt.Sprintf(format, args...), "\n"))
	c.wrapped(fmt.Sprintf("%-6s%s", mark, what), checkIndent, lines[0])
	for _, l := range lines[1:] {
		c.wrapped("", checkIndent, l)
	}
}

// checkTime bounds what one source or point may take to answer.
const checkTime = 10 * time.Second

func (e *environment) check(ctx context.Context, configPath string) error {
	quiet := *e
	quiet.log = slog.New(slog.DiscardHandler)
	g, err := quiet.engine(configPath, true, true)
	if err != nil {
		return err
	}
	c := &checklist{page: page{w: e.out}}
	c.ok("configuration", "%s: %s, %s, %s", configPath, several(len(g.cfg.Sources), "source"), several(len(g.cfg.Points), "point"), several(len(g.rules), "rule"))
	enforcing := 0
	for _, r := range g.rules {
		stage, set := g.stages[r.ID]
		if !set {
			stage = event.Enforce
		}
		if min(r.Stage, stage, g.ceiling(event.Shadow)) == event.Enforce {
			enforcing++
		}
	}
	switch {
	case g.ceiling(event.Shadow) < event.Enforce:
		c.note("stage", "%s: nothing will be enforced (stage: enforce would)", g.ceiling(event.Shadow))
	case enforcing == 0:
		c.note("stage", "enforce, but no rule asks for it: nothing will be enforced")
	default:
		c.ok("stage", "enforce: %d of %s may enforce", enforcing, several(len(g.rules), "rule"))
	}
	for _, ended := range g.allowEnded(time.Now()) {
		c.note("site", "%s", ended)
	}
	held := g.checkState(ctx, c)
	g.checkLimits(c)
	g.checkArchive(c)
	for _, sc := range g.cfg.Sources {
		quiet.checkSource(ctx, c, g, sc)
	}
	quiet.checkPoints(ctx, c, g)
	if l := g.cfg.API.Listen; l != "" {
		if ln, err := net.Listen("tcp", l); held && errors.Is(err, syscall.EADDRINUSE) {
			c.note("api", "%s is in use, by the run that goes on as it seems", l)
		} else if err != nil {
			c.fault("api", fmt.Errorf("listen: %w", err))
		} else {
			c.ok("api", "%s is free", l)
			err = ln.Close()
			c.err = errors.Join(c.err, err)
		}
	}
	if c.err != nil {
		return fmt.Errorf("check: %w", c.err)
	}
	if c.faults > 0 {
		return fmt.Errorf("check: %w: %d", errFindings, c.faults)
	}
	if held {
		c.line("\n  weir runs already; weir status -c %s says how", configPath)
		return c.err
	}
	c.line("\n  start it with: weir run -c %s", configPath)
	return c.err
}

// checkSource reaches a source and reads its newest lines.
func (e *environment) checkSource(ctx context.Context, c *checklist, g *engine, sc sourceConfig) {
	what := "source " + sc.Name
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	p := &prepared{engine: g}
	src, from, err := sc.newest(ctx, g)
	if err != nil {
		c.fault(what, err)
		return
	}
	err = p.add(ctx, sc, "", src)
	defer p.close()
	if err != nil {
		c.fault(what, fmt.Errorf("%s: %w", from, err))
		return
	}
	p.source = p.sources[0]
	one := *g.cfg
	one.Sources = []sourceConfig{sc}
	view := *g
	view.cfg = &one
	p.engine = &view
	s := newSurvey(p, &inspectOptions{config: "-"})
	if err := errors.Join(ignoreEmpty(s.sample(ctx)), s.read(ctx, 0)); err != nil {
		c.fault(what, fmt.Errorf("%s: %w", from, err))
		return
	}
	if s.lines == 0 {
		c.note(what, "%s: there is no line yet", from)
		return
	}
	in := s.result(&inspectOptions{})
	if in.Lines.Events+in.Lines.Filtered == 0 {
		c.fault(what, fmt.Errorf("%s: none of its newest %s reads as %s; what is wrong with %s of them: %s", from, several(int(s.lines), "line"), p.format, count(in.Rejected[0].Lines), explained(in.Rejected[0].Reason)))
		return
	}
	text := fmt.Sprintf("%s: %s of its newest %s read as %s", from, count(in.Lines.Events+in.Lines.Filtered), several(int(s.lines), "line"), p.format)
	if in.Lines.Rejected > 0 {
		text += fmt.Sprintf("; %s not, most for: %s", count(in.Lines.Rejected), explained(in.Rejected[0].Reason))
	}
	c.ok(what, "%s", text)
	c.checkLines(what, in)
	c.checkEngine(what, in, p.source.Unjudged, time.Now())
	if len(g.cfg.Points) > 0 && !sc.tellsRefusals() {
		c.note(what, "the log does not say what a proxy refused, so what weir has refused counts as evidence again; "+
			"weir points show NAME --setup prints a log format that says it")
	}
}

// How the newest line may stand to the clock before it is worth a word: what is
// decided further ahead is not enforced (emit's guards).
const (
	aheadOfClock  = 5 * time.Minute
	behindTheTime = 24 * time.Hour
)

// checkEngine says what of a source would keep decisions from being right.
func (c *checklist) checkEngine(what string, in *inspection, unjudged bool, now time.Time) {
	switch ahead := in.Time.To.Sub(now); {
	case in.Lines.Events == 0:
	case ahead > aheadOfClock:
		c.fault(what, fmt.Errorf("the newest line is %s ahead of this machine's clock: is it written in another time zone (TZ=UTC for HAProxy)? nothing decided from it would be enforced", spanText(ahead)))
	case ahead < -behindTheTime:
		c.note(what, "the newest line is %s old: is this the log that is written now?", spanText(-ahead))
	}
	if in.Lines.Events > 0 && in.Endpoints.Success == 0 && !unjudged {
		c.note(what, "nobody succeeds with anything on these lines, as far as weir can tell, so it cannot tell whom a block would hurt: "+
			"entries come at 200 a minute at most. Say in the site file which answers are successes, or outcomes: none at the source")
	}
}

// checkLines says what in the lines would keep rules from working.
func (c *checklist) checkLines(what string, in *inspection) {
	if a := in.Addresses; a.None > privateShare {
		c.fault(what, fmt.Errorf("%s of the requests have no client address: name the field that has it (fields: {ip: NAME})", percent(a.None)))
	} else if a.Private+a.Loopback > privateShare {
		c.note(what, "%s of the addresses are private or this machine's: that is a proxy in front, and nothing private is ever blocked; say whose X-Forwarded-For to believe (trusted_proxies: [10.0.0.0/8]) and log it", percent(a.Private+a.Loopback))
	} else if len(a.Proxies) > 0 && !a.Trusted {
		c.note(what, "nearly all requests come from %s, which looks like a proxy in front (trusted_proxies)", strings.Join(a.Proxies, ", "))
	}
	c.checkRules(what, in)
}

// explained says of a reason why lines are rejected what can be done about it.
func explained(reason string) string {
	switch reason {
	case "client address":
		return "no client address can be read (fields: {ip: NAME} names the field that has it)"
	case "time":
		return "no time can be read (time: {field: NAME, layout: unix_ms} says where and how it is written)"
	case "json":
		return "no JSON; without -c weir inspect guesses what it is"
	}
	return reason
}

// noneRead says that nothing could be made of a log, and why for most of it.
func noneRead(format, reason string) error {
	return fmt.Errorf("no line could be read as %s: %s", format, explained(reason))
}

// maxWhy is how many reasons are given why rules cannot work.
const maxWhy = 8

// checkRules names the rules that cannot work on the lines, by what they lack.
func (c *checklist) checkRules(what string, in *inspection) {
	var why []string
	rules := map[string][]string{}
	blind := 0
	for _, r := range in.Rules {
		if r.State != ruleBlind {
			continue
		}
		blind++
		for _, w := range r.Why {
			if rules[w] == nil {
				why = append(why, w)
			}
			rules[w] = append(rules[w], r.Rule)
		}
	}
	if blind == 0 {
		return
	}
	slices.SortStableFunc(why, func(a, b string) int { return len(rules[b]) - len(rules[a]) })
	var text strings.Builder
	text.WriteString(fmt.Sprintf("%d of %s cannot work on these lines; weir inspect says more", blind, several(len(in.Rules), "rule")))
	for i, w := range why {
		if i == maxWhy {
			text.WriteString(fmt.Sprintf("\nand %s", plural(int64(len(why)-i), "other reason")))
			break
		}
		text.WriteString(fmt.Sprintf("\n%s: %s", w, strings.Join(rules[w], ", ")))
	}
	c.note(what, "%s", text.String())
}

// checkPoints tries every point.
func (e *environment) checkPoints(ctx context.Context, c *checklist, g *engine) {
	if _, err := g.newGuards(true); err != nil {
		c.fault("guards", err)
	}
	points, err := g.openPoints(e.log)
	if err != nil {
		c.fault("points", err)
		return
	}
	for _, p := range points {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		if err := p.Try(ctx); err != nil {
			c.fault("point "+p.Name(), err)
		} else {
			c.ok("point "+p.Name(), "%s; it gets: %s", triedText(p.Capabilities()), actionNames(p.Capabilities().Actions))
		}
		cancel()
		if err := p.Close(); err != nil {
			c.fault("point "+p.Name(), err)
		}
	}
	for _, text := range g.undone(points) {
		c.note("points", "%s", text)
	}
}

// ignoreEmpty makes a source without lines no error here: it is new.
func ignoreEmpty(err error) error {
	if err != nil && strings.Contains(err.Error(), "no line to read") {
		return nil
	}
	return err
}
