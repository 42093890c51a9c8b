package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/internal/testkit"
)

func TestTheDemoFindsItsAttacksAndHurtsNobody(t *testing.T) {
	dir := t.TempDir()
	e := &environment{out: io.Discard, errOut: io.Discard, log: slog.New(slog.DiscardHandler)}
	d, err := e.demo(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	// The latest that each may be found, and how much of it must be stopped or slowed.
	limits := map[string]struct {
		within time.Duration
		share  float64
	}{
		testkit.Stuffing:   {2 * time.Minute, 0.9},
		testkit.LowAndSlow: {3 * time.Hour, 0.8},
		testkit.Scraper:    {20 * time.Minute, 0.6},
	}
	if len(d.score.attacks) != len(testkit.Attacks) {
		t.Fatalf("%d attacks scored, want %d", len(d.score.attacks), len(testkit.Attacks))
	}
	for _, a := range d.score.attacks {
		limit, ok := limits[a.Name]
		if !ok {
			t.Fatalf("no limits for the attack %s", a.Name)
		}
		if a.found == nil || a.blow == nil && a.Name != testkit.Scraper { // who reads is slowed down first
			t.Errorf("%s: not found, or never blocked", a.Name)
			continue
		}
		if after := a.found.Time.Sub(a.First); after <= 0 || after > limit.within {
			t.Errorf("%s: found %v after its first request, want within %v", a.Name, after, limit.within)
		}
		total := int64(0)
		for _, n := range a.met {
			total += n
		}
		if total != int64(a.Lines) {
			t.Errorf("%s: %d requests scored, want %d", a.Name, total, a.Lines)
		}
		if met := total - a.met[event.NoAction]; float64(met) < limit.share*float64(total) {
			t.Errorf("%s: %d of %d requests met a decision, want %.0f %%", a.Name, met, total, 100*limit.share)
		}
	}
	h := &d.score.honest
	if len(h.addresses) < 10_000 {
		t.Errorf("%d honest addresses, want many", len(h.addresses))
	}
	if hit := len(h.addresses) - len(h.met[event.NoAction]); len(h.met[event.Block]) != 0 || hit != 0 {
		t.Errorf("%d honest addresses blocked, %d met a decision; want none", len(h.met[event.Block]), hit)
	}
	for _, name := range []string{"access.log", "state/decisions.jsonl", "state/ledger.jsonl", "lists/weir.conf", "lists/block.txt"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: missing or empty (%v)", name, err)
		}
	}
	if took := d.live.listed.Sub(d.live.begun); took <= 0 || took > demoPatience || d.live.tries < 20 {
		t.Errorf("the live attack was on the list after %v and %d tries, want at least the rule's 20", took, d.live.tries)
	}
	if !slices.ContainsFunc(d.list, func(l string) bool { return strings.HasPrefix(l, liveAddress) }) {
		t.Errorf("the list %q does not have %s", d.list, liveAddress)
	}
	office, crawler := netip.MustParseAddr(testkit.OfficeAddress), netip.MustParsePrefix(testkit.CrawlerNet).Addr()
	if !h.met[event.NoAction][office] || !h.met[event.NoAction][crawler] {
		t.Error("the office or the crawler is not among those left alone")
	}
	var text bytes.Buffer
	if err := d.print(&text, "bin/weir"); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{dir, "bin/weir inspect", "bin/weir check", "bin/weir run", liveAddress, "ato.stuffing_source", "embedded", testkit.OfficeAddress} {
		if !strings.Contains(text.String(), part) {
			t.Errorf("the text does not have %q", part)
		}
	}
}

func TestADemoSaysHowItIsCalledAgain(t *testing.T) {
	for arg0, want := range map[string]string{
		"bin/weir": "bin/weir", "./weir": "./weir", "weir": "weir", "/usr/local/bin/weir": "/usr/local/bin/weir",
		filepath.Join(os.TempDir(), "go-build1", "exe", "weir"): "weir",
	} {
		if got := calledAs(arg0); got != want {
			t.Errorf("%s: %s, want %s", arg0, got, want)
		}
	}
}

func TestAScoreSeesWhoIsHurt(t *testing.T) {
	at := time.Date(2026, 3, 6, 9, 0, 0, 0, time.UTC)
	truth := &testkit.Truth{Attacks: []testkit.Attack{{Name: testkit.Stuffing, Addresses: []string{"203.0.113.66"}}}}
	s := newScore(truth, []demoDecision{
		{Would: "block", Time: at, Until: at.Add(time.Hour), Target: map[string]string{"endpoint": "POST /login"}},
		{Would: "limit", Time: at.Add(-time.Hour), Until: at.Add(time.Hour), Target: map[string]string{"ip": "203.0.113.66", "endpoint": "POST /login"}},
	})
	send := func(after time.Duration, ip, endpoint string) {
		ev := event.Event{Time: at.Add(after).UnixNano(), IP: netip.MustParseAddr(ip), Endpoint: endpoint}
		s.add(&ev)
	}
	send(-2*time.Hour, "203.0.113.66", "POST /login")
	send(-time.Minute, "203.0.113.66", "POST /login")
	send(0, "203.0.113.66", "POST /login")
	send(0, "203.0.113.66", "GET /")
	send(time.Minute, "198.51.100.1", "POST /login")
	send(time.Hour, "198.51.100.2", "POST /login")
	a, h := s.attacks[0], &s.honest
	if a.met[event.NoAction] != 2 || a.met[event.Limit] != 1 || a.met[event.Block] != 1 {
		t.Errorf("the attack's requests met %v", a.met)
	}
	if a.found == nil || a.found.Would != "limit" || a.blow == nil || a.blow.Would != "block" {
		t.Errorf("found by %+v, blocked by %+v", a.found, a.blow)
	}
	if len(h.met[event.Block]) != 1 || len(h.met[event.NoAction]) != 1 {
		t.Errorf("honest addresses met %v", h.met)
	}
}
