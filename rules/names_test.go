package rules

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"weir/event"
	"weir/windows"
)

// manyRules are the rules that ship and some whose tables are shared in all
// the ways there are.
func manyRules(t *testing.T) []*Rule {
	t.Helper()
	rs, err := LoadFS(os.DirFS("../rulesets"), ".", testOptions)
	if err != nil || len(rs) < 10 {
		t.Fatalf("%d rules, error %v", len(rs), err)
	}
	more := mustParse(t,
		ruleText("m.one", "endpoint", "n > 1")+"then: {challenge: [ip, endpoint], for: 1h}\n",
		ruleText("m.two", "ip", "n > 1")+"then: {challenge: [ip, endpoint], for: 1h}\n",
		ruleText("m.three", "[ip, endpoint]", "n > 1")+"then: {challenge: [session], if: 'distinct(\"1h\", agent) > 3', for: 1h}\n",
		ruleText("m.four", "[ip, endpoint]", `n > 1 and count("1h", not known(session)) > 3 and count("1h", denied(ip)) > 1 and count("1h", not seen(x.plan)) > 1`),
		ruleText("m.five", "[x.plan, x.tenant]", `top("6h", x.plan) > 1 and max("5m", bytes, status == 401) > 3`),
		ruleText("m.six", "session", `cadence("1h") < 1 and last("24h", known(ip)) > 3`)+"then: {block: [ip, endpoint, session], if: good == 0, for: 1h}\n",
	)
	return append(rs, more...)
}

