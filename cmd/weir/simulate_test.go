package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/simulate"
)

// summaryOf is what a test reads of summary.json.
type summaryOf struct {
	Events   int64            `json:"events"`
	Rejected map[string]int64 `json:"rejected"`
	Dropped  int64            `json:"dropped"`
	Future   int64            `json:"future"`
}

// simulated makes up a log and replays it as the configuration beside it says.
func simulated(t *testing.T, args ...string) (*simulate.Truth, summaryOf) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "log")
	var out, errOut bytes.Buffer
	if err := run(t.Context(), append([]string{"simulate", "--out", dir}, args...), &out, &errOut); err != nil {
		t.Fatalf("simulate %v: %v\n%s", args, err, &errOut)
	}
	truth, err := simulate.ReadTruth(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	decided := filepath.Join(dir, "decided")
	err = run(t.Context(), []string{"replay", "-c", filepath.Join(dir, simulate.ConfigFile), "--out", decided, filepath.Join(dir, truth.Log)}, &out, &errOut)
	if err != nil {
		t.Fatalf("replay of %v: %v\n%s", args, err, &errOut)
	}
	text, err := os.ReadFile(filepath.Join(decided, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s summaryOf
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return truth, s
}

// rejectedOnlyBroken fails the test unless exactly the broken lines were rejected.
func rejectedOnlyBroken(t *testing.T, truth *simulate.Truth, s summaryOf) {
	t.Helper()
	var broken, rejected int64
	for _, l := range truth.Labels {
		if l.Name == "honest/broken" {
			broken = l.Requests
		}
	}
	for _, n := range s.Rejected {
		rejected += n
	}
	if rejected != broken || s.Events != truth.Lines-broken || s.Dropped != 0 || s.Future != 0 || truth.Lines == 0 {
		t.Errorf("%s %s: %d lines of which %d are broken; %d events, %d rejected, %d dropped, %d from the future",
			truth.Scenario, truth.Variant, truth.Lines, broken, s.Events, rejected, s.Dropped, s.Future)
	}
}

func TestEverySimulatedLogReplaysButForItsBrokenLines(t *testing.T) {
	names := simulate.Scenarios()
	if len(names) < 25 {
		t.Fatalf("%d scenarios", len(names))
	}
	for _, name := range names {
		// Monitors keep their pace at any scale, and would be most of the log.
		truth, s := simulated(t, name, "--scale", "0.0005", "--set", "honest.monitor=null", "--set", "honest.login_monitor=null")
		rejectedOnlyBroken(t, truth, s)
	}
}

func TestSimulatedVariantsReplay(t *testing.T) {
	for _, variant := range simulate.Variants {
		truth, s := simulated(t, "stuffing", "--scale", "0.002", "--variant", variant, "--compress", "gz")
		rejectedOnlyBroken(t, truth, s)
	}
}

func TestSimulateListsItsScenarios(t *testing.T) {
	var out, errOut bytes.Buffer
	if err := run(t.Context(), []string{"simulate"}, &out, &errOut); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != len(simulate.Scenarios()) || !strings.HasPrefix(lines[0], "aggregation ") || strings.Contains(out.String(), "\nshop ") {
		t.Errorf("%s", &out)
	}
}

func TestMistakesInACallOfSimulateAreToldAsSuch(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"stuffing"}, "--out: must be given"},
		{[]string{"nonsense", "--out", "x"}, "no scenario nonsense"},
		{[]string{"stuffing", "--out", "x", "--start", "yesterday"}, "must be a day such as"},
		{[]string{"stuffing", "--out", "x", "--scale", "0"}, "--scale: 0"},
		{[]string{"stuffing", "--out", "x", "--variant", "odd"}, "variant: \"odd\""},
		{[]string{"stuffing", "--out", "x", "--set", "honest.homes.usrs=1"}, "scenarios/shop.yaml:"},
		{[]string{"stuffing", "cards", "--out", "x"}, "takes"},
	} {
		t.Chdir(t.TempDir())
		var out, errOut bytes.Buffer
		err := run(t.Context(), append([]string{"simulate"}, c.args...), &out, &errOut)
		if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != 2 {
			t.Errorf("simulate %v: %v (exit %d), must have %q", c.args, err, exitCode(err), c.want)
		}
		if entries, _ := os.ReadDir("."); len(entries) > 0 {
			t.Errorf("simulate %v left %s", c.args, entries[0].Name())
		}
	}
}
