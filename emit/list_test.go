package emit

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"weir/event"
)

var listNow = time.Date(2026, 3, 6, 12, 0, 0, 0, time.UTC)

// forced makes an entry in force of a target such as "ip=192.0.2.7 endpoint=POST /login".
func forced(n int, target string, a event.Action, left time.Duration) *InForce {
	d := event.Decision{
		ID: fmt.Sprintf("%032x", n), Time: listNow.Add(-time.Hour), Until: listNow.Add(left),
		Mode: event.Enforce, Would: a, Rule: "ato.test", Version: 1, Severity: event.Medium,
	}
	for len(target) > 0 {
		field, rest, _ := strings.Cut(target, "=")
		text, more, _ := strings.Cut(rest, ";")
		d.Target = append(d.Target, event.Value{Field: field, Text: text})
		target = more
	}
	return &InForce{Decision: d, Action: a, Since: d.Time, Until: d.Until}
}

func well(es ...*InForce) *Force { return &Force{Entries: es, Meant: true, Well: true} }

var blocks = Capabilities{Actions: []event.Action{event.Block}}

// shown writes a list as texts: what, where, how long.
func shown(l List) (out []string) {
	for _, e := range l.Entries {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.Prefix, e.Endpoint, e.Until.Sub(listNow), e.To)))
	}
	return out
}

func TestAListHoldsWhatThePointCanExpress(t *testing.T) {
	caps := blocks
	caps.Endpoints = []Endpoint{{ID: "e00000001", Pattern: "POST /login"}}
	caps.Actions = []event.Action{event.Block, event.Limit}
	exempt := forced(9, "ip=192.0.2.9", event.Block, time.Hour)
	exempt.Decision.Except = "known(ip)"
	limit := func(n int, ip, to string) *InForce {
		in := forced(n, "ip="+ip, event.Limit, time.Hour)
		in.Decision.To = to
		return in
	}
	badID := forced(1, "ip=192.0.2.10", event.Block, time.Hour)
	badID.Decision.ID = "x;}\n"
	for _, c := range []struct {
		what string
		in   *InForce
		want string // empty: inexpressible
		why  string
	}{
		{"an address", forced(1, "ip=192.0.2.7", event.Block, time.Hour), "192.0.2.7/32  1h0m0s", ""},
		{"an IPv6 /64", forced(1, "ip=2001:db8:1:2::/64", event.Block, time.Hour), "2001:db8:1:2::/64  1h0m0s", ""},
		{"an IPv6 address stands for its /64", forced(1, "ip=2001:db8:1:2::7", event.Block, time.Hour), "2001:db8:1:2::/64  1h0m0s", ""},
		{"a net", forced(1, "net=192.0.2.0/24", event.Block, time.Hour), "192.0.2.0/24  1h0m0s", ""},
		{"an address in its net", forced(1, "ip=192.0.2.7;net=192.0.2.0/24", event.Block, time.Hour), "192.0.2.7/32  1h0m0s", ""},
		{"an address at an endpoint", forced(1, "ip=192.0.2.7;endpoint=POST /login", event.Block, time.Hour), "192.0.2.7/32 e00000001 1h0m0s", ""},
		{"part of a second is let off", forced(1, "ip=192.0.2.7", event.Block, 1500*time.Millisecond), "192.0.2.7/32  1s", ""},
		{"a limit", limit(1, "192.0.2.7", "10/1m"), "192.0.2.7/32  1h0m0s 10/1m", ""},
		{"a limit by the day", limit(1, "192.0.2.7", "10/2d"), "192.0.2.7/32  1h0m0s 10/48h", ""},
		{"contradicting addresses", forced(1, "ip=192.0.2.7;net=198.51.100.0/24", event.Block, time.Hour), "", "contradict"},
		{"an unknown endpoint", forced(1, "ip=192.0.2.7;endpoint=POST /foo", event.Block, time.Hour), "",
			"ato.test: endpoint POST /foo is not known to the point: name it in the site file or under endpoints: of the point"},
		{"an endpoint that could end a line", forced(1, "ip=192.0.2.7;endpoint=POST /\"\n", event.Block, time.Hour), "", `"POST /\"\u000a"`},
		{"an account", forced(1, "ip=192.0.2.7;credential=abc", event.Block, time.Hour), "", "cannot tell requests apart by credential"},
		{"no address", forced(1, "fingerprint=abc", event.Block, time.Hour), "", "cannot tell requests apart by fingerprint"},
		{"an endpoint alone", forced(1, "endpoint=POST /login", event.Block, time.Hour), "", "names no address"},
		{"no dimension", forced(1, "", event.Block, time.Hour), "", "names no address"},
		{"no address at all in it", forced(1, "ip=192.0.2.7 or so", event.Block, time.Hour), "", "is not an address"},
		{"a zone", forced(1, "ip=fe80::1%eth0", event.Block, time.Hour), "", "is not an address"},
		{"an exception", exempt, "", "the exception known(ip)"},
		{"an id that is none", badID, "", "id \"x;}\\u000a\" is not hexadecimal"},
		{"a limit that is no rate", limit(1, "192.0.2.7", "10/1m; drop"), "", "is not a rate"},
		{"a limit of nothing", limit(1, "192.0.2.7", "0/1m"), "", "is not a rate"},
	} {
		l, r := Compile(well(c.in), caps, nil, listNow)
		switch {
		case c.want != "":
			if got := shown(l); len(got) != 1 || got[0] != c.want || r.Inexpressible != 0 {
				t.Errorf("%s: %q, %d inexpressible %q, want %q", c.what, got, r.Inexpressible, r.Examples, c.want)
			}
		case len(l.Entries) != 0 || r.Inexpressible != 1 || len(r.Examples) != 1 || !strings.Contains(r.Examples[0], c.why):
			t.Errorf("%s: %q, %d inexpressible: %q, want one that says %q", c.what, shown(l), r.Inexpressible, r.Examples, c.why)
		}
	}
}

