package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/pipeline"
	"weir/rules"
)

// report is summary.json.
type report struct {
	Events          int64                            `json:"events"`
	Rejected        map[string]int64                 `json:"rejected"`
	Late            int64                            `json:"late"`
	Dropped         int64                            `json:"dropped"`
	Future          int64                            `json:"future"`
	Clamped         int64                            `json:"clamped"`
	Filtered        int64                            `json:"filtered"`
	Refused         int64                            `json:"refused"`
	Allowed         map[string]uint64                `json:"allowed,omitempty"`  // decisions that allow entries of the site file hid, by the entry
	Enforced        *pipeline.Enforced               `json:"enforced,omitempty"` // of a replay that applies what it decides
	Seconds         float64                          `json:"seconds"`
	EventsPerSecond float64                          `json:"events_per_second"`
	PeakRSS         int64                            `json:"peak_rss_bytes"`
	AllocsPerEvent  float64                          `json:"allocs_per_event"` // of the whole process
	Keys            int64                            `json:"keys"`
	StateBytes      int64                            `json:"state_bytes"`
	Shapes          []rules.Shape                    `json:"shapes"`
	Degraded        bool                             `json:"degraded"`
	Broken          []string                         `json:"broken"` // files that could not be read to their end
	Shed            rules.Shed                       `json:"shed"`
	Decisions       map[string]*pipeline.RuleSummary `json:"decisions"`
}

func newReport(s pipeline.Summary, took time.Duration) *report {
	r := &report{
		Events: s.Events, Rejected: s.Rejected, Late: s.Late, Dropped: s.Dropped, Future: s.Future, Clamped: s.Clamped,
		Filtered: s.Filtered, Refused: s.Refused, Seconds: took.Seconds(),
		Shapes: s.Shapes, Keys: s.Keys, StateBytes: s.Bytes, Shed: s.Shed, Decisions: s.Decisions, PeakRSS: peakRSS(),
		Degraded: s.Shed != rules.Shed{},
	}
	for _, err := range s.Broken {
		r.Broken = append(r.Broken, err.Error())
	}
	if took > 0 {
		r.EventsPerSecond = float64(s.Events) / took.Seconds()
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	r.AllocsPerEvent = float64(mem.Mallocs) / float64(max(1, s.Events))
	return r
}

// peakRSS returns the most memory that the process ever held, in bytes.
func peakRSS() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss * 1024
}

func writeSummary(path string, r *report) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	return nil
}

// findings keeps the decisions of a replay that a person is shown.
type findings struct {
	rules map[string]*ruleFindings
}

type ruleFindings struct {
	severity event.Severity
	first    []event.Decision // the first few new ones
	targets  int64
}

const shownTargets = 5

func newFindings() *findings { return &findings{rules: map[string]*ruleFindings{}} }

func (f *findings) add(ds []event.Decision) {
	for i := range ds {
		d := &ds[i]
		if d.Step != event.New {
			continue
		}
		r := f.rules[d.Rule]
		if r == nil {
			r = &ruleFindings{severity: d.Severity}
			f.rules[d.Rule] = r
		}
		r.targets++
		if len(r.first) < shownTargets {
			r.first = append(r.first, *d)
		}
	}
}

// print prints the report for a person.
func (r *report) print(out io.Writer, f *findings, p *prepared) error {
	w := bufio.NewWriter(out)
	r.write(w, f, p)
	return w.Flush()
}

