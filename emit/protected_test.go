package emit

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/internal/testkit"
)

// hostileAddress makes a text that may stand where an address is expected.
func hostileAddress(r *rand.Rand, interesting []netip.Addr) string {
	addr := interesting[r.IntN(len(interesting))]
	if r.IntN(3) == 0 {
		var b [16]byte
		binary.BigEndian.PutUint64(b[:], r.Uint64())
		binary.BigEndian.PutUint64(b[8:], r.Uint64())
		if addr = netip.AddrFrom16(b); r.IntN(2) == 0 {
			addr = netip.AddrFrom4([4]byte(b[:4]))
		}
	}
	if r.IntN(3) == 0 { // a neighbour
		b := addr.AsSlice()
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
		addr, _ = netip.AddrFromSlice(b) // as long as before
	}
	if addr.Is4() {
		v4 := addr.As4()
		switch r.IntN(12) {
		case 0:
			addr = netip.AddrFrom16(addr.As16()) // v4-mapped
		case 1:
			addr = netip.AddrFrom16([16]byte{1: 0x64, 2: 0xff, 3: 0x9b, 12: v4[0], 13: v4[1], 14: v4[2], 15: v4[3]})
		case 2:
			addr = netip.AddrFrom16([16]byte{0x20, 0x02, v4[0], v4[1], v4[2], v4[3], 15: byte(r.IntN(256))})
		}
	}
	text := addr.String()
	switch r.IntN(12) {
	case 0, 1, 2, 3:
		return text + "/" + strconv.Itoa(r.IntN(addr.BitLen()+1))
	case 4:
		return text + "/" + strconv.Itoa(addr.BitLen()-r.IntN(9))
	case 5:
		return []string{"fe80::1%eth0", "x", "", " " + text, text + " ", "0" + text, text + "%1", "0.0.0.0/0", "::/0", "010.0.0.1", "1.2.3", "::ffff:0:0/95", "::ffff:10.0.0.0/104", text + "/-1", text + "/33\n"}[r.IntN(15)]
	case 6:
		return strings.ToUpper(text)
	}
	return text
}

// naive decides the same as the guards, slowly and without a table.
type naive []netip.Prefix

func (n naive) meets(p netip.Prefix) bool {
	for _, q := range n {
		if q.Overlaps(p) {
			return true
		}
	}
	return false
}

// nobodys are the ranges that are nobody's on the Internet, as IANA's registries
// have them, with all of IPv6 outside 2000::/3 but for what translators use.
const nobodys = "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.168.0.0/16 " +
	"224.0.0.0/4 240.0.0.0/4 255.255.255.255/32 " +
	"::/128 ::1/128 ::/16 64:ff9b:1::/48 100::/64 100::/8 200::/7 400::/6 800::/5 1000::/4 4000::/3 6000::/3 " +
	"8000::/3 a000::/3 c000::/3 e000::/4 f000::/5 f800::/6 fc00::/7 fe00::/9 fe80::/10 fec0::/10 ff00::/8"

