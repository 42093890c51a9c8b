package rules

import (
	"net/netip"
	"slices"
	"testing"

	"weir/event"
)

// What decisions show of a target leads back to the key that they are about.
func TestATargetIsFoundAgainByWhatDecisionsShow(t *testing.T) {
	plan, err := NewPlan(nil, event.FixedKey(), PlanOptions{Extras: event.Extras{"tenant", "shop"}})
	if err != nil {
		t.Fatal(err)
	}
	var ev event.Event
	ev.Reset()
	ev.ASN, ev.Status, ev.Endpoint, ev.X[1] = 64500, 401, `POST /log in"`, "eu\xff"
	shown := map[string]bool{}
	for _, ip := range []string{"198.51.100.7", "2001:db8:1:2:3::4", "2001:db8::", "::1"} {
		ev.IP = netip.MustParseAddr(ip)
		fields := []event.Field{event.FieldIP, event.FieldNet, event.FieldASN, event.FieldEndpoint, event.FieldStatus, event.FieldX0 + 1}
		slices.Sort(fields)
		var raw [][]byte
		for _, f := range fields {
			raw = append(raw, ev.AppendValue(nil, f))
		}
		target := plan.format(fields, raw)
		slices.Reverse(target) // however it is ordered
		gotFields, got, ok := plan.ParseTarget(target)
		if !ok || !slices.Equal(gotFields, fields) || !slices.EqualFunc(got, raw, slices.Equal[[]byte]) {
			t.Errorf("%v is read as %v %q, %v; want %v %q", target, gotFields, got, ok, fields, raw)
		}
		for _, v := range target {
			shown[v.Field] = true
		}
	}
	if !shown["x.shop"] || !shown["net"] {
		t.Errorf("only %v were tried", shown)
	}
	for _, v := range []event.Value{
		{Field: "ip", Text: "198.51.100"}, {Field: "ip", Text: "198.51.100.0/24"}, {Field: "ip", Text: "2001:db8::1"},
		{Field: "net", Text: "198.51.100.1/24"}, {Field: "net", Text: "198.51.0.0/16"}, {Field: "ip"}, {Field: "agent"},
		{Field: "x.owner", Text: "a"}, {Field: "", Text: "a"}, {Field: "colour", Text: "a"},
	} {
		if _, got, ok := plan.ParseTarget(event.Target{v}); ok {
			t.Errorf("%v is read as %q", v, got)
		}
	}
}