func TestATopicTakesEveryTarget(t *testing.T) {
	caps := Capabilities{Any: true, Actions: enforceable}
	in := forced(1, "endpoint=POST /foo;fingerprint=abc", event.Challenge, time.Hour)
	in.Decision.Except, in.Reason = "known(ip)", "shared"
	addr := forced(2, "ip=192.0.2.7", event.Block, time.Hour)
	again := forced(3, "ip=192.0.2.7", event.Block, 2*time.Hour)
	l, r := Compile(well(in, addr, again), caps, nil, listNow)
	if len(l.Entries) != 3 || r.Inexpressible != 0 {
		t.Fatalf("%v, %+v: every decision is an entry of its own", shown(l), r)
	}
	e := l.Entries[2]
	if e.Action != event.Challenge || e.Prefix.IsValid() || e.Decision != &in.Decision || e.Reason != "shared" {
		t.Errorf("%+v", e)
	}
	if l.Entries[0].Prefix.String() != "192.0.2.7/32" {
		t.Errorf("%+v: an address has its prefix, which the guards look at", l.Entries[0])
	}
}

func TestOnlyTheActionsOfThePoint(t *testing.T) {
	l, r := Compile(well(forced(1, "ip=192.0.2.7", event.Challenge, time.Hour), forced(2, "ip=192.0.2.8", event.Block, time.Hour)), blocks, nil, listNow)
	if got := shown(l); len(got) != 1 || got[0] != "192.0.2.8/32  1h0m0s" || r.Others != 1 || r.Inexpressible != 0 {
		t.Errorf("%q, %+v", got, r)
	}
}

func TestAPointThatCannotDeceiveBlocks(t *testing.T) {
	in := []*InForce{
		forced(1, "ip=192.0.2.7", event.Deceive, time.Hour),
		forced(2, "ip=192.0.2.8", event.Deceive, time.Hour), forced(3, "ip=192.0.2.8", event.Block, 2*time.Hour),
		forced(4, "ip=192.0.2.9;fingerprint=abc", event.Deceive, time.Hour),
	}
	b, d, l := event.Block, event.Deceive, event.Limit
	for _, c := range []struct {
		given         []event.Action
		want          []event.Action // of 192.0.2.7 and .8
		instead, none int
	}{
		{[]event.Action{b}, []event.Action{b, b}, 2, 0},
		{[]event.Action{b, l}, []event.Action{b, b}, 2, 0},
		{[]event.Action{b, d}, []event.Action{b, d, d}, 0, 0},
		{[]event.Action{d}, []event.Action{d, d}, 0, 1},
		{[]event.Action{l}, nil, 0, 4},
	} {
		list, r := Compile(well(in...), Capabilities{Actions: c.given}, nil, listNow)
		var got []event.Action
		for _, e := range list.Entries {
			got = append(got, e.Action)
		}
		if !slices.Equal(got, c.want) || r.Instead != c.instead || r.Others != c.none {
			t.Errorf("of a point with %v: %v, %+v, want %v", c.given, got, r, c.want)
		}
	}
	// One entry for both, and the longer end of the two.
	list, _ := Compile(well(in...), blocks, nil, listNow)
	if got := shown(list); !slices.Equal(got, []string{"192.0.2.7/32  1h0m0s", "192.0.2.8/32  2h0m0s"}) {
		t.Errorf("%q", got)
	}
	list, r := Compile(well(in...), Capabilities{Any: true, Actions: []event.Action{b}}, nil, listNow)
	if len(list.Entries) != 4 || list.Entries[0].Action != b || list.Entries[0].Decision.Would != d || r.Instead != 3 {
		t.Errorf("a topic that is given blocks only: %+v, %+v", list.Entries, r)
	}
}

