package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "scoring:", err)
		os.Exit(1)
	}
}

// flags are what scoring is called with.
type flags struct {
	parts     string
	scenarios string
	scale     float64
	seeds     int
	weir      string
	results   string
	document  string
	record    string
	lock      string
	write     bool
	accept    bool
	dry       bool
}

func parse(args []string, out io.Writer) (*flags, error) {
	var f flags
	set := flag.NewFlagSet("scoring", flag.ContinueOnError)
	set.SetOutput(out)
	set.StringVar(&f.parts, "parts", "campaigns,variants,reacting", "what is scored: "+strings.Join(partNames(), ", "))
	set.StringVar(&f.scenarios, "scenarios", "", "only these, with commas between")
	set.Float64Var(&f.scale, "scale", 0, "of all logs; 0: as the plan says. Of another scale nothing is compared")
	set.IntVar(&f.seeds, "seeds", 0, "of each log at most; 0: as the plan says")
	set.StringVar(&f.weir, "weir", "bin/weir", "the program that simulates, replays and scores")
	set.StringVar(&f.results, "results", "", "a directory that keeps each score, for the next time that the same program is asked; empty: none")
	set.StringVar(&f.document, "document", "docs/DETECTION.md", "the document whose tables are written")
	set.StringVar(&f.record, "record", "docs/detection.json", "the figures behind the document's tables")
	set.StringVar(&f.lock, "lock", "rulesets/versions.lock", "says which rules they are made with")
	set.BoolVar(&f.write, "write", false, "write document and record anew")
	set.BoolVar(&f.accept, "accept", false, "do so also where a figure got worse")
	set.BoolVar(&f.dry, "plan", false, "print what would be scored")
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("%s: takes no arguments", set.Arg(0))
	}
	for _, name := range f.partList() {
		if !slices.Contains(partNames(), name) {
			return nil, fmt.Errorf("-parts: %s, must be of %s", name, strings.Join(partNames(), ", "))
		}
	}
	if f.scale < 0 || f.seeds < 0 {
		return nil, errors.New("-scale and -seeds: must not be below 0")
	}
	if f.write && (f.scenarios != "" || f.scale != 0) {
		return nil, errors.New("-write: only of all scenarios, at the scales of the plan")
	}
	return &f, nil
}

func (f *flags) partList() []string { return strings.Split(f.parts, ",") }

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	f, err := parse(args, progress)
	if err != nil {
		return err
	}
	trials, err := f.plan()
	if err != nil {
		return err
	}
	if f.dry {
		return printPlan(out, trials)
	}
	s, err := newScorer(f, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	began := time.Now()
	found, err := s.score(ctx, trials)
	if err != nil {
		return err
	}
	fmt.Fprintf(progress, "%d logs scored in %s\n", logs(trials), time.Since(began).Round(time.Second))
	doc, err := tables(found)
	if err != nil {
		return err
	}
	if err := doc.print(out); err != nil {
		return err
	}
	if f.scale != 0 {
		fmt.Fprintln(progress, "of another scale than the plan's: nothing is compared")
		return nil
	}
	return f.settle(doc, figuresOf(found), out)
}

// settle compares the figures with those of record, and writes both anew where
// that is asked for and none got worse.
func (f *flags) settle(doc *document, now figures, out io.Writer) error {
	before, err := readRecord(f.record)
	if err != nil {
		return err
	}
	worse := before.worse(now)
	for _, w := range worse {
		fmt.Fprintln(out, w)
	}
	if len(worse) > 0 && !f.accept {
		return fmt.Errorf("%d figures got worse than %s says; if that is meant: make score-document ACCEPT=-accept", len(worse), f.record)
	}
	if !f.write {
		return nil
	}
	rules, err := rulesOf(f.lock)
	if err != nil {
		return err
	}
	if err := doc.write(f.document, rules); err != nil {
		return err
	}
	return before.with(now, rules).write(f.record)
}