func planned(t *testing.T, rs []*Rule, opt PlanOptions) *Plan {
	t.Helper()
	opt.Extras = testOptions.Extras
	p, err := NewPlan(rs, event.FixedKey(), opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Layout.Validate(); err != nil {
		t.Fatal(err)
	}
	return p
}

// someEvents are events that most tables take in.
func someEvents(n int) (evs []event.Event) {
	rng := rand.New(rand.NewPCG(3, 3))
	for range n {
		var ev event.Event
		ev.Reset()
		ev.Second = 1_700_000_000
		ev.IP = netip.AddrFrom4([4]byte{198, 51, 100, byte(rng.Uint32())})
		ev.ASN, ev.Status = 64500, 200
		ev.Kind = event.Kind(rng.IntN(event.NumKinds))
		ev.Outcome = event.Outcome(rng.IntN(3))
		ev.Endpoint = "POST /" + ev.Kind.String()
		ev.Fingerprint, ev.Agent, ev.Session, ev.Credential = "f", "a", fmt.Sprint("s", rng.IntN(5)), fmt.Sprint("c", rng.IntN(5))
		ev.X[0], ev.X[1] = "t", "p"
		evs = append(evs, ev)
	}
	return evs
}

// keysByName returns what a plan makes of each event: its key in each table,
// with the population's, by the table's name.
func keysByName(p *Plan, evs []event.Event) []map[string]string {
	m := NewMapper(p, 1, nil)
	keys := make([]map[string]string, len(evs))
	for i := range evs {
		var d windows.Deltas
		m.Map(evs[i:i+1], 0, nil, &d)
		keys[i] = map[string]string{}
		for _, r := range d.Rows {
			keys[i][p.Layout.Tables[r.Table].Name] = fmt.Sprintf("%x of %x", r.Key, r.Parent)
		}
	}
	return keys
}

// withSignals adds the rules whose signals others read.
func withSignals(some, all []*Rule) []*Rule {
	for i := 0; i < len(some); i++ {
		for _, c := range some[i].conds() {
			for _, s := range c.Signals {
				of := func(r *Rule) bool { return r.ID == s.Rule }
				if at := slices.IndexFunc(all, of); at >= 0 && !slices.ContainsFunc(some, of) {
					some = append(some, all[at])
				}
			}
		}
	}
	return some
}

func TestKeysAndSeriesAreTheSameUnderEverySetOfRules(t *testing.T) {
	all := manyRules(t)
	evs := someEvents(200)
	whole := planned(t, all, PlanOptions{Site: true})
	want := keysByName(whole, evs)
	seeds := map[uint64]string{}
	for i := range whole.tables {
		name, seed := whole.Layout.Tables[i].Name, whole.tables[i].seed[1]
		if other, ok := seeds[seed]; ok {
			t.Errorf("keys of table %q are those of %q", name, other)
		}
		seeds[seed] = name
	}
	rng := rand.New(rand.NewPCG(1, 1))
	compared, parents, series := 0, 0, 0
	for range 60 {
		var some []*Rule
		for _, r := range all {
			if rng.IntN(3) == 0 {
				some = append(some, r)
			}
		}
		p := planned(t, withSignals(some, all), PlanOptions{Site: rng.IntN(2) == 0})
		for i, keys := range keysByName(p, evs) {
			for name, key := range keys {
				w := want[i][name]
				if key != w {
					t.Fatalf("table %q: key %s, want %s as under all rules", name, key, w)
				}
				if compared++; strings.Contains(name, " of ") {
					parents++
				}
			}
		}
		for ti := range p.Layout.Tables {
			for tw := range whole.Layout.Tables {
				if p.Layout.Tables[ti].Name == whole.Layout.Tables[tw].Name {
					series += sameSeries(t, p, whole, ti, tw)
				}
			}
		}
	}
	if compared < 1000 || parents < 100 || series < 500 {
		t.Errorf("%d keys were compared, %d of populations, and %d series: too few", compared, parents, series)
	}
}

// sameSeries compares what series of a name are in two plans.
func sameSeries(t *testing.T, a, b *Plan, ta, tb int) (n int) {
	t.Helper()
	what := func(p *Plan, t int, s *windows.Series) string {
		bit := p.tables[t].bits[s.Bit]
		text := fmt.Sprint(s.Kind)
		for _, c := range []int{bit.where, bit.cond} {
			switch _, own := p.ofKinds[c]; {
			case c < 0:
				text += fmt.Sprint(" ", c)
			case own:
				text += " kinds"
			default:
				text += " " + p.conds[c].Text
			}
		}
		switch s.Kind {
		case windows.Sum, windows.MinMax, windows.Distinct, windows.Buckets:
			text += fmt.Sprint(" ", p.obs[s.Obs].field, p.obs[s.Obs].number)
		}
		return text
	}
	for i := range a.Layout.Tables[ta].Series {
		for k := range b.Layout.Tables[tb].Series {
			sa, sb := &a.Layout.Tables[ta].Series[i], &b.Layout.Tables[tb].Series[k]
			if (sa.Name == sb.Name) != (what(a, ta, sa) == what(b, tb, sb)) {
				t.Fatalf("table %q: series %q is %s and %q is %s", a.Layout.Tables[ta].Name, sa.Name, what(a, ta, sa), sb.Name, what(b, tb, sb))
			}
			if sa.Name == sb.Name {
				n++
			}
		}
	}
	return n
}

func TestNamesSayWhatIsKept(t *testing.T) {
	p := planned(t, mustParse(t, `id: a
version: 1
key: [endpoint, fingerprint]
where: kind == "login"
features:
  failed: ratio("1h", outcome == "failure", not known(x.plan))
  accounts: distinct("24h", credential)
  size: sum("10m", bytes, status == 401)
when: failed > 1
then:
  - {block: [ip, endpoint], if: good == 0, for: 1h}
`), PlanOptions{Site: true})
	var got strings.Builder
	for _, tb := range p.Layout.Tables {
		fmt.Fprintf(&got, "%d %q\n", tb.Store, tb.Name)
		for _, s := range tb.Series {
			fmt.Fprintf(&got, "  %s (%d) %v %v %x\n", s.Name, s.Kind, s.Windows, s.Since, s.Kinds)
		}
	}
	golden(t, "testdata/names.golden", got.String())
	if p.Layout.NextStore != uint32(len(p.Layout.Tables)) {
		t.Errorf("the next number is %d, want %d", p.Layout.NextStore, len(p.Layout.Tables))
	}
}

func TestARuleThatDoesTheSameHasTheSameHash(t *testing.T) {
	const src = `id: a.b
version: 1
title: Something
severity: high
tags: [oat-008]
key: [endpoint, ip]
where: kind == "login"
features:
  tries: count("10m")
  failed: ratio("10m", outcome == "failure")
when: tries >= 20 and failed > 0.9
then:
  - {block: [endpoint, ip], if: clean, for: [1h, 6h]}
  - {challenge: [endpoint, ip], except: known(ip), for: 1h}
  - {limit: [endpoint, ip], to: 10/1m, for: 1h}
stage: shadow
`
	hash := func(src string) string {
		t.Helper()
		return mustParse(t, src)[0].Hash()
	}
	want := hash(src)
	if len(want) != 32 {
		t.Errorf("hash %q, must be 32 hex digits", want)
	}
	changes := func(from, to string) string {
		t.Helper()
		changed := strings.Replace(src, from, to, 1)
		if changed == src {
			t.Fatalf("%q is not in the rule", from)
		}
		return changed
	}
	for from, to := range map[string]string{
		"version: 1": "version: 2", "stage: shadow": "stage: alert", "title: Something": "title: Another thing", "[oat-008]": "[oat-007]",
		`kind == "login"`: `(kind=="login")  # a comment`, "tries >= 20 and failed": "tries >= 20 && (failed", "[endpoint, ip]\nwhere": "[ip, endpoint]\nwhere",
		"for: 1h}\n  - {limit": "for: 60m}\n  - {limit",
	} {
		changed := changes(from, to)
		if strings.Contains(to, "&& (") {
			changed = strings.Replace(changed, "0.9", "0.90)", 1)
		}
		if hash(changed) != want {
			t.Errorf("%q for %q: another hash", to, from)
		}
	}
	seen := map[string]string{want: "the rule"}
	for from, to := range map[string]string{
		"id: a.b": "id: a.c", "severity: high": "severity: low", "key: [endpoint, ip]": "key: [endpoint, ip, agent]", `"login"`: `"signup"`,
		`count("10m")`: `count("5m")`, `ratio("10m", outcome == "failure")`: `ratio_low("10m", outcome == "failure")`,
		`outcome == "failure"`: `outcome == "success"`, "tries >= 20": "tries > 20", "failed > 0.9": "failed > 0.91",
		"block: [endpoint, ip]": "block: [ip]", "block:": "deceive:", "if: clean": "if: good == 0", "[1h, 6h]": "[6h, 1h]",
		"for: 1h}\n  - {l": "for: 2h}\n  - {l", "except: known(ip)": "except: known(agent)", "to: 10/1m": "to: 11/1m",
		"outcome == \"failure\")\nwhen":                                           "outcome == \"failure\", not known(ip))\nwhen",
		"tries: count(\"10m\")\n  failed: ratio(\"10m\", outcome == \"failure\")": "failed: ratio(\"10m\", outcome == \"failure\")\n  tries: count(\"10m\")",
	} {
		h := hash(changes(from, to))
		if before, ok := seen[h]; ok {
			t.Errorf("%q for %q has the hash of %s", to, from, before)
		}
		seen[h] = to
	}
}

func TestHashesStayAsTheyAre(t *testing.T) {
	var got bytes.Buffer
	for _, file := range sources(t, "testdata/good/*.yaml") {
		r, err := Parse(file, read(t, file), testOptions)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&got, r.ID, r.Hash())
	}
	golden(t, "testdata/hashes.golden", got.String())
}

