package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"weir/emit"
	"weir/event"
)

func rulesReportCommand(e *environment) *cobra.Command {
	var config, from string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report [-c weir.yaml | --from DIR] [ID|PATTERN]",
		Short: "Say what rules did or would have done, and whom they would have hurt",
		Long: "report reads decisions.jsonl and the ledger of a replay (--from its --out directory) or of\n" +
			"a run (its state's directory, from the configuration) and says for each rule how much it\n" +
			"decided, what came of that, whom it would have hurt, what allow entries hid, and the command\n" +
			"that makes an exception of the worst of it.",
		Example: "  weir rules report -c weir.yaml\n  weir rules report --from found/ 'ato.*'",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("one rule or pattern at most (weir rules report --from DIR 'ato.*')")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			return e.rulesReport(config, from, append(args, "*")[0], asJSON)
		},
	}
	cmd.Flags().StringVarP(&config, "config", "c", "", "configuration, which says where the state is")
	cmd.Flags().StringVar(&from, "from", "", "directory with decisions.jsonl or ledger.jsonl")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return cmd
}

// ruleReport is what a rule did, or would have done.
type ruleReport struct {
	Rule      string           `json:"rule"`
	Decisions map[string]int64 `json:"decisions"` // new, renew and end
	Modes     map[string]int64 `json:"modes"`     // of the new ones
	Actions   map[string]int64 `json:"actions"`   // that the new ones ask for, by target: block ip
	Hurt      hurtReport       `json:"hurt"`
	Guarded   map[string]int64 `json:"guarded,omitempty"` // what came of them in the ledger: in force, or what held them
	Hidden    map[string]int64 `json:"hidden,omitempty"`  // by allow entries, each by what it says
	Worst     []reportedTarget `json:"worst,omitempty"`   // those with the most good accounts behind them
	First     []reportedTarget `json:"first,omitempty"`
	Exception string           `json:"exception,omitempty"` // the command that makes it
	Tripped   bool             `json:"tripped,omitempty"`   // the breaker holds it
}

// hurtReport says who stands behind the targets of new decisions that ask for
// more than an alert.
type hurtReport struct {
	Targets int64   `json:"targets"` // of which there are
	Good    int64   `json:"good"`    // with an account behind them that succeeded in seven days
	Shared  int64   `json:"shared"`  // with so many that a guard makes them milder
	Unclean int64   `json:"unclean"` // that were not clean
	Most    float64 `json:"most"`    // good accounts behind one
	Tried   float64 `json:"tried"`   // that tried, behind that one
	Excepts int64   `json:"excepts"` // that spare whoever is known
}

// reportedTarget is one decision as an example.
type reportedTarget struct {
	Time     string             `json:"time"`
	Action   string             `json:"action"`
	Target   string             `json:"target"`
	Good     float64            `json:"good"`
	Tried    float64            `json:"tried"`
	Clean    bool               `json:"clean"`
	Evidence map[string]float64 `json:"evidence"`
	decision event.Decision
}

const (
	shownExamples = 3
	// maxReported is how many rules, and texts of each, are told apart.
	maxReported = 10_000
	maxTexts    = 100
	// maxLedgerLine is the longest line that is read.
	maxLedgerLine = 1 << 20
)

func (e *environment) rulesReport(config, from, pattern string, asJSON bool) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return usagef("rule %q, must be an id or a pattern such as ato.*", pattern)
	}
	if from == "" {
		c, err := loadConfig(config)
		if err != nil {
			return err
		}
		if config == "" || c.State.Dir == "" {
			return usagef("needs --from DIR, or -c with a configuration that has state: dir:")
		}
		from = c.path(c.State.Dir)
	}
	r := reporter{pattern: pattern, config: cmp.Or(config, "weir.yaml"), rules: map[string]*ruleReport{}}
	if err := r.readDir(from); err != nil {
		return err
	}
	all := r.sorted()
	if asJSON {
		b, err := json.MarshalIndent(map[string]any{"rules": all, "unreadable": r.unreadable, "other_rules": r.others}, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(e.out, "%s\n", b)
		return err
	}
	p := &page{w: e.out}
	r.print(p, all)
	return p.err
}

// reporter adds up lines.
type reporter struct {
	pattern    string
	config     string // that the exception is made for
	rules      map[string]*ruleReport
	unreadable int64
	others     int64 // lines of rules for which there was no room
}

