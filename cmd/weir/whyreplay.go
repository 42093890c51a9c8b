package main

import (
	"cmp"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"time"

	"weir/api"
	"weir/emit"
)

// whyReplayed answers from the ledger that a replay wrote. Nothing of a replay is
// in force, so that all of it is told as what would have been.
func (e *environment) whyReplayed(opt *whyOptions) error {
	c, err := loadConfig(opt.config)
	if err != nil {
		return err
	}
	key, _, err := c.key()
	if err != nil {
		return err
	}
	target, err := c.targetOf(opt.target, opt.account)
	if err != nil {
		return err
	}
	t, err := api.ParseTarget(target)
	if err != nil {
		return usageError{err}
	}
	l, err := emit.ReadLedger(opt.from, key)
	switch broken := (*emit.Broken)(nil); {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("--from: %w (weir replay --out %s makes it)", err, opt.from)
	case errors.As(err, &broken):
		return usagef("--from: %w; or the replay had another key_file: name its configuration with -c", err)
	case err != nil:
		return err
	}
	quiet := *e
	quiet.log = slog.New(slog.DiscardHandler)
	g, noRules := quiet.engine(opt.config, false, false)
	var asn func(netip.Addr) uint32
	if g != nil {
		asn = g.asnOf()
	}
	w := api.WhyOf(l, t, asn, endOfTime)
	if err := l.Close(); err != nil {
		return err
	}
	if opt.json {
		return e.printLines(w)
	}
	a := opt.answer(target, w, g, noRules)
	a.replay, a.names = opt.from, c.namesAccounts()
	a.config = cmp.Or(opt.config, "weir.yaml")
	return printWhy(e.out, a)
}

// endOfTime is behind the end of every decision.
var endOfTime = time.Unix(1<<38, 0)
