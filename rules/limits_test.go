package rules

import (
	"fmt"
	"net/netip"
	"testing"

	"weir/event"
	"weir/windows"
)

// limited is a state of one unit with room for little, and a mapper for it.
func limited(t *testing.T, sources ...string) (*State, *Mapper) {
	t.Helper()
	var rs []*Rule
	for _, src := range sources {
		r, err := Parse("limits.yaml", []byte(src), Options{})
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	plan, err := NewPlan(rs, event.FixedKey(), PlanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	st := NewState(plan, 1, 0, func(string) event.Stage { return event.Enforce }, func(p int32) (string, int32) { return "log", p })
	st.limits = limits{grants: 10, travel: 5, onStates: 3}
	st.board.limit = 3
	return st, NewMapper(plan, 1, nil)
}

// visit sends one event of each of n sessions in the second before tick.
func visit(st *State, m *Mapper, tick int64, first, n int) {
	var d windows.Deltas
	events := make([]event.Event, n)
	for i := range events {
		e := &events[i]
		e.Reset()
		e.Second, e.IP = tick-1, netip.AddrFrom4([4]byte{198, 18, byte((first + i) >> 8), byte(first + i)})
		e.Session, e.Agent = fmt.Sprint("s", first+i), fmt.Sprint("a", first+i)
	}
	m.Map(events, 0, nil, &d)
	st.Begin(tick - 1)
	st.Unit(0).Tick(tick, d.Rows, []*windows.Deltas{&d})
}

const limitedRule = `id: limits.%s
version: 1
key: %s
where: "true"
features: {n: count("10m")}
when: n >= 1
%s
`

func TestMoreDecisionsThanThereIsRoomForAreShedAndCounted(t *testing.T) {
	st, m := limited(t, fmt.Sprintf(limitedRule, "grants", "session", "then: {alert: session, for: [10s, 20s]}"))
	visit(st, m, 1_000_000, 0, 50)
	if n, shed := len(st.Drain(nil)), st.Totals().Shed; n != 10 || shed.Decisions != 40 {
		t.Fatalf("%d decisions, %+v; want 10 and 40 shed", n, shed)
	}
	// Those that ended make room, and what was remembered of them is gone.
	visit(st, m, 1_000_100, 100, 5)
	if n, shed := len(st.Drain(nil)), st.Totals().Shed; n != 10+5 || shed.Histories != 10 || shed.Decisions != 40 {
		t.Errorf("%d lines, %+v; want 10 ends, 5 decisions and 10 histories forgotten", n, shed)
	}
}

func TestMoreCandidatesThanMayTravelAreShedAndCounted(t *testing.T) {
	st, m := limited(t, fmt.Sprintf(limitedRule, "travel", "[ip, agent]", "then: {alert: ip, for: 10s}"))
	visit(st, m, 1_000_000, 0, 50)
	st.Boundary(1_000_000)
	if n, shed := len(st.Drain(nil)), st.Totals().Shed; n != 5 || shed.Decisions != 45 {
		t.Errorf("%d decisions, %+v; want 5 and 45 shed", n, shed)
	}
}

func TestMoreOnStatesThanThereIsRoomForAreShedAndCounted(t *testing.T) {
	st, m := limited(t, fmt.Sprintf(limitedRule, "on", "session", ""),
		fmt.Sprintf(limitedRule, "reader", "session", `then: {alert: session, if: 'signal("limits.on", "1m")', for: 10s}`))
	visit(st, m, 1_000_000, 0, 50)
	st.Boundary(1_000_000)
	if shed := st.Totals().Shed; shed.OnStates != 45+2 || len(st.board.on) != 3 {
		t.Errorf("%d are shown, %+v; want 3, and 47 shed", len(st.board.on), shed)
	}
	visit(st, m, 1_000_001, 0, 50)
	if n := len(st.Drain(nil)); n != 3 {
		t.Errorf("%d signals were seen, want 3", n)
	}
}

func TestLimitsFollowTheMemory(t *testing.T) {
	for _, c := range []struct {
		memory int64
		units  int
		want   limits
	}{
		{0, 64, limits{16384, 16384, 1 << 20}},
		{1 << 30, 64, limits{2048, 2048, 131072}},
		{1 << 20, 64, limits{16, 16, 1024}},
	} {
		if got := limitsOf(c.memory, c.units); got != c.want {
			t.Errorf("%d bytes, %d units: %+v, want %+v", c.memory, c.units, got, c.want)
		}
	}
}
