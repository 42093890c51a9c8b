package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"unsafe"

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
	st := NewState(plan, 1, Limits{}, func(string) event.Stage { return event.Enforce }, func(p int32) (string, int32) { return "log", p })
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
		e.Second, e.IP = tick-1, netipAddr(first+i)
		e.Session, e.Agent, e.Endpoint = fmt.Sprint("s", first+i), fmt.Sprint("a", first+i), "GET /"
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

func TestLimitsFollowWhatMayBeAccounted(t *testing.T) {
	for _, c := range []struct {
		accounted int64
		units     int
		want      limits
	}{
		{0, 64, limits{16384, 16384, 1 << 20}},
		{8 << 30, 64, limits{2048, 2048, 131072}},
		{1 << 20, 64, limits{16, 16, 1024}},
	} {
		if got := limitsOf(c.accounted, c.units); got != c.want {
			t.Errorf("%d bytes, %d units: %+v, want %+v", c.accounted, c.units, got, c.want)
		}
	}
}

// What an attacker makes long counts for more.
func TestLimitsAreOfBytesToo(t *testing.T) {
	const long = 1000
	for _, c := range []struct {
		name, rule string
		held       func(u *Unit) (things int, bytes int64)
		limit      int
	}{
		{"grants", fmt.Sprintf(limitedRule, "grants", "session", "then: {alert: session, for: 10s}"),
			func(u *Unit) (int, int64) { return len(u.grants), u.grantBytes }, 10},
		{"mail", fmt.Sprintf(limitedRule, "travel", "[session, agent]", "then: {alert: agent, for: 10s}"),
			func(u *Unit) (int, int64) { return len(u.mail), u.mailBytes }, 5},
		{"raised", fmt.Sprintf(limitedRule, "raised", "session", "then: {alert: [session, ip], for: 10s}"),
			func(u *Unit) (int, int64) { return len(u.raised), u.raisedBytes }, 5},
	} {
		st, m := limited(t, c.rule)
		u := st.Unit(0)
		visit(st, m, 1_000_000, 0, 50)
		if n, _ := c.held(u); n != c.limit {
			t.Errorf("%s: %d short ones, want %d", c.name, n, c.limit)
		}
		st, m = limited(t, c.rule)
		u = st.Unit(0)
		visitAs(st, m, 1_000_000, 50, strings.Repeat("x", long))
		n, bytes := c.held(u)
		most := int64(c.limit) << 10
		if n == 0 || n >= c.limit || bytes < most || bytes > most+4*(long+500) {
			t.Errorf("%s: %d long ones of %d bytes, want fewer than %d, of little more than %d", c.name, n, bytes, c.limit, most)
		}
		if shed := st.Totals().Shed; shed.Decisions+shed.OnStates != int64(50-n) {
			t.Errorf("%s: %+v, want %d shed", c.name, shed, 50-n)
		}
		if got := u.Resident(); got < bytes {
			t.Errorf("%s: %d bytes are resident, %d are held", c.name, got, bytes)
		}
	}
}

func TestTheBoardIsBoundInBytes(t *testing.T) {
	st, m := limited(t, fmt.Sprintf(limitedRule, "raised", "session", "then: {alert: [session, ip], for: 10s}"))
	visitAs(st, m, 1_000_000, 3, strings.Repeat("x", 1000))
	st.Boundary(1_000_000)
	if n, shed := len(st.board.on), st.Totals().Shed; n != 2 || shed.OnStates != 1 || st.board.bytes < 3<<10 {
		t.Errorf("%d of %d bytes are shown, %+v; want 2 that fill 3 KiB and one shed", n, st.board.bytes, shed)
	}
}

