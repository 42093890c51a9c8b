package rules

import (
	"fmt"
	"net/netip"
	"testing"

	"weir/event"
	"weir/windows"
)

func TestWhatAnAddressCostsIsAllThatNamesIt(t *testing.T) {
	p := planned(t, mustParse(t,
		ruleText("a", "ip", "n > 1"), ruleText("b", "[ip, agent]", "n > 1"), ruleText("c", "agent", "n > 1")), PlanOptions{})
	st := NewState(p, 4, Limits{}, func(string) event.Stage { return event.Enforce }, func(n int32) (string, int32) { return "log", n })
	m := NewMapper(p, 4, nil)
	// Ninety-nine addresses with a client each, one with fifty.
	var evs []event.Event
	add := func(last byte, agent int) {
		var ev event.Event
		ev.Reset()
		ev.Second, ev.IP, ev.Agent = 1_780_000_000, netip.AddrFrom4([4]byte{192, 0, 2, last}), fmt.Sprint("agent ", agent)
		evs = append(evs, ev)
	}
	for n := range 99 {
		add(byte(n), 1)
	}
	for n := range 50 {
		add(200, n)
	}
	var d windows.Deltas
	m.Map(evs, 0, nil, &d)
	st.Begin(1_780_000_000)
	for u := range 4 {
		var rows []windows.Row
		for _, r := range d.Rows {
			if int(r.Unit) == u {
				rows = append(rows, r)
			}
		}
		st.Unit(u).Tick(1_780_000_001, rows, []*windows.Deltas{&d})
	}
	c := st.Addresses()
	var ofShapes, rest int64
	for _, sh := range st.Shapes() {
		if sh.Key == "agent" {
			rest += sh.Bytes
			continue
		}
		ofShapes += sh.Bytes
	}
	if c.Addresses != 100 || c.Keys != 249 || c.Bytes != ofShapes || c.Rest != rest {
		t.Errorf("%+v: want 100 addresses with 249 keys of %d bytes, and %d bytes of others", c, ofShapes, rest)
	}
	if rest := c.Bytes - 99*c.P50; c.P99 != c.P50 || rest < 50*c.P50/2 || rest > 51*c.P50 {
		t.Errorf("%+v: 99 of 100 addresses have the same, the last one has fifty keys and one", c)
	}
}
