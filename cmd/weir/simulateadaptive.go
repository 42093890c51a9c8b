package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/pipeline"
	"weir/simulate"
)

// defence is what stops attackers while their log is made: the rules decide
// about the lines as in a replay, and each request is answered before it is
// written as points would that hold the lists of what was decided until then.
// It asks for lists by the log's time alone, so the same seed makes the same log.
type defence struct {
	env    *environment
	dir    string        // where the log is made
	rules  *chosenByUser // nil: those that ship
	emit   func([]event.Decision) error
	ctx    context.Context // ends with the run
	cancel context.CancelCauseFunc
	err    error // why no request can be answered any more

	source pipeline.Source
	points *pipeline.Enforcement // nil: not begun
	worker *enrich.Worker
	batch  event.Batch
	clock  madeClock
	asked  bool  // the line that comes next was asked about …
	at     int64 // … and has this time, in Unix nanoseconds
	listed int64 // the latest minute whose list was awaited

	log      *madeLog
	pending  *ingest.Records // made, and not yet handed over
	offset   int64           // of the next line in the log
	done     chan struct{}   // closed when the run has ended
	runErr   error
	answered map[string]map[event.Action]int64 // by label
}

// chosenByUser is which rules stop attackers, as it stands in a configuration.
type chosenByUser struct {
	Stage string      `yaml:"stage,omitempty"`
	Rules rulesConfig `yaml:"rules"`
}

// chosenRules reads the rules that the flags name, as paths that hold anywhere.
func (f *simulateFlags) chosenRules() (*chosenByUser, error) {
	if f.config == "" && len(f.rules) == 0 {
		return nil, nil
	}
	if !f.options.Adaptive {
		return nil, usagef("--rules and -c: only with --adaptive; without it nobody is stopped while the log is made")
	}
	cfg, err := loadConfig(f.config)
	if err != nil {
		return nil, err
	}
	if len(f.rules) > 0 {
		cfg.Rules.Dirs, cfg.dir = f.rules, "."
	}
	if err := cfg.rulesThere(); err != nil {
		return nil, err
	}
	c := &chosenByUser{Stage: cfg.Stage, Rules: rulesConfig{Set: cfg.Rules.Set}}
	for _, d := range cfg.Rules.Dirs {
		if d != "builtin" {
			if d, err = filepath.Abs(cfg.path(d)); err != nil {
				return nil, usagef("--rules: %w", err)
			}
		}
		c.Rules.Dirs = append(c.Rules.Dirs, d)
	}
	return c, nil
}

// reacts reports why nobody could react in a log of the scenario.
func reacts(s *simulate.Scenario, o *simulate.Options) error {
	if o.Variant == "combined" || o.Format == simulate.FormatCombined {
		return usagef("--adaptive: the format combined has no field that says what was refused, so rules would take refusals for answers of the site; use another variant")
	}
	for _, c := range s.Campaigns {
		for _, p := range c.Phases {
			if p.Adapt != nil {
				return nil
			}
		}
	}
	return usagef("--adaptive: nobody in %s reacts: none of its phases has adapt: (weir simulate %s --set 'campaigns.NAME.phases.NAME.adapt={share: 0.5, over: 200, change: [addresses]}')", s.Name, s.Name)
}

// newDefence prepares a defence; it begins with the first request, when what it
// reads beside the log has been written. What it decides is given to emit.
func (e *environment) newDefence(ctx context.Context, dir string, chosen *chosenByUser, emit func([]event.Decision) error) *defence {
	quiet := *e // of lines that are broken on purpose nobody need be told
	quiet.log = slog.New(slog.DiscardHandler)
	d := &defence{
		env: &quiet, dir: dir, rules: chosen, emit: emit, done: make(chan struct{}), pending: &ingest.Records{},
		answered: map[string]map[event.Action]int64{}, listed: -1 << 62,
	}
	d.ctx, d.cancel = context.WithCancelCause(ctx)
	return d
}

