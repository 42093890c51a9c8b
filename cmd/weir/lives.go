package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"weir/event"
	"weir/pipeline"
	"weir/rules"
	"weir/state"
)

// stateUnits is how many units a state has; it is fixed when the state is made.
const stateUnits = 64

// openStore opens the store of the run's state, and reads what its last
// checkpoint says.
func (l *liveRun) openStore(ctx context.Context) (err error) {
	log := l.env.log
	l.store, err = state.Open(ctx, state.Config{
		Dir: l.dir.path, Units: stateUnits, KeyID: hex.EncodeToString(l.key.MAC("store", nil))[:16],
		Memory: l.cfg.memory() / 8, Reserve: l.cfg.reserve(), Log: log,
	})
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if why := l.store.Broken(); why != "" {
		log.Error("the state on disk cannot be used; it is made anew from the log", "why", why)
	}
	last, ok := l.store.Last()
	if !ok {
		return nil
	}
	m, err := pipeline.ReadMeta(last.Meta)
	if err != nil {
		return fmt.Errorf("state: %s: %w", l.dir.path, err)
	}
	if n := min(len(m.Extras), len(l.extras)); !slices.Equal(m.Extras[:n], l.extras[:n]) || n < len(m.Extras) {
		return usagef("the state in %s has the extra fields %v, in this order; the sources now map %v: keep those at the beginning, or begin a new state",
			l.dir.path, m.Extras, l.extras)
	}
	l.meta = &m
	return nil
}

// reached returns the tick up to which an earlier life is known to have come.
func (l *liveRun) reached() int64 {
	tick := l.decided()
	if l.meta != nil {
		tick = max(tick, l.meta.Tick)
	}
	return tick
}

// noteConfig writes into the journal by which configuration the run decides from
// here on, if it is another one than before, and keeps a copy of it.
func (l *liveRun) noteConfig() error {
	now, err := l.fingerprint()
	if err != nil {
		return err
	}
	if err := l.keepConfig(l.dir.path, now); err != nil {
		return err
	}
	l.eras = erasOf(l.journal.Marks())
	if n := len(l.eras); n > 0 && l.eras[n-1].hash == now {
		return nil
	} else if n > 0 && l.reached() > 0 {
		l.env.log.Info("the rules or the configuration are other ones than when this state last ran: they decide from here on",
			"from", time.Unix(l.reached(), 0).UTC().Format(time.RFC3339))
	}
	// Other rules begin at a whole ten seconds, as in a reload.
	return l.beginEra(now, (l.reached()+rules.Boundary-1)/rules.Boundary*rules.Boundary)
}

// beginEra notes that other rules decide from a tick on.
func (l *liveRun) beginEra(hash string, tick int64) error {
	next := era{from: tick, hash: hash}
	if n := len(l.eras); n > 0 {
		next.number = l.eras[n-1].number + 1
	}
	err := l.journal.Append([]pipeline.Mark{{Event: pipeline.MarkConfig, Offset: next.number, Watermark: tick, First: hash}})
	if err == nil {
		l.eras = append(l.eras, next)
	}
	return err
}

