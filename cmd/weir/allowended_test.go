package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/emit"
)

const endedEntry = "  - {match: {ip: 203.0.113.%d}, actions: [block], rules: [\"*\"], owner: ops, reason: a monitor, until: 2026-01-01}\n"

// An exception that has ended hides nothing any more, which whoever counts on it
// should know: a run and a check say so, as a replay does.
func TestAllowEntriesThatHaveEndedAreTold(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.config["site"] = "site: site.yaml\n"
	s.write("site.yaml", "endpoints:\n  - {pattern: \"POST /login\", kind: login}\nallow:\n"+fmt.Sprintf(endedEntry, 250)+
		"  - {match: {ip: 203.0.113.251}, actions: [block], rules: [\"*\"], owner: ops, reason: an office}\n")
	const want = "site.yaml:4: allow ip=203.0.113.250 of ops (a monitor) ended on 2026-01-01: take it out, or give it another end"
	said := s.live(4, "a.log")
	checked, err := weir("check", "-c", s.path("weir.yaml"))
	if err != nil {
		t.Errorf("check: %v\n%s", err, checked)
	}
	for who, text := range map[string]string{"run": said, "check": checked, "replay": s.replayed()} {
		text = strings.Join(strings.Fields(text), " ")
		if strings.Count(text, want) != 1 || strings.Contains(text, "203.0.113.251") {
			t.Errorf("%s says %s", who, text)
		}
	}
}

func TestNotAllAllowEntriesThatHaveEndedAreNamed(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.config["site"] = "site: site.yaml\n"
	text := "endpoints: []\nallow:\n"
	for i := range maxAllowEnded + 3 {
		text += fmt.Sprintf(endedEntry, i)
	}
	s.write("site.yaml", text)
	g := s.engine()
	ended := g.allowEnded(time.Date(2026, 3, 6, 10, 0, 0, 0, time.UTC))
	if len(ended) != maxAllowEnded+1 || !strings.HasSuffix(ended[maxAllowEnded], "and 3 entries more of allow: ended") {
		t.Errorf("%d: %v", len(ended), ended)
	}
	if before := g.allowEnded(time.Date(2025, 12, 31, 23, 59, 59, 0, time.UTC)); len(before) > 0 {
		t.Errorf("before they end: %v", before)
	}
}

// The ledger counts by the same text by which metrics name entries.
func TestAllowEntriesAreNamedInTheOrderOfTheSiteFile(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.config["site"] = "site: site.yaml\n"
	s.write("site.yaml", "endpoints: []\nallow:\n"+fmt.Sprintf(endedEntry, 9)+fmt.Sprintf(endedEntry, 10))
	guards, err := s.engine().newGuards(false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`{"ip":"203.0.113.9"} (ops: a monitor)`, `{"ip":"203.0.113.10"} (ops: a monitor)`}
	if got := allowTexts(guards.Allow); !slices.Equal(got, want) || got[0] != (&emit.Allow{Match: guards.Allow[0].Match, Owner: "ops", Reason: "a monitor"}).String() {
		t.Errorf("%v, must be %v", got, want)
	}
}