func (r *report) write(w io.Writer, f *findings, p *prepared) {
	fmt.Fprintf(w, "read %s as %s in %.1f s (%s a second, %s of memory at most)\n",
		plural(r.Events, "event"), p.format, r.Seconds, count(int64(r.EventsPerSecond)), bytesText(r.PeakRSS))
	var notes []string
	rejected := int64(0)
	for _, reason := range slices.Sorted(maps.Keys(r.Rejected)) {
		if n := r.Rejected[reason]; reason != ingest.ErrDirective.Reason {
			rejected += n
			notes = append(notes, fmt.Sprintf("%s (%s)", count(n), reason))
		}
	}
	if rejected > 0 {
		fmt.Fprintf(w, "could not read %s: %s\n", plural(rejected, "line"), strings.Join(notes, ", "))
	}
	for _, n := range []struct {
		n    int64
		what string
	}{
		{r.Late, "counted in a later second, having come late"},
		{r.Dropped, "dropped, having come too late to count"},
		{r.Future, "dropped for a time far ahead of the others"},
		{r.Filtered, "passed by, as the source's only says"},
		{r.Refused, "that an enforcement point had refused"},
	} {
		if n.n > 0 {
			fmt.Fprintf(w, "%s %s\n", plural(n.n, "event"), n.what)
		}
	}
	for _, entry := range slices.Sorted(maps.Keys(r.Allowed)) {
		fmt.Fprintf(w, "%s hidden by allow: %s\n", plural(int64(r.Allowed[entry]), "decision"), entry)
	}
	if r.Enforced != nil {
		fmt.Fprintf(w, "as if enforced: %s\n", enforcedText(r.Enforced))
	}
	if r.Degraded {
		fmt.Fprintf(w, "DEGRADED: the state was full (state: disk: in weir.yaml; for facts memory:): %s keys forgotten, %s new ones turned away, %s contributions and %s values refused,\n"+
			"  %s decisions not made, %s histories forgotten, %s on-states not shown, %s facts not published\n", count(r.Shed.Keys), count(r.Shed.TurnedAway), count(r.Shed.Contributions),
			count(r.Shed.Values), count(r.Shed.Decisions), count(r.Shed.Histories), count(r.Shed.OnStates), count(r.Shed.Facts))
	}
	if len(f.rules) == 0 {
		if r.Events > 0 {
			fmt.Fprintln(w, "\nnothing found")
		}
		return
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, id := range f.order() {
		rf := f.rules[id]
		fmt.Fprintf(t, "%s\t%s\t%s\n", id, rf.severity, title(p, id))
		for _, d := range rf.first {
			fmt.Fprintf(t, "  %s\t%s\t%s  %s\n", d.Time.UTC().Format("2006-01-02 15:04:05"), wouldText(&d), targetText(d.Target), evidenceText(&d))
		}
		if more := rf.targets - int64(len(rf.first)); more > 0 {
			fmt.Fprintf(t, "  and %s more\t\t\n", count(more))
		}
	}
	t.Flush()
}

// order returns the rules that found something, the worst first.
func (f *findings) order() []string {
	ids := slices.Collect(maps.Keys(f.rules))
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(cmp.Compare(f.rules[b].severity, f.rules[a].severity), cmp.Compare(a, b))
	})
	return ids
}

func title(p *prepared, id string) string {
	for _, r := range p.rules {
		if r.ID == id {
			return r.Title
		}
	}
	return ""
}

// wouldText says what a decision asks for, and how far it may go.
func wouldText(d *event.Decision) string {
	s := d.Would.String()
	if d.To != "" {
		s += " to " + d.To
	}
	if d.Mode != event.Enforce {
		s += " (" + d.Mode.String() + ")"
	}
	return s
}

// targetText writes a target for a terminal: nothing in it can move a cursor.
func targetText(t event.Target) string {
	var b []byte
	for i, v := range t {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, v.Field...)
		b = append(b, '=')
		quoted := event.AppendJSONString(nil, v.Text)
		if !strings.ContainsAny(v.Text, " ") && len(quoted) == len(v.Text)+2 {
			quoted = quoted[1 : len(quoted)-1]
		}
		b = append(b, quoted...)
	}
	return string(b)
}

func evidenceText(d *event.Decision) string {
	var b strings.Builder
	if d.Except != "" {
		fmt.Fprintf(&b, "except %s ", d.Except)
	}
	for _, m := range d.Evidence {
		if m.Value != m.Value {
			fmt.Fprintf(&b, "%s=none ", m.Name)
			continue
		}
		fmt.Fprintf(&b, "%s=%.4g ", m.Name, m.Value)
	}
	return strings.TrimRight(b.String(), " ")
}

// count writes a number with thousands separated.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func bytesText(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
}
