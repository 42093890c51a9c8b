package ingest

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"weir/event"
)

func TestLongFieldsAreCutAtARuneAndStillIdentify(t *testing.T) {
	key := event.FixedKey()
	var mem event.Arena
	fits := strings.Repeat("a", MaxField)
	if got := clip(fits, &mem, key); got != fits {
		t.Errorf("a field of %d bytes was cut to %d", len(fits), len(got))
	}
	seen := map[string]string{}
	for _, unit := range []string{"a", "é", "€", "😀", "\x80", "\xff", "a\xf0\x9f"} {
		for lead := range 4 {
			s := strings.Repeat("x", lead) + strings.Repeat(unit, MaxField/len(unit)+1) + "end"
			got := clip(s, &mem, key)
			head, mark, ok := strings.Cut(got, clipSign)
			if len(got) > MaxField || len(got) < MaxField-utf8.UTFMax || !ok || len(mark) != 16 || !strings.HasPrefix(s, head) {
				t.Errorf("%q: cut to %d bytes: …%q", unit, len(got), got[len(got)-40:])
			}
			if utf8.ValidString(s) && !utf8.ValidString(got) {
				t.Errorf("%q: cut inside a rune: …%q", unit, got[len(got)-40:])
			}
			if other, dup := seen[got]; dup {
				t.Errorf("%q… and %q… are cut to the same", other[:8], s[:8])
			}
			seen[got] = s
			if got == clip(s+"x", &mem, key) {
				t.Errorf("%q: two texts that differ behind the cut are cut to the same", unit)
			}
		}
	}
	other, err := event.NewKey([]byte("another key of 16 bytes or more"))
	if err != nil {
		t.Fatal(err)
	}
	if long := fits + "b"; clip(long, &mem, key) == clip(long, &mem, other) {
		t.Error("the mark does not depend on the key")
	}
}

func TestLongChainsKeepWhatTheNearestProxyWrote(t *testing.T) {
	chain := strings.Repeat("203.0.113.9, ", 400) + "192.0.2.7"
	got := clipForwarded(chain)
	if len(got) > MaxField || len(got) < MaxField-20 || !strings.HasSuffix(got, ", 192.0.2.7") || !strings.HasPrefix(got, " 203.0.113.9,") {
		t.Errorf("%d bytes: %.20q … %q", len(got), got, got[len(got)-20:])
	}
	if short := "203.0.113.9, 192.0.2.7"; clipForwarded(short) != short {
		t.Error("a short chain was cut")
	}
}

func TestFieldsOfALineAreCut(t *testing.T) {
	decode, err := New(Config{Format: "combined"})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", MaxField+1)
	escaped := strings.Repeat(`\x61`, MaxField+1)
	line := `192.0.2.7 - ` + long + ` [02/Jan/2026:15:04:05 +0000] "GET /` + long + `?` + long + ` HTTP/1.1" 200 1 "` + escaped + `" "` + long + `" "` + strings.Repeat("203.0.113.9, ", 400) + `192.0.2.8"`
	var ev event.Event
	if err := decode([]byte(line), &ev, &event.Arena{}); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{"credential": ev.Credential, "path": ev.Path, "query": ev.Query, "referer": ev.Referer, "agent": ev.Agent} {
		if len(s) != MaxField || !strings.Contains(s, clipSign) {
			t.Errorf("%s: %d bytes", name, len(s))
		}
	}
	if ev.Referer != ev.Agent {
		t.Errorf("the same text is cut to %q and %q", ev.Referer[MaxField-20:], ev.Agent[MaxField-20:])
	}
	if !strings.HasSuffix(ev.Forwarded, ", 192.0.2.8") || len(ev.Forwarded) > MaxField {
		t.Errorf("the chain is cut to %d bytes", len(ev.Forwarded))
	}
	if err := decode([]byte(line+strings.Repeat("x", MaxLine)), &ev, &event.Arena{}); !errors.Is(err, ErrTooLong) {
		t.Errorf("a line over the limit: %v", err)
	}
}
