package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAStageIsSetAndTheRestOfTheFileStays(t *testing.T) {
	for _, c := range []struct {
		name, src string
		set       []stageSet
		at        int
		want      string // what replaces the first text by the second; empty: refused
		with      string
	}{
		{"no rules", "stage: enforce # the ceiling\n", nil, -1, "", "stage: enforce # the ceiling\nrules: {set: [{rule: \"ato.*\", stage: alert}]}\n"},
		{"no newline at the end", "stage: enforce", nil, -1, "", "stage: enforce\nrules: {set: [{rule: \"ato.*\", stage: alert}]}\n"},
		{"rules in one line", "rules: {dirs: [builtin, r/]} # ours\nstage: alert\n", nil, -1, "r/]}", "r/], set: [{rule: \"ato.*\", stage: alert}]}"},
		{"rules on lines", "rules:\n  dirs:\n    - builtin # these\n  # and no more\nstage: alert\n", nil, -1, "# these\n", "# these\n  set: [{rule: \"ato.*\", stage: alert}]\n"},
		{"a list in one line", "rules: {set: [{rule: a.b, stage: shadow}]}\n", []stageSet{{"a.b", "shadow"}}, -1, "}]}", "}, {rule: \"ato.*\", stage: alert}]}"},
		{"an empty list", "rules: {set: []}\n", []stageSet{}, -1, "[]", "[{rule: \"ato.*\", stage: alert}]"},
		{
			"a list on lines", "rules:\n  set:\n    - {rule: a.b, stage: shadow} # for now\n    - rule: é.c\n      stage: \"alert\"   # odd\nstage: alert\n",
			[]stageSet{{"a.b", "shadow"}, {"é.c", "alert"}}, -1, "# odd\n", "# odd\n    - {rule: \"ato.*\", stage: alert}\n",
		},
		{"an entry that is there", "rules: {set: [{rule: 'é', stage: shadow}, {rule: 'ato.*', stage: shadow}]} # x\n", []stageSet{{"é", "shadow"}, {"ato.*", "shadow"}}, 1, "stage: shadow}]}", "stage: alert}]}"},
		{"an entry with quotes", "rules:\n  set:\n  - rule: 'ato.*'\n    stage: 'enforce' # so\n", []stageSet{{"ato.*", "enforce"}}, 0, "'enforce' # so", "'alert' # so"},
		{"a list that is spread over lines", "rules:\n  set: [\n    {rule: a.b, stage: shadow},\n  ]\n", []stageSet{{"a.b", "shadow"}}, -1, "", ""},
		{"an alias", "rules: &r {dirs: [builtin]}\n", nil, -1, "", ""},
	} {
		want := strings.Replace(c.src, c.want, c.with, 1)
		if c.want == "" {
			want = c.with
		}
		got, err := setStage([]byte(c.src), c.set, c.at, "ato.*", "alert")
		if (want == "") != errors.Is(err, errEdit) || string(got) != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, want)
		}
	}
}

func TestARuleIsPromotedAndDemoted(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "weir.yaml")
	const src = "# ours\nstage: enforce\nrules:\n  dirs: [builtin]\n  set:\n    - {rule: \"*\", stage: shadow}   # to begin with\n"
	if err := os.WriteFile(conf, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := weir("rules", "stage", "-c", conf, "ato.stuffing_source", "enforce", "--dry-run")
	if b, _ := os.ReadFile(conf); err != nil || string(b) != src || !strings.Contains(out, "ato.stuffing_source: shadow -> enforce") {
		t.Errorf("a dry run: %v\n%s\n%s", err, out, b)
	}
	for _, c := range []struct{ rule, stage, says, file string }{
		{"ato.stuffing_source", "enforce", "shadow -> enforce", src + "    - {rule: \"ato.stuffing_source\", stage: enforce}\n"},
		{"ato.stuffing_source", "alert", "enforce -> alert", src + "    - {rule: \"ato.stuffing_source\", stage: alert}\n"},
		{"ato.stuffing_source", "alert", "says so already", src + "    - {rule: \"ato.stuffing_source\", stage: alert}\n"},
		{"ato.*", "shadow", "ato.stuffing_source: alert -> shadow", src + "    - {rule: \"ato.stuffing_source\", stage: alert}\n    - {rule: \"ato.*\", stage: shadow}\n"},
	} {
		out, err := weir("rules", "stage", "-c", conf, c.rule, c.stage)
		b, _ := os.ReadFile(conf)
		if err != nil || !strings.Contains(out, c.says) || string(b) != c.file {
			t.Errorf("%s %s: %v\n%s\n%s", c.rule, c.stage, err, out, b)
		}
	}
	if info, err := os.Stat(conf); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v: %v", info.Mode(), err)
	}
	for _, bad := range [][]string{{"ato.stufing_source", "alert"}, {"ato.stuffing_source", "on"}, {"[", "alert"}, {"ato.stuffing_source"}} {
		if _, err := weir(append([]string{"rules", "stage", "-c", conf}, bad...)...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v, want a usage error", bad, err)
		}
	}
}

// A configuration without stage: is what simulate writes: a replay of it enforces.
func TestAStageIsSaidOfAReplayWhereTheFileStatesNone(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(conf, []byte("rules: {dirs: [builtin]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := weir("rules", "stage", "-c", conf, "ato.stuffing_source", "shadow")
	if err != nil || !strings.Contains(out, "enforce -> shadow") || !strings.Contains(out, "has no stage:") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatTheCheckerRefusesIsNotPromoted(t *testing.T) {
	dir := t.TempDir()
	conf := filepath.Join(dir, "weir.yaml")
	rule := "id: a\nversion: 1\nkey: endpoint\nwhere: \"true\"\nfeatures: {n: 'count(\"10m\")'}\nwhen: n >= 3\nthen: {block: endpoint, for: 1h}\n"
	for name, text := range map[string]string{"weir.yaml": "stage: enforce\nrules: {dirs: [r]}\n", "r/a.yaml": rule} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := weir("rules", "stage", "-c", conf, "a", "enforce")
	if !errors.Is(err, errFindings) || !strings.Contains(out, "needs clean or good") {
		t.Errorf("%v\n%s", err, out)
	}
}
