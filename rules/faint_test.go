package rules

import (
	"strings"
	"testing"
)

// Who browses without a rule that looks at him has no key at an address and its
// client. One that is decided about through another key has, whatever comes of
// him: a condition on its figures needs one.
func TestOnlyWhatARuleLooksAtBeginsAKeyOfItsTarget(t *testing.T) {
	logins := func(id, key, when, target string) string {
		text := strings.Replace(ruleText(id, key, when), "where: 'true'", `where: 'kind == "login"'`, 1)
		return text + "then: {block: " + target + ", for: 1h}\n"
	}
	own := logins("f.own", "[ip, fingerprint]", "n > 1", "[ip, fingerprint]")
	for _, c := range []struct {
		name  string
		rules []string
		faint bool
	}{
		{"its own key", []string{own}, true},
		{"another key's", []string{own, logins("f.other", "[endpoint, ip, fingerprint]", "n > 1", "[ip, fingerprint]")}, false},
		{"a population's member", []string{logins("f.many", "fingerprint", "n > 1", "[ip, fingerprint]")}, true},
	} {
		p := planned(t, mustParse(t, c.rules...), PlanOptions{})
		found := false
		for i := range p.tables {
			tb := &p.tables[i]
			if fieldsName(tb.fields) != "ip fingerprint" || tb.target == nil {
				continue
			}
			found = true
			if got := p.Layout.Tables[i].Faint != 0; got != c.faint {
				t.Errorf("%s: browsing alone begins no key: %v, must be %v", c.name, got, c.faint)
			}
			if bit := uint64(1) << tb.target.refused; p.Layout.Tables[i].Faint&bit != 0 {
				t.Errorf("%s: what is refused begins no key", c.name)
			}
		}
		if !found {
			t.Errorf("%s: there is no such table", c.name)
		}
	}
	// What is seen counts every event in the series that law 9 counts.
	p := planned(t, mustParse(t,
		logins("f.seen", "fingerprint", `n > 1 and count("1h", not seen(fingerprint)) > 1`, "fingerprint")),
		PlanOptions{})
	for i := range p.tables {
		if fieldsName(p.tables[i].fields) == "fingerprint" && p.Layout.Tables[i].Faint != 0 {
			t.Error("events that only say that a fingerprint was seen begin no key")
		}
	}
}