// written returns the addresses of a target, read without weir's own code: the
// narrowest of those that it names.
func written(t *testing.T, target event.Target) (narrowest netip.Prefix) {
	t.Helper()
	for _, v := range target {
		if v.Field != "ip" && v.Field != "net" {
			continue
		}
		p, err := netip.ParsePrefix(v.Text)
		if err != nil {
			a, err := netip.ParseAddr(v.Text)
			if err != nil || a.Zone() != "" {
				t.Fatalf("%q is in force", v.Text)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		if p.Addr().Is4In6() {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		} else if p.Addr().Is6() && p.Bits() > 64 {
			if _, err := netip.ParsePrefix(v.Text); err != nil {
				p = netip.PrefixFrom(p.Addr(), 64) // a bare address is its /64
			}
		}
		if p = p.Masked(); !narrowest.IsValid() || p.Bits() > narrowest.Bits() {
			narrowest = p
		}
	}
	return narrowest
}

// sound fails the test for a prefix that is protected or too wide.
func (n naive) sound(t *testing.T, p netip.Prefix, of any) {
	t.Helper()
	switch {
	case !p.IsValid() || n.meets(p):
		t.Fatalf("%v of %v is in force, and protected", p, of)
	case p.Addr().Is4() && p.Bits() < 24 || p.Addr().Is6() && p.Bits() < 48:
		t.Fatalf("%v of %v is in force, and too wide", p, of)
	}
}

// lists compiles what is in force for points of each kind and looks at every
// entry. It returns how many there were of each.
func (n naive) lists(t *testing.T, l *tester, g *Guards) (entries [3]int) {
	t.Helper()
	for i, caps := range []Capabilities{
		{Actions: onlyBlock}, // a plain file
		{Actions: enforceable, Ends: true, Endpoints: []Endpoint{{ID: endpointID("POST /login"), Pattern: "POST /login"}}},
		{Actions: enforceable, Ends: true, Any: true},
	} {
		list, report := Compile(l.InForce(), caps, g, l.clock.now)
		if report.Faults != 0 {
			t.Fatalf("the guards let in what they took out of a list: %v", report.FaultExamples)
		}
		for _, e := range list.Entries {
			n.sound(t, e.Prefix, e.ID)
		}
		entries[i] = len(list.Entries)
	}
	return entries
}

// No list ever meets the protected set, nor does what is in force, over a million
// decisions about hostile addresses. WEIR_TORTURE makes it ten million.
func TestWhatIsInForceNeverMeetsTheProtectedSet(t *testing.T) {
	t.Parallel()
	n := 1_000_000
	if s := os.Getenv("WEIR_TORTURE"); s != "" {
		n = 10_000_000
	}
	r := rand.New(rand.NewPCG(7, 11))
	g := &Guards{Protected: []Protected{
		{mustPrefix("203.0.113.10/32"), "a trusted proxy"}, {mustPrefix("198.51.100.64/26"), "a crawler"},
		{mustPrefix("2001:db8:7::/48"), "protected by weir.yaml"}, {mustPrefix("2001:db8:1:2::7/128"), "an address of this machine"},
	}}
	plainly := naive(prefixes(nobodys))
	for _, p := range g.Protected {
		plainly = append(plainly, p.Prefix)
	}
	var interesting []netip.Addr
	for _, p := range plainly {
		interesting = append(interesting, p.Addr())
		if p.Addr().Is4() {
			v4 := p.Addr().As4()
			plainly = append(plainly,
				netip.PrefixFrom(netip.AddrFrom16([16]byte{1: 0x64, 2: 0xff, 3: 0x9b, 12: v4[0], 13: v4[1], 14: v4[2], 15: v4[3]}), 96+p.Bits()),
				netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 0x02, v4[0], v4[1], v4[2], v4[3]}), 16+p.Bits()))
		}
	}
	interesting = append(interesting, netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("192.0.2.1"))
	l := testLedger(t, g)
	l.sited(1e9)
	entered, compiled := 0, [3]int{}
	looked := map[string]bool{} // what was in force at the last look
	look := func() {
		now := make(map[string]bool, len(looked))
		for _, e := range l.InForce().Entries {
			if now[e.Decision.ID] = true; looked[e.Decision.ID] {
				continue
			}
			entered++
			plainly.sound(t, written(t, e.Decision.Target), e.Decision.Target)
		}
		looked = now
	}
	const batch, each = 500, 20_000
	ds := make([]event.Decision, 0, batch)
	for i := range n {
		d := ruled("r", l.clock.now, []string{"ip", "net"}[r.IntN(2)], hostileAddress(r, interesting))
		switch r.IntN(8) {
		case 0, 1:
			d.Target = append(d.Target, event.Value{Field: []string{"ip", "net", "endpoint"}[r.IntN(3)], Text: hostileAddress(r, interesting)})
		case 2:
			d.Target = append(d.Target, event.Value{Field: "endpoint", Text: "POST /login"})
		}
		d.ID = fmt.Sprintf("%032x", i)
		d.Would, d.To = enforceable[r.IntN(len(enforceable))], "10/1m"
		if r.IntN(50) == 0 {
			d.Good, d.Tried = float64(r.IntN(9)), 10
			d.Regulars = d.Good
		}
		if ds = append(ds, d); len(ds) < batch {
			continue
		}
		l.add(ds...)
		ds = ds[:0]
		look()
		if (i+1)%each == 0 {
			for k, entries := range plainly.lists(t, l, g) {
				compiled[k] += entries
			}
		}
		l.tick(10 * time.Minute)
	}
	if c := l.Counts(); entered < n/20 || c.Held[GuardProtected] < uint64(n/20) || c.Held[GuardWidth] < uint64(n/20) {
		t.Errorf("%d entered; held %v", entered, c.Held)
	}
	for k, entries := range compiled {
		if entries < n/each*20 {
			t.Errorf("lists of kind %d had %d entries in all, must be many", k, entries)
		}
	}
	if c := l.Counts(); len(c.Tripped) != 0 {
		t.Errorf("tripped %v: then nothing is tried any more", c.Tripped)
	}
	testkit.Figure(t, "%d decisions about hostile addresses: %d came into force, %v entries in %d lists of each kind (plain, with endpoints, any): none protected",
		n, entered, compiled, n/each)
}
