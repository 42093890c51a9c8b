package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/enrich"
	"weir/event"
)

func TestAnExceptionIsAddedAndTheRestOfTheFileStays(t *testing.T) {
	const entry = `{match: {ip: "198.51.100.2"}, rules: ["ato.a"], owner: "jane", reason: "a # b: \"c\""}`
	for _, c := range []struct{ name, src, want string }{ // no want: refused
		{"nothing", "", "allow:\n  - " + entry + "\n"},
		{"a comment", "# ours\n", "# ours\nallow:\n  - " + entry + "\n"},
		{"endpoints", "endpoints:\n  - {pattern: POST /in, kind: login} # here", "endpoints:\n  - {pattern: POST /in, kind: login} # here\nallow:\n  - " + entry + "\n"},
		{
			"a list on lines", "allow:\n- match: {asn: \"1\"}\n  owner: é\n  reason: x # y\n\nendpoints: []\n",
			"allow:\n- match: {asn: \"1\"}\n  owner: é\n  reason: x # y\n- " + entry + "\n\nendpoints: []\n",
		},
		{"a list in one line", "allow: [] # none\n", "allow: [" + entry + "] # none\n"},
		{"a word", "allow: none\n", ""},
		{"all in one line", "{endpoints: []}\n", ""},
		{"two documents", "allow: []\n---\nallow: []\n", ""},
	} {
		got, err := addAllow([]byte(c.src), entry)
		if (c.want == "") != errors.Is(err, errEdit) || string(got) != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", c.name, err, got, c.want)
		}
	}
}