// firstEra finds the rules by which the state on disk was decided, and opens it
// with them; without one, those by which the log was decided at first.
func (l *liveRun) firstEra() (err error) {
	l.era = 0
	tick := int64(0)
	if l.meta != nil {
		tick = l.meta.Tick
		for l.era < len(l.eras) && l.eras[l.era].number != l.meta.Era {
			l.era++
		}
		if l.era == len(l.eras) {
			return fmt.Errorf("state: %s: the checkpoint is of configuration %d, which journal.jsonl does not have: put the journal back that belongs to it, or move %s and %s away to have the state made anew from the log", l.dir.path, l.meta.Era, l.dir.file("store"), l.dir.file("store.json"))
		}
	} else {
		for l.era+1 < len(l.eras) && l.eras[l.era+1].from == 0 {
			l.era++
		}
	}
	l.by, err = l.of(l.env, l.dir.path, l.eras[l.era], true)
	switch {
	case errors.Is(err, errNoCopy) && l.meta == nil:
		l.env.log.Warn("what was decided by earlier rules is decided by today's: there is no copy of those", "error", err)
		l.era, l.by = len(l.eras)-1, l.engine
	case err != nil:
		return err
	}
	if l.meta == nil {
		return nil
	}
	if err := l.by.inherit(l.meta.Layout, tick); err != nil {
		return err
	}
	last, _ := l.store.Last()
	cfg := l.pipelineConfig()
	began := time.Now()
	if l.resume, err = pipeline.Restore(l.store, *l.meta, last, &cfg); err != nil {
		return fmt.Errorf("state: %s: %w", l.dir.path, err)
	}
	l.env.log.Info("going on from the last checkpoint", "tick", time.Unix(tick, 0).UTC().Format(time.RFC3339),
		"written", l.meta.Written.UTC().Format(time.RFC3339), "took", time.Since(began).Round(time.Millisecond))
	return nil
}

// nextEra goes over to the rules of the next era, at the tick where the
// pipeline stopped.
func (l *liveRun) nextEra(by *engine) error {
	st, err := l.converted(by)
	if err == nil {
		l.by, l.era, l.resume.State = by, l.era+1, st
	}
	return err
}

// converted returns the state as it is under other rules. After an error that
// under the present ones is as it was.
func (l *liveRun) converted(by *engine) (*rules.State, error) {
	if err := by.inherit(&l.by.plan.Layout, l.resume.Tick); err != nil {
		return nil, err
	}
	cfg := pipeline.Config{Ceiling: by.ceiling(event.Shadow), Stages: by.stages}
	st, err := l.resume.State.Reload(by.plan, cfg.Stage, l.resume.Tick)
	if err != nil {
		return nil, fmt.Errorf("rules: %w", err)
	}
	return st, nil
}

// pipelineConfig is what the pipeline runs by in the present era.
func (l *liveRun) pipelineConfig() pipeline.Config {
	g := l.by
	cfg := pipeline.Config{
		Sources: l.sources, Enrich: g.tables, Plan: g.plan, Lookups: g.tables.Lookups().Funcs(),
		Ceiling: g.ceiling(event.Shadow), Stages: g.stages,
		Units: stateUnits, Memory: l.cfg.memory(), Accounted: l.cfg.disk(),
		Store: l.store, Checkpoint: l.cfg.checkpoint(), Seals: l.seals, Archive: l.archive, Log: l.env.log, Resume: l.resume,
		Kept: pipeline.Kept{Era: l.eras[l.era].number, Config: l.eras[l.era].hash, Extras: l.extras},
	}
	for i := range l.cfg.Sources {
		cfg.SourceNames = append(cfg.SourceNames, l.cfg.Sources[i].Name)
	}
	if l.era+1 < len(l.eras) {
		cfg.Until = l.eras[l.era+1].from
	}
	return cfg
}

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
	// Compiled between two looks at the same files, it is of what was kept.
	if g, err = l.env.engine(l.configPath, true, true); err != nil {
		return "", err
	}
	if now, err := g.fingerprint(); err != nil {
		return "", err
	} else if now != hash {
		return "", errors.New("the rules changed while they were read: try again")
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
	err = insist(ctx, l.env.log, func() error { return l.beginEra(r.hash, l.resume.Tick) })
	l.changing.Unlock()
	if err != nil {
		r.done <- reloaded{err: err}
		return err
	}
	l.by, l.era, l.resume.State = r.engine, len(l.eras)-1, st
	text := describeReload(before, l.by, l.resume.Tick)
	l.env.log.Info("other rules decide", "from", time.Unix(l.resume.Tick, 0).UTC().Format(time.RFC3339), "what", text)
	r.done <- reloaded{text: text}
	return nil
}
