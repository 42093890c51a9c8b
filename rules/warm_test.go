package rules

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	minutes = 60
	hours   = 3600
	days    = 24 * hours
)

// ruleWith returns rule id over logins by ip, its features separated by semicolons.
func ruleWith(id, features, when, then string) string {
	text := "id: " + id + "\nversion: 1\nkey: ip\nwhere: kind == \"login\"\nfeatures:\n  " + strings.ReplaceAll(features, "; ", "\n  ") + "\nwhen: '" + when + "'\n"
	if then != "" {
		text += "then: {" + then + ", for: 1h}\n"
	}
	return text
}

func TestARuleSaysFromWhenOnAllThatItReadsIsThere(t *testing.T) {
	const tick = 1_700_000_000 - 1_700_000_000%hours + 20*minutes
	standing := int64(tick + 40*minutes + 7*days + hours) // the next whole hour, and the hour in which it is used
	n := `n: count("1h")`
	plain := ruleWith("a", n, "n > 1", "")
	endpoints := func(kind, then string) string {
		return "id: e." + kind + "\nversion: 1\nkey: endpoint\nwhere: kind == \"" + kind + "\"\nfeatures: {n: count(\"1h\")}\nwhen: n > 1\nthen: {" + then + ", for: 1h}\n"
	}
	for _, c := range []struct {
		name     string
		old, now []string // the rule asked about is the first of now
		want     int64
	}{
		{"unchanged", []string{plain}, []string{plain}, 0},
		{"unchanged beside new ones", []string{plain}, []string{plain, ruleWith("b", `n: count("7d")`, "n > 1", "block: ip, if: good == 0")}, 0},
		{"a new threshold", []string{plain}, []string{ruleWith("a", n, "n > 2", "")}, 0},
		{"new", nil, []string{plain}, tick + hours},
		{"a new feature", []string{plain}, []string{ruleWith("a", n+`; d: distinct("24h", session)`, "n > d", "")}, tick + days},
		{"a new condition of a feature", []string{plain}, []string{ruleWith("a", `n: count("1h", status == 401)`, "n > 1", "")}, tick + hours},
		{"what another rule kept", []string{ruleWith("b", `n: count("1h")`, "n > 1", "")}, []string{plain}, 0},
		{"a longer window", []string{plain}, []string{ruleWith("a", `n: count("24h")`, "n > 1", "")}, tick + days},
		{"a longer window of the same panes", []string{plain}, []string{ruleWith("a", `n: count("30m")`, "n > 1", ""), plain}, 0},
		{"the whole of a ratio", []string{ruleWith("a", `n: count("1h", status == 401)`, "n > 1", "")},
			[]string{ruleWith("a", `n: ratio("1h", status == 401)`, "n > 0.5", "")}, tick + hours},
		{"an aggregate in when", []string{plain}, []string{ruleWith("a", n, `n > sum("6h", bytes)`, "")}, tick + 6*hours},
		{"an aggregate in if", []string{ruleWith("a", n, "n > 1", "block: ip")},
			[]string{ruleWith("a", n, "n > 1", `block: ip, if: 'count("2d", status == 401) > 1'`)}, tick + 2*days},
		{"a target that nothing asks about", []string{plain}, []string{ruleWith("a", n, "n > 1", "block: ip")}, 0},
		{"good of a new target", []string{plain}, []string{ruleWith("a", n, "n > 1", "block: ip, if: good == 0")}, tick + 7*days},
		{"good of a target", []string{ruleWith("b", n, "n > 5", "block: ip")}, []string{ruleWith("a", n, "n > 1", "block: ip, if: clean")}, 0},
		{"an exception", []string{ruleWith("a", n, "n > 1", "challenge: ip")},
			[]string{ruleWith("a", n, "n > 1", "challenge: ip, except: known(session)")}, standing},
		{"known in a feature", []string{plain}, []string{ruleWith("a", `n: count("6h", not known(agent))`, "n > 1", "")}, standing + 6*hours},
		{"known, kept before", []string{plain, ruleWith("b", n, "n > 1", "challenge: ip, except: known(agent)")},
			[]string{ruleWith("a", `n: count("6h", not known(agent))`, "n > 1", "")}, tick + 6*hours},
		{"seen in a condition", []string{plain}, []string{ruleWith("a", n, `n > 1 and count("1h", seen(session)) > 1`, "")}, standing + hours},
		{"members", []string{strings.Replace(plain, "key: ip", "key: endpoint", 1)}, []string{strings.Replace(ruleWith("a", n, "n > 1", "challenge: ip"), "key: ip", "key: endpoint", 1)}, tick + hours},
		{"an aggregate of members", []string{strings.Replace(ruleWith("a", n, "n > 1", `challenge: ip, if: 'count("6h") > 1'`), "key: ip", "key: endpoint", 1)},
			[]string{strings.Replace(ruleWith("a", n, "n > 1", `challenge: ip, if: 'count("6h", status == 401) > 1'`), "key: ip", "key: endpoint", 1)}, tick + 6*hours},
		{"known in the whole of a ratio", []string{plain}, []string{ruleWith("a", `n: ratio("6h", status == 401, known(agent))`, "n > 0.5", "")}, standing + 6*hours},
		{"known in where", []string{plain},
			[]string{strings.Replace(ruleWith("a", n, `n > 1 and count("6h") > 2`, ""), `kind == "login"`, "not known(agent)", 1)}, standing + 6*hours},
		{"a signal", []string{ruleWith("a", n, "n > 1", "")},
			[]string{ruleWith("a", n, `n > 1 and signal("b", "6h")`, ""), ruleWith("b", `n: count("24h")`, "n > 1", "")}, tick + days + 6*hours},
		{"a target of one more kind", []string{endpoints("login", "block: [endpoint, ip], if: good == 0")},
			[]string{endpoints("login", "block: [endpoint, ip], if: good == 0"), endpoints("signup", "block: [endpoint, ip], if: good == 0")}, 0},
		{"a target of another kind", []string{endpoints("login", "block: [endpoint, ip], if: good == 0")},
			[]string{endpoints("signup", "block: [endpoint, ip], if: good == 0"), endpoints("login", "block: [endpoint, ip], if: good == 0")}, tick + 7*days},
		{"a target of one kind less", []string{endpoints("login", "block: [endpoint, ip], if: good == 0"), endpoints("signup", "block: [endpoint, ip], if: good == 0")},
			[]string{endpoints("login", "block: [endpoint, ip], if: good == 0")}, 0},
	} {
		old := planned(t, mustParse(t, c.old...), PlanOptions{})
		rs := mustParse(t, c.now...)
		id := rs[0].ID
		p := planned(t, rs, PlanOptions{Inherit: &old.Layout, Tick: tick})
		i := slices.IndexFunc(p.Rules, func(r *Rule) bool { return r.ID == id })
		if got := p.Complete(i); got != c.want {
			t.Errorf("%s: complete from %s, want %s", c.name, ago(got, tick), ago(c.want, tick))
		}
	}
}

