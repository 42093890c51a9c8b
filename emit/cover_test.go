package emit

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
)

func TestWhatADecisionCovers(t *testing.T) {
	for _, c := range []struct {
		decided, asked event.Target
		covers, means  bool
		lacks          string
	}{
		{targetOf("ip", "198.51.100.7"), targetOf("ip", "198.51.100.7"), true, true, ""},
		{targetOf("ip", "198.51.100.7"), targetOf("ip", "198.51.100.8"), false, false, ""},
		{targetOf("ip", "198.51.100.7"), targetOf("ip", "::ffff:198.51.100.7"), true, true, ""},
		{targetOf("net", "198.51.100.0/24"), targetOf("ip", "198.51.100.7"), true, true, ""},
		{targetOf("ip", "198.51.100.7"), targetOf("ip", "198.51.100.0/24"), true, true, ""},
		{targetOf("ip", "2001:db8:1:2::/64"), targetOf("ip", "2001:db8:1:2::7"), true, true, ""},
		{targetOf("net", "2001:db8:1::/48"), targetOf("ip", "2001:db8:1:2::7"), true, true, ""},
		{targetOf("ip", "2001:db8:1:3::/64"), targetOf("ip", "2001:db8:1:2::7"), false, false, ""},
		{targetOf("ip", "198.51.100.7", "endpoint", "POST /login"), targetOf("ip", "198.51.100.7"), true, true, "endpoint"},
		{targetOf("ip", "198.51.100.7", "endpoint", "POST /login"), targetOf("ip", "198.51.100.7", "endpoint", "GET /"), false, false, ""},
		{targetOf("endpoint", "POST /login", "fingerprint", "f"), targetOf("ip", "198.51.100.7"), false, false, "endpoint,fingerprint"},
		{targetOf("endpoint", "POST /login", "fingerprint", "f"), targetOf("ip", "198.51.100.7", "endpoint", "POST /login"), true, false, "fingerprint"},
		{targetOf("endpoint", "POST /login", "fingerprint", "f"), targetOf("fingerprint", "f"), true, true, "endpoint"},
		{targetOf("endpoint", "POST /login"), targetOf("endpoint", "POST /login"), true, true, ""},
		{targetOf("endpoint", "POST /login", "site", "a"), targetOf("endpoint", "POST /login"), true, false, "site"},
		{targetOf("asn", "64500"), targetOf("ip", "198.51.100.7", "asn", "64500"), true, true, ""},
		{targetOf("asn", "64500"), targetOf("ip", "198.51.100.7"), false, false, "asn"},
		{targetOf("credential", "c"), targetOf("credential", "c"), true, true, ""},
		{targetOf("actor", "c"), targetOf("credential", "c"), true, true, ""},
		{targetOf("actor", "c"), targetOf("actor", "d", "credential", "c"), false, false, ""},
		{targetOf("ip", "garbage"), targetOf("ip", "garbage"), false, false, ""},
		{nil, targetOf("ip", "198.51.100.7"), false, false, ""},
	} {
		r := relate(c.decided, c.asked)
		if r.covers() != c.covers || r.means() != c.means || strings.Join(r.lacks, ",") != c.lacks {
			t.Errorf("%v of %v: %+v", c.decided, c.asked, r)
		}
	}
}

