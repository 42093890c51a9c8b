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

// No list ever meets the protected set. WEIR_TORTURE raises the number of
// decisions to a million and more.
func TestWhatIsInForceNeverMeetsTheProtectedSet(t *testing.T) {
	n := 40_000
	if s := os.Getenv("WEIR_TORTURE"); s != "" {
		n = 1_500_000
	}
	r := rand.New(rand.NewPCG(7, 11))
	g := &Guards{Protected: []Protected{
		{mustPrefix("203.0.113.10/32"), "a trusted proxy"}, {mustPrefix("198.51.100.64/26"), "a crawler"},
		{mustPrefix("2001:db8:7::/48"), "protected by weir.yaml"}, {mustPrefix("2001:db8:1:2::7/128"), "an address of this machine"},
	}}
	var plainly naive
	var interesting []netip.Addr
	for _, p := range reserved {
		plainly = append(plainly, mustPrefix(p.prefix))
	}
	for _, p := range g.Protected {
		plainly = append(plainly, p.Prefix)
	}
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
	l.review(accounts(1e9))
	entered, seenIDs := 0, map[string]bool{}
	check := func() {
		for _, e := range l.InForce().Entries {
			if seenIDs[e.Decision.ID] {
				continue
			}
			seenIDs[e.Decision.ID] = true
			entered++
			narrowest := netip.Prefix{}
			for _, v := range e.Decision.Target {
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
						p = netip.PrefixFrom(p.Addr(), 64).Masked() // a bare address is its /64
					}
				}
				if p = p.Masked(); !narrowest.IsValid() || p.Bits() > narrowest.Bits() {
					narrowest = p
				}
			}
			if p := narrowest; plainly.meets(p) {
				t.Fatalf("%v is in force, and protected", e.Decision.Target)
			} else if p.Addr().Is4() && p.Bits() < 24 || p.Addr().Is6() && p.Bits() < 48 {
				t.Fatalf("%v is in force, and too wide", e.Decision.Target)
			}
		}
	}
	batch := make([]event.Decision, 0, 500)
	for i := range n {
		d := ruled("r", l.clock.now, []string{"ip", "net"}[r.IntN(2)], hostileAddress(r, interesting))
		if r.IntN(4) == 0 {
			d.Target = append(d.Target, event.Value{Field: []string{"ip", "net", "endpoint"}[r.IntN(3)], Text: hostileAddress(r, interesting)})
		}
		d.ID = fmt.Sprint(i)
		d.Would = []event.Action{event.Block, event.Limit, event.Challenge, event.Deceive}[r.IntN(4)]
		if r.IntN(50) == 0 {
			d.Good, d.Tried = float64(r.IntN(9)), 10
		}
		if batch = append(batch, d); len(batch) == cap(batch) {
			l.add(batch...)
			batch = batch[:0]
			check()
			l.tick(10 * time.Minute)
		}
	}
	if c := l.Counts(); entered < n/20 || c.Held[GuardProtected] < uint64(n/20) || c.Held[GuardWidth] < uint64(n/20) {
		t.Errorf("%d entered; held %v", entered, c.Held)
	}
	if c := l.Counts(); len(c.Tripped) != 0 {
		t.Errorf("tripped %v: then nothing is tried any more", c.Tripped)
	}
}