// The figures of what is held follow all that comes and goes.
func TestWhatIsHeldIsCounted(t *testing.T) {
	l := newLife(NewState(storyPlan(t, PlanOptions{}, storyRules...), 4, Limits{}, enforced, named), 4)
	l.after = func(tick int64) {
		board := int64(0)
		for _, s := range l.st.board.on {
			board += s.size()
		}
		if board != l.st.board.bytes {
			t.Fatalf("%d: the board holds %d bytes, counted are %d", tick, board, l.st.board.bytes)
		}
		shown := 0
		for i, u := range l.st.units {
			var grants, raised, mail int64
			for place, s := range u.shown {
				if shown++; l.st.placeOf(s) != place || l.st.board.on[onKey{s.rule, s.key.Lo}] != s {
					t.Fatalf("%d: unit %d has what the board does not show", tick, i)
				}
			}
			for _, gs := range u.grants {
				for _, g := range gs {
					grants += g.size()
				}
			}
			for _, s := range u.raised {
				raised += s.size()
			}
			for _, m := range u.mail {
				mail += m.size()
			}
			if grants != u.grantBytes || raised != u.raisedBytes || mail != u.mailBytes {
				t.Fatalf("%d: unit %d holds %d, %d and %d bytes, counted are %d, %d and %d", tick, i, grants, raised, mail, u.grantBytes, u.raisedBytes, u.mailBytes)
			}
		}
		if shown != len(l.st.board.on) {
			t.Fatalf("%d: units have %d on-states, shown are %d", tick, shown, len(l.st.board.on))
		}
	}
	l.live(story(3))
}

// Of more past members than there is room for the smallest keys are walked,
// whatever the order in which they are found.
func TestPastMembersBeyondTheRoomAreShedAndCounted(t *testing.T) {
	rule := "id: limits.members\nversion: 1\nkey: endpoint\nwhere: \"true\"\nfeatures: {n: count(\"10m\")}\nwhen: n >= 50\n" +
		"then: {alert: [endpoint, session], if: 'count(\"10m\") >= 1', for: 10s}\n"
	for grants, want := range map[int]int{10: 5, 3: 3} { // what may be walked, and what may be decided
		st, m := limited(t, rule)
		st.limits.grants = grants
		visit(st, m, 1_000_000, 0, 50)
		st.Boundary(1_000_000)
		lines := st.Drain(nil)
		if shed := st.Totals().Shed; len(lines) != want || shed.Decisions != int64(50-want) {
			t.Fatalf("%d decisions, %+v; want %d and the rest shed", len(lines), shed, want)
		}
		u := st.Unit(0)
		var all []windows.Key
		for table := range st.plan.tables {
			if len(st.plan.tables[table].members) > 0 {
				u.win.Scan(table, nil, func(slot uint32, _ uint64) bool { all = append(all, u.win.KeyOf(slot)); return false })
			}
		}
		slices.SortFunc(all, compareKeys)
		for _, k := range all[:want] {
			if len(u.grants[k.Hi]) != 1 {
				t.Errorf("nothing was decided about %x", k)
			}
		}
	}
}

// visitAs is visit with longer names.
func visitAs(st *State, m *Mapper, tick int64, n int, tail string) {
	var d windows.Deltas
	events := make([]event.Event, n)
	for i := range events {
		e := &events[i]
		e.Reset()
		e.Second, e.IP = tick-1, netipAddr(i)
		e.Session, e.Agent, e.Endpoint = fmt.Sprint("s", i, tail), fmt.Sprint("a", i, tail), "GET /"
	}
	m.Map(events, 0, nil, &d)
	st.Begin(tick - 1)
	st.Unit(0).Tick(tick, d.Rows, []*windows.Deltas{&d})
}

// The figures are constants so that every machine sheds the same; they must not
// be smaller than what is really held.
func TestFiguresOfWhatIsHeldAreNotTooSmall(t *testing.T) {
	for _, c := range []struct {
		what  string
		is    uintptr
		least int
	}{
		{"grant", unsafe.Sizeof(grant{}) + 2*unsafe.Sizeof(uintptr(0)), grantBytes},
		{"on-state", unsafe.Sizeof(onState{}), onStateBytes},
		{"message", unsafe.Sizeof(message{}), messageBytes},
		{"span", unsafe.Sizeof(event.Span{}), spanBytes},
		{"value", unsafe.Sizeof(event.Value{}), valueBytes},
	} {
		const entry = 64 // of a map, with its key
		switch c.what {
		case "span", "value":
		default:
			c.is += entry
		}
		if int(c.is) > c.least || int(c.is)*2 < c.least {
			t.Errorf("a %s takes %d bytes, counted are %d", c.what, c.is, c.least)
		}
	}
}

func netipAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}) }
