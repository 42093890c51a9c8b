package score

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"weir/enrich"
	"weir/event"
	"weir/ingest"
	"weir/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// began is when the logs of these tests begin: a whole hour.
var began = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// rig is a small log with labels and decisions.
type rig struct {
	t      *testing.T
	lines  []ingest.MemoryRecord
	labels bytes.Buffer
	ledger bytes.Buffer
	truth  simulate.Truth
	how    Reading
	log    Log
	plain  bool // labels are not compressed again
}

func newRig(t *testing.T, labels ...string) *rig {
	t.Helper()
	r := &rig{t: t, how: Reading{Delay: 5 * time.Second, Key: event.FixedKey()}}
	r.truth = simulate.Truth{Version: simulate.TruthVersion, Scenario: "tiny", Seed: 7, Scale: 1, From: began, Until: began, Log: "access.log"}
	for _, name := range labels {
		l := simulate.Label{Name: name, Title: "about " + name}
		if rest, attack := strings.CutPrefix(name, "attack/"); attack {
			l.Attack = true
			l.Campaign, l.Phase, _ = strings.Cut(rest, "/")
		}
		r.truth.Labels = append(r.truth.Labels, l)
	}
	return r
}

// request is one line of a log.
type request struct {
	ip, path, user, print string
	status                int
}

// send adds a line, so long after the log began.
func (r *rig) send(label string, after time.Duration, q request) {
	if q.path == "" {
		q.path = "/login"
	}
	if q.status == 0 {
		q.status = 200
	}
	at := began.Add(after)
	r.raw(label, fmt.Sprintf(`{"time":%q,"ip":%q,"method":"POST","request_uri":%q,"status":%d,"user":%q,"ja4":%q}`,
		at.Format(time.RFC3339Nano), q.ip, q.path, q.status, q.user, q.print))
	if at.After(r.truth.Until) {
		r.truth.Until = at
	}
}

func (r *rig) raw(label, line string) {
	r.lines = append(r.lines, ingest.MemoryRecord{Line: []byte(line), Offset: int64(len(r.lines))})
	r.labels.WriteString(label + "\n")
	r.truth.Lines++
}

// decision returns one that enforces an action on a target from so long after
// the log began.
func decision(after, length time.Duration, action event.Action, target ...string) event.Decision {
	d := event.Decision{
		Step: event.New, Time: began.Add(after), Until: began.Add(after + length), Mode: event.Enforce, Would: action,
		Rule: "test.rule", Version: 1, Severity: event.High, Key: event.Target{},
	}
	for i := 0; i < len(target); i += 2 {
		d.Target = append(d.Target, event.Value{Field: target[i], Text: target[i+1]})
	}
	if action == event.Limit {
		d.To = "2/1m"
	}
	d.ID = event.DecisionID(d.Step, d.Rule, 1, action, d.Target, "", d.Time)
	return d
}

func (r *rig) decide(ds ...event.Decision) {
	for i := range ds {
		r.ledger.Write(append(ds[i].AppendJSON(nil), '\n'))
	}
}

// happens adds a ledger's line about a decision.
func (r *rig) happens(word string, at time.Duration, d event.Decision, action string) {
	b := d.AppendOpen(nil, event.Words{Event: word, Mode: "enforce", Action: action}, word != "end" && word != "withdrawn")
	b = append(b, fmt.Sprintf(`,"at":%q,"chain":"00"}`, began.Add(at).Format(time.RFC3339))...)
	r.ledger.Write(append(b, '\n'))
}

func (r *rig) score() (*Result, error) {
	r.t.Helper()
	decode, err := ingest.New(ingest.Config{Format: "json", Key: r.how.Key, Fields: map[string]string{
		"time": "time", "ip": "ip", "method": "method", "uri": "request_uri", "status": "status", "credential": "user", "ja4": "ja4", "refused": "refused", "agent": "agent",
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	tables, err := enrich.New(enrich.Config{Key: r.how.Key})
	if err != nil {
		r.t.Fatal(err)
	}
	log := r.log
	log.Truth, log.Decode, log.Tables = &r.truth, decode, tables
	if log.Source == nil {
		log.Source = ingest.NewMemory("tiny", [][]ingest.MemoryRecord{r.lines})
	}
	log.Labels = bytes.NewReader(packed(r.t, r.labels.Bytes()))
	if r.plain {
		log.Labels = bytes.NewReader(r.labels.Bytes())
	}
	if log.Lateness == 0 {
		log.Lateness, log.Disorder = time.Hour, 2*time.Second
	}
	l := NewLedger(r.how)
	if err := l.Read("decisions.jsonl", bytes.NewReader(r.ledger.Bytes())); err != nil {
		return nil, err
	}
	return Run(context.Background(), log, l)
}

func (r *rig) must() *Result {
	r.t.Helper()
	out, err := r.score()
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func packed(t *testing.T, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// eq compares figures under their names.
func eq[T comparable](t *testing.T, what string, is, must T) {
	t.Helper()
	if is != must {
		t.Errorf("%s: %v, must be %v", what, is, must)
	}
}

func part(t *testing.T, r *Result, label string) *Part {
	t.Helper()
	for i := range r.Campaigns {
		c := &r.Campaigns[i]
		if c.Label == label {
			return &c.Part
		}
		for j := range c.Phases {
			if c.Phases[j].Label == label {
				return &c.Phases[j]
			}
		}
	}
	t.Fatalf("no attack %s", label)
	return nil
}

func people(t *testing.T, r *Result, label string) *Population {
	t.Helper()
	for i := range r.Populations {
		if r.Populations[i].Label == label {
			return &r.Populations[i]
		}
	}
	t.Fatalf("no population %s", label)
	return nil
}

// goalBuilder adds goals for labels.
type goalBuilder struct {
	r      *rig
	labels string
}

func (g *goalBuilder) add(blocked, stopped *float64, first time.Duration) {
	g.r.truth.Goals = append(g.r.truth.Goals, simulate.Goal{Labels: g.labels, Blocked: blocked, Stopped: stopped, FirstStop: first})
}

func (g *goalBuilder) most(blocked, milder, accounts *float64) {
	g.r.truth.Goals = append(g.r.truth.Goals, simulate.Goal{Labels: g.labels, MostBlocked: blocked, MostMilder: milder, MostAccounts: accounts})
}

func simulateGoal(labels string, stopped *float64) simulate.Goal {
	return simulate.Goal{Labels: labels, Stopped: stopped}
}

// enrichedCredential is the pseudonym of a name.
func enrichedCredential(name string) string { return enrich.Credential(event.FixedKey(), name) }