func TestWhatIsOverIsNotInTheList(t *testing.T) {
	l, _ := Compile(well(
		forced(1, "ip=192.0.2.7", event.Block, 0), forced(2, "ip=192.0.2.8", event.Block, 900*time.Millisecond), forced(3, "ip=192.0.2.9", event.Block, time.Second),
	), blocks, nil, listNow)
	if got := shown(l); len(got) != 1 || got[0] != "192.0.2.9/32  1s" {
		t.Errorf("%q", got)
	}
}

func TestOneEntryStandsForOthers(t *testing.T) {
	caps := blocks
	caps.Actions = enforceable
	caps.Endpoints = []Endpoint{{ID: "e00000001", Pattern: "POST /login"}, {ID: "e00000002", Pattern: "POST /signup"}}
	limit := func(n int, ip, to string, left time.Duration) *InForce {
		in := forced(n, "ip="+ip, event.Limit, left)
		in.Decision.To = to
		return in
	}
	b := event.Block
	for _, c := range []struct {
		what string
		in   []*InForce
		want []string
	}{
		{"of equal ones the latest end", []*InForce{forced(1, "ip=192.0.2.7", b, time.Hour), forced(2, "ip=192.0.2.7", b, 3*time.Hour), forced(3, "ip=192.0.2.7", b, 2*time.Hour)},
			[]string{"192.0.2.7/32  3h0m0s"}},
		{"a narrower one that ends with the wider", []*InForce{forced(1, "ip=192.0.2.7", b, time.Hour), forced(2, "net=192.0.2.0/24", b, time.Hour)},
			[]string{"192.0.2.0/24  1h0m0s"}},
		{"a narrower one that ends later stays", []*InForce{forced(1, "ip=192.0.2.7", b, 2*time.Hour), forced(2, "net=192.0.2.0/24", b, time.Hour)},
			[]string{"192.0.2.0/24  1h0m0s", "192.0.2.7/32  2h0m0s"}},
		{"inside two of which the inner one ends first", []*InForce{forced(1, "ip=192.0.2.7", b, 90*time.Minute), forced(2, "net=192.0.2.0/24", b, time.Hour), forced(3, "net=192.0.2.0/25", b, 2*time.Hour)},
			[]string{"192.0.2.0/24  1h0m0s", "192.0.2.0/25  2h0m0s"}},
		{"a neighbour is not inside", []*InForce{forced(1, "ip=192.0.3.7", b, time.Hour), forced(2, "net=192.0.2.0/24", b, time.Hour)},
			[]string{"192.0.2.0/24  1h0m0s", "192.0.3.7/32  1h0m0s"}},
		{"families are apart", []*InForce{forced(1, "net=::/48", b, time.Hour), forced(2, "ip=0.0.0.1", b, time.Hour)},
			[]string{"0.0.0.1/32  1h0m0s", "::/48  1h0m0s"}},
		{"actions are apart", []*InForce{forced(1, "ip=192.0.2.7", event.Challenge, time.Hour), forced(2, "net=192.0.2.0/24", b, time.Hour)},
			[]string{"192.0.2.0/24  1h0m0s", "192.0.2.7/32  1h0m0s"}},
		{"the whole site stands for an endpoint", []*InForce{forced(1, "ip=192.0.2.7;endpoint=POST /login", b, time.Hour), forced(2, "ip=192.0.2.7", b, time.Hour)},
			[]string{"192.0.2.7/32  1h0m0s"}},
		{"endpoints are apart", []*InForce{forced(1, "ip=192.0.2.7;endpoint=POST /login", b, time.Hour), forced(2, "net=192.0.2.0/24;endpoint=POST /signup", b, time.Hour)},
			[]string{"192.0.2.7/32 e00000001 1h0m0s", "192.0.2.0/24 e00000002 1h0m0s"}},
		{"the stricter limit", []*InForce{limit(1, "192.0.2.7", "10/1m", 2*time.Hour), limit(2, "192.0.2.7", "5/1m", time.Hour), limit(3, "192.0.2.7", "60/1m", 3*time.Hour)},
			[]string{"192.0.2.7/32  1h0m0s 5/1m"}},
		{"a wider limit stands for one less strict only", []*InForce{limit(1, "192.0.2.0/24", "10/1m", time.Hour), limit(2, "192.0.2.7", "20/1m", time.Hour), limit(3, "192.0.2.8", "5/1m", time.Hour)},
			[]string{"192.0.2.0/24  1h0m0s 10/1m", "192.0.2.8/32  1h0m0s 5/1m"}},
	} {
		l, r := Compile(well(c.in...), caps, nil, listNow)
		if got := shown(l); !slices.Equal(got, c.want) || r.Shed+r.Inexpressible != 0 {
			t.Errorf("%s: %q, want %q; %+v", c.what, got, c.want, r)
		}
	}
}

