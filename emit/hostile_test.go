package emit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"weir/event"
	"weir/internal/proxytest"
)

// evilTexts are texts as attackers write them, each with the mark evil in it.
var evilTexts = []string{
	"evil\";} http { server { listen 1; } }", "evil\n0.0.0.0/0 9999999999:ab", "evil $remote_addr", "evil` \\", "<<\nevil",
	"198.51.100.7/32 evil", "198.51.100.7;evil", "POST /login evil", "evil\x00\xff\u202e", "} evil {", "# evil", "evil' ; del map /",
	"::ffff:198.51.100.7%evil", "0x7f.evil", "{evil...}", "evil, 10/1m",
}

// hostileDecisions returns what a campaign leads to of somebody who chooses every
// text that he can, and more than he can.
func hostileDecisions(n int, now time.Time) []event.Decision {
	r := rand.New(rand.NewPCG(3, 4))
	ds := make([]event.Decision, 0, n)
	evil := func() string { return evilTexts[r.IntN(len(evilTexts))] }
	often := func(good string) string {
		if r.IntN(20) == 0 {
			return evil()
		}
		return good
	}
	actions := enforceable
	for range n {
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
		ds = append(ds, d)
	}
	return ds
}

// unguarded puts all of it into force, with other texts that are not his.
func unguarded(ds []event.Decision) *Force {
	f := &Force{Well: true}
	for i, d := range ds {
		f.Entries = append(f.Entries, &InForce{
			Decision: d, Action: d.Would, Since: d.Time, Until: d.Until,
			Reason: evilTexts[i%len(evilTexts)], By: evilTexts[i/2%len(evilTexts)], Good: float64(i % 3),
		})
	}
	return f
}

