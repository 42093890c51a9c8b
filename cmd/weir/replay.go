package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/emit"
	"weir/event"
	"weir/ingest"
	"weir/pipeline"
)

// replayOptions are the flags of weir replay.
type replayOptions struct {
	config, out, format, journal string
	since                        string
	json, enforce                bool
	workers                      int
	files                        []string
}

func replayCommand(e *environment) *cobra.Command {
	var o replayOptions
	cmd := &cobra.Command{
		Use:   "replay [-c weir.yaml] [FILE…]",
		Short: "Run the rules over recorded logs and say what they would have decided",
		Long: "replay runs recorded logs through the same pipeline as a live run. Files may be\n" +
			"plain, .gz or .zst, globs, or - for standard input; a log and its rotations are read\n" +
			"as one, oldest first. Without -c the format is guessed and the rules that ship are used.\n" +
			"Without FILE it reads what the configuration's sources name: files with their rotations, and\n" +
			"topics up to the ends that they have now.",
		Example: "  weir replay access.log\n  weir replay -c weir.yaml --out found/ '/var/log/nginx/access.log*'",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			return e.replay(cmd.Context(), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "configuration; its first source says how the lines of FILE are read")
	f.StringVar(&o.out, "out", "", "directory for decisions.jsonl, ledger.jsonl (what the guards would have made of them) and summary.json")
	f.StringVar(&o.format, "format", "", "format of the lines, instead of guessing it or taking the source's")
	f.StringVar(&o.journal, "journal", "", "journal of a live run, to get its decisions again")
	f.StringVar(&o.since, "since", "", "decisions from this time on; what is before only fills the windows (2026-03-01 or 2026-03-01T10:00:00Z)")
	f.BoolVar(&o.enforce, "enforce", false, "as if the points had applied what is decided, behind the guards: what they would have refused is set apart")
	f.BoolVar(&o.json, "json", false, "print the decisions, a line each, instead of the report")
	f.IntVar(&o.workers, "workers", 0, "goroutines that decode and that fold (default: one a processor)")
	return cmd
}

// prepared is everything that reading recorded logs needs, opened.
type prepared struct {
	*engine
	deciding []*engine         // those of a journal's eras; none: only the one
	source   pipeline.Source   // the first
	sources  []pipeline.Source // all
	guessed  bool
	format   string
}

// prepare opens what reading these files needs; without any, what the
// configuration's sources name, as the marks of a journal say. Guarded: see engine.
func (e *environment) prepare(ctx context.Context, configPath, format string, files []string, marks []pipeline.Mark, guarded bool) (*prepared, error) {
	g, err := e.engine(configPath, false, guarded)
	if err != nil {
		return nil, err
	}
	p := &prepared{engine: g}
	if err := e.openSourcesOf(ctx, p, format, files, marks); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.source = p.sources[0]
	return p, nil
}

// close frees what the sources hold.
func (p *prepared) close() (err error) {
	for i := range p.sources {
		err = errors.Join(err, p.sources[i].Close())
	}
	return err
}

// open opens files, which are read as the first source says.
func (e *environment) open(ctx context.Context, p *prepared, format string, files []string) error {
	sc := sourceConfig{Name: "replay", Disorder: guessedDisorder.String()}
	if len(p.cfg.Sources) > 0 {
		sc = p.cfg.Sources[0]
	}
	if len(files) == 0 {
		return usagef("no file given (weir replay FILE…)")
	}
	src, err := ingest.OpenFiles(sc.Name, files)
	if err != nil {
		return usagef("%w", err)
	}
	return p.add(ctx, sc, format, src)
}

// openRecorded opens what the configuration's sources name: files with their
// rotations, topics up to the ends that they have now.
func (e *environment) openRecorded(ctx context.Context, p *prepared, format string, marks []pipeline.Mark) error {
	for _, sc := range p.cfg.Sources {
		var src ingest.Source
		var err error
		switch {
		case sc.Kafka != nil:
			src, err = sc.openTopic(ctx, p.engine, marks, true, e.log)
		case sc.File.Path != "":
			src, err = sc.openRotations(p.cfg)
		default:
			err = usagef("source %s: no file given (weir replay -c FILE FILE…)", sc.Name)
		}
		if err != nil {
			return err
		}
		if err := p.add(ctx, sc, format, src); err != nil {
			return err
		}
	}
	return nil
}

// add puts a source together with what is opened for it, and guesses the format
// where nobody names it.
func (p *prepared) add(ctx context.Context, sc sourceConfig, format string, src ingest.Source) (err error) {
	if format != "" {
		sc.Config = ingest.Config{Format: format}
	}
	if sc.unknownFormat() {
		if src, sc.Config, err = guess(ctx, src, sc.Config); err != nil {
			return errors.Join(err, src.Close())
		}
		p.guessed = true
	}
	s, err := sc.source(src, p.key, p.extras, p.opt)
	if err != nil {
		return errors.Join(err, src.Close())
	}
	if name := sc.formatName(); !strings.Contains(p.format, name) {
		p.format = strings.TrimPrefix(p.format+", "+name, ", ")
	}
	p.sources = append(p.sources, s)
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
	var marks []pipeline.Mark
	if o.journal != "" {
		var cut string
		var err error
		if marks, cut, err = pipeline.ReadJournal(o.journal); err != nil {
			return usagef("%w", err)
		}
		if cut != "" {
			e.log.Warn("the journal ends within a line", "what", cut)
		}
	}
	p, err := e.prepare(ctx, o.config, o.format, o.files, marks, o.out != "" || o.enforce)
	if err != nil {
		return err
	}
	defer p.close()
	p.cfg.limitMemory()
	var eras []replayEra
	if o.journal != "" {
		if eras, err = p.erasOf(e, marks, filepath.Dir(o.journal)); err != nil {
			return err
		}
	}
	for i := range p.sources {
		if p.sources[i].Unjudged {
			e.log.Info("the source has no outcomes: visits stand in for successes", "source", p.sources[i].Name())
		}
	}
	for _, ended := range p.allowEnded(time.Now()) {
		e.log.Warn(ended)
	}
	if p.guessed {
		e.log.Info("guessed the format", "format", p.format)
	}
	since, err := parseSince(o.since)
	if err != nil {
		return err
	}
	for _, name := range []string{lockFile, journalFile} {
		if _, err := os.Stat(filepath.Join(o.out, name)); o.out != "" && err == nil {
			return usagef("--out: %s is the state's directory of a run (it has a file %s); name another one", o.out, name)
		}
	}
	sink, err := newSink(o.out, o.json, e.out)
	if err != nil {
		return err
	}
	ledger, err := p.newReplayLedger(o.out, o.enforce, e.log)
	if err != nil {
		return err
	}
	points := p.enforcement(o.enforce, ledger)
	found := newFindings()
	stopProgress := showProgress(e.errOut, p.source.Source)
	start := time.Now()
	sum, runErr := e.decide(ctx, p, eras, o.files, o.format, pipeline.Config{
		Journal: marks, Since: since, Workers: o.workers, Log: e.log,
		Memory: p.cfg.memory(), Usage: pipeline.ProcessUsage, Accounted: p.cfg.disk(), Spill: spillInto(ctx, o.out, p.cfg.memory()),
		Emit: func(ds []event.Decision) error {
			found.add(ds)
			return errors.Join(sink.write(ds), ledger.add(ds))
		},
		Review: ledger.review(), Enforce: points,
	})
	stopProgress()
	runErr = spillAdvice(runErr, spillDir(o.out), p.cfg.memory())
	took := time.Since(start)
	whole := runErr == nil && sum.Events > 0
	closeErr := errors.Join(sink.close(whole), ledger.close(whole))
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
	if ledger != nil {
		report.Allowed = ledger.ledger.Counts().Allowed
	}
	if points != nil {
		enforced := points.Enforced()
		report.Enforced = &enforced
	}
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