func TestTheMostSevereAndLatestHaveRoom(t *testing.T) {
	caps := blocks
	caps.Capacity = 2
	old := forced(1, "ip=192.0.2.1", event.Block, time.Hour)
	late := forced(2, "ip=192.0.2.2", event.Block, time.Hour)
	late.Decision.Time = listNow
	severe := forced(3, "ip=192.0.2.3", event.Block, time.Hour)
	severe.Decision.Severity = event.Critical
	l, r := Compile(well(old, late, severe), caps, nil, listNow)
	if got, want := shown(l), []string{"192.0.2.2/32  1h0m0s", "192.0.2.3/32  1h0m0s"}; !slices.Equal(got, want) || r.Shed != 1 {
		t.Errorf("%q, shed %d, want %q and 1", got, r.Shed, want)
	}
	caps.Capacity = 3
	if l, r = Compile(well(old, late, severe), caps, nil, listNow); len(l.Entries) != 3 || r.Shed != 0 {
		t.Errorf("%d entries, shed %d at the limit", len(l.Entries), r.Shed)
	}
	// What a wide entry stands for gives it its rank: shedding it would uncover that.
	caps.Capacity = 1
	inside := forced(4, "ip=198.51.100.1", event.Block, time.Minute)
	inside.Decision.Severity = event.Critical
	inside.Decision.Time = listNow.Add(time.Second)
	l, _ = Compile(well(forced(5, "net=198.51.100.0/24", event.Block, time.Hour), inside, severe, late), caps, nil, listNow)
	if got := shown(l); len(got) != 1 || got[0] != "198.51.100.0/24  1h0m0s" {
		t.Errorf("%q", got)
	}
}

func TestTheGuardsLookAtEveryList(t *testing.T) {
	guards := &Guards{Protected: []Protected{{Prefix: netip.MustParsePrefix("198.51.100.128/25"), Why: "the office"}}}
	f := well(
		forced(1, "ip=198.51.100.200", event.Block, time.Hour), forced(2, "net=198.51.100.0/24", event.Block, 2*time.Hour), forced(3, "ip=10.0.0.1", event.Block, time.Hour),
		forced(4, "net=203.0.0.0/16", event.Block, time.Hour), forced(5, "ip=192.0.2.7", event.Block, time.Hour),
	)
	for _, caps := range []Capabilities{blocks, {Any: true, Actions: enforceable}} {
		l, r := Compile(f, caps, guards, listNow)
		if got := shown(l); len(got) != 1 || got[0] != "192.0.2.7/32  1h0m0s" {
			t.Errorf("%q", got)
		}
		if r.Faults < 3 || !strings.Contains(strings.Join(r.FaultExamples, "\n"), "the office") {
			t.Errorf("%+v", r)
		}
	}
}

