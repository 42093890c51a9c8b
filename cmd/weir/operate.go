package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"weir/api"
	"weir/event"
)

// orderOptions are the flags of the commands that change what is in force.
type orderOptions struct {
	config  string
	account string
	action  string
	to      string
	span    span
	reason  string
	resume  bool
}

func blockCommand(e *environment) *cobra.Command {
	var o orderOptions
	cmd := &cobra.Command{
		Use:   "block TARGET --for 1h --reason TEXT",
		Short: "Block a target by hand, for a time",
		Long: "block puts a target into force by hand. " + targetHelp + "\n" +
			"The guards look at it as at any other: what is protected is not blocked.",
		Example: "  weir block 192.0.2.7 --for 1h --reason 'probes the login, ticket 4711'\n" +
			"  weir block 'fingerprint=9f2c,endpoint=\"POST /login\"' --action challenge --for 30m --reason test",
		Args: oneTarget,
		RunE: func(cmd *cobra.Command, args []string) error { return e.block(cmd.Context(), &o, args[0]) },
	}
	f := orderFlags(cmd, &o)
	f.Var(&o.span, "for", "how long, such as 30m, 2h or 7d (required)")
	f.StringVar(&o.action, "action", "block", "block, limit, challenge or deceive")
	f.StringVar(&o.to, "to", "", "of --action limit: how many requests, such as 10/1m")
	return cmd
}

