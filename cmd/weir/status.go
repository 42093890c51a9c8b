package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weir/api"
	"weir/emit"
	"weir/ingest"
)

// operator is how a command gets at a weir: by the socket of one that runs, or
// by the files that one left.
type operator struct {
	env    *environment
	cfg    *config
	path   string // of the configuration
	dir    string // of the state
	client *api.Client
}

// usualConfigs are where a configuration is looked for that nobody named.
var usualConfigs = []string{"weir.yaml", "/etc/weir/weir.yaml"}

// configFlag lets a command be told its configuration.
func configFlag(cmd *cobra.Command, path *string) {
	cmd.Flags().StringVarP(path, "config", "c", "", "configuration (default: "+strings.Join(usualConfigs, ", else ")+")")
}

// noArgs refuses arguments, as a mistake in how the command was called.
func noArgs(cmd *cobra.Command, args []string) error { return argsAtMost(cmd, args, 0) }

func oneArgAtMost(cmd *cobra.Command, args []string) error { return argsAtMost(cmd, args, 1) }

func argsAtMost(cmd *cobra.Command, args []string, most int) error {
	if len(args) > most {
		return usagef("%q: %s takes %s (see %s --help)", args[most], cmd.CommandPath(), takenInstead(cmd, most), cmd.CommandPath())
	}
	return nil
}

// takenInstead says what a command takes instead of one argument more.
func takenInstead(cmd *cobra.Command, most int) string {
	switch {
	case most > 0:
		return "one argument at most"
	case cmd.Flags().Lookup("config") != nil:
		return "no argument; a configuration is named with -c"
	}
	return "no argument"
}

// anyConfig reads the configuration that was named, or else the usual one.
func anyConfig(named string) (cfg *config, path string, err error) {
	if path = named; path == "" {
		i := slices.IndexFunc(usualConfigs, func(p string) bool { _, err := os.Stat(p); return err == nil })
		if i < 0 {
			return nil, "", usagef("no configuration given, and there is no %s; name it with -c", strings.Join(usualConfigs, " or "))
		}
		path = usualConfigs[i]
	}
	cfg, err = loadConfig(path)
	return cfg, path, err
}

// operator reads the configuration, which says where the state is.
func (e *environment) operator(path string) (*operator, error) {
	cfg, path, err := anyConfig(path)
	if err != nil {
		return nil, err
	}
	if cfg.State.Dir == "" {
		return nil, usagef("%s: state: dir: missing; it is where a run keeps its socket and its ledger", path)
	}
	dir := cfg.path(cfg.State.Dir)
	return &operator{env: e, cfg: cfg, path: path, dir: dir, client: api.NewClient(filepath.Join(dir, socketFile))}, nil
}

// file returns the path of a file in the state's directory.
func (o *operator) file(name string) string { return filepath.Join(o.dir, name) }

// left reads the ledger that a run left in its files.
func (o *operator) left() (*emit.Ledger, error) {
	key, _, err := o.cfg.key()
	if err != nil {
		return nil, err
	}
	if missing(o.dir) {
		return nil, fmt.Errorf("state: dir: %s: no such directory; a run makes it: weir run -c %s (or is it another one's configuration, or a disk that is not mounted?)", o.dir, o.path)
	}
	facts, _ := readStoreFacts(o.dir) // damaged ones do not say whose they are
	if r := facts.ofOtherKey(key); r != nil {
		return nil, usagef("state: %s: %w", o.dir, r) // no line of the ledger would hold
	}
	l, err := emit.ReadLedger(o.dir, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: no run has begun in this directory, or its ledger was lost (weir state verify %s says which)", err, o.dir)
	}
	return l, err
}

func statusCommand(e *environment) *cobra.Command {
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [-c weir.yaml]",
		Short: "Say how weir stands: what it reads, what is in force, what the points hold",
		Long: "status asks the weir that runs with this configuration how it stands. If none runs it says\n" +
			"so, and what is still in force by the ledger's files.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return e.status(cmd.Context(), path, asJSON) },
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

func (e *environment) status(ctx context.Context, path string, asJSON bool) error {
	o, err := e.operator(path)
	if err != nil {
		return err
	}
	s, err := o.client.Status(ctx)
	running := true
	if errors.Is(err, api.ErrNotRunning) {
		var l *emit.Ledger
		if l, err = o.left(); err == nil {
			running = false
			s = &api.Status{Now: time.Now().UTC(), Force: api.ForceOf(l), Readiness: api.Readiness{Reasons: []string{api.ErrNotRunning.Error()}}}
		}
	}
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(e.out, s)
	}
	p := &page{w: e.out}
	if running {
		printStatus(p, s)
	} else {
		o.printLeft(p, s.Now)
		printForce(p, &s.Force, s.Now, false)
		p.wrapped("", 2, "Nothing new comes into force, and what is in force runs out. Start it with: weir run -c "+o.path)
	}
	return p.err
}

