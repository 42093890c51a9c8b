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
