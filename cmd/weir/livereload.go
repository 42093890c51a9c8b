package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// reload is an order to take other rules.
type reload struct {
	engine *engine
	hash   string
	done   chan reloaded // one value
}

type reloaded struct {
	text string
	err  error
}

// heedHangUp reloads when the process is sent SIGHUP, as daemons do.
func (l *liveRun) heedHangUp(ctx context.Context) {
	sent := make(chan os.Signal, 1)
	signal.Notify(sent, syscall.SIGHUP)
	defer signal.Stop(sent)
	for {
		select {
		case <-ctx.Done():
			return
		case <-sent:
		}
		text, err := l.reload(ctx)
		if err != nil {
			l.env.log.Error("SIGHUP: not reloaded, the old rules stay", "error", err)
		} else {
			l.env.log.Info("SIGHUP: reloaded", "what", text)
		}
	}
}

// reloadWait is how long a reload waits for the log. Events bring it to the next
// whole ten seconds, silence does after ten seconds.
const reloadWait = 30 * time.Second

// reload is what the API calls: it checks the rules as they are now, has the run
// take them at the next boundary, and waits until it has.
func (l *liveRun) reload(ctx context.Context) (string, error) {
	g, err := l.env.engine(l.configPath, true, true)
	if err != nil {
		return "", err
	}
	if l.formats != nil || !slices.Equal(g.extras, l.extras) {
		if g, err = l.settled(g, l.extras); err != nil {
			return "", err
		}
	}
	if err := l.onlyRulesDiffer(g); err != nil {
		return "", err
	}
	hash, err := g.fingerprint()
	if err != nil {
		return "", err
	}
	l.changing.Lock()
	same := l.eras[len(l.eras)-1].hash == hash
	l.changing.Unlock()
	if same {
		return "nothing changed: these rules decide already", nil
	}
	if !l.copying.TryLock() {
		return "", errors.New("another reload is under way")
	}
	defer l.copying.Unlock()
	if err := g.keepConfig(l.dir.path, hash); err != nil {
		return "", err
	}
	r := &reload{engine: g, hash: hash, done: make(chan reloaded, 1)}
	if !l.asked.CompareAndSwap(nil, r) {
		return "", errors.New("another reload is under way")
	}
	ctx, cancel := context.WithTimeout(ctx, reloadWait)
	defer cancel()
	select {
	case d := <-r.done:
		return d.text, d.err
	case <-ctx.Done():
		if l.asked.CompareAndSwap(r, nil) {
			return "", fmt.Errorf("the log did not come to a whole ten seconds within %v: the old rules stay; try again when it has lines, or restart", reloadWait)
		}
		d := <-r.done // it is being done
		return d.text, d.err
	}
}

// take does what was asked for, at the tick where the pipeline stopped. The
// journal says so when nothing can fail any more, and before anything was
// decided by the new rules. An error ends the run: what is on disk is of the
// old ones.
func (l *liveRun) take(ctx context.Context, r *reload) error {
	if !l.resume.Saved {
		r.done <- reloaded{err: errors.New("the state cannot be written now, which a reload needs: the old rules stay")}
		return nil
	}
	before := l.by
	st, err := l.converted(r.engine)
	if err != nil {
		r.done <- reloaded{err: err}
		return nil
	}
	l.changing.Lock()
	err = l.insist(ctx, func() error { return l.beginEra(r.hash, l.resume.Tick) })
	l.changing.Unlock()
	if err != nil {
		r.done <- reloaded{err: err}
		return err
	}
	l.by, l.era, l.resume.State = r.engine, len(l.eras)-1, st
	if err := forgetConfigs(l.dir.path, keptHashes(l.eras)); err != nil {
		l.env.log.Warn("old copies of rules stay on disk", "error", err)
	}
	text := strings.Join(append([]string{describeReload(before, l.by, l.resume.Tick)}, l.by.undone(l.points)...), "\n")
	l.env.log.Info("other rules decide", "from", time.Unix(l.resume.Tick, 0).UTC().Format(time.RFC3339), "what", text)
	r.done <- reloaded{text: text}
	return nil
}
