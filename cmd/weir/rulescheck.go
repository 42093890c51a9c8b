package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"weir/event"
	"weir/replay"
	"weir/rules"
)

func rulesCheckCommand(e *environment) *cobra.Command {
	var config string
	var lock bool
	cmd := &cobra.Command{
		Use:   "check [-c weir.yaml] [DIR|FILE|ID…]",
		Short: "Say what is wrong with rules and their scripts, with file, line and column",
		Long: "check reads rules and the scripts beside them and says everything that is wrong with\n" +
			"them. Without an argument it takes the directories of the configuration, without one\n" +
			"the rules that ship. Where a directory has a versions.lock, a rule whose behaviour changed\n" +
			"and whose version did not is wrong too.",
		Example: "  weir rules check\n  weir rules check -c weir.yaml rules/shop/gift_cards.yaml",
		RunE:    func(_ *cobra.Command, args []string) error { return e.rulesCheck(config, args, lock) },
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration; it says where the rules are and what they may name")
	cmd.Flags().BoolVar(&lock, "lock", false, "write "+rules.LockName+", which holds what each version of a rule does")
	return cmd
}

func (e *environment) rulesCheck(config string, args []string, lock bool) error {
	s, err := chooseRules(config, args)
	if err != nil {
		return err
	}
	faults := s.load()
	lib, err := s.library()
	if err != nil {
		return usagef("%w", err)
	}
	n, scripts, broken := 0, 0, len(faults) > 0
	var cast []*rules.Rule
	var notes []string
	s.chosen(func(d chosenDir, r *rules.Rule) {
		n++
		if !broken {
			cast = s.cast(cast, r)
		}
		script, err := replay.Load(d.fs, scriptOf(r), lib)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			faults = append(faults, flatten(err)...)
			return
		default:
			scripts++
		}
		for _, w := range warnings(r, script) {
			notes = append(notes, fmt.Sprintf("%s: warning: %s", r.File, w))
		}
	})
	var written []string
	if !broken {
		var unlocked []error
		written, unlocked = s.locks(lock && len(faults) == 0)
		faults = append(faults, unlocked...)
	}
	found := e.found(faults)
	for _, n := range notes {
		fmt.Fprintln(e.out, n)
	}
	if len(faults) > 0 {
		return found
	}
	if n == 0 {
		return usagef("no rule there")
	}
	plan, err := rules.NewPlan(cast, event.FixedKey(), rules.PlanOptions{Extras: s.opt.Extras})
	if err != nil {
		return e.found(flatten(err))
	}
	for _, name := range written {
		fmt.Fprintf(e.out, "%s: written\n", name)
	}
	fmt.Fprintf(e.out, "%s, %s, %s of keys, ok\n", several(n, "rule"), several(scripts, "script"), several(len(plan.Layout.Tables), "table"))
	return nil
}

// several writes a number of things.
func several(n int, thing string) string {
	return plural(int64(n), thing)
}

// found prints faults.
func (e *environment) found(faults []error) error {
	for _, f := range faults {
		fmt.Fprintln(e.out, f)
	}
	return errFindings
}

// warnings says what a rule lacks that does not stop it from working.
func warnings(r *rules.Rule, script *replay.Script) (ws []string) {
	switch {
	case len(r.Then) == 0: // it decides nothing; the scripts of who reads it show what it does
	case script == nil:
		ws = append(ws, "has no script beside it, so nothing shows that it works")
	case !script.HasNegative(r.ID):
		ws = append(ws, "its script has no expect none, so nothing shows what it leaves alone")
	}
	for _, fault := range r.RefusedAtEnforce() {
		ws = append(ws, "would be refused at stage enforce: "+fault)
	}
	if len(r.FalsePositives) == 0 {
		ws = append(ws, "says no false_positives")
	}
	if len(r.BlindSpots) == 0 {
		ws = append(ws, "says no blind_spots")
	}
	return ws
}
