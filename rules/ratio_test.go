package rules

import "testing"

func TestARatioOfSomeEventsIsNotTheRatioOfAll(t *testing.T) {
	r, err := Parse("x.yaml", []byte(`id: x
version: 1
key: ip
where: "true"
features:
  all: ratio("1h", outcome == "failure")
when: ratio("10m", outcome == "failure") > 0.5 and ratio("10m", outcome == "failure", not known(ip)) > 0.9
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.When.Inline); n != 2 {
		t.Fatalf("%d inline aggregates, want 2", n)
	}
	if of := r.When.Inline[1].Of; of == nil || r.When.Inline[0].Of != nil {
		t.Errorf("the second share is of %v, want of strangers", of)
	}
	if a, b := r.When.Inline[0].text(nil), r.When.Inline[1].text(nil); a == b {
		t.Errorf("both are %s", a)
	}
}
