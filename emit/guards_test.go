package emit

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"weir/event"
)

func mustPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

var everyAction = []event.Action{event.Block, event.Limit, event.Challenge, event.Deceive}

func TestGuardsSayWhatTheyObjectTo(t *testing.T) {
	g := &Guards{
		Protected: []Protected{
			{mustPrefix("203.0.113.10/32"), "a trusted proxy of source edge"},
			{mustPrefix("198.18.5.0/25"), "protected by weir.yaml"},
			{mustPrefix("2001:db8:1:2::7/128"), "an address of this machine"},
			{mustPrefix("::ffff:203.0.113.77/128"), "a broker"},
		},
		Allow: []Allow{
			{Match: targetOf("ip", "203.0.113.20"), Actions: []event.Action{event.Block}, Rules: []string{"*"}, Owner: "ops", Reason: "uptime monitor"},
			{Match: targetOf("net", "203.0.113.64/28", "endpoint", "POST /login"), Actions: everyAction, Rules: []string{"ato.*"}, Owner: "sales", Reason: "a partner"},
			{Match: targetOf("endpoint", "GET /health"), Actions: everyAction, Rules: []string{"*"}, Owner: "ops", Reason: "health"},
			{Match: targetOf("asn", "64500"), Actions: everyAction, Rules: []string{"asn.*"}, Owner: "ops", Reason: "our office"},
			{Match: targetOf("ip", "203.0.113.21"), Actions: everyAction, Rules: []string{"*"}, Owner: "ops", Reason: "old", Until: dawn},
			{Match: targetOf("ip", "192.0.2.200"), Actions: everyAction, Rules: []string{"*"}, Owner: "qa", Reason: "tests"},
		},
		Deprecated: []string{"POST /api/v0/signin"},
		Know: func(a netip.Addr, field string) (string, bool) {
			switch a.String() {
			case "192.0.2.50":
				return "64500", field == "asn"
			case "192.0.2.51", "192.0.2.200":
				return "64501", field == "asn"
			case "192.0.2.52":
				return "", false // no table says
			}
			return "", true // it has none
		},
	}
	if err := g.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule   string
		action event.Action
		target event.Target
		guard  Guard
		why    string
	}{
		{"r", event.Block, targetOf("ip", "198.51.100.7"), "", ""},
		{"r", event.Block, targetOf("ip", "2001:db8:5::/64"), "", ""},

		{"r", event.Block, nil, GuardWidth, "everybody"},
		{"r", event.Block, targetOf("fingerprint", ""), GuardWidth, "fingerprint is empty"},
		{"r", event.Block, targetOf("ip", "198.51.100.7", "ip", "198.51.100.8"), GuardWidth, "ip twice"},
		{"r", event.Block, targetOf("ip", "198.51.100.0/24"), "", ""},
		{"r", event.Block, targetOf("ip", "198.51.100.0/23"), GuardWidth, "198.51.100.0/23 is wider than /24"},
		{"r", event.Block, targetOf("net", "2001:db8:5::/48"), "", ""},
		{"r", event.Block, targetOf("net", "2001:db8:4::/47"), GuardWidth, "wider than /48"},
		{"r", event.Block, targetOf("ip", "0.0.0.0/0"), GuardWidth, "wider"},
		{"r", event.Block, targetOf("ip", "::/0"), GuardWidth, "wider"},
		{"r", event.Block, targetOf("ip", "garbage"), GuardWidth, "not an address"},
		{"r", event.Block, targetOf("ip", "2001:db8::1%eth0"), GuardWidth, "not an address"},
		{"r", event.Block, targetOf("ip", "198.51.100.7 "), GuardWidth, "not an address"},
		{"r", event.Block, targetOf("ip", "198.51.100.7", "net", "203.0.113.0/24"), GuardWidth, "contradict"},
		{"r", event.Block, targetOf("ip", "198.51.100.7", "net", "198.51.100.0/24"), "", ""},

		{"r", event.Block, targetOf("ip", "203.0.113.10"), GuardProtected, "203.0.113.10 is a trusted proxy of source edge"},
		{"r", event.Challenge, targetOf("ip", "203.0.113.10", "endpoint", "POST /login"), GuardProtected, "trusted proxy"},
		{"r", event.Block, targetOf("net", "203.0.113.0/24"), GuardProtected, "203.0.113.0/24 holds 203.0.113.10: a trusted proxy of source edge"},
		{"r", event.Block, targetOf("net", "198.18.5.0/24"), GuardProtected, "protected by weir.yaml"},
		{"r", event.Block, targetOf("ip", "198.18.5.128"), "", ""},
		{"r", event.Block, targetOf("ip", "198.18.5.127"), GuardProtected, "198.18.5.127 is protected by weir.yaml"},
		{"r", event.Block, targetOf("ip", "2001:db8:1:2::/64"), GuardProtected, "an address of this machine"},
		{"r", event.Block, targetOf("ip", "2001:db8:1:2::9"), GuardProtected, "an address of this machine"},
		{"r", event.Block, targetOf("ip", "2001:db8:1:3::9"), "", ""},
		{"r", event.Block, targetOf("ip", "203.0.113.77"), GuardProtected, "a broker"},
		{"r", event.Block, targetOf("ip", "::ffff:203.0.113.77"), GuardProtected, "a broker"},
		{"r", event.Block, targetOf("ip", "::ffff:203.0.113.0/120"), GuardProtected, "a trusted proxy"},
		{"r", event.Block, targetOf("ip", "64:ff9b::cb00:710a"), GuardProtected, ""},
		{"r", event.Block, targetOf("ip", "64:ff9b::cb00:710a/128"), GuardProtected, "a trusted proxy"},
		{"r", event.Block, targetOf("ip", "64:ff9b::c633:6407/128"), "", ""},
		{"r", event.Block, targetOf("ip", "2002:cb00:710a::1"), GuardProtected, "a trusted proxy"},
		{"r", event.Block, targetOf("ip", "2002:a01:203::1"), GuardProtected, "private"},
		{"r", event.Block, targetOf("ip", "2002:c633:6407::1"), "", ""},
		{"r", event.Block, targetOf("ip", "10.1.2.3"), GuardProtected, "10.1.2.3 is a private address"},
		{"r", event.Block, targetOf("ip", "100.64.1.1"), GuardProtected, "carrier"},
		{"r", event.Block, targetOf("ip", "127.0.0.1"), GuardProtected, "loopback"},
		{"r", event.Block, targetOf("ip", "0.0.0.0"), GuardProtected, "unspecified"},
		{"r", event.Block, targetOf("ip", "169.254.1.1"), GuardProtected, "link-local"},
		{"r", event.Block, targetOf("ip", "224.0.0.1"), GuardProtected, "multicast"},
		{"r", event.Block, targetOf("ip", "255.255.255.255"), GuardProtected, "reserved"},
		{"r", event.Block, targetOf("ip", "::1"), GuardProtected, ""},
		{"r", event.Block, targetOf("ip", "fe80::1"), GuardProtected, "link-local"},
		{"r", event.Block, targetOf("ip", "fd00::1"), GuardProtected, "private"},
		{"r", event.Block, targetOf("ip", "ff02::1"), GuardProtected, "multicast"},
		{"r", event.Block, targetOf("ip", "4001::1"), GuardProtected, "reserved"},

		{"r", event.Block, targetOf("ip", "203.0.113.20"), GuardAllowed, `allowed by "ops": uptime monitor`},
		{"r", event.Deceive, targetOf("ip", "203.0.113.20"), GuardAllowed, "uptime monitor"}, // where nobody can, it is a block
		{"r", event.Limit, targetOf("ip", "203.0.113.20"), "", ""},
		{"r", event.Block, targetOf("ip", "203.0.113.20", "endpoint", "POST /login"), GuardAllowed, "uptime"},
		{"r", event.Block, targetOf("ip", "203.0.113.20/30"), GuardAllowed, "uptime"},
		{"r", event.Block, targetOf("ip", "203.0.113.21"), "", ""}, // it was allowed until dawn
		{"ato.x", event.Block, targetOf("ip", "203.0.113.65"), GuardAllowed, "a partner"},
		{"ato.x", event.Block, targetOf("ip", "203.0.113.65", "endpoint", "POST /login"), GuardAllowed, "a partner"},
		{"ato.x", event.Block, targetOf("ip", "203.0.113.65", "endpoint", "GET /x"), "", ""},
		{"scraping.x", event.Block, targetOf("ip", "203.0.113.65"), "", ""},
		{"ato.x", event.Block, targetOf("endpoint", "POST /login", "fingerprint", "f"), "", ""}, // no address to compare
		{"r", event.Block, targetOf("endpoint", "GET /health", "ip", "198.51.100.7"), GuardAllowed, "health"},
		{"asn.x", event.Block, targetOf("ip", "192.0.2.50"), GuardAllowed, "our office"},
		{"asn.x", event.Block, targetOf("ip", "192.0.2.51"), "", ""},
		{"asn.x", event.Block, targetOf("ip", "192.0.2.52"), GuardAllowed, "whether 192.0.2.52 is of asn 64500 is not known"},
		{"asn.x", event.Block, targetOf("asn", "64500", "endpoint", "POST /login"), GuardAllowed, "our office"},
		{"r", event.Block, targetOf("asn", "64501"), GuardAllowed, "tests"}, // the tests' address is in it
		{"r", event.Block, targetOf("asn", "64502"), "", ""},

		{"r", event.Block, targetOf("endpoint", "POST /login"), GuardEndpoint, "POST /login is not marked deprecated"},
		{"r", event.Block, targetOf("endpoint", "POST /login", "site", "shop.example"), GuardEndpoint, "not marked"},
		{"r", event.Block, targetOf("site", "shop.example"), GuardEndpoint, "names nobody"},
		{"r", event.Challenge, targetOf("endpoint", "POST /login"), "", ""},
		{"r", event.Block, targetOf("endpoint", "POST /api/v0/signin"), "", ""},
		{"r", event.Deceive, targetOf("endpoint", "POST /api/v0/signin", "site", "a"), "", ""},

		{"r", event.Block, targetOf("credential", "abc"), GuardCredential, "bare account"},
		{"r", event.Limit, targetOf("actor", "abc"), GuardCredential, "bare account"},
		{"r", event.Deceive, targetOf("credential", "abc", "endpoint", "POST /login"), GuardCredential, "bare account"},
		{"r", event.Challenge, targetOf("credential", "abc"), "", ""},
		{"r", event.Block, targetOf("credential", "abc", "ip", "198.51.100.7"), "", ""},
	} {
		d := ruled(c.rule, dawn, "x", "y")
		d.Would, d.Target = c.action, c.target
		guard, why := g.Objects(&d, dawn)
		if guard != c.guard || !strings.Contains(why, c.why) || (guard == "") != (why == "") {
			t.Errorf("%s %s %v: %s %q, want %s %q", c.rule, c.action, c.target, guard, why, c.guard, c.why)
		}
	}
	// At its end an allow entry is over; a second earlier it is not.
	d := ruled("r", dawn, "ip", "203.0.113.21")
	if guard, _ := g.Objects(&d, dawn.Add(-time.Second)); guard != GuardAllowed {
		t.Errorf("a second before the end of what is allowed: %q", guard)
	}
}