func ago(at, tick int64) string {
	if at == 0 {
		return "the beginning"
	}
	return time.Duration((at-tick)*int64(time.Second)).String() + " after the reload"
}

func TestAFeatureRestsOnTheStandingThatItsRuleAsksFor(t *testing.T) {
	const tick = 360_000
	rs := mustParse(t, strings.Replace(ruleWith("a", `n: count("1h")`, "n > 1", ""), `kind == "login"`, "not known(agent)", 1))
	old := planned(t, nil, PlanOptions{})
	if got, want := planned(t, rs, PlanOptions{Inherit: &old.Layout, Tick: tick}).CompleteFeature(0, 0), int64(tick+7*days+2*hours); got != want {
		t.Errorf("complete from %d, want %d", got, want)
	}
}

func TestAFeatureSaysFromWhenOnItIsThere(t *testing.T) {
	const tick = 360_000
	old := planned(t, mustParse(t, ruleWith("a", `n: count("1h")`, "n > 1", "")), PlanOptions{})
	p := planned(t, mustParse(t, ruleWith("a", `n: count("1h"); m: count("24h"); k: count("1h", known(ip))`, "n > m + k", "")),
		PlanOptions{Inherit: &old.Layout, Tick: tick})
	for i, want := range []int64{0, tick + days, tick + 7*days + 2*hours} {
		if got := p.CompleteFeature(0, i); got != want {
			t.Errorf("feature %s: complete from %d, want %d", p.Rules[0].Features[i].Name, got, want)
		}
	}
}

// A rule that comes or goes changes for what kinds a target is kept, not what
// is kept: it goes on, under the same name.
func TestATargetIsKeptWhenItsKindsChange(t *testing.T) {
	text := func(id, where string) string {
		return "id: " + id + "\nversion: 1\nkey: [endpoint, ip]\nwhere: '" + where + "'\nfeatures: {n: count(\"1h\")}\nwhen: n > 1\nthen: {block: [endpoint, ip], if: good == 0, for: 1h}\n"
	}
	one := mustParse(t, text("a", `kind == "login"`))
	all := mustParse(t, text("a", `kind == "login"`), text("b", "true"))
	few, many := planned(t, one, PlanOptions{}), planned(t, all, PlanOptions{})
	names := func(p *Plan) (s []string) {
		tr := p.tables[p.rules[0].entries[0].target].target
		for _, i := range []int{tr.events, tr.refusals, tr.successes, tr.tries, tr.goodActors, tr.triedActors} {
			s = append(s, p.Layout.Tables[p.rules[0].entries[0].target].Series[i].Name)
		}
		return s
	}
	if !slices.Equal(names(few), names(many)) {
		t.Errorf("series of a target are %q, with a rule more %q", names(few), names(many))
	}
	again := planned(t, all, PlanOptions{Inherit: &few.Layout, Tick: 1000})
	if a, b := again.Complete(0), again.Complete(1); a != 0 || b != 1000+7*days {
		t.Errorf("complete from %d and %d, want 0 and %d", a, b, 1000+7*days)
	}
}
