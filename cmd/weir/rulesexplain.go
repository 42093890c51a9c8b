package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/event"
	"weir/rules"
)

// explainOptions are the flags of weir rules explain.
type explainOptions struct {
	config, format string
	rule           string
	cost           string // a log
	state          string // a state's directory
	files          []string
}

func rulesExplainCommand(e *environment) *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain [-c weir.yaml] ID|FILE.yaml [LOG…]",
		Short: "Say what a rule sees, keeps and does, and how near a log came to it",
		Long: "explain says what a rule sees and reads, what it keeps for each key and what that\n" +
			"costs, and what it decides. With logs it replays them and shows what the rule lacks in\n" +
			"them, the keys that came nearest to its condition, and what it decided.",
		Example: "  weir rules explain ato.stuffing_source\n  weir rules explain rules/shop/gift_cards.yaml access.log",
		Args: func(_ *cobra.Command, args []string) error {
			if strings.HasPrefix(o.cost, "-") {
				return usagef("--cost has no log: %q stands behind it (weir rules explain --cost access.log)", o.cost)
			}
			if len(args) > 1 && o.cost != "" {
				return usagef("--cost is for one rule or all, on one log (weir rules explain --cost access.log ID)")
			}
			if len(args) == 0 && o.cost == "" {
				return usagef("no rule given (weir rules explain ID)")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.rule, o.files = args[0], args[1:]
			}
			return e.rulesExplain(cmd.Context(), &o)
		},
	}
	cmd.Flags().StringVarP(&o.config, "config", "c", "", "configuration; it says where the rules are and how logs are read")
	cmd.Flags().StringVar(&o.cost, "cost", "", "a log: what the rule, or without one each, keeps of it and takes for it")
	cmd.Flags().StringVar(&o.state, "state", "", "directory of a state that no run has open: from when what the rule reads is whole in it")
	cmd.Flags().StringVar(&o.format, "format", "", "format of the logs' lines, instead of guessing it or taking the source's")
	return cmd
}

func (e *environment) rulesExplain(ctx context.Context, o *explainOptions) error {
	var args []string
	if strings.HasSuffix(o.rule, ".yaml") {
		args = append(args, o.rule)
	}
	s, err := chooseRules(o.config, args)
	if err != nil {
		return err
	}
	if faults := s.load(); len(faults) > 0 {
		return e.found(faults)
	}
	if o.rule == "" {
		return e.costs(ctx, s, s.rules, o)
	}
	id := o.rule
	s.chosen(func(_ chosenDir, r *rules.Rule) {
		if len(args) > 0 {
			id = r.ID
		}
	})
	rule, err := s.find(id)
	if err != nil {
		return err
	}
	if o.cost != "" {
		return e.costs(ctx, s, []*rules.Rule{rule}, o)
	}
	key, _, err := s.cfg.key()
	if err != nil {
		return err
	}
	plan, err := rules.NewPlan(s.cast(nil, rule), key, rules.PlanOptions{Extras: s.opt.Extras})
	if err != nil {
		return err
	}
	x, err := plan.Explain(id)
	if err != nil {
		return err
	}
	p := &page{w: e.out}
	printExplanation(p, x)
	if o.state != "" && p.err == nil {
		if err := e.explainState(ctx, s, id, o.state, key, p); err != nil {
			return err
		}
	}
	if len(o.files) > 0 && p.err == nil {
		err = e.explainLogs(ctx, s, plan, x, key, o, p)
	}
	return errors.Join(err, p.err)
}

// costs says what rules keep of a log and take for it.
func (e *environment) costs(ctx context.Context, s *chosenRules, rs []*rules.Rule, o *explainOptions) error {
	key, _, err := s.cfg.key()
	if err != nil {
		return err
	}
	p := &page{w: e.out}
	return errors.Join(e.explainCosts(ctx, s, rs, key, o.cost, o.format, p), p.err)
}