// printJSON writes a document for other programs.
func printJSON(w io.Writer, doc any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(doc)
}

// printStatus writes how a running weir stands on one screen.
func printStatus(p *page, s *api.Status) {
	p.line("weir %s runs since %s (%s)", shown(s.Version, 40), dayText(s.Started, s.Now), spanText(s.Now.Sub(s.Started).Round(time.Second)))
	if s.Readiness.Ready {
		p.line("  ready")
	} else {
		for _, r := range s.Readiness.Reasons {
			p.wrapped("NOT READY", 13, shown(r, 400))
		}
	}
	if s.Engine != nil {
		printEngine(p, s)
	}
	printForce(p, &s.Force, s.Now, true)
	printPoints(p, s.Points, s.Now)
}

func printEngine(p *page, s *api.Status) {
	e, now := s.Engine, s.Now
	p.heading("What it reads")
	for _, s := range e.Sources {
		p.wrapped(shown(s.Name, 20), 16, sourceText(&s, now))
	}
	rate := "none"
	if e.EventsPerSecond > 0 {
		rate = rateText(e.EventsPerSecond)
	}
	p.wrapped("events", 16, fmt.Sprintf("%s; %s over the last minute", count(e.Events), rate))
	for _, n := range []struct {
		n    int64
		what string
	}{
		{e.Refused, "had been refused by an enforcement point"},
		{e.Filtered, "passed by, as a source's only says"},
		{e.Late, "counted in a later second, having come late"},
		{e.Dropped, "dropped, having come too late to count"},
		{e.Future, "dropped for a time far ahead of the others"},
		{e.Clamped, "set back to when the broker got them"},
	} {
		if n.n > 0 {
			p.wrapped("", 16, fmt.Sprintf("%s %s", count(n.n), n.what))
		}
	}
	if text := rejectedText(e.Rejected); text != "" {
		p.wrapped("not read", 16, text)
	}
	for i, b := range e.Broken {
		if i == 3 {
			p.wrapped("", 16, fmt.Sprintf("and %s more", several(len(e.Broken)-i, "file")))
			break
		}
		p.wrapped("broken", 16, shown(b, 200))
	}
	printKeeping(p, s, now)
}

// leftText says how much of a source is still to be read: of a topic records, of
// files bytes.
func leftText(s *api.SourceStatus) string {
	left := bytesText(s.Lag)
	if s.Topic {
		left = plural(s.Lag, "record")
	}
	if s.Partitions == 1 {
		return left + " still to read"
	}
	return fmt.Sprintf("%s still to read in %s", left, several(s.Behind.Partitions, "partition"))
}

// sourceText sums a source up.
func sourceText(s *api.SourceStatus, now time.Time) string {
	parts := []string{several(s.Partitions, "partition")}
	switch {
	case s.Absent != "":
		parts[0] = "NO LOG: " + shown(s.Absent, 300) + "; it is read when it comes"
	case s.Idle == s.Partitions && s.Idle == 1:
		parts[0] = "idle: it has nothing to read"
	case s.Idle == s.Partitions:
		parts = append(parts, "all idle: there is nothing to read")
	case s.Idle > 0:
		parts = append(parts, fmt.Sprintf("%d idle", s.Idle))
	}
	if !s.Watermark.IsZero() {
		parts = append(parts, fmt.Sprintf("read up to %s, %s", dayText(s.Watermark, now), ago(s.Watermark, now)))
	} else if s.Idle < s.Partitions && s.Absent == "" {
		parts = append(parts, "no event yet")
	}
	switch {
	case s.Behind.Partitions > 0:
		parts = append(parts, leftText(s))
	case s.Unknown == 0 && s.Absent == "":
		parts = append(parts, "nothing left to read")
	}
	if s.Lost > 0 {
		parts = append(parts, fmt.Sprintf("LOST: %d cannot be asked whether there is more", s.Lost))
	}
	return strings.Join(parts, "; ")
}

// rejectedText names the commonest reasons for which lines could not be read.
func rejectedText(rejected map[string]int64) string {
	const named = 3
	reasons := slices.DeleteFunc(slices.Collect(maps.Keys(rejected)), func(r string) bool {
		return r == ingest.ErrDirective.Reason || rejected[r] == 0
	})
	slices.SortFunc(reasons, func(a, b string) int {
		return cmp.Or(cmp.Compare(rejected[b], rejected[a]), cmp.Compare(a, b))
	})
	total := int64(0)
	var parts []string
	for i, r := range reasons {
		total += rejected[r]
		if i < named {
			parts = append(parts, fmt.Sprintf("%s (%s)", count(rejected[r]), shown(r, 60)))
		}
	}
	if total == 0 {
		return ""
	}
	if len(reasons) > named {
		parts = append(parts, fmt.Sprintf("%d other reasons", len(reasons)-named))
	}
	return fmt.Sprintf("%s: %s", plural(total, "line"), strings.Join(parts, ", "))
}
