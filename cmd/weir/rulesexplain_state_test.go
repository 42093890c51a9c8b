package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestExplainSaysFromWhenAStateIsWhole(t *testing.T) {
	s := newLivedState(t, nil)
	conf := filepath.Join(t.TempDir(), "weir.yaml")
	rule := "id: fresh\nversion: 1\nkey: item\nwhere: \"true\"\nfeatures: {n: 'count(\"24h\")'}\nwhen: n >= 3\nthen: {alert: item, for: 1h}\n"
	for name, text := range map[string]string{conf: "rules: {dirs: [builtin, r]}\n", filepath.Join(filepath.Dir(conf), "r", "fresh.yaml"): rule} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, err := weir("rules", "explain", "-c", conf, "--state", s.dir, "fresh")
	if err != nil || !strings.Contains(out, "all that it reads is whole from ") || !strings.Contains(out, "\n  n is whole from ") {
		t.Errorf("a rule that is new to the state: %v\n%s", err, out)
	}
	if _, err := weir("rules", "explain", "-c", conf, "--state", t.TempDir(), "fresh"); err == nil {
		t.Error("of a directory that is no state's: no error")
	}
}
