package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"weir/simulate"
	scoring "weir/simulate/score"
)

// scored is a scenario's directory with one source of guessed passwords among
// honest log-ins, and what a replay of it decided.
func scored(t *testing.T) (dir, ledger string) {
	t.Helper()
	dir, ledger = t.TempDir(), filepath.Join(t.TempDir(), "decided")
	began := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	truth := simulate.Truth{
		Version: simulate.TruthVersion, Scenario: "by hand", Seed: 1, Scale: 1, From: began, Log: "access.log",
		Labels: []simulate.Label{
			{Name: "attack/guess/all", Attack: true, Campaign: "guess", Phase: "all", Title: "one address tries many accounts"},
			{Name: "honest/homes", Title: "people at home"},
		},
	}
	least, none := 0.8, 0.0
	truth.Goals = []simulate.Goal{{Labels: "attack/guess/*", Blocked: &least, FirstStop: 10 * time.Minute}, {Labels: "honest/*", MostBlocked: &none}}
	var log, labels bytes.Buffer
	send := func(label string, at time.Time, ip, user string, status int) {
		fmt.Fprintf(&log, `{"time_iso8601":%q,"remote_addr":%q,"request_method":"POST","request_uri":"/login","status":%d,"username":%q}`+"\n",
			at.Format(time.RFC3339), ip, status, user)
		labels.WriteString(label + "\n")
		truth.Until = at
		truth.Lines++
	}
	for i := range 1200 {
		at := began.Add(time.Duration(i) * 5 * time.Second)
		send("honest/homes", at, fmt.Sprintf("198.51.100.%d", i%200+1), fmt.Sprint("person", i%200), 200)
		if i >= 200 {
			send("attack/guess/all", at, "192.0.2.9", fmt.Sprint("victim", i), 401)
		}
	}
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	for name, data := range map[string]string{
		truth.Log: log.String(), simulate.LabelsFile: string(enc.EncodeAll(labels.Bytes(), nil)),
		simulate.ConfigFile: "stage: enforce\nsite: site.yaml\nsources:\n  - {name: web, format: nginx-json}\n",
		simulate.SiteFile:   "endpoints:\n  - {pattern: \"POST /login\", kind: login, failure: \"status == 401\"}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := truth.Write(filepath.Join(dir, simulate.TruthFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := weir("replay", "-c", filepath.Join(dir, simulate.ConfigFile), "--out", ledger, filepath.Join(dir, truth.Log)); err != nil {
		t.Fatal(err)
	}
	return dir, ledger
}

func TestScoreSaysWhatAReplayStopped(t *testing.T) {
	dir, ledger := scored(t)
	page := filepath.Join(t.TempDir(), "score.html")
	out, err := weir("score", dir, ledger, "--goals", "--html", page, "--why")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"by hand, seed 1", "guess", "homes", "beside", "10 in 10", "Goals: 3 of 3 reached", "The rules that came nearest"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	for line := range strings.Lines(out) {
		if n := len([]rune(strings.TrimRight(line, "\n"))); n > screen {
			t.Errorf("%d columns, must be at most %d: %s", n, screen, line)
		}
	}
	html, err := os.ReadFile(page)
	if err != nil || !bytes.Contains(html, []byte("attack/guess/all")) {
		t.Errorf("the page: %v, %d bytes", err, len(html))
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(page), ".score*")); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}

	out, err = weir("score", dir, filepath.Join(ledger, "ledger.jsonl"), "--json")
	if err != nil {
		t.Fatal(err)
	}
	r, err := scoring.ReadResult([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	s := r.Campaigns[0].Stopped[0]
	if r.Campaigns[0].Requests != 1000 || s.BlockedShare < 0.8 || s.First == nil || r.Honest.Hurt[0].Requests.Hard() != 0 {
		t.Errorf("%+v of %d, %d honest ones blocked", s, r.Campaigns[0].Requests, r.Honest.Hurt[0].Requests.Hard())
	}
	one := filepath.Join(t.TempDir(), "1.json")
	if err := os.WriteFile(one, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err = weir("score", "--merge", one); err != nil || !strings.Contains(out, "| guess | 1,000 |") {
		t.Errorf("merged: %v\n%s", err, out)
	}
	if out, err = weir("score", "--merge", "--json", one); err != nil || !json.Valid([]byte(out)) {
		t.Errorf("merged as JSON: %v\n%s", err, out)
	}
}

func TestAGoalThatIsMissedIsAStatusOnlyWhereAsked(t *testing.T) {
	dir, ledger := scored(t)
	out, err := weir("score", dir, ledger, "--delay", "2h", "--goals") // too late for all of it
	if err == nil || errors.Is(err, errUsage) || !strings.Contains(err.Error(), "2 goals not reached") {
		t.Errorf("%v, must say that 2 goals are not reached", err)
	}
	if !strings.Contains(out, "FAILED") || !strings.Contains(out, "never") {
		t.Errorf("the report does not say so:\n%s", out)
	}
	if _, err := weir("score", dir, ledger, "--delay", "2h"); err != nil {
		t.Errorf("unasked: %v", err)
	}
}

func TestScoreOfShadowDecisions(t *testing.T) {
	dir, _ := scored(t)
	config := filepath.Join(dir, simulate.ConfigFile)
	b, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, bytes.Replace(b, []byte("stage: enforce"), []byte("stage: shadow"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	shadow := filepath.Join(t.TempDir(), "shadow")
	if _, err := weir("replay", "-c", config, "--out", shadow, filepath.Join(dir, "access.log")); err != nil {
		t.Fatal(err)
	}
	out, err := weir("score", dir, shadow)
	if err != nil || !strings.Contains(out, "in shadow only") || !strings.Contains(out, "never") {
		t.Errorf("in shadow: %v\n%s", err, out)
	}
	out, err = weir("score", dir, shadow, "--as-if", "enforce", "--goals")
	if err != nil || !strings.Contains(out, "counts as enforced") {
		t.Errorf("as if: %v\n%s", err, out)
	}
}

func TestScoreIsCalledWrongly(t *testing.T) {
	dir, ledger := scored(t)
	for _, c := range []struct {
		args []string
		must string
	}{
		{[]string{dir}, "takes two arguments"},
		{[]string{"--merge"}, "no file given"},
		{[]string{t.TempDir(), ledger}, "truth.json"},
		{[]string{dir, filepath.Join(dir, "nothing")}, "nothing"},
		{[]string{dir, t.TempDir()}, "decisions.jsonl"},
		{[]string{dir, filepath.Join(dir, "access.log")}, "line 1: not a line of decisions.jsonl"},
		{[]string{dir, ledger, "--delay", "-1s"}, "must be between"},
		{[]string{dir, ledger, "--delay", "25h"}, "must be between"},
		{[]string{dir, ledger, "--as-if", "alert"}, "must be enforce"},
		{[]string{"--merge", filepath.Join(dir, "truth.json")}, "not what weir score --json writes"},
	} {
		_, err := weir(append([]string{"score"}, c.args...)...)
		if !errors.Is(err, errUsage) || !strings.Contains(err.Error(), c.must) {
			t.Errorf("%v: %v, must be a mistake in the call that says %q", c.args, err, c.must)
		}
	}
}
