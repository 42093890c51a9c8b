package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
	"weir/emit"
)

func stopBlockingCommand(e *environment) *cobra.Command {
	var o orderOptions
	cmd := &cobra.Command{
		Use:   "stop-blocking --reason TEXT",
		Short: "Empty every list at once and let nothing new into force, until --resume",
		Long: "stop-blocking is the handle for when weir does harm: every list is emptied and stays empty\n" +
			"until stop-blocking --resume. It works with a weir that runs, one that does not answer (by a\n" +
			"file in its state's directory), and with none (then it empties the points itself).",
		Example: "  weir stop-blocking --reason 'customers cannot log in'\n  weir stop-blocking --resume",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.resume {
				if o.reason != "" {
					return usagef("--reason: the ledger keeps who resumed, and no reason for it; leave it out")
				}
				return e.resumeBlocking(cmd.Context(), &o)
			}
			return e.stopBlocking(cmd.Context(), &o)
		},
	}
	orderFlags(cmd, &o).BoolVar(&o.resume, "resume", false, "let blocks into force again")
	return cmd
}

func (e *environment) stopBlocking(ctx context.Context, opt *orderOptions) error {
	if err := opt.needReason(); err != nil {
		return err
	}
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	before := time.Now()
	by := operatorName()
	// The file first: whatever becomes of the rest, a run obeys it, the one that
	// is there and the next one that is started.
	if err := writeOwn(o.file(emit.StopFile), []byte(by+": "+oneLine(opt.reason)+"\n")); err != nil {
		return fmt.Errorf("stop-blocking: %w", err)
	}
	if err := o.handOver(); err != nil {
		return fmt.Errorf("stop-blocking: %w", err)
	}
	p := &page{w: e.out}
	_, asked := o.client.Stop(ctx, api.Order{By: by, Reason: opt.reason})
	if asked == nil {
		para(p, "Stopped: every list is emptied, and nothing new comes into force until weir stop-blocking --resume.")
		o.printFollowed(ctx, p, before)
		return p.err
	}
	dir, err := openState(o.dir)
	if errors.Is(err, errHeld) {
		para(p, fmt.Sprintf("weir runs and did not do it when it was asked (%s). It obeys the file %s, which is there now, within seconds; weir points show says what the points hold.", shown(asked.Error(), 300), o.file(emit.StopFile)))
		return p.err
	}
	if err != nil {
		return err
	}
	a, err := o.applyOnce(ctx, func(l *emit.Ledger) error {
		if err := l.Advance(); err != nil || l.Stopped() != nil { // it saw the file
			return err
		}
		return l.Stop(by, opt.reason)
	})
	if a.force == nil { // a broken ledger, rule or table must not stand in the way of this
		var e error
		a, e = o.emptyAll(ctx, by, opt.reason)
		err = errors.Join(err, e)
	}
	if a.force != nil {
		para(p, "Stopped. weir is not running; this command emptied the points itself. A run that is started holds everything until weir stop-blocking --resume.")
		a.print(p)
	}
	return errors.Join(err, dir.close(), p.err)
}

func (e *environment) resumeBlocking(ctx context.Context, opt *orderOptions) error {
	o, err := e.operator(opt.config)
	if err != nil {
		return err
	}
	before := time.Now()
	by := operatorName()
	p := &page{w: e.out}
	_, asked := o.client.Resume(ctx, api.Order{By: by})
	if asked == nil {
		para(p, "Resumed: what was in force and is not over is in force again, and new decisions come into force.")
		o.printFollowed(ctx, p, before)
		return p.err
	}
	if refusal, ok := errors.AsType[*api.Refusal](asked); ok {
		return fmt.Errorf("stop-blocking --resume: %w", refusal)
	}
	dir, err := openState(o.dir)
	if errors.Is(err, errHeld) {
		if err := os.Remove(o.file(emit.StopFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("stop-blocking --resume: %w", err)
		}
		para(p, fmt.Sprintf("weir runs but does not answer (%s). The file %s is gone, and it resumes within seconds.", shown(asked.Error(), 300), o.file(emit.StopFile)))
		return p.err
	}
	if err != nil {
		return err
	}
	a, err := o.applyOnce(ctx, func(l *emit.Ledger) error {
		if err := l.Advance(); err != nil {
			return err
		}
		return l.Resume(by)
	})
	if a.force != nil {
		para(p, "Resumed. weir is not running, so that nothing new comes into force; start it with weir run.")
		a.print(p)
	}
	return errors.Join(err, dir.close(), p.err)
}

// oneLine makes a text one line.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
