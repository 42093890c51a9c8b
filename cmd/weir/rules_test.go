package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/rules"
	"weir/windows"
)

func TestRulesCommandsSayWhatTheyFind(t *testing.T) {
	log := loginLog(t)
	for _, c := range []struct {
		golden string
		args   []string
		faults bool
	}{
		{"check_good.golden", []string{"check", "testdata/rules"}, false},
		{"check_one.golden", []string{"check", "testdata/rules/shop/many_accounts.yaml"}, false},
		{"check_faulty.golden", []string{"check", "testdata/faulty"}, true},
		{"check_faulty_one.golden", []string{"check", "testdata/faulty/shop/population.yaml"}, true},
		{"check_faulty_script.golden", []string{"check", "testdata/faulty/shop/scripted.yaml"}, true},
		{"test_good.golden", []string{"test", "testdata/rules"}, false},
		{"test_one.golden", []string{"test", "testdata/failing/shop/more.test"}, true},
		{"test_failing.golden", []string{"test", "testdata/failing"}, true},
		{"test_faulty.golden", []string{"test", "testdata/faulty/shop/many_accounts.yaml"}, true},
		{"explain.golden", []string{"explain", "testdata/rules/shop/many_accounts.yaml"}, false},
		{"explain_population.golden", []string{"explain", "testdata/rules/shop/population.yaml"}, false},
		{"explain_log.golden", []string{"explain", "testdata/rules/shop/many_accounts.yaml", log}, false},
	} {
		out, err := weir(append([]string{"rules"}, c.args...)...)
		if c.faults != errors.Is(err, errFindings) || !c.faults && err != nil {
			t.Errorf("rules %s: error %v, faults expected: %v", c.args, err, c.faults)
		}
		golden(t, "rules/"+c.golden, sizes.ReplaceAllString(out, "N bytes"))
	}
}

// sizes are the figures of explain that change when windows pack better.
var sizes = regexp.MustCompile(`[\d.]+ (bytes|KiB)`)

