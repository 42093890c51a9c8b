package main

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
	"weir/enrich"
	"weir/rules"
)

// whyOptions are the flags of weir why.
type whyOptions struct {
	config  string
	from    string // a replay's directory, instead of a run's state
	account string
	target  string
	json    bool
}

func whyCommand(e *environment) *cobra.Command {
	var o whyOptions
	cmd := &cobra.Command{
		Use:   "why TARGET [-c weir.yaml] [--from DIR]",
		Short: "Say what was decided about an address, an account or any target, and why",
		Long: "why finds every decision that covers a target, and says what is done, since when and how\n" +
			"long, which rule saw what, where it is enforced, and how to undo it. " + targetHelp + "\n" +
			"An account's name stays here: what is asked for is its pseudonym. With --from it asks what a\n" +
			"replay wrote (its --out directory), with the configuration of that replay if it had one.",
		Example: "  weir why 192.0.2.7\n  weir why --account alice@shop.example\n  weir why 'asn=64500,endpoint=\"POST /login\"'\n  weir why 192.0.2.7 --from found/",
		Args:    func(_ *cobra.Command, args []string) error { return oneTargetOr(o.account, args) },
		RunE: func(cmd *cobra.Command, args []string) error {
			o.target = strings.Join(args, " ")
			if o.from != "" {
				return e.whyReplayed(&o)
			}
			return e.why(cmd.Context(), &o)
		},
	}
	configFlag(cmd, &o.config)
	cmd.Flags().StringVar(&o.from, "from", "", "directory that a replay wrote, instead of what runs")
	cmd.Flags().StringVar(&o.account, "account", "", "the name of an account, instead of TARGET")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the lines of the ledger, a line each")
	return cmd
}

// targetOf returns the target that a person names, in the form that weir asks
// with. An account's name becomes its pseudonym here and goes nowhere.
func (o *operator) targetOf(target, account string) (string, error) {
	if account != "" && o.cfg.KeyFile == "" {
		return "", usagef("--account: the configuration names no key_file, without which nobody's pseudonym is known")
	}
	return o.cfg.targetOf(target, account)
}

// targetOf is the operator's, for a configuration that may do without a key.
func (c *config) targetOf(target, account string) (string, error) {
	if account != "" {
		key, _, err := c.key()
		if err != nil {
			return "", err
		}
		pseudonym := enrich.Credential(key, account)
		if pseudonym == "" {
			return "", usagef("--account: empty, must be the name of an account")
		}
		return "credential=" + pseudonym, nil
	}
	t, err := api.ParseTarget(target)
	if err != nil {
		return "", usageError{err}
	}
	return api.FormatTarget(t), nil
}

func (e *environment) why(ctx context.Context, opt *whyOptions) error {
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	target, err := o.targetOf(opt.target, opt.account)
	if err != nil {
		return err
	}
	// The rules are asked for their texts only; what was decided can be told
	// without them.
	quiet := *e
	quiet.log = slog.New(slog.DiscardHandler)
	g, noRules := quiet.engine(o.path, false, false)

	w, err := o.client.Why(ctx, target)
	running := err == nil
	if errors.Is(err, api.ErrNotRunning) {
		w, err = o.whyLeft(target, g)
	}
	if err != nil {
		return answered(err, "why")
	}
	if opt.json {
		return e.printLines(w)
	}
	a := opt.answer(target, w, g, noRules)
	a.running, a.config, a.names = running, opt.config, o.cfg.namesAccounts()
	return printWhy(e.out, a)
}

// answer brings together what was asked and what was found. Without rules their
// texts are not told.
func (opt *whyOptions) answer(target string, w *api.Why, g *engine, noRules error) *whyAnswer {
	a := &whyAnswer{
		asked: cmp0(opt.target, target), now: w.Now, where: w.Where, stopped: w.Stopped,
		explain: func(rule string) (*rules.Explanation, error) {
			if noRules != nil {
				return nil, noRules
			}
			return g.plan.Explain(rule)
		},
	}
	if opt.account != "" {
		a.asked = "the account with the pseudonym " + strings.TrimPrefix(target, "credential=")
	} else {
		a.target = target
	}
	a.take(w)
	return a
}

func (e *environment) printLines(w *api.Why) error {
	for _, l := range w.Lines {
		if err := printLine(e.out, l); err != nil {
			return err
		}
	}
	return nil
}

// take takes over the lines of an answer.
func (a *whyAnswer) take(w *api.Why) {
	for _, l := range w.Lines {
		line := l.Line
		line.Lacks = w.Lacks[line.Decision.ID]
		a.lines = append(a.lines, line)
	}
	a.more = w.More
}

// whyLeft asks the ledger's files, as nothing runs.
func (o *operator) whyLeft(target string, g *engine) (*api.Why, error) {
	l, err := o.left()
	if err != nil {
		return nil, err
	}
	t, err := api.ParseTarget(target)
	if err != nil {
		return nil, usageError{err}
	}
	var asn func(netip.Addr) uint32
	if g != nil {
		asn = g.asnOf()
	}
	return api.WhyOf(l, t, asn, time.Now()), l.Close()
}
