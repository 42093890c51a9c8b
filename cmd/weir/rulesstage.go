package main

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/event"
	"weir/rules"
)

func rulesStageCommand(e *environment) *cobra.Command {
	var config string
	var dry bool
	cmd := &cobra.Command{
		Use:   "stage -c weir.yaml ID|PATTERN shadow|alert|enforce",
		Short: "Promote or demote rules: say how far they may go",
		Long: "stage writes rules: set: in the configuration, where the last entry that fits a rule\n" +
			"counts, and shows what changes. The rest of the file, its comments too, stays as it is.\n" +
			"A rule never goes further than it asks for itself, nor than stage: in the configuration.\n" +
			"In a pattern * stands for anything: ato.*",
		Example: "  weir rules stage -c weir.yaml ato.stuffing_source enforce\n  weir rules stage -c weir.yaml 'scraping.*' shadow --dry-run",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("needs a rule and a stage (weir rules stage -c weir.yaml ID enforce)")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return e.rulesStage(config, args[0], args[1], dry) },
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration that is changed")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only show what would change")
	return cmd
}

func (e *environment) rulesStage(config, pattern, stage string, dry bool) error {
	if config == "" {
		return usagef("needs the configuration that is to be changed (-c weir.yaml)")
	}
	to, ok := event.StageByName(stage)
	if !ok {
		return usagef("stage %q, must be shadow, alert or enforce", stage)
	}
	s, meant, err := e.rulesMeant(config, pattern)
	if err != nil {
		return err
	}
	if to == event.Enforce {
		var faults []error
		for _, r := range meant {
			for _, f := range r.RefusedAtEnforce() {
				faults = append(faults, fmt.Errorf("%s: %s", r.File, f))
			}
		}
		if len(faults) > 0 {
			return e.found(faults)
		}
	}
	before, err := s.cfg.stages(s.rules)
	if err != nil {
		return err
	}
	src, err := os.ReadFile(config)
	if err != nil {
		return usagef("configuration: %w", err)
	}
	at := s.entryOf(pattern)
	out, err := setStage(src, s.cfg.Rules.Set, at, pattern, stage)
	if err != nil {
		return fmt.Errorf("%s: %w; add by hand, at the end of rules: set: {rule: %q, stage: %s}", config, err, pattern, stage)
	}
	e.showStages(s, meant, before, to)
	if dry {
		fmt.Fprintf(e.out, "%s is not changed\n", config)
		return nil
	}
	if string(out) == string(src) {
		fmt.Fprintf(e.out, "%s says so already\n", config)
		return nil
	}
	if err := replaceFile(config, out); err != nil {
		return fmt.Errorf("configuration: %w", err)
	}
	fmt.Fprintf(e.out, "%s is written; a run takes it at its next reload (SIGHUP)\n", config)
	return nil
}

// rulesMeant returns the configuration's rules and those of them that a pattern fits. It
// refuses a set that the checker refuses, and a pattern that fits none.
func (e *environment) rulesMeant(config, pattern string) (s *chosenRules, meant []*rules.Rule, err error) {
	if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
		return nil, nil, usagef("rule %q, must be an id such as ato.stuffing_source or a pattern such as ato.*", pattern)
	}
	if s, err = chooseRules(config, nil); err != nil {
		return nil, nil, err
	}
	if faults := s.load(); len(faults) > 0 {
		return nil, nil, e.found(faults)
	}
	if meant = s.matching(pattern); len(meant) == 0 {
		var ids []string
		for _, r := range s.rules {
			ids = append(ids, r.ID)
		}
		return nil, nil, usagef("there is no rule %s%s", pattern, rules.DidYouMean(pattern, ids))
	}
	return s, meant, nil
}

// matching returns the rules that a pattern fits.
func (s *chosenRules) matching(pattern string) (rs []*rules.Rule) {
	for _, r := range s.rules {
		if ok, err := path.Match(pattern, r.ID); ok && err == nil {
			rs = append(rs, r)
		}
	}
	return rs
}

// entryOf returns the entry of set that has the pattern and the last word about
// the rules that it fits; -1 where there is none.
func (s *chosenRules) entryOf(pattern string) int {
	set := s.cfg.Rules.Set
	for i, entry := range slices.Backward(set) {
		if entry.Rule == pattern {
			return i
		}
		for _, r := range s.matching(pattern) {
			if ok, err := path.Match(entry.Rule, r.ID); ok && err == nil {
				return -1
			}
		}
	}
	return -1
}

// showStages says how far each rule went and goes now.
func (e *environment) showStages(s *chosenRules, meant []*rules.Rule, before map[string]event.Stage, to event.Stage) {
	ceiling, stated := event.StageByName(s.cfg.Stage)
	if !stated {
		ceiling = event.Enforce // of a replay; what a run makes of it is said below
	}
	for _, r := range meant {
		was, ok := before[r.ID]
		if !ok {
			was = event.Enforce
		}
		had, has := min(r.Stage, was, ceiling), min(r.Stage, to, ceiling)
		var why []string
		if r.Stage < to {
			why = append(why, "it asks for "+r.Stage.String()+" at most (stage: in "+r.File+")")
		}
		if ceiling < to {
			why = append(why, "stage: in the configuration is "+ceiling.String())
		}
		line := fmt.Sprintf("%s: %s -> %s", r.ID, had, has)
		if had == has {
			line = fmt.Sprintf("%s: stays at %s", r.ID, has)
		}
		if len(why) > 0 {
			line += ": " + strings.Join(why, ", and ")
		}
		fmt.Fprintln(e.out, line)
	}
	if !stated {
		fmt.Fprintln(e.out, "The configuration has no stage:, so a replay goes as far as its rules may, and a run decides in shadow only.")
	}
}
