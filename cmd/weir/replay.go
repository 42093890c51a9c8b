package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"weir/emit"
	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/pipeline"
	"weir/rules"
)

// replayOptions are the flags of weir replay.
type replayOptions struct {
	config, out, format, journal string
	since                        string
	json                         bool
	workers                      int
	files                        []string
}

func replayCommand(e *environment) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay [-c weir.yaml] FILE…",
		Short: "Run the rules over recorded logs and say what they would have decided",
		Long: "replay runs recorded logs through the same pipeline as a live run. Files may be\n" +
			"plain, .gz or .zst, globs, or - for standard input; a log and its rotations are read\n" +
			"as one, oldest first. Without -c the format is guessed and the rules that ship are used.",
		Example: "  weir replay access.log\n  weir replay -c weir.yaml --out found/ '/var/log/nginx/access.log*'",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			return e.replay(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "configuration; its first source says how the lines are read")
	f.StringVar(&o.out, "out", "", "directory for decisions.jsonl and summary.json")
	f.StringVar(&o.format, "format", "", "format of the lines, instead of guessing it or taking the source's")
	f.StringVar(&o.journal, "journal", "", "journal of a live run, to get its decisions again")
	f.StringVar(&o.since, "since", "", "decisions from this time on; what is before only fills the windows (2026-03-01 or 2026-03-01T10:00:00Z)")
	f.BoolVar(&o.json, "json", false, "print the decisions, a line each, instead of the report")
	f.IntVar(&o.workers, "workers", 0, "goroutines that decode and that fold (default: one a processor)")
	return cmd
}

// prepared is everything a replay needs, opened.
type prepared struct {
	cfg     *config
	key     *event.Key
	extras  event.Extras
	opt     rules.Options
	rules   []*rules.Rule
	plan    *rules.Plan
	tables  *enrich.Tables
	source  pipeline.Source
	guessed bool
	format  string
}

// prepare opens what a replay of these files needs.
func (e *environment) prepare(ctx context.Context, configPath, format string, files []string) (*prepared, error) {
	var p prepared
	var err error
	if p.cfg, err = loadConfig(configPath); err != nil {
		return nil, err
	}
	var fixed bool
	if p.key, fixed, err = p.cfg.key(); err != nil {
		return nil, err
	}
	if fixed {
		e.log.Info("no key_file: pseudonyms are made with a key that everybody knows")
	}
	if p.extras, err = p.cfg.extras(); err != nil {
		return nil, err
	}
	p.opt = p.cfg.ruleOptions(p.extras)
	if p.rules, err = p.cfg.loadRules(p.opt); err != nil {
		return nil, usagef("%w", err)
	}
	if p.plan, err = rules.NewPlan(p.rules, p.key, rules.PlanOptions{Extras: p.extras, Visits: p.cfg.unjudged()}); err != nil {
		return nil, usagef("%w", err)
	}
	if p.tables, err = p.cfg.tables(p.key, p.opt, e.log); err != nil {
		return nil, usagef("%w", err)
	}
	if err := e.open(ctx, &p, format, files); err != nil {
		return nil, err
	}
	return &p, nil
}

// open opens the files and finds out how to read them.
func (e *environment) open(ctx context.Context, p *prepared, format string, files []string) error {
	var sc sourceConfig
	if len(p.cfg.Sources) > 0 {
		sc = p.cfg.Sources[0]
	} else {
		sc = sourceConfig{Name: "replay", Disorder: guessedDisorder.String()}
	}
	if format != "" {
		sc.Config = ingest.Config{Format: format}
	}
	if len(files) == 0 && sc.File.Path != "" {
		files = []string{p.cfg.path(sc.File.Path)}
	}
	if len(files) == 0 {
		return usagef("no file given (weir replay FILE…)")
	}
	src, err := ingest.OpenFiles(sc.Name, files)
	if err != nil {
		return usagef("%w", err)
	}
	if sc.Config.Format == "" && sc.Config.Pattern == "" || sc.Config.Format == "w3c" && len(sc.Config.Columns) == 0 {
		if src, sc.Config, err = guess(ctx, src, sc.Config); err != nil {
			return errors.Join(err, src.Close())
		}
		p.guessed = true
	}
	p.format = sc.Config.Format
	if p.source, err = sc.source(src, p.key, p.extras, p.opt); err != nil {
		return errors.Join(err, src.Close())
	}
	return nil
}

// guess finds the format from the first lines of the first partition that has
// some, and returns a source that still has them.
func guess(ctx context.Context, src ingest.Source, cfg ingest.Config) (ingest.Source, ingest.Config, error) {
	const sample = 200
	peeked := ingest.Peek(src)
	for p := range src.Partitions() {
		lines, err := peeked.Lines(ctx, p, sample)
		if err != nil {
			return src, cfg, err
		}
		if len(lines) == 0 {
			continue
		}
		if cfg.Format == "w3c" {
			for _, l := range lines {
				if names, ok := ingest.Columns(l); ok {
					cfg.Columns = names
				}
			}
			return peeked, cfg, nil
		}
		guessed, err := ingest.Guess(lines)
		return peeked, guessed, err
	}
	return src, cfg, usagef("%s: no line to read in it", src.Name())
}

