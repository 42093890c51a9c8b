package rules

import (
	"net/netip"
	"testing"

	"weir/event"
)

// Known and seen look a value up by the hash of an event's field; keys have the
// hash of the value that is kept. They must be the same for every field.
func TestAFieldsHashIsThatOfItsValue(t *testing.T) {
	p := &Plan{key: event.FixedKey()}
	full := event.Event{
		Second: 1_780_000_000, IP: netip.MustParseAddr("192.0.2.7"), ASN: 64500, Status: 200, Bytes: 5, Duration: 7,
		Kind: event.Login, Outcome: event.Failure, Refused: event.Block, Deprecated: true,
	}
	for f := event.FieldTime; int(f) < event.NumFields; f++ {
		full.SetText(f, "the text of "+f.String())
	}
	short, v6, empty := full, full, event.Event{Bytes: -1, Duration: -1}
	short.Credential, short.Session, short.Path = "", "s", "/"
	v6.IP, v6.Credential, v6.Session = netip.MustParseAddr("2001:db8:1:2::"), "", ""
	for _, ev := range []*event.Event{&full, &short, &v6, &empty} {
		for f := event.FieldTime; int(f) < event.NumFields; f++ {
			want := uint64(0)
			if v := ev.AppendValue(nil, f); len(v) > 0 {
				want = p.hashValue(v)
			}
			if got, _ := p.hashField(ev, f, nil); got != want {
				t.Errorf("%s of %+v: %x, its value's is %x", f, ev, got, want)
			}
		}
	}
}
