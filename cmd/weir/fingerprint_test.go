package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A restart with other rules decides the past by the new ones; that it does is
// in the journal, in the log of the run and in that of a replay.
func TestOtherRulesBetweenTwoLivesAreSaid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rule := func(tries int) string {
		return fmt.Sprintf("id: own.tries\nversion: 1\ntitle: Many tries\nseverity: low\nkey: ip\nwhere: kind == \"login\"\n"+
			"features:\n  tries: count(\"10m\")\nwhen: tries >= %d\nthen: {block: ip, for: 1h}\nstage: enforce\n", tries)
	}
	write("key", strings.Repeat("k", 32))
	write("rules/own/tries.yaml", rule(5))
	write("weir.yaml", "stage: enforce\nsources: [{name: web, file: {path: access.log, follow: true}, format: combined}]\n"+
		"key_file: key\nrules: {dirs: [rules]}\nstate: {dir: state}\n")
	var log strings.Builder
	for i := range 40 {
		at := time.Date(2026, 3, 6, 10, 0, i, 0, time.UTC)
		fmt.Fprintf(&log, "203.0.113.7 - - [%s] \"POST /login HTTP/1.1\" 401 5 \"-\" \"x\"\n", at.Format("02/Jan/2006:15:04:05 -0700"))
	}
	write("access.log", log.String())
	config := filepath.Join(dir, "weir.yaml")

	// life runs until something was decided, and returns what it logged.
	life := func(decisions int) string {
		t.Helper()
		var said bytes.Buffer
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.NewTextHandler(&said, nil))}
		l, err := e.openLiveRun(ctx, config)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- l.run(ctx) }()
		for {
			b, err := os.ReadFile(filepath.Join(dir, "state", decisionsFile))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Count(b, []byte("\n")) >= decisions {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("not decided: %s", b)
			}
			time.Sleep(20 * time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
		return said.String()
	}
	const changed = "are other ones than when this state last ran"
	for i, said := range []string{life(1), life(1)} {
		if strings.Contains(said, changed) {
			t.Errorf("life %d with the same rules says: %s", i, said)
		}
	}
	write("rules/own/tries.yaml", rule(6))
	if said := life(1); !strings.Contains(said, changed) {
		t.Errorf("other rules are not said: %s", said)
	}
	journal := filepath.Join(dir, "state", journalFile)
	b, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte(`"event":"config"`)); n != 2 {
		t.Errorf("%d configurations in the journal, want 2:\n%s", n, b)
	}
	// A replay with the journal decides each stretch by the rules that it had,
	// whatever the rules are by now.
	replayed := func() (decided []byte, said string) {
		t.Helper()
		var out, errOut bytes.Buffer
		found := filepath.Join(t.TempDir(), "found")
		if err := run(context.Background(), []string{"replay", "-c", config, "--journal", journal, "--out", found}, &out, &errOut); err != nil {
			t.Fatal(err)
		}
		decided, err := os.ReadFile(filepath.Join(found, decisionsFile))
		if err != nil {
			t.Fatal(err)
		}
		return decided, errOut.String()
	}
	live, err := os.ReadFile(filepath.Join(dir, "state", decisionsFile))
	if err != nil {
		t.Fatal(err)
	}
	const other = "its own are used"
	if decided, said := replayed(); !bytes.HasPrefix(decided, live) || strings.Contains(said, other) {
		t.Errorf("a replay decides\n%s\nand says %q, live:\n%s", decided, said, live)
	}
	write("rules/own/tries.yaml", rule(7))
	if decided, said := replayed(); !bytes.HasPrefix(decided, live) || !strings.Contains(said, other) {
		t.Errorf("a replay while the rules are other ones decides\n%s\nand says %q, live:\n%s", decided, said, live)
	}
	if err := os.RemoveAll(filepath.Join(dir, "state", configsDir)); err != nil {
		t.Fatal(err)
	}
	if _, said := replayed(); !strings.Contains(said, "cannot be decided as the run did: the rules and the configuration that it had then are not there") {
		t.Errorf("a replay without the copies says %q", said)
	}
}