func TestAPlanInheritsItself(t *testing.T) {
	all := manyRules(t)
	first := planned(t, all, PlanOptions{})
	again := planned(t, all, PlanOptions{Inherit: &first.Layout, Tick: 500})
	for i := range again.Layout.Tables {
		tb, was := &again.Layout.Tables[i], &first.Layout.Tables[i]
		if tb.Store != was.Store || slices.ContainsFunc(tb.Series, func(s windows.Series) bool { return slices.Max(s.Since) > 0 }) {
			t.Errorf("table %q is %+v, was %+v", tb.Name, tb, was)
		}
	}
	c, err := windows.NewConversion(&first.Layout, &again.Layout)
	if err != nil {
		t.Fatal(err)
	}
	for i := range first.Layout.Tables {
		if !c.Keeps(i) {
			t.Errorf("keys of table %q are rewritten", first.Layout.Tables[i].Name)
		}
	}
	for i := range again.Rules {
		if from := again.Complete(i); from != 0 {
			t.Errorf("%s is complete from %d, want 0", again.Rules[i].ID, from)
		}
	}
	first.Layout.Tables[0].Series[0].Name = ""
	if _, err := NewPlan(all, event.FixedKey(), PlanOptions{Extras: testOptions.Extras, Inherit: &first.Layout}); err == nil {
		t.Error("a layout without names was inherited")
	}
}
