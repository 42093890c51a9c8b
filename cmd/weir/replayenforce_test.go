package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// attackLog writes two hours in which one address tries accounts and another,
// which the site file allows, does too.
func attackLog(t *testing.T) (conf, log string) {
	t.Helper()
	dir := t.TempDir()
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	var b strings.Builder
	for s := range 7200 {
		line := func(ip, method, path string, status int, user string) {
			fmt.Fprintf(&b, "%s - %s [%s] \"%s %s HTTP/1.1\" %d 12 \"-\" \"Mozilla/5.0\"\n", ip, user, at.Add(time.Duration(s)*time.Second).Format("02/Jan/2006:15:04:05 -0700"), method, path, status)
		}
		if s%5 == 0 {
			line(fmt.Sprintf("192.0.2.%d", s/5%200+1), "GET", "/products/7", 200, "-")
		}
		if s > 600 && s%3 == 0 {
			line("198.51.100.77", "POST", "/login", 401, fmt.Sprintf("u%d", s%300))
		}
		if s > 600 && s%6 == 0 {
			line("198.51.100.10", "POST", "/login", 401, fmt.Sprintf("u%d", s%300))
		}
	}
	for name, text := range map[string]string{
		"access.log": b.String(),
		"weir.yaml":  "stage: enforce\nsources: [{name: edge, file: {path: access.log}, format: combined}]\nsite: site.yaml\n",
		"site.yaml": "endpoints:\n  - {pattern: \"POST /login\", kind: login, failure: \"status == 401\"}\nallow:\n" +
			"  - {match: {ip: 198.51.100.10}, actions: [block, challenge], rules: [\"*\"], owner: ops, reason: monitor, until: 2027-01-01}\n" +
			"  - {match: {ip: 198.51.100.11}, actions: [block], rules: [\"*\"], owner: ops, reason: old monitor, until: 2020-01-01}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "weir.yaml"), filepath.Join(dir, "access.log")
}

func TestAReplayAppliesWhatItDecidesBehindTheGuards(t *testing.T) {
	conf, log := attackLog(t)
	var first []byte
	for _, workers := range []string{"1", "4"} {
		out := t.TempDir()
		printed, err := weir("replay", "-c", conf, "--enforce", "--workers", workers, "--out", out, log)
		if err != nil {
			t.Fatal(err)
		}
		decisions, err := os.ReadFile(filepath.Join(out, "decisions.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = decisions
		}
		if !bytes.Equal(first, decisions) {
			t.Errorf("%s workers decide something else", workers)
		}
		b, err := os.ReadFile(filepath.Join(out, "summary.json"))
		if err != nil {
			t.Fatal(err)
		}
		var sum struct {
			Refused  int64
			Enforced struct{ Refused map[string]map[string]int64 }
			Allowed  map[string]int64
		}
		if err := json.Unmarshal(b, &sum); err != nil {
			t.Fatal(err)
		}
		refused := int64(0)
		for _, of := range sum.Enforced.Refused {
			refused += of["block"] + of["challenge"]
		}
		// 2,200 tries of the one, of which those of some minutes pass, and none of
		// the 1,100 of the one that is allowed.
		if sum.Refused != refused || refused < 1900 || refused > 2200 || len(sum.Allowed) != 1 {
			t.Errorf("%d refused, %d of them as decided, allowed %v", sum.Refused, refused, sum.Allowed)
		}
		if !strings.Contains(printed, "as if enforced: ") || !strings.Contains(printed, "hidden by allow") {
			t.Errorf("the report does not say what was refused and what was hidden:\n%s", printed)
		}
	}
}

func TestAnAllowEntryThatEndedIsNamed(t *testing.T) {
	conf, _ := attackLog(t)
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.DiscardHandler)}
	g, err := e.engine(conf, false, false)
	if err != nil {
		t.Fatal(err)
	}
	ended := g.allowEnded(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	if len(ended) != 1 || !strings.Contains(ended[0], "site.yaml:5: allow ip=198.51.100.11") || !strings.Contains(ended[0], "2020-01-01") {
		t.Errorf("%q, want the entry of line 5", ended)
	}
}

func TestExplainSaysWhatRulesCostOnALog(t *testing.T) {
	conf, log := attackLog(t)
	out, err := weir("rules", "explain", "-c", conf, "--cost", log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"ato.stuffing_source", "blind: no asn at login", "All rules together, on 4,", "of 202 addresses", "\n  all ", "An address and week\n202 addresses of the log's last week: "} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	one, err := weir("rules", "explain", "-c", conf, "--cost", log, "ato.stuffing_source")
	if err != nil || strings.Contains(one, "scraping.source") || !strings.Contains(one, "ato.stuffing_source") {
		t.Errorf("of one rule: %v\n%s", err, one)
	}
}
