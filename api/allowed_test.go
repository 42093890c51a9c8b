package api

import (
	"fmt"
	"strings"
	"testing"

	"weir/emit"
)

func TestTheStatusSaysWhatAllowEntriesHid(t *testing.T) {
	r := newRig(t, nil).run()
	r.add(decided("ops.a", ip("192.0.2.250")), decided("ops.b", ip("192.0.2.250")), decided("ops.a", ip("192.0.2.7")))
	_, text, _ := r.ask(overTCP, "GET", "/api/v1/status", "")
	f := decode[Status](t, text).Force
	if len(f.Allowed) != 1 || f.Allowed[0] != (AllowedCount{`{"ip":"192.0.2.250"} (ops: uptime monitor)`, 2}) || f.Held[string(emit.GuardAllowed)] != 2 {
		t.Errorf("%+v, held %v", f.Allowed, f.Held)
	}
}

// allowed returns the series that entries of a site file have.
func allowed(entries []string, hid map[string]uint64) map[string]float64 {
	got := map[string]float64{}
	putAllowed(func(name string, value float64, labels ...string) {
		if _, twice := got[labels[0]]; twice || name != "weir_allowed_decisions_total" {
			value = -1
		}
		got[labels[0]] = value
	}, entries, hid)
	return got
}

// However many entries there are, those that come first keep their own series,
// and what the others hid is one: no counter ever falls.
func TestAllowEntriesHaveABoundedNumberOfSeries(t *testing.T) {
	var entries []string
	for i := range maxReasons {
		entries = append(entries, fmt.Sprintf("entry %d", i))
	}
	hid := map[string]uint64{"entry 0": 3, "entry 63": 4}
	if got := allowed(entries, hid); len(got) != maxReasons || got["entry 0"] != 3 || got["entry 63"] != 4 || got["entry 5"] != 0 {
		t.Errorf("at the limit: %v", got)
	}
	entries = append(entries, "one more", "and one")
	hid["one more"], hid["and one"] = 5, 6
	if got := allowed(entries, hid); len(got) != maxReasons+1 || got["entry 63"] != 4 || got["other"] != 11 {
		t.Errorf("over the limit: %v", got)
	}
	// Two that look alike up to where a label ends, and one that is no text.
	long := strings.Repeat("x", maxEntryText)
	if got := allowed([]string{long + "a", long + "b", "\xff\xfeoffice"}, map[string]uint64{long + "a": 1, long + "b": 2}); len(got) != 2 || got[long] != 3 || got["office"] != 0 {
		t.Errorf("alike: %v", got)
	}
}