func TestCoveringFindsEveryLineAboutATarget(t *testing.T) {
	for _, path := range []string{"", ledgerPath(t)} {
		l := reopened(t, path, &testClock{dawn}, &Guards{})
		l.limits.fileBytes = 8000 // what stands at the head of a file is not said twice
		a := ruled("a", dawn, "ip", "198.51.100.7")
		l.add(a, ruled("b", dawn, "net", "198.51.100.0/24"), ruled("c", dawn, "ip", "203.0.113.1"))
		for i := range 50 {
			l.tick(time.Minute)
			d := ruled("noise", l.clock.now, "ip", fmt.Sprintf("192.0.2.%d", i))
			d.Mode = event.Shadow
			l.add(d)
		}
		l.add(renewal(a, l.clock.now))
		if _, err := l.Unblock(targetOf("ip", "198.51.100.7"), time.Hour, "ann", "x"); err != nil {
			t.Fatal(err)
		}
		l.add(ruled("a", l.clock.now, "ip", "198.51.100.7", "endpoint", "POST /login"))
		ask := func(q Question) (got []string) {
			for _, x := range l.Covering(q) {
				got = append(got, strings.TrimSpace(x.Event+" "+x.Decision.Rule+" "+strings.Join(x.Lacks, ",")))
			}
			return got
		}
		want := []string{"new a", "new b", "renew a", "unblocked", "withdrawn a", "withdrawn b", "held a endpoint"}
		if got := ask(Question{Target: targetOf("ip", "198.51.100.7")}); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", path, got, want)
		}
		if got := ask(Question{Target: targetOf("ip", "198.51.100.7"), Limit: 2}); !slices.Equal(got, want[5:]) {
			t.Errorf("%q: the newest two: %q", path, got)
		}
		if got := ask(Question{Target: targetOf("ip", "198.51.100.7"), Since: dawn.Add(time.Minute)}); !slices.Equal(got, want[2:]) {
			t.Errorf("%q: since a minute later: %q", path, got)
		}
		if got := ask(Question{Target: targetOf("ip", "198.51.100.99", "asn", "1")}); !slices.Equal(got, []string{"new b", "withdrawn b"}) {
			t.Errorf("%q: another address of the net: %q", path, got)
		}
		if got := ask(Question{}); got != nil {
			t.Errorf("%q: nothing was asked: %q", path, got)
		}
		if path == "" {
			continue
		}
		// When the oldest files are gone, what stands at a head is all there is.
		aside, err := asideFiles(filepath.Dir(path))
		if err != nil || len(aside) < 3 {
			t.Fatalf("%v %v", aside, err)
		}
		for _, n := range aside[:2] {
			if err := os.Remove(asidePath(filepath.Dir(path), n)); err != nil {
				t.Fatal(err)
			}
		}
		if got := ask(Question{Target: targetOf("ip", "198.51.100.7")}); !slices.Equal(got[:2], []string{"standing a", "standing b"}) {
			t.Errorf("without the oldest: %q", got)
		}
	}
}

func TestAnAnswerHasALimit(t *testing.T) {
	l := reopened(t, ledgerPath(t), &testClock{dawn}, &Guards{})
	var ds []event.Decision
	for i := range 3 * MaxAnswer {
		d := ruled("r", dawn, "ip", "198.51.100.7")
		d.ID, d.Mode = fmt.Sprint(i), event.Shadow
		ds = append(ds, d)
	}
	l.add(ds...)
	got := l.Covering(Question{Target: targetOf("ip", "198.51.100.7")})
	if len(got) != MaxAnswer || got[MaxAnswer-1].Decision.ID != fmt.Sprint(3*MaxAnswer-1) || got[0].Decision.ID != fmt.Sprint(2*MaxAnswer) {
		t.Errorf("%d lines", len(got))
	}
}

func TestRecentLinesAreTheNewest(t *testing.T) {
	l := testLedger(t, &Guards{})
	var ds []event.Decision
	for i := range maxRecent + 100 {
		d := ruled("r", dawn, "ip", "198.51.100.7")
		d.ID, d.Mode = fmt.Sprint(i), event.Shadow
		ds = append(ds, d)
	}
	l.add(ds...)
	for _, n := range []int{0, -1, 1, 50, maxRecent, maxRecent + 50} {
		got := l.Recent(n)
		want := max(0, min(n, maxRecent))
		if len(got) != want {
			t.Errorf("asked for %d, got %d", n, len(got))
			continue
		}
		for i, x := range got {
			if id := fmt.Sprint(maxRecent + 100 - want + i); x.Decision.ID != id {
				t.Fatalf("line %d of %d is %s, want %s", i, n, x.Decision.ID, id)
			}
		}
	}
}