func TestOnlyAWellLedgerMeansAnEmptyList(t *testing.T) {
	if l, _ := Compile(&Force{}, blocks, nil, listNow); l.Meant {
		t.Error("a list of a ledger that is not well is meant")
	}
	stopped := well(forced(1, "ip=192.0.2.7", event.Block, time.Hour))
	stopped.Stopped = true
	if l, _ := Compile(stopped, blocks, nil, listNow); !l.Meant || len(l.Entries) != 0 {
		t.Errorf("%+v: all blocking was stopped", l)
	}
}

func TestExamplesAreFew(t *testing.T) {
	var es []*InForce
	for i := range 1000 {
		es = append(es, forced(i, fmt.Sprintf("ip=192.0.2.7;endpoint=POST /x%d", i), event.Block, time.Hour))
	}
	if _, r := Compile(well(es...), blocks, nil, listNow); r.Inexpressible != 1000 || len(r.Examples) != maxExamples {
		t.Errorf("%d inexpressible, %d examples", r.Inexpressible, len(r.Examples))
	}
}

// randomForce makes entries over few addresses, so that they meet.
func randomForce(rng *rand.Rand, n int) *Force {
	f := &Force{Well: true}
	for i := range n {
		var target string
		switch a, b := rng.IntN(4), rng.IntN(256); rng.IntN(6) {
		case 0:
			target = fmt.Sprintf("net=198.18.%d.0/%d", a, 24+rng.IntN(4))
		case 1:
			target = fmt.Sprintf("ip=2001:db8:%d:%d::/64", a, b%8)
		case 2:
			target = fmt.Sprintf("net=2001:db8:%d::/48", a)
		case 3:
			target = fmt.Sprintf("ip=198.18.%d.%d;endpoint=%s", a, b, []string{"POST /login", "POST /none"}[rng.IntN(2)])
		default:
			target = fmt.Sprintf("ip=198.18.%d.%d", a, b)
		}
		in := forced(i, target, []event.Action{event.Block, event.Block, event.Challenge, event.Limit}[rng.IntN(4)], time.Duration(rng.IntN(7200)-600)*time.Second)
		in.Decision.Severity = event.Severity(rng.IntN(5))
		in.Decision.Time = listNow.Add(-time.Duration(rng.IntN(3600)) * time.Second)
		in.Decision.To = []string{"5/1m", "10/1m"}[rng.IntN(2)]
		f.Entries = append(f.Entries, in)
	}
	return f
}

// acts returns until when a list acts on an address at an endpoint, as a point
// does it: by the longest prefix.
func acts(l List, addr netip.Addr, endpoint string, a event.Action) (until time.Time) {
	best := map[string]int{}
	ends := map[string]time.Time{}
	for _, e := range l.Entries {
		if e.Action == a && (e.Endpoint == "" || e.Endpoint == endpoint) && e.Prefix.Contains(addr) {
			if bits, ok := best[e.Endpoint]; !ok || e.Prefix.Bits() > bits {
				best[e.Endpoint], ends[e.Endpoint] = e.Prefix.Bits(), e.Until
			}
		}
	}
	for _, end := range ends {
		if end.After(until) {
			until = end
		}
	}
	return until
}

