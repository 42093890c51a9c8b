package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
	"weir/emit"
	"weir/event"
)

// decisionsOptions are the flags of weir decisions.
type decisionsOptions struct {
	config, rule, since string
	all, json           bool
	limit               int
}

func decisionsCommand(e *environment) *cobra.Command {
	var o decisionsOptions
	cmd := &cobra.Command{
		Use:   "decisions [-c weir.yaml]",
		Short: "List what was decided lately and what came of it, the newest last",
		Long: "decisions lists the newest lines of the ledger: what came into force, what was held and by\n" +
			"which guard, what was withdrawn. With --all also renewals and ends. Times are UTC.",
		Example: "  weir decisions --since 1h --rule 'ato.*'\n  weir decisions --json -n 1000 | jq 'select(.event == \"held\")'",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return e.decisions(cmd.Context(), &o) },
	}
	configFlag(cmd, &o.config)
	f := cmd.Flags()
	f.StringVar(&o.rule, "rule", "", "only of this rule, or of those that fit a pattern such as ato.*")
	f.StringVar(&o.since, "since", "", "only from this time on: a time such as 2026-03-01T10:00:00Z, or how long ago, such as 1h or 7d")
	f.BoolVar(&o.all, "all", false, "renewals, ends and what waits, too")
	f.BoolVar(&o.json, "json", false, "print the lines as they stand in the ledger")
	f.IntVarP(&o.limit, "limit", "n", 30, "how many, at most 1000")
	return cmd
}

func (e *environment) decisions(ctx context.Context, opt *decisionsOptions) error {
	q := api.DecisionsQuery{Rule: opt.rule, All: opt.all, Limit: opt.limit}
	if opt.limit < 1 || opt.limit > api.MaxLines {
		return usagef("-n %d, must be from 1 to %d", opt.limit, api.MaxLines)
	}
	var err error
	if q.Since, err = sinceTime(opt.since, time.Now()); err != nil {
		return err
	}
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	d, err := o.client.Decisions(ctx, q)
	p := &page{w: e.out}
	if errors.Is(err, api.ErrNotRunning) {
		var l *emit.Ledger
		if l, err = o.left(); err == nil {
			d = api.DecisionsOf(l, q)
			err = l.Close()
			if !opt.json {
				para(p, "weir is not running; this is what its ledger in "+o.dir+" says.")
			}
		}
	}
	if err != nil {
		return answered(err, "decisions")
	}
	now := time.Now()
	for _, l := range d.Lines {
		if opt.json {
			err = printLine(e.out, l)
		} else {
			printDecision(p, &l.Line, now)
		}
		if err = errors.Join(err, p.err); err != nil {
			return err
		}
	}
	if len(d.Lines) == 0 && !opt.json {
		para(p, "nothing")
	}
	if d.More && !opt.json {
		para(p, fmt.Sprintf("there are older ones (-n, at most %d; ledger.jsonl has all)", api.MaxLines))
	}
	return p.err
}

// sinceTime reads a time, or how long ago one was.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	var back span
	if err := back.Set(text); err == nil && back > 0 {
		return now.Add(-time.Duration(back)), nil
	}
	s, err := parseSince(text)
	if err != nil {
		return time.Time{}, usagef("--since %s: must be a time such as 2026-03-01T10:00:00Z, or how long ago, such as 1h", shown(text, 60))
	}
	return time.Unix(s, 0).UTC(), nil
}

// printLine writes a line of the ledger as it stands there.
func printLine(w io.Writer, l api.Line) error {
	b, err := l.MarshalJSON()
	if err == nil {
		_, err = fmt.Fprintf(w, "%s\n", b)
	}
	return err
}

// printDecision writes a line of the ledger for a person.
func printDecision(p *page, l *emit.Line, now time.Time) {
	at := l.At
	if at.IsZero() {
		at = l.Decision.Time
	}
	p.line("%s", clip(lineTime(at, now)+"  "+lineText(l, now), screen))
}

// lineText says what a line of the ledger says happened.
func lineText(l *emit.Line, now time.Time) string {
	d := &l.Decision
	switch l.Event {
	case emit.LineTripped:
		return fmt.Sprintf("%-10s %s: its breaker opened: %s", "TRIPPED", shown(l.Rule, 80), shown(l.Reason, 300))
	case emit.LineApproved:
		return fmt.Sprintf("%-10s %s by %s", l.Event, shown(cmp0(l.Rule, l.ID), 80), shown(l.By, 128))
	case emit.LineUnblocked:
		return fmt.Sprintf("%-10s %s until %s by %s: %s", l.Event, targetText(l.Target), lineTime(l.Until, now), shown(l.By, 128), shown(l.Reason, 300))
	case emit.LineStopped, emit.LineResumed:
		return fmt.Sprintf("%-10s all blocking, by %s%s", strings.ToUpper(l.Event), shown(l.By, 128), because(l.Reason))
	case emit.LineClock:
		return fmt.Sprintf("%-10s the wall clock went back by %d s", l.Event, l.Seconds)
	case emit.LineOpened:
		return fmt.Sprintf("%-10s file %d of the ledger", l.Event, l.File)
	}
	text := ""
	switch l.Event {
	case emit.LineNew, emit.LineRenew, emit.LineStanding:
		text = modeText(l) + " until " + lineTime(d.Until, now)
	case emit.LineMilder:
		text = "now " + l.Action
	}
	if text != "" {
		text += "  "
	}
	return fmt.Sprintf("%-10s %s%s  %s%s", l.Event, text, shown(d.Rule, 60), targetText(d.Target), because(cmp0(string(l.Guard)+sep(l.Guard, l.Reason), l.Reason)))
}

// sep stands between a guard and what it says.
func sep(g emit.Guard, reason string) string {
	if g == "" || reason == "" {
		return ""
	}
	return ": " + reason
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return " (" + shown(reason, 300) + ")"
}

// modeText says what is done about a decision.
func modeText(l *emit.Line) string {
	if l.Mode == event.Enforce.String() {
		action, ok := event.ActionByName(l.Action)
		if !ok {
			action = l.Decision.Would
		}
		return deedOf(action, l.Decision.To)
	}
	return fmt.Sprintf("%s: would be %s", l.Mode, deedOf(l.Decision.Would, l.Decision.To))
}
