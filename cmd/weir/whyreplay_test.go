package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/emit"
)

// A replay's directory is asked as a run is: what was decided, on what evidence, and how to
// make an exception of it. A ledger of another key is refused with what to do.
func TestWhyAnswersFromAReplay(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	var log strings.Builder
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for i := range 30 { // in ten minutes, 30 keys and consoles that are not there
		fmt.Fprintf(&log, "192.0.2.7 - - [%s] \"GET /.env.%d HTTP/1.1\" 404 9 \"-\" \"curl/8.1\"\n", at.Add(time.Duration(i)*10*time.Second).Format("02/Jan/2006:15:04:05 -0700"), i)
	}
	for name, text := range map[string]string{
		"access.log": log.String(),
		"key":        strings.Repeat("k", 32),
		"weir.yaml":  "stage: enforce\nsources: [{name: web, format: combined}]\nkey_file: key\n",
	} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := weir("replay", "-c", path("weir.yaml"), "--out", path("found"), path("access.log")); err != nil {
		t.Fatal(err)
	}
	out, err := weir("why", "192.0.2.7", "--from", path("found"), "-c", path("weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	out = strings.Join(strings.Fields(out), " ")
	must(t, out, "Would have been blocked until 2026-03-02", "recon.hidden_files", "hidden", "2026-03-02 09:00:21 UTC by the log's time rule",
		"weir rules allow -c "+path("weir.yaml")+" recon.hidden_files 192.0.2.7 --actions block --reason")
	for _, never := range []string{" ago", "weir is not running", "weir unblock"} {
		if strings.Contains(out, never) {
			t.Errorf("a replay says %q:\n%s", never, out)
		}
	}
	out, err = weir("why", "192.0.2.8", "--from", path("found"), "-c", path("weir.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	must(t, out, "No decision of the replay in")
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--from", path("found")}, "another key_file"},
		{[]string{"--from", dir, "-c", path("weir.yaml")}, "weir replay --out"},
	} {
		if _, err := weir(append([]string{"why", "192.0.2.7"}, c.args...)...); exitCode(err) != 2 || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v (%d), must say %q", c.args, err, exitCode(err), c.says)
		}
	}
}

// What the breaker took back in a replay is told by the log's time.
func TestWhatAReplayTookBackHasNoNow(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 30, 0, 0, time.UTC)
	a := &whyAnswer{replay: "found", now: endOfTime}
	s := &story{line: &emit.Line{Mode: "enforce"}, action: "block", since: at, until: at.Add(time.Hour), withdrawn: &emit.Line{At: at}}
	if is, want := a.headline(s), "Would have been blocked until it was withdrawn, 2026-03-02 09:30:00 UTC"; is != want {
		t.Errorf("%q, must be %q", is, want)
	}
}
