package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"weir/simulate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// built is the program, built for the test.
func built(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir")
	cmd := exec.Command("go", "build", "-o", path, "weir/cmd/weir")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestASliceOfThePlanIsScored(t *testing.T) {
	results := t.TempDir()
	args := []string{
		"-weir", built(t), "-results", results, "-scenarios", "stuffing", "-scale", "0.002", "-seeds", "1", "-parts", "campaigns,reacting",
		"-document", filepath.Join(t.TempDir(), "nothing.md"), "-record", filepath.Join(t.TempDir(), "nothing.json"),
	}
	var first, again, progress bytes.Buffer
	if err := run(t.Context(), args, &first, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	for _, want := range []string{
		"## campaigns", "one seed of each log, at 0.002 of the size; 1 logs with ", "| stuffing | ", "### Goals that are missed", "| everybody | ",
		"| nat | ", "## reacting", "Honest people: ",
	} {
		if !strings.Contains(first.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &first)
		}
	}
	for row := range strings.Lines(first.String()) {
		if strings.HasPrefix(row, "| stuffing |") && (strings.Contains(row, "| 0 % | 0 % | never |") || strings.Contains(row, "NaN")) {
			t.Errorf("nothing is stopped: %s", row)
		}
	}
	kept, err := filepath.Glob(filepath.Join(results, "*", "*.json"))
	if err != nil || len(kept) != 2 {
		t.Errorf("%d scores are kept, %v; want 2", len(kept), err)
	}
	for _, name := range kept { // only these are read the second time
		if err := os.Chtimes(name, maketime, maketime); err != nil {
			t.Fatal(err)
		}
	}
	if err := run(t.Context(), args, &again, &progress); err != nil || again.String() != first.String() {
		t.Errorf("from what was kept: %v\n%s", err, &again)
	}
	for _, name := range kept {
		if info, err := os.Stat(name); err != nil || !info.ModTime().Equal(maketime) {
			t.Errorf("%s was made again, %v", filepath.Base(name), err)
		}
	}
}

func TestWhatCannotBeScoredIsSaid(t *testing.T) {
	failing := filepath.Join(t.TempDir(), "weir")
	if err := os.WriteFile(failing, []byte("#!/bin/sh\necho broken $1 >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-parts", "nonsense"}, "must be of campaigns, variants"},
		{[]string{"-scenarios", "nonsense"}, "no nonsense in -parts"},
		{[]string{"-scale", "-1"}, "must not be below 0"},
		{[]string{"more"}, "takes no arguments"},
		{[]string{"-write", "-scenarios", "quiet"}, "only of all scenarios"},
		{[]string{"-weir", "nowhere"}, "make build"},
		{[]string{"-weir", failing, "-scenarios", "quiet", "-seeds", "1"}, "broken simulate"},
	} {
		var out, progress bytes.Buffer
		if err := run(t.Context(), c.args, &out, &progress); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, must say %q", c.args, err, c.want)
		}
	}
}

func TestThePlanHasEveryScenario(t *testing.T) {
	f, err := parse([]string{"-parts", strings.Join(partNames(), ",")}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	trials, err := f.plan()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range trials {
		name := trials[i].part + "/" + trials[i].name()
		if seen[name] {
			t.Errorf("%s stands twice", name)
		}
		seen[name] = true
	}
	for _, name := range simulate.Scenarios() {
		if !seen["campaigns/"+name] {
			t.Errorf("%s is not scored", name)
		}
	}
	for _, name := range append(slices.Clone(robust), "quiet", "honest_storms") {
		if !seen["robust/"+name+" failures × 3"] {
			t.Errorf("%s is not turned up", name)
		}
	}
	for _, name := range []string{"variants/recon combined", "reacting/recon reacting", "campaigns/poison_nat"} {
		if !seen[name] {
			t.Errorf("%s is not scored", name)
		}
	}
}

func TestTheDocumentHasAPlaceForEveryTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/DETECTION.md")
	if err != nil {
		t.Fatal(err)
	}
	r, err := readRecord("../../docs/detection.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range partNames() {
		with, err := replaced(string(text), name, "TABLE\n", "RULES")
		if err != nil {
			t.Error(err)
			continue
		}
		if strings.Count(with, begins(name)) != 1 || !strings.Contains(with, "Made with RULES.\n\nTABLE\n\n"+ends(name)) {
			t.Errorf("%s: the table does not stand between its marks", name)
		}
		if made := "Made with " + r.Parts[name] + "."; r.Parts[name] != "" && !strings.Contains(string(text), made) {
			t.Errorf("%s: the document and docs/detection.json are of different rules", name)
		}
	}
}