func TestAListIsWhatWasDecided(t *testing.T) {
	ids := map[string]string{"POST /login": "e00000001"}
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		f := randomForce(rng, rapid.IntRange(0, 150).Draw(t, "entries"))
		caps := Capabilities{Actions: []event.Action{event.Block, event.Challenge, event.Limit}, Endpoints: []Endpoint{{ids["POST /login"], "POST /login"}}}
		guards := &Guards{Protected: []Protected{{Prefix: netip.MustParsePrefix("198.18.3.64/26"), Why: "an office"}}}
		l, r := Compile(f, caps, guards, listNow)

		for i, e := range l.Entries {
			if why, met := guards.MeetsProtected(e.Prefix); met {
				t.Fatalf("%s meets %s", e.Prefix, why)
			}
			if i > 0 && compareKeys(&l.Entries[i-1], &e) >= 0 {
				t.Fatalf("%+v and %+v: not sorted, or twice", l.Entries[i-1], e)
			}
			// None does what nobody decided: there is a decision as wide, as long.
			if !slices.ContainsFunc(f.Entries, func(in *InForce) bool {
				p, endpoint, why := place(in.Decision.Target)
				return why == "" && in.Decision.ID == e.ID && in.Action == e.Action && p == e.Prefix && ids[endpoint] == e.Endpoint && !e.Until.After(in.Until) &&
					(e.Action != event.Limit || e.To == in.Decision.To)
			}) {
				t.Fatalf("nobody decided %+v", e)
			}
		}
		// Every address that was decided on is covered to its end, unless the
		// guards took it out.
		covered := 0
		for _, in := range f.Entries {
			p, endpoint, _ := place(in.Decision.Target)
			if _, met := guards.MeetsProtected(p); met || !in.Until.After(listNow) || endpoint != "" && ids[endpoint] == "" || in.Action == event.Limit || r.Faults > 0 {
				continue
			}
			if until := acts(l, p.Addr(), ids[endpoint], in.Action); until.Before(in.Until) {
				t.Fatalf("%v %s is decided until %v, acted on until %v", in.Action, p, in.Until, until)
			}
			covered++
		}
		rng.Shuffle(len(f.Entries), func(i, j int) { f.Entries[i], f.Entries[j] = f.Entries[j], f.Entries[i] })
		again, _ := Compile(f, caps, guards, listNow)
		if !reflect.DeepEqual(l, again) {
			t.Fatal("another order of the ledger is another list")
		}
		caps.Capacity = rapid.IntRange(1, 40).Draw(t, "capacity")
		cut, rc := Compile(f, caps, nil, listNow)
		rng.Shuffle(len(f.Entries), func(i, j int) { f.Entries[i], f.Entries[j] = f.Entries[j], f.Entries[i] })
		same, _ := Compile(f, caps, nil, listNow)
		whole := caps
		whole.Capacity = 0
		all, _ := Compile(f, whole, nil, listNow)
		if !reflect.DeepEqual(cut, same) || len(cut.Entries) != min(caps.Capacity, len(all.Entries)) || rc.Shed != len(all.Entries)-len(cut.Entries) {
			t.Fatalf("%d entries of %d, %d shed, capacity %d", len(cut.Entries), len(all.Entries), rc.Shed, caps.Capacity)
		}
	})
}

func TestNoListOfManyMeetsTheProtectedSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	guards := &Guards{Protected: []Protected{{Prefix: netip.MustParsePrefix("203.0.113.0/28"), Why: "an office"}}}
	f := &Force{Well: true}
	for i := range 200_000 {
		a := netip.AddrFrom4([4]byte{byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256)), byte(rng.IntN(256))})
		if i%5 == 0 {
			a = netip.AddrFrom4([4]byte{203, 0, 113, byte(rng.IntN(256))})
		}
		p, err := a.Prefix(20 + rng.IntN(13))
		if err != nil {
			t.Fatal(err)
		}
		f.Entries = append(f.Entries, forced(i, "ip="+p.String(), event.Block, time.Duration(1+rng.IntN(7200))*time.Second))
	}
	l, r := Compile(f, blocks, guards, listNow)
	if len(l.Entries) < 50_000 || r.Faults < 10_000 {
		t.Fatalf("%d entries, %d faults", len(l.Entries), r.Faults)
	}
	protected := slices.Concat([]netip.Prefix{guards.Protected[0].Prefix}, prefixes("0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16 224.0.0.0/3"))
	for _, e := range l.Entries {
		if e.Prefix.Bits() < widest4 {
			t.Fatalf("%s is too wide", e.Prefix)
		}
		for _, p := range protected {
			if p.Overlaps(e.Prefix) {
				t.Fatalf("%s meets %s", e.Prefix, p)
			}
		}
	}
}

func prefixes(texts string) (ps []netip.Prefix) {
	for t := range strings.FieldsSeq(texts) {
		ps = append(ps, netip.MustParsePrefix(t))
	}
	return ps
}

// BenchmarkCompile compiles 100,000 entries, a quarter of them inside others.
func BenchmarkCompile(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	f := &Force{Well: true}
	for i := range 100_000 {
		target := fmt.Sprintf("ip=198.%d.%d.%d", 18+rng.IntN(2), rng.IntN(256), rng.IntN(256))
		if i%100 == 0 {
			target = fmt.Sprintf("net=198.%d.%d.0/24", 18+rng.IntN(2), rng.IntN(256))
		}
		f.Entries = append(f.Entries, forced(i, target, event.Block, time.Duration(1+rng.IntN(7200))*time.Second))
	}
	caps := blocks
	caps.Capacity = 80_000
	guards := &Guards{}
	for b.Loop() {
		if l, _ := Compile(f, caps, guards, listNow); len(l.Entries) < 10_000 {
			b.Fatal(len(l.Entries))
		}
	}
}

