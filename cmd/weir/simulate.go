package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/simulate"
)

// simulateFlags are what simulate is called with.
type simulateFlags struct {
	options simulate.Options
	output  simulate.Output
	sets    []string
	start   string
	rules   []string // directories of rules that stop attackers who react …
	config  string   // … or the configuration that names them
}

func simulateCommand(e *environment) *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate [SCENARIO]",
		Short: "Make up the log of a site with honest traffic and campaigns in it, and say who sent each line",
		Long: "simulate makes up an access log: days of a site's honest traffic, and the campaign of the scenario.\n" +
			"Beside the log it writes a label for each line, truth.json, and a configuration that replays it.\n" +
			"The same scenario, seed and options make the same bytes. SCENARIO is a name or a YAML file;\n" +
			"without one the scenarios are listed. With --adaptive the rules run over the log while it is\n" +
			"made, what they refuse is written as refused, and attackers who see that change what they do.",
		Example: "  weir simulate stuffing --seed 1 --scale 0.05 --out stuffing/\n" +
			"  weir replay -c stuffing/weir.yaml --out decided/ stuffing/access.log.zst\n" +
			"  weir simulate stuffing --set knobs.attack_pace=0.5 --set honest.nat.users=500 --out slow/\n" +
			"  weir simulate stuffing --adaptive --rules rules/ --scale 0.05 --out reacting/",
		Args: func(cmd *cobra.Command, args []string) error { return argsAtMost(cmd, args, 1) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return listScenarios(e.out)
			}
			return e.simulate(cmd.Context(), args[0], &f)
		},
	}
	flags := cmd.Flags()
	flags.Uint64Var(&f.options.Seed, "seed", 1, "another seed is another log of the same kind")
	flags.StringVar(&f.output.Dir, "out", "", "directory for the log and what belongs to it; new or empty")
	flags.Float64Var(&f.options.Scale, "scale", 1, "of all sizes and addresses; days stay days")
	flags.StringVar(&f.options.Variant, "variant", "", "what the log lacks: "+strings.Join(simulate.Variants, ", "))
	flags.StringVar(&f.options.Format, "format", "", "nginx-json (the default) or combined")
	flags.StringVar(&f.output.Compress, "compress", "zst", "zst, gz or none")
	flags.StringVar(&f.start, "start", "", "the first day, as 2026-03-02 (the default, a Monday)")
	flags.BoolVar(&f.options.Adaptive, "adaptive", false, "the rules stop attackers while the log is made, and those who are stopped change what they do")
	flags.StringArrayVar(&f.rules, "rules", nil, "with --adaptive: a directory of rules that stop them, or builtin; without it those that ship")
	flags.StringVarP(&f.config, "config", "c", "", "with --adaptive: a configuration whose rules: and stage: stop them")
	flags.StringArrayVar(&f.sets, "set", nil, "set a key of the scenario: knobs.attack_size=4, campaigns.NAME.phases.NAME.requests=1000")
	return cmd
}

// listScenarios prints what there is, a line each.
func listScenarios(w io.Writer) error {
	names := simulate.Scenarios()
	width := 0
	for _, name := range names {
		width = max(width, len(name))
	}
	for _, name := range names {
		s, err := simulate.Load(name, nil)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, name, s.Title); err != nil {
			return err
		}
	}
	return nil
}

// simulate makes up a log.
func (e *environment) simulate(ctx context.Context, name string, f *simulateFlags) error {
	if err := f.output.Validate(); err != nil {
		return usagef("--%w", err)
	}
	if f.options.Scale == 0 {
		return usagef("--scale: 0, must be more")
	}
	if err := f.options.Validate(); err != nil {
		return usagef("--%w", err)
	}
	if f.start != "" {
		var err error
		if f.options.Start, err = time.Parse(time.DateOnly, f.start); err != nil {
			return usagef("--start: %q, must be a day such as 2026-03-02", f.start)
		}
	}
	s, err := simulate.Load(name, f.sets)
	if err != nil {
		return usageError{err}
	}
	chosen, err := f.chosenRules()
	if err != nil {
		return err
	}
	var against *defence
	if f.options.Adaptive {
		if err := reacts(s, &f.options); err != nil {
			return err
		}
		against = e.newDefence(ctx, f.output.Dir, chosen, nil)
	}
	stop := f.showProgress(e.errOut)
	truth, err := against.write(ctx, s, f)
	stop()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return interruptedError("interrupted: " + f.output.Dir + " is not complete, it has no " + simulate.TruthFile)
		}
		return fmt.Errorf("simulate: %w", err)
	}
	if err := printTruth(e.out, truth, f.output.Dir); err != nil || against == nil {
		return err
	}
	_, err = fmt.Fprintln(e.out, against.answeredText())
	return err
}

// showProgress says on a terminal how far the log is; the function that it
// returns clears that.
func (f *simulateFlags) showProgress(w io.Writer) (stop func()) {
	file, ok := w.(*os.File)
	if !ok {
		return func() {}
	}
	if info, err := file.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func() {}
	}
	var last time.Time
	f.output.Progress = func(lines int64, at, until time.Time) {
		if now := time.Now(); now.Sub(last) > 200*time.Millisecond {
			last = now
			fmt.Fprintf(w, "\r%d lines, %s of %s\x1b[K", lines, at.Format("Mon 15:04"), until.Format("Mon 15:04"))
		}
	}
	return func() { fmt.Fprint(w, "\r\x1b[K") }
}

// printTruth prints who is in the log, and how to go on.
func printTruth(w io.Writer, t *simulate.Truth, dir string) error {
	var b strings.Builder
	width := len("label")
	for i := range t.Labels {
		width = max(width, len(t.Labels[i].Name))
	}
	fmt.Fprintf(&b, "%-*s  %10s  %10s  %10s  %s\n", width, "label", "requests", "addresses", "accounts", "what it is")
	for i := range t.Labels {
		l := &t.Labels[i]
		fmt.Fprintf(&b, "%-*s  %10d  %10d  %10d  %s\n", width, l.Name, l.Requests, l.Addresses, l.Accounts, l.Title)
	}
	fmt.Fprintf(&b, "\n%d lines from %s to %s\n", t.Lines, t.From.Format("2006-01-02 15:04"), t.Until.Format("2006-01-02 15:04"))
	fmt.Fprintf(&b, "weir replay -c %s --out %s %s\n", filepath.Join(dir, simulate.ConfigFile), filepath.Join(dir, "decided"), filepath.Join(dir, t.Log))
	_, err := io.WriteString(w, b.String())
	return err
}