func TestGuardsThatAreNoneObjectToNothing(t *testing.T) {
	var g *Guards
	d := ruled("r", dawn, "ip", "10.0.0.1")
	if guard, why := g.Objects(&d, dawn); guard != "" {
		t.Error(guard, why)
	}
	if why, meets := g.MeetsProtected(mustPrefix("10.0.0.0/8")); meets {
		t.Error(why)
	}
}

func TestPrefixesThatMeetTheProtectedSet(t *testing.T) {
	g := &Guards{Protected: []Protected{{mustPrefix("203.0.113.10/32"), "a trusted proxy"}}}
	for prefix, want := range map[string]string{
		"::ffff:203.0.113.10/128": "203.0.113.10 is a trusted proxy", "::ffff:10.0.0.0/104": "10.0.0.0/8 is a private address",
		"203.0.113.99/24": "203.0.113.0/24 holds 203.0.113.10: a trusted proxy", "0.0.0.0/0": "holds", "::/0": "holds",
		"203.0.113.11/32": "", "2001:db8::/64": "",
	} {
		why, meets := g.MeetsProtected(mustPrefix(prefix))
		if meets != (want != "") || !strings.Contains(why, want) {
			t.Errorf("%s: %q %v, want %q", prefix, why, meets, want)
		}
	}
	if why, meets := g.MeetsProtected(netip.Prefix{}); !meets || why != "not a prefix" {
		t.Errorf("no prefix: %q %v", why, meets)
	}
}

