package ingest

import (
	"strings"
	"testing"
	"time"
)

func TestTimesAreReadInEveryLayout(t *testing.T) {
	at := func(s string) int64 {
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v.UnixNano()
	}
	for _, c := range []struct{ layout, text, want string }{
		{LayoutCLF, "02/Jan/2026:15:04:05 +0000", "2026-01-02T15:04:05Z"},
		{LayoutCLF, "29/Feb/2024:23:59:59 -0730", "2024-03-01T07:29:59Z"},
		{LayoutCLF, "01/Jan/1970:00:00:00 +0000", "1970-01-01T00:00:00Z"},
		{LayoutCLF, "30/Jul/2026:09:03:52.726", "2026-07-30T09:03:52.726Z"},
		{LayoutRFC3339, "2026-01-02T15:04:05Z", "2026-01-02T15:04:05Z"},
		{LayoutRFC3339, "2026-01-02T15:04:05.123456789+01:00", "2026-01-02T14:04:05.123456789Z"},
		{LayoutRFC3339, "2261-12-31T23:59:59.999999999Z", "2261-12-31T23:59:59.999999999Z"},
		{LayoutISO, "2026-01-02 15:04:05", "2026-01-02T15:04:05Z"},
		{LayoutISO, "2026-01-02T15:04:05,5+0100", "2026-01-02T14:04:05.5Z"},
		{LayoutUnix, "1767366245", "2026-01-02T15:04:05Z"},
		{LayoutUnix, "1767366245.123", "2026-01-02T15:04:05.123Z"},
		{LayoutUnix, "1767366245.1234567899", "2026-01-02T15:04:05.123456789Z"},
		{LayoutUnixMs, "1767366245123", "2026-01-02T15:04:05.123Z"},
		{LayoutUnixMs, "1767366245123.5", "2026-01-02T15:04:05.1235Z"},
		{LayoutUnixUs, "1767366245123456", "2026-01-02T15:04:05.123456Z"},
		{LayoutUnixNs, "1767366245123456789", "2026-01-02T15:04:05.123456789Z"},
		{"", "02/Jan/2026:15:04:05 +0000", "2026-01-02T15:04:05Z"},
		{"", "2026-01-02T15:04:05Z", "2026-01-02T15:04:05Z"},
		{"", "1767366245.123", "2026-01-02T15:04:05.123Z"},
		{"", "1767366245123", "2026-01-02T15:04:05.123Z"},
		{"", "1767366245123456", "2026-01-02T15:04:05.123456Z"},
		{"", "1767366245123456789", "2026-01-02T15:04:05.123456789Z"},
		{"Jan _2 2006 15:04:05", "Jan  2 2026 15:04:05", "2026-01-02T15:04:05Z"},
	} {
		ns, ok := ParseTime(c.layout, []byte(c.text))
		if !ok || ns != at(c.want) {
			t.Errorf("%s %q: got %v %v, want %s", c.layout, c.text, time.Unix(0, ns).UTC(), ok, c.want)
		}
	}
}

func TestWhatIsNoTimeIsRejected(t *testing.T) {
	for _, c := range []struct{ layout, texts string }{
		{LayoutCLF, "|02/Jan/2026:15:04:05 +000|02/jan/2026:15:04:05 +0000|31/Apr/2026:15:04:05 +0000|29/Feb/2026:00:00:00 +0000|" +
			"02/Jan/2026:24:00:00 +0000|02/Jan/2026:00:60:00 +0000|02/Jan/2026:00:00:60 +0000|02/Jan/2026:15:04:05+00000|0x/Jan/2026:15:04:05 +0000|" +
			"01/Jan/1970:00:00:00 +0100|31/Dec/1969:23:59:59 +0000|01/Jan/2262:00:00:00 +0000|01/Jan/9999:00:00:00 +0000|02/Jan/2026:15:04:05 x0000|00/Jan/2026:15:04:05 +0000"},
		{LayoutRFC3339, "2026-01-02 15:04:05Z|2026-01-02T15:04:05|2026-01-02T15:04:05+0100|2026-01-02T15:04:05.Z|2026-13-02T15:04:05Z|2026-01-02T15:04:05Zz|2026-01-02T15:04:05 Z"},
		{LayoutISO, "2026-01-02|2026-01-02x15:04:05|2026-01-02 15:04|2026-1-02 15:04:05x"},
		{LayoutUnix, "-1|+1|1e9|1767366245.|.5|1767366245.1x|9214646400|99999999999999999999999999|1767366245 "},
		{LayoutUnixNs, "9214646400000000000|9999999999999999999"},
		{"", "|x|202|2026-01-02"},
		{"2006", "1969|2262|26"},
	} {
		for text := range strings.SplitSeq(c.texts, "|") {
			if ns, ok := ParseTime(c.layout, []byte(text)); ok {
				t.Errorf("%s %q: read as %v", c.layout, text, time.Unix(0, ns).UTC())
			}
		}
	}
}

// FuzzTime holds the parsers against package time: what both read must be
// equal, and the own parsers may refuse only zones and years that no log has.
func FuzzTime(f *testing.F) {
	for _, s := range []string{"02/Jan/2026:15:04:05 +0000", "2026-01-02T15:04:05.123+01:00", "1767366245.123", "2026-02-30 15:04:05", "29/Feb/2000:00:00:00 -2359"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for own, theirs := range map[string]string{LayoutCLF: "02/Jan/2006:15:04:05 -0700", LayoutRFC3339: time.RFC3339} {
			got, ok := ParseTime(own, []byte(s))
			want, err := time.Parse(theirs, s)
			inRange := err == nil && want.Unix() >= 0 && want.Unix() < maxSecond
			if _, shift := want.Zone(); inRange && (shift >= 86400 || shift <= -86400) {
				inRange = ok
			}
			lax := own == LayoutCLF && len(s) != clfTime || strings.ContainsAny(s, ",") || strings.Contains(s, ":60") || oddCase(s) || strings.Contains(s, "24:") || strings.HasSuffix(s, "60")
			if ok && err == nil && got != want.UnixNano() {
				t.Fatalf("%s %q: %d, package time says %d", own, s, got, want.UnixNano())
			}
			if ok != inRange && !lax {
				t.Fatalf("%s %q: read %v, package time %v %v", own, s, ok, want, err)
			}
		}
		if ns, ok := ParseTime("", []byte(s)); ok && (ns < 0 || ns/1e9 >= maxSecond) {
			t.Fatalf("%q: %d is out of range", s, ns)
		}
	})
}

// oddCase reports a month that package time would read in any case.
func oddCase(s string) bool {
	return len(s) > 6 && monthOf([]byte(s[3:6])) == 0
}

func BenchmarkTimeCLF(b *testing.B) {
	text := []byte("02/Jan/2026:15:04:05 +0000")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := ParseTime(LayoutCLF, text); !ok {
			b.Fatal("not read")
		}
	}
}