func TestARateIsReadBackAsItWasCompiled(t *testing.T) {
	rates := map[string]string{
		"10/1m": "10/1m", "5/7d": "5/168h", "007/01h": "7/1h", "1/604800s": "1/604800s",
		"10/1.5m": "", "10/1m30s": "", "10/+1m": "", "10/90000ms": "", "10/1000000µs": "", "10/2000000us": "", "10/8d": "", "ten": "",
		strings.Repeat("0", 40) + "9/1m": "9/1m",
	}
	lists, err := newNginxLists([]event.Action{event.Limit}, nil)
	if err != nil {
		t.Fatal(err)
	}
	maps, err := newHAProxyMaps("weir.map", []event.Action{event.Limit}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for to, want := range rates {
		in := forced(1, "ip=198.51.100.7", event.Limit, time.Hour)
		in.Decision.To = to
		l, r := Compile(well(in), Capabilities{Actions: []event.Action{event.Limit}, Ends: true}, nil, listNow)
		if want == "" {
			if len(l.Entries) != 0 || r.Inexpressible != 1 {
				t.Errorf("%s: %+v, %+v", to, l.Entries, r)
			}
			continue
		}
		if len(l.Entries) != 1 || l.Entries[0].To != want {
			t.Errorf("%s: %+v, %+v", to, l.Entries, r)
			continue
		}
		body, _, err := lists.render(l.Entries)
		if err != nil {
			t.Fatal(to, err)
		}
		if es, err := lists.parse(body); err != nil || len(es) != 1 || es[0].To != want {
			t.Errorf("nginx: %s: %+v, %v", to, es, err)
		}
		if _, refused, err := maps.render(l.Entries); refused != nil || err != nil {
			t.Errorf("haproxy: %s: %v, %v", to, refused, err)
		}
		for _, sep := range []byte{' ', ':'} {
			var e Entry
			e.Action, e.Prefix = event.Limit, l.Entries[0].Prefix
			if err := readProxyValue(string(proxyValue(nil, &l.Entries[0], sep)), &e, sep); err != nil || e.To != want {
				t.Errorf("%s with %q: %+v, %v", to, sep, e, err)
			}
		}
	}
}

func TestAStricterLimitUncoversNobodyAtItsEnd(t *testing.T) {
	caps := Capabilities{Actions: []event.Action{event.Limit}, Ends: true, Endpoints: []Endpoint{{"e00000001", "POST /login"}}}
	for _, c := range []struct {
		target, to string
		left       time.Duration
		kept       bool
	}{
		{"ip=198.51.100.7", "1/1m", time.Minute, false},
		{"net=198.51.100.0/26", "1/1m", time.Hour, false},
		{"ip=198.51.100.7", "1/1m", 2 * time.Hour, true}, // they end together
		{"ip=198.51.100.7", "1/1m", 3 * time.Hour, true},
		{"ip=198.51.100.7", "100/1m", 3 * time.Hour, true},
		{"ip=198.51.100.7", "100/1m", time.Hour, false},
		{"ip=198.51.100.7;endpoint=POST /login", "1/1m", time.Minute, true}, // looked up by itself
	} {
		wide := forced(1, "net=198.51.100.0/24", event.Limit, 2*time.Hour)
		wide.Decision.To = "10/1m"
		narrow := forced(2, c.target, event.Limit, c.left)
		narrow.Decision.To, narrow.Decision.Severity = c.to, event.Critical
		l, _ := Compile(well(wide, narrow), caps, nil, listNow)
		if kept := len(l.Entries) == 2; kept != c.kept || len(l.Entries) == 0 {
			t.Errorf("%s %s for %v: %q", c.target, c.to, c.left, shown(l))
			continue
		}
		for _, e := range l.Entries {
			if e.To == "10/1m" && (e.Prefix != mustPrefix("198.51.100.0/24") || !e.Until.Equal(listNow.Add(2*time.Hour))) {
				t.Errorf("%s: the wider one became %+v", c.target, e)
			}
			if e.To != "10/1m" && !e.Until.Equal(listNow.Add(c.left)) {
				t.Errorf("%s: the narrower one became %+v", c.target, e)
			}
		}
	}
}