func TestFaultsOfGuardsAreAllReported(t *testing.T) {
	g := &Guards{
		Protected: []Protected{{Why: "nothing"}},
		Allow:     []Allow{{Owner: "a"}, {Match: targetOf("ip", "x")}, {Match: targetOf("ip", "192.0.2.1"), Rules: []string{"[a"}}},
	}
	err := g.Validate()
	for _, want := range []string{"a prefix that is none (nothing)", "entry 1 of a", `{"ip":"x"} is not an address`, "[a"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
}

func TestOwnAddressesHoldLoopback(t *testing.T) {
	own, err := OwnAddresses()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range own {
		if p.Prefix == mustPrefix("127.0.0.1/32") {
			return
		}
	}
	t.Errorf("%v", own)
}

func TestWhatAnAllowEntryHidesIsCounted(t *testing.T) {
	l := testLedger(t, &Guards{Allow: []Allow{
		{Match: targetOf("ip", "203.0.113.20"), Actions: everyAction, Rules: []string{"*"}, Owner: "ops", Reason: "uptime monitor"},
	}})
	l.add(ruled("r", dawn, "ip", "203.0.113.20"), ruled("s", dawn, "ip", "203.0.113.20"), ruled("s", dawn, "ip", "203.0.113.22"))
	c := l.Counts()
	if c.Allowed[`{"ip":"203.0.113.20"} (ops: uptime monitor)`] != 2 || c.Held[GuardAllowed] != 2 {
		t.Errorf("%v %v", c.Allowed, c.Held)
	}
}

func TestASharedTargetIsChallenged(t *testing.T) {
	for _, c := range []struct {
		good, tried float64
		would       event.Action
		want        string
	}{
		{5, 25, event.Block, "challenge"}, {5, 25, event.Deceive, "challenge"}, {5, 25, event.Limit, "limit"},
		{4, 4, event.Block, "block"}, {5, 26, event.Block, "block"}, {100, 501, event.Deceive, "deceive"},
	} {
		l := testLedger(t, &Guards{})
		if err := l.Review(dawn, accounts(1e6)); err != nil {
			t.Fatal(err)
		}
		d := ruled("r", dawn, "ip", "198.51.100.7")
		d.Good, d.Tried, d.Regulars, d.Would = c.good, c.tried, c.good, c.would
		l.add(d)
		e := l.InForce().Entries[0]
		if e.Action.String() != c.want || e.Decision.Would != c.would || (e.Reason != "") != (c.want == "challenge") {
			t.Errorf("%+v: %v %q", c, e.Action, e.Reason)
		}
	}
}

func TestANetworkInWhichSomethingProtectedIsKnownToBeIsHeld(t *testing.T) {
	asked := 0
	tables := map[string][3]string{ // by first address
		"198.51.100.9": {"64500", "Example Org", "NL"}, "203.0.113.0": {"64501", "Crawlers", "BE"}, "192.0.2.1": {"64502", "", ""},
	}
	g := &Guards{
		Protected: []Protected{
			{mustPrefix("198.51.100.9/32"), "a trusted proxy of source edge"}, {mustPrefix("203.0.113.0/26"), "a verified crawler"},
			{mustPrefix("10.1.2.3/32"), "an address of this machine"}, {mustPrefix("192.0.2.1/32"), "a broker"},
		},
		Know: func(a netip.Addr, field string) (string, bool) {
			asked++
			at := map[string]int{"asn": 0, "org": 1, "country": 2}[field]
			if a == netip.MustParseAddr("192.0.2.1") && field != "asn" {
				return "", false
			}
			return tables[a.String()][at], true
		},
	}
	for _, c := range []struct {
		pairs []string
		want  string
	}{
		{[]string{"asn", "64500"}, "asn 64500 holds 198.51.100.9: a trusted proxy of source edge"},
		{[]string{"country", "BE"}, "country BE holds 203.0.113.0/26: a verified crawler"},
		{[]string{"org", "Crawlers", "agent", "x"}, "org Crawlers holds 203.0.113.0/26: a verified crawler"},
		{[]string{"asn", "64500", "country", "NL", "endpoint", "POST /login"}, "asn 64500 holds 198.51.100.9"},
		{[]string{"asn", "64502", "country", "FR"}, "asn 64502 holds 192.0.2.1: a broker"}, // no table tells the country
		{[]string{"asn", "64500", "country", "BE"}, ""},                                    // nobody is in both
		{[]string{"asn", "64503"}, ""},
		{[]string{"asn", "64500", "ip", "198.51.100.10"}, ""},
		{[]string{"asn", "64500", "credential", "bob"}, ""}, // nothing protected has an account
		{[]string{"fingerprint", "64500"}, ""},
	} {
		d := ruled("r", dawn, c.pairs...)
		guard, why := g.Objects(&d, dawn)
		if want := c.want; want == "" && guard != "" || want != "" && (guard != GuardProtected || !strings.HasPrefix(why, want)) {
			t.Errorf("%v: %s %q, want %q", d.Target, guard, why, want)
		}
	}
	if asked != 3*len(g.Protected) {
		t.Errorf("the tables were asked %d times, want once for each that is protected and field", asked)
	}
	d := ruled("r", dawn, "asn", "64500")
	if guard, why := (&Guards{Protected: g.Protected}).Objects(&d, dawn); guard != "" {
		t.Errorf("without tables: %s %s", guard, why)
	}
	// Whoever got past the guards all the same is in no list.
	in := &InForce{Decision: d, Action: event.Block, Until: dawn.Add(time.Hour)}
	if l, r := Compile(well(in), Capabilities{Any: true, Actions: everyAction}, g, dawn); len(l.Entries) != 0 || r.Faults != 1 {
		t.Errorf("%+v, %+v", l, r)
	}
}
