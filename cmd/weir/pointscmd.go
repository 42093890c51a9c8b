package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weir/emit"
	"weir/event"
)

func pointsCommand(e *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "points",
		Short: "Show, try and tidy up what enforces: proxies, firewalls, files, topics",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q (see weir points --help)", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(pointsShowCommand(e), pointsTestCommand(e), pointsReapCommand(e))
	return cmd
}

// pointsOptions are the flags of the weir points commands.
type pointsOptions struct {
	config, name string
	setup        bool
	json         bool
	all          bool
}

func pointsShowCommand(e *environment) *cobra.Command {
	var o pointsOptions
	cmd := &cobra.Command{
		Use:   "show [NAME] [-c weir.yaml]",
		Short: "Say what the points hold, read from themselves",
		Long: "show reads the points and says what they hold and how that differs from what is in force.\n" +
			"With --setup it prints the lines with which a proxy uses what weir gives it.",
		Example: "  weir points show\n  weir points show proxy --setup",
		Args:    oneArgAtMost,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return e.pointsShow(cmd.Context(), &o)
		},
	}
	configFlag(cmd, &o.config)
	cmd.Flags().BoolVar(&o.setup, "setup", false, "print what the operator has to put into the point's own configuration")
	cmd.Flags().BoolVar(&o.all, "all", false, "every entry, not only the first few")
	cmd.Flags().BoolVar(&o.json, "json", false, "print it as JSON")
	return cmd
}

func pointsTestCommand(e *environment) *cobra.Command {
	var o pointsOptions
	cmd := &cobra.Command{
		Use:   "test [NAME] [-c weir.yaml]",
		Short: "Find out whether the points could be read and changed, and change nothing",
		Args:  oneArgAtMost,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				o.name = args[0]
			}
			return e.pointsTest(cmd.Context(), &o)
		},
	}
	configFlag(cmd, &o.config)
	return cmd
}

func pointsReapCommand(e *environment) *cobra.Command {
	var o pointsOptions
	cmd := &cobra.Command{
		Use:   "reap [-c weir.yaml]",
		Short: "With no weir running, take what is over out of the points",
		Long: "reap ends what is over by the clock and hands every point what is left, once: for a timer,\n" +
			"and for points that keep no ends of their own. While a weir runs there is nothing to do.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.pointsReap(cmd.Context(), &o) },
	}
	configFlag(cmd, &o.config)
	return cmd
}

// openPoints opens the points of the configuration, or the one of that name.
func (o *operator) openPoints(name string) (g *engine, points []emit.Point, err error) {
	quiet := *o.env
	quiet.log = slog.New(slog.DiscardHandler)
	if g, err = quiet.engine(o.path, false, false); err != nil {
		return nil, nil, err
	}
	if points, err = g.openPoints(quiet.log); err != nil {
		return nil, nil, err
	}
	chosen, err := choose(points, name, o.path)
	for _, p := range points {
		if !slices.Contains(chosen, p) {
			err = errors.Join(err, p.Close())
		}
	}
	return g, chosen, err
}

func closePoints(points []emit.Point) (err error) {
	for _, p := range points {
		err = errors.Join(err, p.Close())
	}
	return err
}

func (e *environment) pointsTest(ctx context.Context, opt *pointsOptions) (err error) {
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	_, points, err := o.openPoints(opt.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closePoints(points)) }()
	c := &checklist{page: page{w: e.out}}
	for _, pt := range points {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		if err := pt.Try(ctx); err != nil {
			c.fault("point "+pt.Name(), err)
		} else {
			c.ok("point "+pt.Name(), "%s; it gets: %s", triedText(pt.Capabilities()), actionNames(pt.Capabilities().Actions))
		}
		cancel()
	}
	if c.faults > 0 {
		return errors.Join(c.err, fmt.Errorf("points: %w: %d", errFindings, c.faults))
	}
	return c.err
}

// triedText says what a Try that went well has found out.
func triedText(caps emit.Capabilities) string {
	return cmp.Or(caps.Unasked, "can be read and changed")
}

func actionNames(as []event.Action) string {
	var names []string
	for _, a := range as {
		names = append(names, a.String())
	}
	return strings.Join(names, ", ")
}

func (e *environment) pointsReap(ctx context.Context, opt *pointsOptions) error {
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	if missing(o.dir) {
		_, err := fmt.Fprintln(e.out, "weir has not run with this configuration yet; nothing to do")
		return err
	}
	dir, err := openState(o.dir)
	if errors.Is(err, errHeld) {
		_, err := fmt.Fprintln(e.out, "weir is running and sees to its points itself; nothing to do")
		return err
	}
	if err != nil {
		return err
	}
	p := &page{w: e.out}
	var a applied
	if !missing(o.file(ledgerFile)) {
		a, err = o.applyOnce(ctx, func(l *emit.Ledger) error { return l.Advance() })
	}
	a.print(p)
	if a.force == nil {
		emptied, e := o.reapLists()
		err = errors.Join(err, e)
		para(p, fmt.Sprintf("Without a ledger: %s of which all was over emptied.", several(len(emptied), "list")))
	}
	return errors.Join(err, dir.close(), p.err)
}

// applied is what the points hold once they were handed what is in force.
type applied struct {
	force  *emit.Force
	points []emit.PointStatus
}

// applyOnce opens the ledger of a state that the caller holds, changes it, and
// hands every point what is in force then.
func (o *operator) applyOnce(ctx context.Context, change func(*emit.Ledger) error) (a applied, err error) {
	g, points, err := o.openPoints("")
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, closePoints(points)) }()
	guards, err := g.newGuards(true)
	if err != nil {
		return a, err
	}
	facts, _ := readStoreFacts(o.dir) // damaged ones do not say whose they are
	if r := facts.ofOtherKey(g.key); r != nil {
		return a, usagef("state: %s: %w", o.dir, r) // no line of the ledger would hold
	}
	l, err := emit.OpenLedger(emit.LedgerConfig{
		Path: o.file(ledgerFile), Key: g.key, Guards: guards, Now: time.Now, Log: o.env.log,
	})
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, l.Close(), o.handOver()) }()
	if err := change(l); err != nil {
		return a, err
	}
	a.force = l.InForce()
	return a, a.apply(ctx, l, points, guards)
}

// handOver gives what root made in the state's directory to whom that belongs:
// the user that weir runs as has to write it, too.
func (o *operator) handOver() error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := ownerOf(o.dir)
	if err != nil {
		return fmt.Errorf("state: dir: %w", err)
	}
	files, err := os.ReadDir(o.dir)
	if err != nil {
		return fmt.Errorf("state: dir: %w", err)
	}
	for _, f := range files {
		path := o.file(f.Name())
		if has, e := ownerOf(path); e == nil && has != owner {
			err = errors.Join(err, os.Lchown(path, owner.uid, owner.gid))
		}
	}
	return err
}

type owner struct{ uid, gid int }

func ownerOf(path string) (owner, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return owner{}, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}, fmt.Errorf("%s: this system does not say whose it is", path)
	}
	return owner{int(st.Uid), int(st.Gid)}, nil
}

// print says what the points hold, if it came so far.
func (a *applied) print(p *page) {
	if a.force == nil {
		return
	}
	p.wrapped("in force", 16, several(len(a.force.Entries), "decision"))
	for i := range a.points {
		p.wrapped(shown(a.points[i].Name, 40), 16, pointText(&a.points[i], time.Now()))
	}
}
