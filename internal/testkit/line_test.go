package testkit

import (
	"errors"
	"testing"

	"weir/event"
	"weir/ingest"
)

func TestALineSetsTheFieldsThatItNames(t *testing.T) {
	line := AppendLine(nil, []Pair{
		{"t", "1767225600.25"}, {"ip", "2001:db8:1:2::7"}, {"asn", "64500"}, {"kind", "login"}, {"outcome", "failure"},
		{"refused", "challenge"}, {"status", "401"}, {"bytes", "0"}, {"duration", "1500"}, {"deprecated", "true"},
		{"credential", "a b=c%\n+\x00\xffé"}, {"endpoint", "POST /login"},
	})
	var ev event.Event
	ev.Reset()
	if err := Decode(line, &ev, &event.Arena{}); err != nil {
		t.Fatal(err)
	}
	want := map[event.Field]string{
		event.FieldIP: "2001:db8:1:2::/64", event.FieldASN: "64500", event.FieldKind: "login", event.FieldOutcome: "failure",
		event.FieldRefused: "challenge", event.FieldStatus: "401", event.FieldBytes: "0", event.FieldDuration: "0.0015",
		event.FieldDeprecated: "true", event.FieldCredential: "a b=c%\n+\x00\xffé", event.FieldEndpoint: "POST /login", event.FieldSession: "",
	}
	for f, v := range want {
		if got := ev.Str(f); got != v {
			t.Errorf("%v is %q, want %q", f, got, v)
		}
	}
	if ev.Time != 1767225600_250_000_000 {
		t.Errorf("time is %d", ev.Time)
	}
}

func TestALineThatIsWrongIsMalformed(t *testing.T) {
	for _, line := range []string{
		"", "t", "t=", "t=x", "t=1.2.3", "t=-1", "t=1 ip=x", "t=1 status=1e3", "t=1 status=99999999999", "t=1 nothing=1",
		"t=1 kind=teapot", "t=1 outcome=maybe", "t=1 refused=no", "t=1 agent=%zz", "ip=192.0.2.1", "t=1  ip=192.0.2.1",
	} {
		var ev event.Event
		if err := Decode([]byte(line), &ev, &event.Arena{}); !errors.Is(err, ingest.ErrMalformed) {
			t.Errorf("%q: %v, want a malformed line", line, err)
		}
	}
}
