package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"weir/replay"
)

func rulesTestCommand(e *environment) *cobra.Command {
	var config string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test [-c weir.yaml] [DIR|FILE|ID…]",
		Short: "Play the scripts beside the rules and compare what is decided",
		Long: "test plays rule scripts (docs/SCRIPTS.md), each in three ways that must agree, and\n" +
			"says what did not come out as expected.",
		Example: "  weir rules test\n  weir rules test ato.stuffing_source\n  weir rules test -v rules/shop/gift_cards.test",
		RunE: func(cmd *cobra.Command, args []string) error {
			return e.rulesTest(cmd.Context(), config, args, verbose)
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration; it says where the rules are and what they may name")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "list every script")
	return cmd
}

func (e *environment) rulesTest(ctx context.Context, config string, args []string, verbose bool) error {
	s, err := chooseRules(config, args)
	if err != nil {
		return err
	}
	if faults := s.load(); len(faults) > 0 {
		return e.found(faults)
	}
	lib, err := s.library()
	if err != nil {
		return usagef("%w", err)
	}
	files, err := s.scripts()
	if err != nil {
		return fmt.Errorf("scripts: %w", err)
	}
	if len(files) == 0 {
		return usagef("no script (*.test) there")
	}
	failed, failures, expectations := 0, 0, 0
	for i, r := range playAll(ctx, files, lib) {
		<-r.done
		if errors.Is(r.err, context.Canceled) {
			return r.err
		}
		expectations += r.expectations
		r.failures = append(r.failures, flatten(r.err)...)
		if len(r.failures) > 0 {
			failed, failures = failed+1, failures+len(r.failures)
		}
		for _, f := range r.failures {
			fmt.Fprintln(e.out, f)
		}
		if verbose {
			word := "ok  "
			if len(r.failures) > 0 {
				word = "FAIL"
			}
			fmt.Fprintf(e.out, "%s %s  %s, %.2f s\n", word, files[i].name, several(r.expectations, "expectation"), r.took.Seconds())
		}
	}
	if failures > 0 {
		fmt.Fprintf(e.out, "%s, %s, %s in %s\n", several(len(files), "script"), several(expectations, "expectation"),
			several(failures, "failure"), several(failed, "script"))
		return errFindings
	}
	fmt.Fprintf(e.out, "%s, %s, ok\n", several(len(files), "script"), several(expectations, "expectation"))
	return nil
}

// played is what came of a script, once done is closed.
type played struct {
	done         chan struct{}
	expectations int
	failures     []error
	err          error
	took         time.Duration
}

// playAll plays scripts, as many at once as there are processors.
func playAll(ctx context.Context, files []scriptFile, lib *replay.Library) []*played {
	all := make([]*played, len(files))
	next := make(chan int, len(files))
	for i := range files {
		all[i] = &played{done: make(chan struct{})}
		next <- i
	}
	close(next)
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(files)) {
		wg.Go(func() {
			for i := range next {
				all[i].play(ctx, files[i], lib)
			}
		})
	}
	return all
}

func (p *played) play(ctx context.Context, f scriptFile, lib *replay.Library) {
	defer close(p.done)
	start := time.Now()
	script, err := replay.Load(f.fs, f.name, lib)
	if err != nil {
		p.err = err
		return
	}
	p.expectations = script.Expectations()
	failures, err := script.Play(ctx)
	for _, f := range failures {
		p.failures = append(p.failures, f)
	}
	p.err, p.took = err, time.Since(start)
}