// find returns the rule of that id.
func (s *chosenRules) find(id string) (*rules.Rule, error) {
	var ids []string
	for _, r := range s.rules {
		if r.ID == id {
			return r, nil
		}
		ids = append(ids, r.ID)
	}
	where := ""
	if !s.named {
		where = " among the rules that ship; name yours with -c"
	}
	return nil, usagef("there is no rule %s%s%s", id, where, rules.DidYouMean(id, ids))
}

// cast adds a rule and those whose signals it reads, directly or not.
func (s *chosenRules) cast(cast []*rules.Rule, r *rules.Rule) []*rules.Rule {
	if slices.Contains(cast, r) {
		return cast
	}
	cast = append(cast, r)
	for _, id := range signalsOf(r) {
		if other, err := s.find(id); err == nil { // rules.Check has found it
			cast = s.cast(cast, other)
		}
	}
	return cast
}

// signalsOf returns the rules whose signals a rule reads.
func signalsOf(r *rules.Rule) (ids []string) {
	for _, sig := range r.When.Signals {
		ids = append(ids, sig.Rule)
	}
	for i := range r.Then {
		if c := r.Then[i].If; c != nil {
			for _, sig := range c.Signals {
				ids = append(ids, sig.Rule)
			}
		}
	}
	return ids
}

// labelled is how far the texts behind labels are indented.
const labelled = 12

func printExplanation(p *page, x *rules.Explanation) {
	r := x.Rule
	p.line("%s  version %d, severity %s, asks for stage %s at most", r.ID, r.Version, r.Severity, r.Stage)
	if r.Title != r.ID {
		p.line("%s", r.Title)
	}
	p.line("")
	p.wrapped("sees", labelled, r.Where.Text)
	p.wrapped("for each", labelled, strings.Join(x.Key, ", "))
	p.wrapped("when", labelled, r.When.Text)
	for i, t := range x.Then {
		p.wrapped([]string{"then", "else"}[min(i, 1)], labelled, t)
	}
	if len(x.Then) == 0 {
		p.wrapped("then", labelled, "nothing: it is a signal for other rules")
	}
	p.wrapped("stays on", labelled, durationText(x.On)+" from each second in which it holds")
	for _, t := range r.FalsePositives {
		p.wrapped("may hit", labelled, t)
	}
	for _, t := range r.BlindSpots {
		p.wrapped("blind", labelled, t)
	}
	if len(x.Features) > 0 {
		p.heading("Features")
		indent := 0
		for _, f := range x.Features {
			indent = max(indent, len(f.Name)+4)
		}
		for _, f := range x.Features {
			text := f.Text + ", looks back " + durationText(f.Window) + " to " + durationText(f.Window+f.Pane)
			if f.Note != "" {
				text += "; " + f.Note
			}
			p.wrapped(f.Name, indent, text)
		}
	}
	p.heading("Kept for each key")
	for _, k := range x.Kept {
		p.line("  %s (%s): %d bytes after one event, %s after 1,000 different ones",
			strings.Join(k.Key, ", "), strings.Join(k.For, ", "), k.One, bytesOf(k.Busy))
		for _, s := range k.Series {
			text := s.Text
			if len(s.For) > 0 {
				text = "for " + strings.Join(s.For, ", ") + ": " + text
			}
			p.wrapped("", 4, text)
		}
	}
}

func bytesOf(n int) string {
	if n < 10_000 {
		return fmt.Sprintf("%d bytes", n)
	}
	return bytesText(int64(n))
}

// durationText writes a duration as rules do, in several units where it needs them.
func durationText(d time.Duration) string {
	var b strings.Builder
	for _, u := range []struct {
		name string
		d    time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if n := d / u.d; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d -= n * u.d
		}
	}
	return b.String()
}

// keyText is targetText for a key, with its time.
func keyText(t event.Target, tick int64) string {
	return targetText(t) + " at " + time.Unix(tick, 0).UTC().Format("2006-01-02 15:04:05")
}