func unblockCommand(e *environment) *cobra.Command {
	var o orderOptions
	cmd := &cobra.Command{
		Use:   "unblock TARGET --reason TEXT [--for 1h]",
		Short: "Take back what is in force against a target, and hold new decisions on it for a while",
		Long: "unblock withdraws every decision in force that is about the target, by whatever rule, and holds\n" +
			"new ones about it for a while. About an address are those that name it, alone or with something\n" +
			"beside it (at one endpoint, with one fingerprint), and those that name a network it is in. What\n" +
			"meets it only as one of many, by its autonomous system or its fingerprint, goes on: weir why\n" +
			"shows it, and it is unblocked by that name. " + targetHelp,
		Example: "  weir unblock 192.0.2.7 --reason 'an office, they called'\n" +
			"  weir unblock --account alice@shop.example --reason 'reset her password' --for 24h",
		Args: func(_ *cobra.Command, args []string) error { return oneTargetOr(o.account, args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.unblock(cmd.Context(), &o, strings.Join(args, " "))
		},
	}
	f := orderFlags(cmd, &o)
	o.span = span(time.Hour)
	f.Var(&o.span, "for", "how long new decisions on it are held, such as 30m, 2h or 7d")
	f.StringVar(&o.account, "account", "", "the name of an account, instead of TARGET; weir makes its pseudonym here")
	return cmd
}

func approveCommand(e *environment) *cobra.Command {
	var o orderOptions
	cmd := &cobra.Command{
		Use:   "approve RULE|ID",
		Short: "Let a rule go on whose breaker is open, or one decision that was held",
		Long: "approve says that a person has looked: a rule whose breaker tripped since it would have hit\n" +
			"too many accounts that log in well may go on, or a decision that a guard held is enforced.",
		Example: "  weir approve ato.low_and_slow",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("approve takes one argument, not %d: a rule or the id of a decision", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return e.approve(cmd.Context(), &o, args[0]) },
	}
	configFlag(cmd, &o.config)
	return cmd
}

const targetHelp = "TARGET is an address, a prefix, or fields such as\nasn=64500,endpoint=\"POST /login\" (between single quotes, for the shell)."

func orderFlags(cmd *cobra.Command, o *orderOptions) interface {
	Var(value pflag.Value, name, usage string)
	StringVar(p *string, name, value, usage string)
	BoolVar(p *bool, name string, value bool, usage string)
} {
	configFlag(cmd, &o.config)
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it stands in the ledger beside your name")
	return cmd.Flags()
}

func oneTarget(_ *cobra.Command, args []string) error { return oneTargetOr("", args) }

// oneTargetOr refuses anything but one target, or an account instead.
func oneTargetOr(account string, args []string) error {
	switch {
	case account != "" && len(args) > 0:
		return usagef("a target and --account: must be one of them")
	case account != "":
		return nil
	case len(args) == 0:
		return usagef("no target given: an address, a prefix, or fields such as 'asn=64500,endpoint=\"POST /login\"'")
	case len(args) > 1:
		return usagef("%d targets, must be one; put fields with spaces between single quotes", len(args))
	}
	return nil
}

// operatorName is who calls, to the operating system.
func operatorName() string {
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && u.Username != "" {
		name = u.Username
	}
	if from := os.Getenv("SUDO_USER"); from != "" && from != name {
		return shown(from, 60) + " as " + name
	}
	return name
}

// needReason refuses an order without a reason.
func (o *orderOptions) needReason() error {
	if noReason(o.reason) {
		return usagef("--reason: missing; whoever reads the ledger later will ask")
	}
	return nil
}

// noReason reports whether a text says nothing: also what stands in its place in the
// commands that weir prints.
func noReason(text string) bool { return strings.Trim(text, " \t…") == "" }

// answered turns what a weir answers to an order into this program's errors.
func answered(err error, what string) error {
	if refusal, ok := errors.AsType[*api.Refusal](err); ok {
		if refusal.Code == 400 {
			return usageError{refusal}
		}
		return fmt.Errorf("%s: %w", what, once(refusal, what))
	}
	if errors.Is(err, api.ErrNotRunning) {
		return fmt.Errorf("%s: %w; start it with weir run", what, err)
	}
	return err
}

// once takes what a weir answered, where that begins with the name of the order
// already.
func once(refusal *api.Refusal, what string) *api.Refusal {
	told := *refusal
	told.Text = strings.TrimPrefix(told.Text, what+": ")
	return &told
}

func (e *environment) block(ctx context.Context, opt *orderOptions, target string) error {
	t, err := api.ParseTarget(target)
	if err != nil {
		return usageError{err}
	}
	if opt.span <= 0 {
		return usagef("--for: missing; every block has an end, such as --for 1h")
	}
	if err := opt.needReason(); err != nil {
		return err
	}
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	text := api.FormatTarget(t)
	done, err := o.client.Block(ctx, api.Order{
		Target: text, Action: opt.action, To: opt.to, For: time.Duration(opt.span).String(), By: operatorName(), Reason: opt.reason,
	})
	if err != nil {
		return answered(err, "block")
	}
	where := o.settled(ctx, text, done)
	p := &page{w: e.out}
	action, _ := event.ActionByName(opt.action) // it was refused if it is none
	para(p, fmt.Sprintf("%s is %s until %s, for %s (%s)", shown(text, 200), deedOf(action, opt.to), dayText(done.Until, time.Now()), opt.span.String(), shown(done.ID, 64)))
	for _, w := range where {
		p.wrapped(shown(w.Point, 40), 16, shown(w.Text, 400))
	}
	if len(where) == 0 {
		p.wrapped("", 2, "It is in force, but there are no points in the configuration to enforce it.")
	}
	p.wrapped("", 2, "to undo: "+commandText("unblock "+quoted(text), opt.config)+" --reason '…'")
	return p.err
}

// How long a command waits to see the points follow, and how long they may take
// to notice that they are to.
const (
	settleTime = 4 * time.Second
	noticeTime = 250 * time.Millisecond
)

// settled waits a little for the points to have what was asked for, and says
// how they stand then.
func (o *operator) settled(ctx context.Context, target string, done *api.Done) []api.Where {
	where := done.Where
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	pending := func(w api.Where) bool { return w.State == api.Pending }
	for slices.ContainsFunc(where, pending) {
		if !pause(ctx) {
			return where
		}
		w, err := o.client.Why(ctx, target)
		if err != nil {
			return where // what was answered to the order still holds
		}
		now, inForce := w.Where[done.ID]
		if !inForce {
			return where // it is over already, or somebody took it back
		}
		where = now
	}
	return where
}

func (e *environment) unblock(ctx context.Context, opt *orderOptions, target string) error {
	if err := opt.needReason(); err != nil {
		return err
	}
	if opt.span <= 0 {
		return usagef("--for: %s, must be more than nothing", opt.span.String())
	}
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	asked, err := o.targetOf(target, opt.account)
	if err != nil {
		return err
	}
	before := time.Now()
	done, err := o.client.Unblock(ctx, api.Order{Target: asked, For: time.Duration(opt.span).String(), By: operatorName(), Reason: opt.reason})
	if err != nil {
		return answered(err, "unblock")
	}
	p := &page{w: e.out}
	text := fmt.Sprintf("%s: nothing was in force", shown(asked, 200))
	if done.Withdrawn > 0 {
		text = fmt.Sprintf("%s: withdrew %s", shown(asked, 200), several(done.Withdrawn, "decision"))
	}
	para(p, fmt.Sprintf("%s; new ones on it are held until %s", text, dayText(done.Until, before)))
	if done.Withdrawn > 0 {
		o.printFollowed(ctx, p, before)
	}
	return p.err
}

// printFollowed waits a little for the points to follow, and says how they stand.
func (o *operator) printFollowed(ctx context.Context, p *page, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var last *api.Status
	for {
		s, err := o.client.Status(ctx)
		switch {
		case err == nil:
			last = s
		case last == nil:
			p.wrapped("", 2, fmt.Sprintf("how the points stand is not known: %v", err))
			return
		}
		if err != nil || time.Since(since) > noticeTime && followed(last) || !pause(ctx) {
			break
		}
	}
	for i := range last.Points {
		p.wrapped(shown(last.Points[i].Name, 40), 16, pointText(&last.Points[i], last.Now))
	}
}

// followed reports whether every point that can be read holds what it is to.
func followed(s *api.Status) bool {
	return !slices.ContainsFunc(s.Points, func(pt api.PointStatus) bool { return pt.Error == "" && pt.Drift != 0 })
}

// pause waits a moment; false says that ctx has ended.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(50 * time.Millisecond):
		return true
	}
}

func (e *environment) approve(ctx context.Context, opt *orderOptions, what string) error {
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	if _, err := o.client.Approve(ctx, api.Order{What: what, By: operatorName()}); err != nil {
		return answered(err, "approve")
	}
	_, err = fmt.Fprintf(e.out, "%s: approved\n", shown(what, 200))
	return err
}