// allowWorld writes a configuration that names a site file, and no such file.
func allowWorld(t *testing.T) (conf, site string) {
	t.Helper()
	dir := t.TempDir()
	conf, site = filepath.Join(dir, "weir.yaml"), filepath.Join(dir, "site.yaml")
	if err := os.WriteFile(conf, []byte("site: site.yaml\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return conf, site
}

func TestAnExceptionIsWhatWasAskedFor(t *testing.T) {
	conf, site := allowWorld(t)
	allow := func(args ...string) string {
		out, err := weir(append([]string{"rules", "allow", "-c", conf}, args...)...)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		return out
	}
	if out := allow("ato.stuffing_source", "198.51.100.2", "--reason", "x", "--dry-run"); !strings.Contains(out, "is not changed") {
		t.Errorf("a dry run says\n%s", out)
	}
	if _, err := os.Stat(site); err == nil {
		t.Error("a dry run wrote a file")
	}
	first := []string{"ato.stuffing_source", "198.51.100.2", "--actions", "block,limit", "--owner", "jane", "--reason", `"load" test: #1`, "--until", "2999-03-31"}
	if out := allow(first...); !strings.Contains(out, "is written") {
		t.Errorf("the first says\n%s", out)
	}
	allow("scraping.*", `endpoint="GET /fares/{id}",asn=64500`, "--reason", "a partner")
	allow("*", "2001:db8::/64", "--reason", "ours", "--until", "never")
	b, err := os.ReadFile(site)
	if err != nil {
		t.Fatal(err)
	}
	s, err := enrich.ParseSite(site, b)
	if err != nil || len(s.Allow) != 3 {
		t.Fatalf("%v\n%s", err, b)
	}
	if a := s.Allow[0]; targetText(a.Match) != "ip=198.51.100.2" || len(a.Actions) != 2 || a.Rules[0] != "ato.stuffing_source" ||
		a.Owner != "jane" || a.Reason != `"load" test: #1` || a.Until.Year() != 2999 {
		t.Errorf("the first is %+v", a)
	}
	days := time.Until(s.Allow[1].Until).Hours() / 24
	if a := s.Allow[1]; len(a.Match) != 2 || len(a.Actions) != 4 || days < 88 || days > 90 || a.Owner == "" {
		t.Errorf("the second is %+v, for %.0f days", a, days)
	}
	if a := s.Allow[2]; !a.Until.IsZero() || a.Rules[0] != "*" {
		t.Errorf("the third is %+v", a)
	}
	if out := allow(first...); !strings.Contains(out, ":2 says so already") {
		t.Errorf("again it says\n%s", out)
	}
	allow("ato.stuffing_source", "198.51.100.2", "--reason", "of all it asks for")
	if after, err := os.ReadFile(site); err != nil || !strings.HasPrefix(string(after), string(b)) || strings.Count(string(after), "\n") != 5 {
		t.Errorf("what covers less stood for more: %v\n%s", err, after)
	}
}

func TestAnExceptionIsRefusedWithoutHarm(t *testing.T) {
	conf, site := allowWorld(t)
	for _, bad := range [][]string{
		{"ato.stuffing_source", "198.51.100.2"},
		{"ato.stuffing_source", "198.51.100.2", "--reason", "…"}, // as a report prints it
		{"ato.stuffing_source", "x.campaign=7", "--reason", "x"},
		{"ato.stufing_source", "198.51.100.2", "--reason", "x"},
		{"[", "198.51.100.2", "--reason", "x"},
		{"ato.stuffing_source", "198.51.100", "--reason", "x"},
		{"ato.stuffing_source", "198.51.100.2", "--reason", "x", "--actions", "alert"},
		{"ato.stuffing_source", "198.51.100.2", "--reason", "x", "--until", "2020-01-01"},
		{"ato.stuffing_source", "--reason", "x"},
	} {
		if _, err := weir(append([]string{"rules", "allow", "-c", conf}, bad...)...); !errors.Is(err, errUsage) {
			t.Errorf("%v: %v, want a usage error", bad, err)
		}
	}
	if err := os.WriteFile(site, []byte("allow: [{match: {}}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := weir("rules", "allow", "-c", conf, "*", "198.51.100.2", "--reason", "x"); !errors.Is(err, errUsage) {
		t.Errorf("a site file with a fault: %v", err)
	}
	if err := os.WriteFile(conf, []byte("stage: alert\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := weir("rules", "allow", "-c", conf, "*", "198.51.100.2", "--reason", "x"); err == nil || !strings.Contains(err.Error(), "site: site.yaml") {
		t.Errorf("without a site file: %v", err)
	}
}

// What a report prints, run as it stands, spares what it is about.
func TestTheCommandOfAReportMakesItsException(t *testing.T) {
	conf, site := allowWorld(t)
	d := event.Decision{Rule: "ato.stuffing_source", Would: event.Block, Target: event.Target{{Field: "endpoint", Text: `POST /it's "in"`}, {Field: "ip", Text: "198.51.100.2"}}}
	if got := exceptionOf(&event.Decision{Target: event.Target{{Field: "x.tenant", Text: "7"}}}, conf); got != "" {
		t.Errorf("of an extra field, which no site file knows: %s", got)
	}
	if got := exceptionOf(&event.Decision{Would: event.Alert, Target: d.Target}, conf); got != "" {
		t.Errorf("of an alert, of which nobody must be spared: %s", got)
	}
	words, err := exec.Command("sh", "-c", "printf '%s\\n' "+strings.Replace(exceptionOf(&d, conf), "…", "our load test", 1)).Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := weir(strings.Split(strings.TrimSpace(string(words)), "\n")[1:]...); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(site)
	if err != nil {
		t.Fatal(err)
	}
	s, err := enrich.ParseSite(site, b)
	if err != nil || len(s.Allow) != 1 || len(s.Allow[0].Actions) != 1 || len(s.Allow[0].Match) != len(d.Target) {
		t.Fatalf("%v\n%s", err, b)
	}
	for _, v := range d.Target {
		if !slices.Contains(s.Allow[0].Match, v) {
			t.Errorf("%v is not in %v", v, s.Allow[0].Match)
		}
	}
}
