package emit

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/internal/proxytest"
	"weir/internal/testkit"
)

const manyAddresses = 100_000

// untilRefused asks as a client until it is refused, and returns how long that took.
func untilRefused(t *testing.T, url, address string) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		if status, _ := proxytest.Ask(t, url, address, "GET /"); status == http.StatusForbidden {
			return time.Since(begun)
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s is not refused", address)
		}
	}
}

func TestNginxTakesAHundredThousandAddresses(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock))
	n.Start(t)
	want := manyEntries(manyAddresses, time.Now().Add(time.Hour))
	first, last := want.Entries[0].Prefix.Addr().String(), want.Entries[manyAddresses-1].Prefix.Addr().String()
	done := make(chan time.Duration)
	begun := time.Now()
	go func() {
		defer close(done)
		if err := n.point.Apply(t.Context(), List{}, want); err != nil {
			t.Error(err)
		}
		done <- time.Since(begun)
	}()
	refused := untilRefused(t, n.URL, last)
	applied := <-done
	begun = time.Now()
	mustHold(t, n.point, want)
	testkit.Figure(t, "nginx, %d addresses: the first 403 after %s, proven enforced after %s, read back in %s",
		manyAddresses, refused.Round(time.Millisecond), applied.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	n.expect(t, first, "GET /", 403)
	n.expect(t, "203.0.113.7", "GET /", 200)
}

func TestHAProxyTakesAHundredThousandAddresses(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock))
	h.Start(t)
	until := time.Now().Add(time.Hour)
	want := manyEntries(manyAddresses, until)
	begun := time.Now()
	if err := h.point.Apply(t.Context(), List{}, want); err != nil {
		t.Fatal(err)
	}
	h.expect(t, want.Entries[manyAddresses-1].Prefix.Addr().String(), "GET /", 403)
	applied := time.Since(begun)
	begun = time.Now()
	mustHold(t, h.point, want)
	read := time.Since(begun)
	more := listOf(append(want.Entries[:manyAddresses:manyAddresses], inForce("203.0.113.7/32", "", until))...)
	begun = time.Now()
	if err := h.point.Apply(t.Context(), want, more); err != nil {
		t.Fatal(err)
	}
	h.expect(t, "203.0.113.7", "GET /", 403)
	testkit.Figure(t, "haproxy, %d addresses: enforced after %s, read back in %s, one more enforced after %s", manyAddresses,
		applied.Round(time.Millisecond), read.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	mustApply(t, h.point, listOf())
	h.expect(t, "203.0.113.7", "GET /", 200)
}

// evilTexts are texts as attackers write them, each with the mark evil in it.
var evilTexts = []string{
	"evil\";} http { server { listen 1; } }", "evil\n0.0.0.0/0 9999999999:ab", "evil $remote_addr", "evil` \\", "<<\nevil",
	"198.51.100.7/32 evil", "198.51.100.7;evil", "POST /login evil", "evil\x00\xff\u202e", "} evil {", "# evil", "evil' ; del map /",
	"::ffff:198.51.100.7%evil", "0x7f.evil", "{evil...}", "evil, 10/1m",
}

// hostileDecisions returns what is in force after a campaign by somebody who
// chooses every text that he can, and more than he can.
func hostileDecisions(n int, now time.Time) *Force {
	r := rand.New(rand.NewPCG(3, 4))
	f := &Force{Well: true}
	evil := func() string { return evilTexts[r.IntN(len(evilTexts))] }
	often := func(good string) string {
		if r.IntN(20) == 0 {
			return evil()
		}
		return good
	}
	actions := enforceable
	for i := range n {
		a := actions[r.IntN(len(actions))]
		d := event.Decision{
			Step: event.New, ID: often(fmt.Sprintf("%032x", r.Uint64())), Time: now, Until: now.Add(time.Duration(r.IntN(90000)) * time.Second),
			Mode: event.Enforce, Would: a, Rule: often("a.b"), Severity: event.High,
		}
		if a == event.Limit {
			d.To = often("10/1m")
		}
		address := fmt.Sprintf("198.%d.%d.%d", 18+r.IntN(2), r.IntN(256), r.IntN(256))
		switch r.IntN(8) {
		case 0:
			address = fmt.Sprintf("2001:db8:%x:%x::/64", r.IntN(65536), r.IntN(65536))
		case 1:
			address = fmt.Sprintf("198.%d.%d.0/24", 18+r.IntN(2), r.IntN(256))
		}
		d.Target = append(d.Target, event.Value{Field: "ip", Text: often(address)})
		switch r.IntN(6) {
		case 0, 1:
			d.Target = append(d.Target, event.Value{Field: "endpoint", Text: often(wellKnown[r.IntN(len(wellKnown))])})
		case 2:
			d.Target = append(d.Target, event.Value{Field: often("agent"), Text: evil()})
		}
		if r.IntN(50) == 0 {
			d.Except = often("known(ip)")
		}
		d.Key = d.Target
		f.Entries = append(f.Entries, &InForce{Decision: d, Action: a, Since: now, Until: d.Until, Reason: evil(), By: evil(), Good: float64(i % 3)})
	}
	return f
}

