package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
	"weir/enrich"
	"weir/event"
)

// allowOptions are the flags of weir rules allow.
type allowOptions struct {
	config  string
	actions []string
	owner   string
	reason  string
	until   string
	dry     bool
}

// allowedFor is how long an exception lasts that does not say it.
const allowedFor = 90 * 24 * time.Hour

func rulesAllowCommand(e *environment) *cobra.Command {
	var o allowOptions
	cmd := &cobra.Command{
		Use:   "allow -c weir.yaml ID|PATTERN TARGET --reason TEXT",
		Short: "Make an exception: spare a target what rules ask for",
		Long: "allow adds an entry to allow: in the site file that the configuration names, and makes that\n" +
			"file where there is none yet. The rest of it, its comments too, stays as it is. What an entry\n" +
			"hides is counted (weir rules report). In a pattern * stands for anything: ato.*\n" +
			targetHelp,
		Example: "  weir rules allow -c weir.yaml ato.stuffing_source 198.51.100.2 --reason 'our load test'\n" +
			"  weir rules allow -c weir.yaml 'scraping.*' asn=64500 --actions block --until 2027-03-31 --reason 'price comparison, by contract' --dry-run",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("needs a rule and a target (weir rules allow -c weir.yaml ID 192.0.2.7 --reason TEXT); put fields with spaces between single quotes")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return e.rulesAllow(&o, args[0], args[1], time.Now())
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.config, "config", "c", "", "configuration, whose site file is changed")
	f.StringSliceVar(&o.actions, "actions", nil, "what it spares from: block, limit, challenge, deceive (all, unless said)")
	f.StringVar(&o.owner, "owner", "", "who answers for it (who calls, unless said)")
	f.StringVar(&o.reason, "reason", "", "why; whoever reads it later will ask (required)")
	f.StringVar(&o.until, "until", "", "the day on which it ends, at 00:00 UTC, such as 2027-03-31, or never (90 days from now, unless said)")
	f.BoolVar(&o.dry, "dry-run", false, "only show what would be added")
	return cmd
}

func (e *environment) rulesAllow(o *allowOptions, pattern, target string, now time.Time) error {
	if o.config == "" {
		return usagef("needs the configuration whose site file is to be changed (-c weir.yaml)")
	}
	s, _, err := e.rulesMeant(o.config, pattern)
	if err != nil {
		return err
	}
	entry, err := o.entry(pattern, target, now)
	if err != nil {
		return err
	}
	one, err := enrich.ParseSite("the exception", []byte("allow:\n  - "+entry+"\n"))
	if err != nil {
		return usagef("%w", err)
	}
	want := one.Allow[0]
	if s.cfg.Site == "" {
		return usagef("%s names no site file for exceptions to stand in; add this line to it, and call this again: site: site.yaml", o.config)
	}
	name := s.cfg.path(s.cfg.Site)
	src, err := readSite(name)
	if err != nil {
		return err
	}
	was, err := enrich.ParseSite(name, src)
	if err != nil {
		return usagef("%w", err)
	}
	if line, ok := covered(was.Allow, want); ok {
		fmt.Fprintf(e.out, "%s:%d says so already\n", name, line)
		return nil
	}
	out, err := addAllow(src, entry)
	if err == nil {
		_, err = enrich.ParseSite(name, out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w; add by hand, below allow:\n- %s", name, err, entry)
	}
	if o.dry {
		fmt.Fprintf(e.out, "%s: allow\n  - %s\n%s is not changed\n", name, entry, name)
		return nil
	}
	if now, err := readSite(name); err != nil || !bytes.Equal(now, src) {
		return fmt.Errorf("%s changed meanwhile; call this again", name)
	}
	if err := replaceFile(name, out); err != nil {
		return fmt.Errorf("site: %w", err)
	}
	fmt.Fprintf(e.out, "%s: allow\n  - %s\n%s is written; a replay takes it at once, a run when it is started again.\nUntil then: weir unblock %s --reason '…'\n", name, entry, name, quoted(api.FormatTarget(want.Match)))
	return nil
}

// readSite reads a site file; one that is not there yet says nothing.
func readSite(name string) ([]byte, error) {
	switch info, err := os.Stat(name); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, usagef("site: %w", err)
	case !info.Mode().IsRegular():
		return nil, usagef("site: %s is not a plain file", name)
	}
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, usagef("site: %w", err)
	}
	return src, nil
}

// entry returns the text of the exception, on one line.
func (o *allowOptions) entry(pattern, target string, now time.Time) (text string, err error) {
	t, err := api.ParseTarget(target)
	if err != nil {
		return "", usageError{err}
	}
	if noReason(o.reason) {
		return "", usagef("--reason: missing; whoever reads the exception later will ask")
	}
	var match []string
	for _, v := range t {
		match = append(match, v.Field+": "+inYAML(v.Text))
	}
	text = "{match: {" + strings.Join(match, ", ") + "}"
	if len(o.actions) > 0 {
		text += ", actions: [" + inYAML(o.actions...) + "]"
	}
	text += fmt.Sprintf(", rules: [%s], owner: %s, reason: %s", inYAML(pattern), inYAML(cmp.Or(strings.TrimSpace(o.owner), operatorName())), inYAML(o.reason))
	until := now.Add(allowedFor)
	switch o.until {
	case "":
	case "never":
		return text + "}", nil
	default:
		if until, err = time.Parse(time.DateOnly, o.until); err != nil || !until.After(now) {
			return "", usagef("--until %s, must be a day to come, such as %s, or never", o.until, now.Add(allowedFor).Format(time.DateOnly))
		}
	}
	return text + ", until: " + until.UTC().Format(time.DateOnly) + "}", nil
}

// inYAML writes texts as items of a list on one line. What is quoted for JSON means the
// same in YAML.
func inYAML(texts ...string) string {
	var b []byte
	for i, text := range texts {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = event.AppendJSONString(b, text)
	}
	return string(b)
}

// covered returns the line of the entry that spares the same target the same
// rules at least as much and as long.
func covered(all []enrich.Allow, a enrich.Allow) (line int, ok bool) {
	i := slices.IndexFunc(all, func(b enrich.Allow) bool {
		lasts := b.Until.IsZero() || !a.Until.IsZero() && !b.Until.Before(a.Until)
		spared := func(act event.Action) bool { return slices.Contains(b.Actions, act) }
		return lasts && slices.Equal(a.Match, b.Match) && slices.Contains(b.Rules, a.Rules[0]) &&
			!slices.ContainsFunc(a.Actions, func(act event.Action) bool { return !spared(act) })
	})
	if i < 0 {
		return 0, false
	}
	return all[i].Line, true
}

// exceptionOf writes the command that makes the exception which spares a
// decision's target its rule; empty where none can be made. The entry that it adds
// spares as little as will do.
func exceptionOf(d *event.Decision, config string) string {
	if d.Would == event.Alert { // nothing is done that anybody would have to be spared
		return ""
	}
	if slices.ContainsFunc(d.Target, func(v event.Value) bool { return strings.HasPrefix(v.Field, "x.") }) {
		return "" // a site file knows nothing of extras
	}
	return fmt.Sprintf("weir rules allow -c %s %s %s --actions %s --reason '…'", quoted(config), quoted(d.Rule), quoted(api.FormatTarget(d.Target)), d.Would)
}
