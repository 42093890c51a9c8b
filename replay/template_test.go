package replay

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func expand(t testing.TB, value string, count int) string {
	t.Helper()
	l := &line{file: "test", number: 1, text: value}
	tp := l.template(value, 0, false, 1)
	if len(l.faults) > 0 {
		t.Fatal(l.faults[0])
	}
	var out []string
	for n := 1; n <= count; n++ {
		out = append(out, string(tp.append(nil, int64(n))))
	}
	return strings.Join(out, " ")
}

func TestTemplatesExpand(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"plain", "plain plain plain plain plain"},
		{"u{n}", "u1 u2 u3 u4 u5"},
		{"{n%3}", "1 2 0 1 2"},
		{"{n/2}", "0 1 1 2 2"},
		{"{n+10}-{n-1}", "11-0 12-1 13-2 14-3 15-4"},
		{"{n/2%2*10+1}", "1 11 11 1 1"},
		{"{n*2147483647*2147483647}", "2147483647 2147483647 2147483647 2147483647 2147483647"},
		{"{pick a b}", "a b a b a"},
		{"{pick 'a b' c}", "a b c a b c a b"},
		{"{{n}}", "{n} {n} {n} {n} {n}"},
		{"{ip 192.0.2.7/32}", "192.0.2.7 192.0.2.7 192.0.2.7 192.0.2.7 192.0.2.7"},
		{"{ip 198.18.0.0/15 n%2}", "198.19.60.111 198.18.0.0 198.19.60.111 198.18.0.0 198.19.60.111"},
	} {
		if got := expand(t, c.value, 5); got != c.want {
			t.Errorf("%s: got %s, want %s", c.value, got, c.want)
		}
	}
}

func TestEveryAddressOfAPrefixIsAnother(t *testing.T) {
	for _, cidr := range []string{"192.0.2.0/24", "198.18.0.0/20", "192.0.2.8/31", "2001:db8::/52", "2001:db8::/119", "2001:db8::/32"} {
		prefix := netip.MustParsePrefix(cidr)
		count := min(1<<12, 1<<min(20, prefix.Addr().BitLen()-prefix.Bits()))
		if prefix.Addr().Is6() && prefix.Bits() < 64 {
			count = 1 << min(12, 64-prefix.Bits())
		}
		seen := map[netip.Addr]bool{}
		for s := range strings.FieldsSeq(expand(t, "{ip "+cidr+"}", count)) {
			a := netip.MustParseAddr(s)
			if !prefix.Contains(a) {
				t.Fatalf("%s: %s lies outside", cidr, a)
			}
			if a.Is6() && prefix.Bits() < 64 {
				p, err := a.Prefix(64)
				if err != nil {
					t.Fatal(err)
				}
				a = p.Addr()
			}
			seen[a] = true
		}
		if len(seen) != count {
			t.Errorf("%s: %d different clients, want %d", cidr, len(seen), count)
		}
	}
}

func TestRandomNumbersFillTheirRangeAndStayTheSame(t *testing.T) {
	a, b := expand(t, "{rand 3-7}", 200), expand(t, "{rand 3-7}", 200)
	if a != b {
		t.Error("the same template gave other numbers")
	}
	if c := expand(t, "x{rand 3-7}", 200); strings.ReplaceAll(c, "x", "") == a {
		t.Error("another line gave the same numbers")
	}
	for n := range 11 {
		if got, want := strings.Contains(a, fmt.Sprint(n)), n >= 3 && n <= 7; got != want {
			t.Errorf("%d among the numbers: %v, want %v", n, got, want)
		}
	}
}
