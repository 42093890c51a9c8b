package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"weir/event"
	"weir/pipeline"
	"weir/rules"
	"weir/simulate"
	scoring "weir/simulate/score"
)

// scoreOptions are the flags of weir score.
type scoreOptions struct {
	delay            time.Duration
	asIf, html       string
	json, goals, why bool
	merge            bool
	dir, ledger, log string // log: the name of its file in dir
}

// enforcementDelay is how long a decision takes to the point that enforces it,
// unless somebody says otherwise: a source's disorder (2 s), and a reconciler's
// next round and the reload of a proxy (1 to 3 s).
const enforcementDelay = 5 * time.Second

// maxEnforcementDelay is longer than anybody means.
const maxEnforcementDelay = 24 * time.Hour

func scoreCommand(e *environment) *cobra.Command {
	var o scoreOptions
	cmd := &cobra.Command{
		Use:   "score DIR LEDGER",
		Short: "Say what a replay's decisions would have stopped of a made-up log, how soon, and whom they hit",
		Long: "score plays a log that weir simulate made (DIR) against the decisions of a replay of it:\n" +
			"ledger.jsonl, which is what came of them after the guards, or decisions.jsonl. LEDGER may be the\n" +
			"directory that replay --out wrote. It says, by campaign and phase, what was stopped and how soon;\n" +
			"by honest population, who was hit; and the same of two naive rules: an address that failed 10 (or 5)\n" +
			"times in 10 minutes is blocked for an hour. What the log says about refusals is not looked at.\n" +
			"With --merge it puts the JSON of several seeds together: median and worst, as Markdown.",
		Example: "  weir simulate stuffing --seed 1 --out s1\n  weir replay -c s1/weir.yaml --out r1 s1/access.log.zst\n" +
			"  weir score s1 r1 --html s1.html\n  weir score --merge s1.json s2.json s3.json",
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case o.merge && len(args) == 0:
				return usagef("no file given (weir score --merge A.json B.json …)")
			case !o.merge && len(args) != 2:
				return usagef("it takes two arguments, not %d (weir score DIR LEDGER)", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.merge {
				return e.mergeScores(args, o.json)
			}
			o.dir, o.ledger = args[0], args[1]
			return e.score(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.delay, "delay", enforcementDelay, "from a decision to the point that enforces it")
	f.StringVar(&o.asIf, "as-if", "", "enforce: what was decided in shadow, or only told, counts as enforced")
	f.BoolVar(&o.json, "json", false, "print everything as one JSON object")
	f.StringVar(&o.html, "html", "", "write a page with the timeline, for a browser, into this file")
	f.BoolVar(&o.goals, "goals", false, "exit with status 1 if a goal of the scenario is not reached")
	f.BoolVar(&o.why, "why", false, "say which rules came nearest to what passed; reads the log again for each of them")
	f.BoolVar(&o.merge, "merge", false, "put the JSON of several scores together: median and worst")
	return cmd
}

func (e *environment) score(ctx context.Context, o *scoreOptions) error {
	if o.delay < 0 || o.delay > maxEnforcementDelay {
		return usagef("--delay %v: must be between 0s and %v", o.delay, maxEnforcementDelay)
	}
	if o.asIf != "" && o.asIf != event.Enforce.String() {
		return usagef("--as-if %s: must be enforce", o.asIf)
	}
	truth, err := simulate.ReadTruth(os.DirFS(o.dir))
	if err != nil {
		return usagef("%s: %w", o.dir, err)
	}
	if o.log = truth.Log; !filepath.IsLocal(o.log) {
		return usagef("%s: log %q, must be the name of a file in %s", simulate.TruthFile, o.log, o.dir)
	}
	quiet := *e // what prepare would log is of no use here
	quiet.log = slog.New(slog.DiscardHandler)
	p, err := quiet.prepare(ctx, filepath.Join(o.dir, simulate.ConfigFile), "", []string{filepath.Join(o.dir, truth.Log)}, nil, false)
	if err != nil {
		return err
	}
	defer p.close()
	ledger := scoring.NewLedger(scoring.Reading{Delay: o.delay, AsIf: o.asIf != "", Extras: p.extras, Key: p.key})
	if err := readLedger(ledger, o.ledger); err != nil {
		return usagef("%w", err)
	}
	labels, err := os.Open(filepath.Join(o.dir, simulate.LabelsFile))
	if err != nil {
		return usagef("%w", err)
	}
	defer labels.Close()
	stop := showProgress(e.errOut, p.source.Source)
	log := scoredLog(p, truth, labels)
	missed := newMisses(p)
	if o.why {
		log.Missed = missed.add
		log.Enrich.Reads = func(event.Field) bool { return true } // rules may
	}
	found, err := scoring.Run(ctx, log, ledger)
	stop()
	if err != nil {
		return fmt.Errorf("score: %w", err)
	}
	if o.why {
		if err := quiet.explainMisses(ctx, o, missed, found); err != nil {
			return fmt.Errorf("--why: %w", err)
		}
	}
	return e.showScore(o, found)
}

// scoredLog is the log of a scenario, as its configuration reads it.
func scoredLog(p *prepared, truth *simulate.Truth, labels io.Reader) scoring.Log {
	src := &p.source
	log := scoring.Log{
		Truth: truth, Labels: labels, Source: src.Source, Decode: src.Decode, Tables: p.tables, Enrich: src.Enrich,
		Unjudged: src.Unjudged, Disorder: src.Disorder, Lateness: src.MaxLateness,
	}
	if log.Lateness == 0 {
		log.Lateness = pipeline.MaxLateness
	}
	if only := src.Only; only != nil {
		facts := rules.Facts{Lookups: p.tables.Lookups().Funcs()}
		log.Only = func(ev *event.Event) bool { return only.Match(ev, &facts) }
		log.Enrich.Reads = func(f event.Field) bool { return slices.Contains(only.Fields, f) }
	}
	return log
}

// showScore writes what was found.
func (e *environment) showScore(o *scoreOptions, found *scoring.Result) (err error) {
	if o.html != "" {
		if err := writeWhole(o.html, found.WriteHTML); err != nil {
			return fmt.Errorf("--html: %w", err)
		}
	}
	if o.json {
		b, err := json.Marshal(found)
		if err != nil {
			return fmt.Errorf("score: %w", err)
		}
		_, err = e.out.Write(append(b, '\n'))
		if err != nil {
			return fmt.Errorf("score: %w", err)
		}
	} else if err := printScore(&page{w: e.out}, found); err != nil {
		return fmt.Errorf("score: %w", err)
	}
	if n := found.Failed(); o.goals && n > 0 {
		return fmt.Errorf("%s not reached", several(n, "goal"))
	}
	return nil
}

// writeWhole writes a file whole or not at all.
func writeWhole(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

// readLedger reads a file of decisions, or a ledger with the files that were
// put aside, or what a replay wrote into a directory.
func readLedger(l *scoring.Ledger, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	files := []string{path}
	dir := filepath.Dir(path)
	if info.IsDir() {
		dir, files = path, []string{filepath.Join(path, ledgerFile)}
		if _, err := os.Stat(files[0]); errors.Is(err, os.ErrNotExist) {
			files[0] = filepath.Join(path, "decisions.jsonl")
		}
	}
	if filepath.Base(files[0]) == ledgerFile {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		files = nil
		for _, f := range entries {
			if isLedger(f.Name()) {
				files = append(files, filepath.Join(dir, f.Name()))
			}
		}
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(l.Read(name, f), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// mergeScores puts the JSON of several scores together.
func (e *environment) mergeScores(files []string, asJSON bool) error {
	var all []*scoring.Result
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return usagef("%w", err)
		}
		r, err := scoring.ReadResult(b)
		if err != nil {
			return usagef("%s: %w", name, err)
		}
		all = append(all, r)
	}
	merged, err := scoring.Merge(all)
	if err != nil {
		return usagef("%w", err)
	}
	if asJSON {
		b, err := json.MarshalIndent(merged, "", "  ")
		if err != nil {
			return fmt.Errorf("score: %w", err)
		}
		_, err = e.out.Write(append(b, '\n'))
		return err
	}
	return merged.WriteMarkdown(e.out)
}