func (e *environment) replay(ctx context.Context, o *replayOptions) error {
	p, err := e.prepare(ctx, o.config, o.format, o.files)
	if err != nil {
		return err
	}
	defer p.source.Close()
	if p.source.Unjudged {
		e.log.Info("the source has no outcomes: visits stand in for successes", "source", p.source.Name())
	}
	if p.guessed {
		e.log.Info("guessed the format", "format", p.format)
	}
	since, err := parseSince(o.since)
	if err != nil {
		return err
	}
	stages, err := p.cfg.stages(p.rules)
	if err != nil {
		return err
	}
	p.source.Enrich.Reads = func(f event.Field) bool {
		return p.plan.Reads(f) || p.source.Only != nil && slices.Contains(p.source.Only.Fields, f)
	}
	marks, err := readJournal(o.journal)
	if err != nil {
		return err
	}
	sink, err := newSink(o.out, o.json, e.out)
	if err != nil {
		return err
	}
	ceiling := event.Enforce
	if p.cfg.Stage != "" {
		ceiling, _ = event.StageByName(p.cfg.Stage)
	}
	found := newFindings()
	stopProgress := showProgress(e.errOut, p.source.Source)
	start := time.Now()
	sum, runErr := pipeline.Run(ctx, pipeline.Config{
		Sources: []pipeline.Source{p.source}, Enrich: p.tables, Plan: p.plan, Lookups: p.tables.Lookups().Funcs(),
		Journal: marks, Ceiling: ceiling, Stages: stages, Since: since, Workers: o.workers, Memory: p.cfg.memory(),
		Log: e.log,
		Emit: func(ds []event.Decision) error {
			found.add(ds)
			return sink.write(ds)
		},
	})
	stopProgress()
	took := time.Since(start)
	closeErr := sink.close(runErr == nil && sum.Events > 0)
	if errors.Is(runErr, context.Canceled) {
		where := ""
		if o.out != "" {
			where = "; what had been decided until then is in " + sink.file.Name()
		}
		return errors.Join(closeErr, interruptedError(fmt.Sprintf("interrupted after %s events%s", count(sum.Events), where)))
	}
	if err := errors.Join(runErr, closeErr); err != nil {
		return err
	}
	report := newReport(sum, took)
	if o.out != "" && sum.Events > 0 {
		if err := writeSummary(filepath.Join(o.out, "summary.json"), report); err != nil {
			return err
		}
	}
	if !o.json {
		if err := report.print(e.out, found, p); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	if sum.Events == 0 {
		return fmt.Errorf("no line could be read as %s", p.format)
	}
	return errors.Join(sum.Broken...)
}

// parseSince reads a time; an empty text is the beginning of all.
func parseSince(since string) (second int64, err error) {
	if since == "" {
		return math.MinInt64, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.Parse(layout, since); err == nil {
			return at.Unix(), nil
		}
	}
	return 0, usagef("--since %s: must be like 2026-03-01 or 2026-03-01T10:00:00Z", since)
}

func readJournal(path string) (marks []pipeline.Mark, err error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usagef("journal: %w", err)
	}
	for n, line := range bytes.Split(b, []byte{'\n'}) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var m pipeline.Mark
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&m); err != nil {
			return nil, usagef("%s:%d: %w", path, n+1, err)
		}
		if m.Watermark < 0 || m.Watermark > pipeline.LastSecond || m.Offset < 0 {
			return nil, usagef("%s:%d: offset %d and watermark %d, must be at least 0, the watermark at most %d", path, n+1, m.Offset, m.Watermark, int64(pipeline.LastSecond))
		}
		marks = append(marks, m)
	}
	return marks, nil
}

// sink is where a replay's decisions go: a file, or what prints them, or both.
type sink struct {
	lines []*emit.Lines
	file  *os.File // under a name of its own until it is whole
	dir   string
}

func newSink(dir string, print bool, out io.Writer) (*sink, error) {
	s := &sink{dir: dir}
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("--out: %w", err)
		}
		f, err := os.Create(filepath.Join(dir, "decisions.jsonl.partial"))
		if err != nil {
			return nil, fmt.Errorf("--out: %w", err)
		}
		s.file, s.lines = f, append(s.lines, emit.NewLines(f))
	}
	if print {
		s.lines = append(s.lines, emit.NewLines(out))
	}
	return s, nil
}

func (s *sink) write(ds []event.Decision) error {
	for _, l := range s.lines {
		if err := l.Write(ds); err != nil {
			return err
		}
	}
	return nil
}

// close ends the file; a whole one takes the place of an earlier run's.
func (s *sink) close(whole bool) (err error) {
	for _, l := range s.lines {
		err = errors.Join(err, l.Flush())
	}
	if s.file == nil {
		return err
	}
	err = errors.Join(err, s.file.Close())
	if whole && err == nil {
		err = os.Rename(s.file.Name(), filepath.Join(s.dir, "decisions.jsonl"))
	}
	return err
}