var (
	nginxLines = regexp.MustCompile(`^(?:` + strings.Join([]string{
		`geo \$weir_[a-z]+_(?:site|e[0-9a-f]{8}) \{`,
		`    default "";`,
		`    [0-9a-f.:]+/[0-9]{1,3} "[0-9]{10} [0-9a-f]{32}(?: [0-9]+/[0-9]+[smh])?";`,
		`    e[0-9a-f]{8} \$weir_[a-z]+_e[0-9a-f]{8};`,
		`    "~\^\(\?s\)\(\?:[A-Z|]+\)\[ \](?:\[\^ \]\*|[a-z.\[\]]+)\[ \][A-Za-z0-9/_.~:@\[\]?+*^-]+\\z" e[0-9a-f]{8};`,
		`    default [0-9a-f]{16};`,
		`\}`,
	}, "|") + `)$`)
	mapLines = regexp.MustCompile(`^(?:e[0-9a-f]{8}@)?[0-9a-f.:]+(?:/[0-9]{1,3}|/net)? [0-9]{10}:[0-9a-f]{32}(?::[0-9]+/[0-9]+[smh])?$`)
)

func TestNoTextOfALogReachesAProxy(t *testing.T) {
	now := time.Now()
	force := hostileDecisions(100_000, now)
	s := settingFor(t, enforceable)
	n := newNginxSite(t, false, s)
	n.point.cfg.Reload = []string{"true"} // it does not run; its test is what counts
	h := newHAProxySite(t, s, func(_ *proxytest.HAProxy, cfg *HAProxyConfig) { cfg.Socket, cfg.Reload = nil, []string{"true"} })

	static, _, err := n.point.lists.render(nil)
	if err != nil {
		t.Fatal(err)
	}
	fixed := map[string]bool{}
	for line := range strings.Lines(string(static)) {
		fixed[strings.TrimSuffix(line, "\n")] = true
	}
	for _, p := range []Point{n.point, h.point} {
		list, report := Compile(force, p.Capabilities(), nil, now)
		if len(list.Entries) < 20_000 || report.Inexpressible < 20_000 {
			t.Fatalf("%d entries and %d inexpressible, must be many of both", len(list.Entries), report.Inexpressible)
		}
		mustApply(t, p, list) // with nginx's own test
	}
	if said, err := h.Check(t); err != nil {
		t.Errorf("haproxy -c: %s", said)
	}
	check := func(file string, ok func(string) bool) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := unseal(text)
		if err != nil {
			t.Fatal(err)
		}
		lines := 0
		for line := range strings.Lines(string(body)) {
			lines++
			if line = strings.TrimSuffix(line, "\n"); !ok(line) {
				t.Fatalf("%s: %q", file, line)
			}
		}
		if lines < 1000 || strings.Contains(string(text), "evil") {
			t.Errorf("%s: %d lines, must be many, without a text of an attacker's", file, lines)
		}
	}
	check(n.point.cfg.Conf, func(line string) bool { return fixed[line] || nginxLines.MatchString(line) })
	for _, m := range h.point.maps.all {
		check(m.file, mapLines.MatchString)
	}
}

// FuzzProxyFiles: what is read of a file never makes weir fail, and what it
// takes for a list is one that it can write.
func FuzzProxyFiles(f *testing.F) {
	n, err := newNginxLists(enforceable, nil)
	if err != nil {
		f.Fatal(err)
	}
	until := time.Unix(4102444800, 0)
	body, _, err := n.render([]Entry{inForce("203.0.113.7/32", "", until), inForce("2001:db8::/64", "", until)})
	if err != nil {
		f.Fatal(err)
	}
	m := &haproxyMap{file: "/weir.map", action: event.Block}
	ends := &haproxyMap{file: "/weir-endpoint.map", action: event.Block, endpoints: true}
	f.Add(body)
	f.Add(m.body([]Entry{inForce("203.0.113.7/32", "", until)}))
	f.Add(ends.body([]Entry{inForce("203.0.113.0/24", "POST /login", until), inForce("2001:db8:1::/48", "POST /login", until)}))
	f.Fuzz(func(t *testing.T, text []byte) {
		if es, err := n.parse(text); err == nil {
			for i := range es {
				if err := checkProxyEntry(&es[i]); err != nil {
					t.Error(err)
				}
			}
		}
		for _, m := range []*haproxyMap{m, ends} {
			es, err := m.parse(text)
			if err != nil {
				continue
			}
			again, err := m.parse(m.body(es))
			if err != nil || fmt.Sprint(again) != fmt.Sprint(es) {
				t.Errorf("%v, must be %v: %v", again, es, err)
			}
		}
		if _, _, err := unseal(text); err == nil && len(text) > 0 && sealPattern.Find(text) == nil {
			t.Error("a foreign file was taken for weir's")
		}
	})
}