// begin loads the configuration beside the log, and starts the run, once.
func (d *defence) begin() error {
	if d.points != nil {
		return nil
	}
	path := filepath.Join(d.dir, simulate.ConfigFile)
	if d.rules != nil { // a replay must find the same ones
		text, err := yaml.Marshal(d.rules)
		if err != nil {
			return err
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.Write(append([]byte("# that stopped attackers while the log was made\n"), text...))
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	g, err := d.env.engine(path, false, true)
	if err != nil {
		return err
	}
	if g.ceiling(event.Enforce) != event.Enforce {
		return usagef("stage: %s: nothing is enforced, so nobody is stopped and nobody reacts; must be enforce", g.cfg.Stage)
	}
	p := &prepared{engine: g}
	sc := &g.cfg.Sources[0]
	d.log = &madeLog{name: sc.Name, runs: make(chan *ingest.Records, madeAhead)}
	if d.source, err = sc.source(d.log, g.key, g.extras, g.opt); err != nil {
		return err
	}
	g.reads(&d.source)
	p.source, p.sources = d.source, []pipeline.Source{d.source}
	g.cfg.limitMemory()
	ledger, err := p.newReplayLedger("", true, d.env.log)
	if err != nil {
		return err
	}
	d.points = p.enforcement(true, ledger)
	d.points.OnlyAsked()
	d.worker = g.tables.Worker(d.source.Enrich)
	d.clock.disorder = int64(d.source.Disorder)
	go func() {
		defer close(d.done)
		sum, err := d.env.decide(d.ctx, p, nil, nil, "", pipeline.Config{
			Log: d.env.log, Memory: g.cfg.memory(), Usage: pipeline.ProcessUsage, Accounted: g.cfg.disk(), Spill: spillInto(d.ctx, d.dir, g.cfg.memory()),
			Emit: func(ds []event.Decision) error {
				if d.emit != nil {
					if err := d.emit(ds); err != nil {
						return err
					}
				}
				return ledger.add(ds)
			},
			Review: ledger.review(), Enforce: d.points,
		})
		d.runErr = errors.Join(spillAdvice(err, d.dir, g.cfg.memory()), ledger.close(err == nil), errors.Join(sum.Broken...))
		if d.runErr != nil {
			d.cancel(d.runErr)
		}
	}()
	return nil
}

// write makes the log, and has the defence answer its requests if there is one.
func (d *defence) write(ctx context.Context, s *simulate.Scenario, f *simulateFlags) (*simulate.Truth, error) {
	if d == nil {
		return simulate.Write(ctx, s, f.options, f.output)
	}
	options, output := f.options, f.output
	options.Enforcer, output.Each = d, d.Each
	truth, err := simulate.Write(ctx, s, options, output)
	if err = d.finish(err); err == nil {
		return truth, nil
	}
	if d.points == nil && d.err != nil { // nothing was made: the directory was empty, or not there
		err = errors.Join(err, emptyDir(d.dir))
	} else if truth != nil { // the log is whole, and nobody knows whether it is right
		err = errors.Join(err, os.Remove(filepath.Join(d.dir, simulate.TruthFile)))
	}
	return nil, err
}

// emptyDir removes what is in a directory.
func emptyDir(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, f := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
	}
	return err
}

// Answer says what points would answer a request that is about to be written.
func (d *defence) Answer(r *simulate.Request) event.Action {
	if d.err != nil {
		return event.NoAction // Each ends it
	}
	action, err := d.answer(r)
	if err != nil {
		d.err = err
		return event.NoAction
	}
	if action != event.NoAction {
		of := d.answered[r.Label]
		if of == nil {
			of = map[event.Action]int64{}
			d.answered[r.Label] = of
		}
		of[action]++
	}
	return action
}

func (d *defence) answer(r *simulate.Request) (event.Action, error) {
	if err := d.begin(); err != nil {
		return event.NoAction, err
	}
	d.batch.Reset()
	ev := d.batch.Next()
	if err := d.source.Decode(r.Line, ev, &d.batch.Arena); err != nil {
		return event.NoAction, fmt.Errorf("a line that was made up cannot be read: %w", err)
	}
	d.asked, d.at = true, ev.Time
	watermark, ok := d.clock.watermark()
	if !ok {
		return event.NoAction, nil // nothing has been decided yet, whatever came
	}
	ev.Second = max(floorSecond(ev.Time), watermark)
	list := min(ev.Second-d.points.Lag(), watermark)
	if err := d.await(list); err != nil {
		return event.NoAction, err
	}
	d.worker.Enrich(&d.batch)
	action, _ := d.points.Ask(list, ev)
	return action, nil
}

// await waits for the list of a time. What it depends on is handed over before.
func (d *defence) await(list int64) error {
	if list < d.listed {
		return nil
	}
	if err := d.handOver(); err != nil {
		return err
	}
	if err := d.points.Await(d.ctx, list); err != nil {
		return err
	}
	d.listed = list - list%60 + 60 // until the next minute it is the same
	return nil
}

// Each takes a line that was written.
func (d *defence) Each(l *simulate.Line) error {
	if d.err == nil {
		d.err = d.begin()
	}
	if d.err != nil {
		return d.err
	}
	if d.asked {
		d.clock.add(d.at)
		d.asked = false
	}
	p := d.pending
	p.Starts = append(p.Starts, uint32(len(p.Data)))
	p.Data = append(p.Data, l.Text...)
	p.Ends, p.Offsets = append(p.Ends, uint32(len(p.Data))), append(p.Offsets, d.offset)
	d.offset += int64(len(l.Text)) + 1
	if p.Len() < madeAtOnce {
		return nil
	}
	return d.handOver()
}

// handOver gives the run what was made since the last time.
func (d *defence) handOver() error {
	if d.pending.Len() == 0 {
		return nil
	}
	select {
	case d.log.runs <- d.pending:
	case <-d.ctx.Done():
		return context.Cause(d.ctx)
	}
	d.pending = &ingest.Records{}
	return nil
}

// finish waits until the run has ended; written is what came of the log.
func (d *defence) finish(written error) error {
	defer d.cancel(nil)
	if d.points == nil {
		return written
	}
	if written == nil {
		written = d.handOver()
	}
	if written != nil {
		d.cancel(written)
	}
	close(d.log.runs)
	<-d.done
	if written != nil {
		return written
	}
	return d.runErr
}

// answeredText says in a line who was answered what while the log was made.
func (d *defence) answeredText() string {
	all := actionsText(d.answered)
	if all == "" {
		return "nobody was stopped while it was made"
	}
	return "answered while it was made: " + all
}