// readDir reads all that a directory keeps of decisions.
func (r *reporter) readDir(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return usagef("%w", err)
	}
	decided := false
	var ledgers []string
	for _, f := range files {
		switch name := f.Name(); {
		case name == decisionsFile:
			if err := r.readFile(filepath.Join(dir, name), r.decided); err != nil {
				return err
			}
			decided = true
		case isLedger(name):
			ledgers = append(ledgers, name)
		}
	}
	if !decided && len(ledgers) == 0 {
		return usagef("%s: neither %s nor %s is there (weir replay --out DIR makes them)", dir, decisionsFile, ledgerFile)
	}
	// Files put aside have a number in their names; the one in use is the last.
	slices.SortFunc(ledgers, func(a, b string) int {
		return cmp.Or(cmp.Compare(btoi(a == ledgerFile), btoi(b == ledgerFile)), cmp.Compare(a, b))
	})
	for _, name := range ledgers {
		if err := r.readFile(filepath.Join(dir, name), func(line []byte) { r.guarded(line, !decided) }); err != nil {
			return err
		}
	}
	return nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (r *reporter) readFile(name string, line func([]byte)) (err error) {
	f, err := os.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a run put it aside just now
		}
		return usagef("%w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 64<<10), maxLedgerLine)
	for lines.Scan() {
		line(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// of returns the report of a rule, nil where nobody asked for it.
func (r *reporter) of(rule string) *ruleReport {
	if ok, err := path.Match(r.pattern, rule); !ok || err != nil {
		return nil
	}
	rr := r.rules[rule]
	if rr == nil {
		if len(r.rules) >= maxReported {
			r.others++
			return nil
		}
		rr = &ruleReport{Rule: rule, Decisions: map[string]int64{}, Modes: map[string]int64{}, Actions: map[string]int64{}, Guarded: map[string]int64{}, Hidden: map[string]int64{}}
		r.rules[rule] = rr
	}
	return rr
}

// decided takes a line of what the engine decided.
func (r *reporter) decided(line []byte) {
	d, err := event.ReadDecision(line)
	if err != nil {
		r.unreadable++
		return
	}
	if rr := r.of(d.Rule); rr != nil {
		rr.decide(&d)
	}
}

// decide counts a decision.
func (rr *ruleReport) decide(d *event.Decision) {
	rr.Decisions[d.Step.String()]++
	if d.Step != event.New {
		return
	}
	rr.Modes[d.Mode.String()]++
	var fields []string
	for _, v := range d.Target {
		fields = append(fields, v.Field)
	}
	bump(rr.Actions, d.Would.String()+" "+strings.Join(fields, ", "))
	x := newReported(d)
	if len(rr.First) < shownExamples {
		rr.First = append(rr.First, x)
	}
	if d.Would == event.Alert {
		return
	}
	h := &rr.Hurt
	h.Targets++
	h.Good += int64(btoi(d.Good > 0))
	h.Shared += int64(btoi(sharedTarget(d)))
	h.Unclean += int64(btoi(!d.Clean))
	h.Excepts += int64(btoi(d.Except != ""))
	if d.Good > h.Most {
		h.Most, h.Tried = d.Good, d.Tried
	}
	if d.Good == 0 {
		return
	}
	at, _ := slices.BinarySearchFunc(rr.Worst, x, func(a, b reportedTarget) int { return cmp.Compare(b.Good, a.Good) })
	if rr.Worst = slices.Insert(rr.Worst, at, x); len(rr.Worst) > shownExamples {
		rr.Worst = rr.Worst[:shownExamples]
	}
}

// sharedTarget reports whether a guard would make a decision milder: see
// docs/adr/0006.
func sharedTarget(d *event.Decision) bool { return d.Good >= 5 && d.Good >= 0.2*d.Tried }

func newReported(d *event.Decision) reportedTarget {
	x := reportedTarget{
		Time: d.Time.UTC().Format("2006-01-02 15:04:05"), Action: wouldText(d), Target: targetText(d.Target),
		Good: d.Good, Tried: d.Tried, Clean: d.Clean, Evidence: map[string]float64{}, decision: *d,
	}
	for _, m := range d.Evidence {
		if m.Value == m.Value { // JSON has no word for what is undefined
			x.Evidence[m.Name] = m.Value
		}
	}
	return x
}

// bump counts a text, or that it is one of further ones.
func bump(m map[string]int64, text string) {
	if _, ok := m[text]; !ok && len(m) >= maxTexts {
		text = "others"
	}
	m[text]++
}

// guarded takes a line of the ledger. Where there are no decisions beside it,
// its own are counted.
func (r *reporter) guarded(line []byte, alone bool) {
	d, words, rest, err := event.ReadDecisionOpen(line)
	if err != nil {
		var other struct{ Event, Rule string }
		if json.Unmarshal(line, &other) != nil || other.Event == "" {
			r.unreadable++
		} else if other.Rule != "" && (other.Event == emit.LineTripped || other.Event == emit.LineApproved) {
			if rr := r.of(other.Rule); rr != nil {
				rr.Tripped = other.Event == emit.LineTripped
			}
		}
		return
	}
	var more struct {
		Again         int
		Guard, Reason string
	}
	if len(rest) == 0 || json.Unmarshal(append([]byte{'{'}, rest[1:]...), &more) != nil {
		r.unreadable++
		return
	}
	rr := r.of(d.Rule)
	if rr == nil || more.Again != 0 {
		return
	}
	switch words.Event {
	case emit.LineNew:
		bump(rr.Guarded, cmp.Or(map[string]string{"enforce": "in force"}[words.Mode], words.Mode))
	case emit.LineHeld:
		bump(rr.Guarded, "held: "+more.Guard)
		if more.Guard == string(emit.GuardAllowed) {
			bump(rr.Hidden, more.Reason)
		}
	case emit.LineQueued, emit.LineMilder, emit.LineWithdrawn:
		bump(rr.Guarded, words.Event)
	}
	if alone && (words.Event == emit.LineNew || words.Event == emit.LineHeld || words.Event == emit.LineQueued) {
		d.Step = event.New
		rr.decide(&d)
	}
}
