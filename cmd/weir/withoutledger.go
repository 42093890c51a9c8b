package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"weir/emit"
)

// emptyAll empties the lists of all points without a ledger, rules or tables:
// whatever is broken, what blocks people can be taken back.
func (o *operator) emptyAll(ctx context.Context, by, reason string) (a applied, err error) {
	points, err := emit.OpenPoints(o.cfg.Points, nil, o.cfg.path, slog.New(slog.DiscardHandler))
	if err != nil {
		return a, usagef("%w", err)
	}
	defer func() { err = errors.Join(err, closePoints(points)) }()
	l, err := emit.OpenLedger(emit.LedgerConfig{Now: time.Now, Log: slog.New(slog.DiscardHandler)}) // in memory
	if err != nil {
		return a, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.Stop(by, reason); err != nil {
		return a, err
	}
	a.force = l.InForce()
	err = a.apply(ctx, l, points, &emit.Guards{})
	return a, err
}

// apply hands every point what is in force, each in its time.
func (a *applied) apply(ctx context.Context, l *emit.Ledger, points []emit.Point, guards *emit.Guards) error {
	var errs []error
	for _, pt := range points {
		ctx, cancel := context.WithTimeout(ctx, checkTime)
		r := emit.NewReconciler(l, pt, guards, slog.New(slog.DiscardHandler))
		if e := r.Once(ctx); e != nil {
			errs = append(errs, fmt.Errorf("point %s: %w", pt.Name(), e))
		}
		cancel()
		a.points = append(a.points, r.Status())
	}
	return errors.Join(errs...)
}

// reapLists empties the lists that keep no ends of their own and of which all is
// over by what they say themselves: all that can be done without a ledger.
func (o *operator) reapLists() (emptied []string, err error) {
	points, err := emit.OpenPoints(o.cfg.Points, nil, o.cfg.path, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, usagef("%w", err)
	}
	defer func() { err = errors.Join(err, closePoints(points)) }()
	for _, pt := range points {
		r, ok := pt.(emit.Reaper)
		if !ok {
			continue
		}
		done, e := r.Reap(time.Now())
		if e != nil {
			err = errors.Join(err, fmt.Errorf("point %s: %w", pt.Name(), e))
		}
		if done {
			emptied = append(emptied, pt.Name())
		}
	}
	return emptied, err
}

// writeOwn writes a small file into the state's directory. Root does that too,
// in a directory of somebody else's: so it follows no link that lies there.
func writeOwn(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NOFOLLOW, 0o600)
	if errors.Is(err, syscall.ELOOP) {
		return fmt.Errorf("%s: a symbolic link, which is not followed; remove it", path)
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// missing reports whether there is no file of that name.
func missing(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
