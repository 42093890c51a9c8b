package api

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/event"
)

func TestTargetsAreReadAsPeopleWriteThem(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"192.0.2.7", `{"ip":"192.0.2.7"}`},
		{" 192.0.2.7\n", `{"ip":"192.0.2.7"}`},
		{"192.0.2.7/32", `{"ip":"192.0.2.7"}`},
		{"192.0.2.7/24", `{"net":"192.0.2.0/24"}`},
		{"192.0.2.77/28", `{"ip":"192.0.2.64/28"}`},
		{"::ffff:192.0.2.7", `{"ip":"192.0.2.7"}`},
		{"::ffff:192.0.2.0/120", `{"net":"192.0.2.0/24"}`},
		{"2001:db8::7", `{"ip":"2001:db8::/64"}`},
		{"2001:DB8::7/128", `{"ip":"2001:db8::/64"}`},
		{"2001:db8:1:2::/56", `{"ip":"2001:db8:1::/56"}`},
		{"2001:db8::/48", `{"net":"2001:db8::/48"}`},
		{"ip=192.0.2.7", `{"ip":"192.0.2.7"}`},
		{"ip=192.0.2.0/24", `{"ip":"192.0.2.0/24"}`},
		{"net=192.0.2.7", `{"net":"192.0.2.0/24"}`},
		{"net=2001:db8::7", `{"net":"2001:db8::/48"}`},
		{`asn=64500,endpoint="POST /login"`, `{"asn":"64500","endpoint":"POST /login"}`},
		{`endpoint="POST /login" asn=AS64500`, `{"asn":"64500","endpoint":"POST /login"}`},
		{`endpoint="POST /login" , asn=64500`, `{"asn":"64500","endpoint":"POST /login"}`},
		{`agent="a \"b\", c=d",ip=192.0.2.7`, `{"ip":"192.0.2.7","agent":"a \"b\", c=d"}`},
		{`agent="\u001b[2J\ufffdff"`, `{"agent":"\u001b[2J\ufffdff"}`},
		{"credential=0123456789abcdef0123456789abcdef", `{"credential":"0123456789abcdef0123456789abcdef"}`},
		{"x.tenant=t1,site=shop.example", `{"site":"shop.example","x.tenant":"t1"}`},
		{"kind=login,method=POST", `{"method":"POST","kind":"login"}`},
		{"query=a=b", `{"query":"a=b"}`},
	} {
		got, err := ParseTarget(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if text := string(got.AppendJSON(nil)); text != c.want {
			t.Errorf("%s is %s, must be %s", c.text, text, c.want)
		}
	}
}

func TestTargetsThatAreNoneAreRefused(t *testing.T) {
	for _, c := range []struct{ text, says string }{
		{"", "empty"},
		{"  ", "empty"},
		{"shop.example", "must be an address"},
		{"192.0.2.300", "must be an address"},
		{"192.0.2.7/33", "must be an address"},
		{"fe80::1%eth0", "must be an address"},
		{"::ffff:0:0/90", "must be an address"},
		{"\x1b[2J", `\u001b[2J`},
		{"ip=\x1b[2J", `\u001b`},
		{"ip=", "no value"},
		{"ip=192.0.2.7,ip=192.0.2.8", "twice"},
		{"ip=192.0.2.7,", "nothing behind the comma"},
		{"ip=192.0.2.7,,asn=1", "no field"},
		{"ip=192.0.2.7 192.0.2.8", "must be field=value"},
		{"adress=192.0.2.7", "there is no field"},
		{"time=1", "no decision has"},
		{"bytes=1", "no decision has"},
		{"net=192.0.0.0/16", "must be a /24"},
		{"asn=0", "must be a number"},
		{"asn=64500x", "must be a number"},
		{"asn=4294967296", "must be a number"},
		{"credential=alice@shop.example", "--account"},
		{`endpoint="POST /login`, "quotes that do not end"},
		{`endpoint="POST \x"`, "quotes that do not end"},
		{`endpoint=POST" /login"`, "a quote in the middle"},
		{`endpoint="POST"/login`, "behind the value"},
		{"endpoint=POST /login", "must be field=value"},
		{"x.=1", "there is no field"},
		{strings.Repeat("1", maxTarget+1), "at most"},
		{"ip=192.0.2.7,asn=1,site=a,method=b,path=c,query=d,endpoint=e,kind=f,item=g", "more than"},
	} {
		got, err := ParseTarget(c.text)
		if err == nil {
			t.Errorf("%q was read as %s", c.text, got.AppendJSON(nil))
		} else if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.text, err)
		} else if strings.ContainsAny(err.Error(), "\x1b\x00") {
			t.Errorf("%q: the message moves cursors: %q", c.text, err)
		}
	}
	if got, err := ParseTarget("ip=192.0.2.7,asn=1,site=a,method=b,path=c,query=d,endpoint=e,kind=f"); err != nil || len(got) != maxDimensions {
		t.Errorf("at the limit: %v, %v", got, err)
	}
}

// awkward are values that attackers can write.
var awkward = []rune("ab \"'\\,=#\t\n\r\x00\x1b\x7f\u0085\u00e9\u200b\u202e\u2028\ufeff\ufffd😀\U000e0041")

func TestWrittenTargetsAreReadBack(t *testing.T) {
	fields := []string{"asn", "site", "endpoint", "agent", "fingerprint", "session", "x.tenant"}
	rapid.Check(t, func(t *rapid.T) {
		var target event.Target
		for _, f := range rapid.SliceOfNDistinct(rapid.SampledFrom(fields), 1, 4, rapid.ID[string]).Draw(t, "fields") {
			text := rapid.StringOfN(rapid.SampledFrom(awkward), 1, 20, -1).Draw(t, "text")
			if rapid.Bool().Draw(t, "broken") {
				text += "\xff\xc3"
			}
			if f == "asn" {
				text = "64500"
			}
			target = append(target, event.Value{Field: f, Text: text})
		}
		text := FormatTarget(target)
		for _, r := range text {
			if r == '\'' || r < 0x20 || r == 0x7f {
				t.Fatalf("%q in %s", r, text)
			}
		}
		back, err := ParseTarget(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if len(back) != len(target) {
			t.Fatalf("%s became %v", text, back)
		}
		for _, v := range target {
			found := false
			for _, w := range back {
				found = found || v == w
			}
			if !found {
				t.Fatalf("%v is not in %v (%s)", v, back, text)
			}
		}
	})
	for _, text := range []string{"192.0.2.7", "192.0.2.0/24", "192.0.2.64/28", "2001:db8::/64", "2001:db8::/48"} {
		target, err := ParseTarget(text)
		if err != nil || FormatTarget(target) != text {
			t.Errorf("%s became %s, %v", text, FormatTarget(target), err)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"192.0.2.7", `asn=64500,endpoint="POST /login"`, `agent="\u001b\ufffdff"`, "net=2001:db8::/48", "x.a=b", "ip=,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		target, err := ParseTarget(text)
		written := FormatTarget(target)
		if err != nil || len(written) > maxTarget {
			return // bytes that are no text are written longer than they are
		}
		again, err := ParseTarget(written)
		if err != nil || string(again.AppendJSON(nil)) != string(target.AppendJSON(nil)) {
			t.Errorf("%q is %s, written as %s, which is %s, %v", text, target.AppendJSON(nil), written, again.AppendJSON(nil), err)
		}
	})
}
