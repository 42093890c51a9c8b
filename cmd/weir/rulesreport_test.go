package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
)

// decidedWorld writes what a run would have: decisions, and the ledger of them
// behind an allow entry.
func decidedWorld(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	make := func(rule, ip string, would event.Action, mode event.Stage, good, tried float64) event.Decision {
		at = at.Add(time.Minute)
		d := event.Decision{
			Step: event.New, Time: at, Until: at.Add(time.Hour), Mode: mode, Would: would, Rule: rule, Version: 1, Severity: event.High,
			Target: event.Target{{Field: "ip", Text: ip}}, Evidence: []event.Measure{{Name: "tries", Value: 20}},
			Good: good, Tried: tried, Regulars: good, Clean: good == 0,
		}
		d.Key = d.Target
		d.ID = event.DecisionID(d.Step, d.Rule, 1, d.Would, d.Target, "", d.Time)
		return d
	}
	ds := []event.Decision{
		make("ato.a", "198.51.100.1", event.Block, event.Enforce, 0, 30),
		make("ato.a", "198.51.100.2", event.Block, event.Enforce, 8, 20),
		make("ato.a", "198.51.100.3", event.Block, event.Enforce, 1, 40),
		make("ato.a", "198.51.100.10", event.Block, event.Enforce, 0, 40),
		make("ato.b", "198.51.100.1", event.Challenge, event.Shadow, 0, 30),
		make("site.c", "198.51.100.1", event.Alert, event.AlertOnly, 3, 30),
	}
	var lines []byte
	for i := range ds {
		lines = append(ds[i].AppendJSON(lines), '\n')
	}
	lines = append(lines, "{not a line\n"...)
	if err := os.WriteFile(filepath.Join(dir, decisionsFile), lines, 0o644); err != nil {
		t.Fatal(err)
	}
	guards := &emit.Guards{Allow: []emit.Allow{{
		Match: event.Target{{Field: "ip", Text: "198.51.100.10"}}, Actions: []event.Action{event.Block}, Rules: []string{"*"}, Owner: "ops", Reason: "monitor",
	}}}
	l, err := emit.OpenLedger(emit.LedgerConfig{Path: filepath.Join(dir, ledgerFile), Guards: guards})
	if err == nil {
		err = errors.Join(l.Add(ds), l.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAReportSaysWhomRulesWouldHaveHurt(t *testing.T) {
	dir := decidedWorld(t)
	out, err := weir("rules", "report", "--from", dir)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "rules/report.golden", out)

	out, err = weir("rules", "report", "--from", dir, "--json", "ato.a")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Rules      []ruleReport
		Unreadable int
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Rules) != 1 || got.Unreadable != 1 {
		t.Fatalf("%d rules, %d lines unreadable, want one of each", len(got.Rules), got.Unreadable)
	}
	r := got.Rules[0]
	if want := (hurtReport{Targets: 4, Good: 2, Shared: 1, Unclean: 2, Most: 8, Tried: 20}); r.Hurt != want {
		t.Errorf("hurt %+v, want %+v", r.Hurt, want)
	}
	if r.Guarded["held: allowed"] != 1 || len(r.Hidden) != 1 || len(r.Worst) != 2 || r.Worst[0].Target != "ip=198.51.100.2" {
		t.Errorf("guarded %v, hidden %v, worst %v", r.Guarded, r.Hidden, r.Worst)
	}

	// Without the decisions the ledger says as much.
	if err := os.Remove(filepath.Join(dir, decisionsFile)); err != nil {
		t.Fatal(err)
	}
	alone, err := weir("rules", "report", "--from", dir, "--json", "ato.a")
	if err != nil {
		t.Fatal(err)
	}
	got.Rules = nil
	if err := json.Unmarshal([]byte(alone), &got); err != nil || len(got.Rules) != 1 || got.Rules[0].Hurt.Targets != 4 || got.Rules[0].Hidden == nil {
		t.Errorf("by the ledger alone: %v\n%s", err, alone)
	}
	if _, err := weir("rules", "report", "--from", t.TempDir()); !errors.Is(err, errUsage) {
		t.Errorf("of an empty directory: %v", err)
	}
}

func TestAReportTellsALimitedNumberOfThingsApart(t *testing.T) {
	r := reporter{pattern: "*", rules: map[string]*ruleReport{}}
	for i := range maxReported + 5 {
		r.of(fmt.Sprintf("r%d", i))
	}
	if len(r.rules) != maxReported || r.others != 5 {
		t.Errorf("%d rules and %d lines of others, want %d and 5", len(r.rules), r.others, maxReported)
	}
	m := map[string]int64{}
	for i := range 2 * maxTexts {
		bump(m, fmt.Sprint(i))
	}
	if len(m) != maxTexts+1 || m["others"] != maxTexts {
		t.Errorf("%d texts, %d others", len(m), m["others"])
	}
}