// loginLog writes a log in which one client tries accounts and another nearly
// as many as the rule allows.
func loginLog(t *testing.T) string {
	t.Helper()
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	var b strings.Builder
	for i := range 20 {
		ip := "192.0.2.7"
		if i%3 == 0 {
			ip = "192.0.2.8"
		}
		user := fmt.Sprintf("u%d", i%12)
		fmt.Fprintf(&b, "%s - %s [%s] \"POST /login HTTP/1.1\" 401 12 \"-\" \"curl/8.0\"\n", ip, user, at.Add(time.Duration(i)*time.Second).Format("02/Jan/2006:15:04:05 -0700"))
		fmt.Fprintf(&b, "203.0.113.9 - - [%s] \"GET / HTTP/1.1\" 200 12 \"-\" \"-\"\n", at.Add(time.Duration(i)*time.Second).Format("02/Jan/2006:15:04:05 -0700"))
	}
	for i := range 4 { // one that was found comes near again
		fmt.Fprintf(&b, "192.0.2.7 - u%d [%s] \"POST /login HTTP/1.1\" 401 12 \"-\" \"curl/8.0\"\n", i, at.Add(time.Hour).Format("02/Jan/2006:15:04:05 -0700"))
	}
	file := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheRulesThatShipPassTheirCheck(t *testing.T) {
	out, err := weir("rules", "check")
	if err != nil || strings.Contains(out, "warning") {
		t.Errorf("error %v\n%s", err, out)
	}
}

func TestRulesCommandsRefuseWhatIsNotThere(t *testing.T) {
	for _, args := range [][]string{
		{"rules", "check", "testdata/nothing"},
		{"rules", "test", "testdata/nothing.test"},
		{"rules", "test", t.TempDir()},
		{"rules", "check", t.TempDir()},
		{"rules", "explain"},
		{"rules", "explain", "ato.stuffing_sauce"},
		{"rules", "explain", "ato.stuffing_source", "testdata/nothing.log"},
		{"rules", "test", "-c", "testdata/nothing.yaml"},
	} {
		if _, err := weir(args...); !errors.Is(err, errUsage) {
			t.Errorf("%s: got %v, want a usage error", args, err)
		}
	}
}

func TestWhatWouldBeRefusedAtEnforceIsWarnedOf(t *testing.T) {
	for _, c := range []struct {
		name, then string
		warns      []string
	}{
		{"a population", "{block: endpoint, for: 1h}", []string{"then.block: a block that is enforced on a population (its target names no ip, credential or session) needs clean or good in its if"}},
		{"members", "[{challenge: endpoint}, {block: [ip, endpoint], if: tried > 3}]", []string{"then[1].block: a block that is enforced on a population (it has members (ip is not in the key)) needs clean or good in its if"}},
		{"a population that is asked for", "{block: endpoint, if: clean}", nil},
		{"a challenge", "{challenge: endpoint}", nil},
	} {
		for _, stage := range []string{"shadow", "alert", "enforce"} {
			dir := t.TempDir()
			file := write(t, dir, "many.yaml", "id: many\nversion: 1\nkey: endpoint\nwhere: \"true\"\nwhen: count(\"1m\") > 9\nthen: "+c.then+"\nstage: "+stage+"\n")
			out, err := weir("rules", "check", file)
			if refused := stage == "enforce" && len(c.warns) > 0; refused != (err != nil) {
				t.Errorf("%s at %s: error %v\n%s", c.name, stage, err, out)
			}
			var got []string
			for line := range strings.Lines(out) {
				if _, fault, ok := strings.Cut(line, "warning: would be refused at stage enforce: "); ok {
					got = append(got, strings.TrimSpace(fault))
				}
			}
			if want := c.warns; stage != "enforce" && strings.Join(got, "|") != strings.Join(want, "|") || stage == "enforce" && len(got) > 0 {
				t.Errorf("%s at %s: warns of %q, want %q", c.name, stage, got, want)
			}
		}
	}
}

func TestRulesCanBeCalledByTheirIDs(t *testing.T) {
	out, err := weir("rules", "test", "-v", "recon.probing")
	if err != nil || !strings.Contains(out, "ok   recon/probing.test") || !strings.Contains(out, "1 script,") {
		t.Errorf("error %v\n%s", err, out)
	}
	dir := t.TempDir()
	config := write(t, dir, "weir.yaml", "rules: {dirs: [own]}\n")
	if err := os.MkdirAll(filepath.Join(dir, "own", "shop"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "own", "shop"), "many.yaml", "id: shop.many\nversion: 1\nkey: ip\nwhere: \"true\"\nwhen: count(\"1m\") > 9\n")
	if out, err := weir("rules", "check", "-c", config, "shop.many"); err != nil || !strings.Contains(out, "1 rule,") {
		t.Errorf("error %v\n%s", err, out)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"rules", "test", "no/such.test"}, "no/such.test: neither a file or directory, as seen from the current one, nor the id of a rule that ships; name yours with -c"},
		{[]string{"rules", "check", "shop.many"}, "shop.many: neither a file or directory, as seen from the current one, nor the id of a rule that ships; name yours with -c"},
		{[]string{"rules", "test", "-c", config, "shop.any"}, "shop.any: neither a file or directory, as seen from the current one, nor the id of a rule of the configuration"},
		{[]string{"rules", "explain", "--cost", "-c", config}, `--cost has no log: "-c" stands behind it (weir rules explain --cost access.log)`},
		{[]string{"rules", "explain", "recon.prober"}, "there is no rule recon.prober among the rules that ship; name yours with -c (did you mean recon.probing?)"},
		{[]string{"rules", "explain", "-c", config, "shop.any"}, "there is no rule shop.any (did you mean shop.many?)"},
	} {
		if _, err := weir(c.args...); err == nil || err.Error() != c.says {
			t.Errorf("%s:\n got %v\nwant %s", c.args, err, c.says)
		}
	}
}

// A name of the language that the page on it lacks is one that nobody finds.
func TestTheRuleReferenceHasEveryName(t *testing.T) {
	page, err := os.ReadFile("../../docs/RULES.md")
	if err != nil {
		t.Fatal(err)
	}
	words := map[string]bool{}
	for _, w := range regexp.MustCompile(`[a-z0-9_.]+`).FindAllString(string(page), -1) {
		words[strings.Trim(w, ".")] = true
	}
	var names []string
	for f := event.FieldTime; f < event.FieldX0; f++ {
		names = append(names, f.String())
	}
	for k := range event.Kind(event.NumKinds) {
		names = append(names, k.String())
	}
	for a := range event.Action(event.NumActions) {
		names = append(names, a.String())
	}
	for f := range rules.Func(rules.NumFuncs) {
		names = append(names, f.String())
	}
	for _, w := range windows.Windows {
		n := durationText(time.Duration(w) * time.Second)
		if n == "1d" {
			n = "24h"
		}
		names = append(names, n)
	}
	for _, n := range names {
		if n != "" && !words[n] {
			t.Errorf("%s is missing", n)
		}
	}
	for _, name := range []string{"../../docs/RULES.md", "../../README.md"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for i, block := range strings.Split(string(text), "```") {
			if i%2 == 0 || !strings.Contains(block, "\nid: ") {
				continue
			}
			found = true
			if _, err := rules.Parse(name, []byte(strings.TrimPrefix(block, "yaml\n")), rules.Options{}); err != nil {
				t.Error(err)
			}
		}
		if !found {
			t.Errorf("%s has no rule", name)
		}
	}
}

func TestRulesTestListsEveryScriptWhenAsked(t *testing.T) {
	out, err := weir("rules", "test", "-v", "testdata/failing")
	if !errors.Is(err, errFindings) {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{"FAIL failing/shop/many_accounts.test  2 expectations", "FAIL failing/shop/more.test"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}