// letIn returns what a ledger with its guards puts into force. Ids are those that
// the engine makes of decisions, and limits are a rule's: nobody else chooses them.
func letIn(t *testing.T, ds []event.Decision, g *Guards) *Force {
	t.Helper()
	l := reopened(t, "", &testClock{ds[0].Time}, g)
	for i := range ds {
		if ds[i] = identified(ds[i]); ds[i].To != "" {
			ds[i].To = "10/1m"
		}
	}
	for batch := range slices.Chunk(ds, 1000) {
		l.add(batch...)
	}
	if c := l.Counts(); c.Held[GuardWidth] < uint64(len(ds)/100) {
		t.Errorf("the guards held %v: they were given nothing hostile", c.Held)
	}
	return l.InForce()
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

// hostileCount is how many decisions with hostile texts the points are given.
const hostileCount = 100_000

// No text of an attacker's reaches a file of a proxy or a plain list, whether the
// guards had a look at it or not; and the proxies' own parsers take the files.
func TestNoTextOfALogReachesAProxy(t *testing.T) {
	now := time.Now()
	guards := &Guards{}
	for name, force := range map[string]*Force{
		"as the guards let it in": letIn(t, hostileDecisions(hostileCount, now), guards),
		"whatever is decided":     unguarded(hostileDecisions(hostileCount, now)),
	} {
		t.Run(name, func(t *testing.T) { harmlessFiles(t, force, now) })
	}
}

func harmlessFiles(t *testing.T, force *Force, now time.Time) {
	s := settingFor(t, enforceable)
	n := newNginxSite(t, false, s)
	n.point.cfg.Reload = []string{"true"} // it does not run; its test is what counts
	h := newHAProxySite(t, s, func(_ *proxytest.HAProxy, cfg *HAProxyConfig) { cfg.Socket, cfg.Reload = nil, []string{"true"} })
	plain := textPoint(t, FileConfig{})

	static, _, err := n.point.lists.render(nil)
	if err != nil {
		t.Fatal(err)
	}
	fixed := map[string]bool{}
	for line := range strings.Lines(string(static)) {
		fixed[strings.TrimSuffix(line, "\n")] = true
	}
	for p, least := range map[Point]int{n.point: 15_000, h.point: 15_000, plain: 4000} {
		list, report := Compile(force, p.Capabilities(), nil, now)
		if len(list.Entries) < least || report.Inexpressible < least {
			t.Fatalf("%s: %d entries and %d inexpressible, must be many of both", p.Name(), len(list.Entries), report.Inexpressible)
		}
		if err := p.Apply(t.Context(), List{}, list); err != nil { // with nginx's own test
			t.Fatal(err)
		}
		if p == Point(plain) { // it keeps no ends
			if have, err := p.Read(t.Context()); err != nil || len(have.Entries) != len(list.Entries) {
				t.Errorf("%d entries read back, must be %d: %v", len(have.Entries), len(list.Entries), err)
			}
			continue
		}
		mustHold(t, p, list)
	}
	if said, err := h.Check(t); err != nil {
		t.Errorf("haproxy -c: %s", said)
	}
	onlyLines := func(file string, text []byte, ok func(string) bool) {
		t.Helper()
		lines := 0
		for line := range strings.Lines(string(text)) {
			lines++
			if line = strings.TrimSuffix(line, "\n"); !ok(line) {
				t.Fatalf("%s: %q", file, line)
			}
		}
		if lines < 1000 || strings.Contains(string(text), "evil") {
			t.Errorf("%s: %d lines, must be many, without a text of an attacker's", file, lines)
		}
	}
	sealed := func(file string, ok func(string) bool) {
		t.Helper()
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := unseal(text)
		if err != nil {
			t.Fatal(err)
		}
		onlyLines(file, body, ok)
	}
	sealed(n.point.cfg.Conf, func(line string) bool { return fixed[line] || nginxLines.MatchString(line) })
	for _, m := range h.point.maps.all {
		sealed(m.file, mapLines.MatchString)
	}
	text, err := os.ReadFile(plain.path)
	if err != nil {
		t.Fatal(err)
	}
	head, body, _ := bytes.Cut(text, []byte{'\n'})
	if !plainHead.Match(head) {
		t.Errorf("the plain list begins with %q", head)
	}
	onlyLines(plain.path, body, plainLines.MatchString)
}

var (
	plainHead  = regexp.MustCompile(`^# weir: [0-9]+ entries, valid until [0-9TZ:-]{20}, sha256 [0-9a-f]{64}$`)
	plainLines = regexp.MustCompile(`^(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9a-f:]+)(?:/[0-9]{1,3})?$`)
)

// A topic takes every target: what attackers wrote is there, as text within JSON
// that anything can read and print, and the keys are ids.
func TestTextsOfALogStayTextsInATopic(t *testing.T) {
	now := time.Now()
	guards := &Guards{}
	force := letIn(t, hostileDecisions(hostileCount, now), guards)
	c, _ := kafka(t, 1, "compact")
	p := topicPointOf(t, c, "out", 0, nil)
	list, report := Compile(force, p.Capabilities(), guards, now)
	if len(list.Entries) < hostileCount/2 || report.Inexpressible+report.Faults != 0 {
		t.Fatalf("%d entries, %+v", len(list.Entries), report)
	}
	if err := p.Apply(t.Context(), List{}, list); err != nil {
		t.Fatal(err)
	}
	mustHold(t, p, list)
	want := map[string]*Entry{}
	for i := range list.Entries {
		want[list.Entries[i].ID] = &list.Entries[i]
	}
	evil := 0
	for _, r := range records(t, c, len(list.Entries)) {
		e := want[string(r.Key)]
		if e == nil || !topicKeys.Match(r.Key) {
			t.Fatalf("key %q is no id of a decision in force", r.Key)
		}
		delete(want, e.ID)
		for _, c := range string(r.Value) {
			if !unicode.IsGraphic(c) {
				t.Fatalf("%U stands in %q", c, r.Value)
			}
		}
		var got struct {
			ID, Point, Action, Rule string
			Target                  map[string]string
		}
		if err := json.Unmarshal(r.Value, &got); err != nil {
			t.Fatalf("%v: %q", err, r.Value)
		}
		d := e.Decision
		if got.ID != e.ID || got.Point != "out" || got.Action != e.Action.String() || utf8.ValidString(d.Rule) && got.Rule != d.Rule || len(got.Target) != len(d.Target) {
			t.Fatalf("%q is not %+v", r.Value, e)
		}
		for _, v := range d.Target {
			if text, ok := got.Target[v.Field]; utf8.ValidString(v.Field+v.Text) && (!ok || text != v.Text) {
				t.Fatalf("%q of %q is %q", v.Field, v.Text, text)
			}
		}
		if bytes.Contains(r.Value, []byte("evil")) {
			evil++
		}
	}
	if len(want) != 0 || evil < 5000 {
		t.Errorf("%d entries have no record; %d records hold a text of an attacker's, must be many", len(want), evil)
	}
}

var topicKeys = regexp.MustCompile(`^[0-9a-f]{32}$`)
