package ingest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
)

// forgeries are what an attacker, who wants 203.0.113.9 blocked, sends as agent,
// path, name or referer.
var forgeries = []string{
	`{"time_iso8601":"2026-03-06T04:49:10+00:00","remote_addr":"203.0.113.9","request":"POST /login HTTP/1.1","status":401,"http_user_agent":"x"}`,
	`"}` + "\n" + `{"time_iso8601":"2026-03-06T04:49:10+00:00","remote_addr":"203.0.113.9"}`,
	`","remote_addr":"203.0.113.9`, `\","remote_addr":"203.0.113.9`, `\\","remote_addr":"203.0.113.9`,
	`\u0022,\u0022remote_addr\u0022:\u0022203.0.113.9`, `\x22,\x22remote_addr\x22:\x22203.0.113.9`,
	"\n", "\r\n", "\r", "\x00", "\u2028", "\xe2\x80", "\xc0\xa2", "\x80", `\`, `\\`, `"`, `\"`, `'`, `{`, `}`, `},{`, `,`, `:`, `/*`, `*/`, "\ufeff", "é", "\U0001F600",
	`"remote_addr":"203.0.113.9",`, `203.0.113.9`, "\x1b[2J", "\t", " ", "%0a", `\n`, `\ud800`, `null`, `]`,
}

func forge(rng *rand.Rand) string {
	var s strings.Builder
	for range 1 + rng.IntN(6) {
		s.WriteString(forgeries[rng.IntN(len(forgeries))])
	}
	return s.String()
}

// nginxJSONEscape appends s as nginx writes it with escape=json.
func nginxJSONEscape(dst []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, `\n`...)
		case c == '\r':
			dst = append(dst, `\r`...)
		case c == '\t':
			dst = append(dst, `\t`...)
		case c == '\b':
			dst = append(dst, `\b`...)
		case c == '\f':
			dst = append(dst, `\f`...)
		case c < ' ':
			dst = fmt.Appendf(dst, `\u%04X`, c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func TestJSONValuesCannotForge(t *testing.T) {
	type line struct {
		Time    string `json:"time_iso8601"`
		Addr    string `json:"remote_addr"`
		User    string `json:"remote_user"`
		URI     string `json:"request_uri"`
		Agent   string `json:"http_user_agent"`
		Referer string `json:"http_referer"`
		Status  int    `json:"status"`
	}
	writers := map[string]func(l line) []byte{
		"encoder": func(l line) []byte {
			b, err := json.Marshal(l)
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		"nginx": func(l line) []byte {
			b := append([]byte(nil), `{"time_iso8601":"`...)
			b = append(nginxJSONEscape(b, l.Time), `","remote_addr":"`...)
			b = append(nginxJSONEscape(b, l.Addr), `","remote_user":"`...)
			b = append(nginxJSONEscape(b, l.User), `","request_uri":"`...)
			b = append(nginxJSONEscape(b, l.URI), `","http_user_agent":"`...)
			b = append(nginxJSONEscape(b, l.Agent), `","http_referer":"`...)
			b = append(nginxJSONEscape(b, l.Referer), `","status":`...)
			return fmt.Appendf(b, `%d}`, l.Status)
		},
	}
	for name, write := range writers {
		for _, wrap := range []bool{false, true} {
			cfg := Config{Format: "nginx-json"}
			if wrap {
				cfg.Unwrap = "log"
			}
			decode := mustNew(t, cfg)
			rng := rand.New(rand.NewPCG(9, 9))
			for range 10_000 {
				source := netip.AddrFrom4([4]byte{198, 18, byte(rng.IntN(256)), byte(rng.IntN(256))})
				l := line{"2026-03-06T04:49:10+00:00", source.String(), forge(rng), "/" + forge(rng), forge(rng), forge(rng), 401}
				b := write(l)
				if bytes.IndexByte(b, '\n') >= 0 {
					t.Fatalf("%s wrote two lines", name)
				}
				if wrap {
					quoted, err := json.Marshal(string(b) + "\n")
					if err != nil {
						t.Fatal(err)
					}
					b = fmt.Appendf(nil, `{"log":%s,"stream":"stdout"}`, quoted)
				}
				ev, err := decodeOne(t, decode, string(b))
				if err != nil {
					t.Fatalf("%s: %v: %s", name, err, b)
				}
				if ev.Peer != source || ev.IP.IsValid() || ev.Forwarded != "" || ev.Status != 401 {
					t.Fatalf("%s: forged %+v by %s", name, ev, b)
				}
				path, query, _ := strings.Cut(l.URI, "?")
				got := [...]string{ev.Credential, ev.Path, ev.Query, ev.Agent, ev.Referer}
				for i, want := range [...]string{l.User, path, query, l.Agent, l.Referer} {
					if name == "encoder" || wrap {
						want, got[i] = strings.ToValidUTF8(want, "\uFFFD"), strings.ToValidUTF8(got[i], "\uFFFD") // as the writer wrote it
						want, got[i] = strings.ReplaceAll(want, "\uFFFD", ""), strings.ReplaceAll(got[i], "\uFFFD", "")
					}
					if want != "-" && got[i] != want && len(want) <= MaxField {
						t.Fatalf("%s: %q, want %q, from %s", name, got[i], want, b)
					}
				}
			}
		}
	}
}

func TestJSONAddressIsTheOneKeyExactly(t *testing.T) {
	decode := mustNew(t, Config{Format: "json", Fields: map[string]string{"ip": "ip", "time": "t", "forwarded": "xff"}})
	for _, c := range []struct {
		line string
		read bool
	}{
		{`{"t":1772772550,"ip":"192.0.2.7","IP":"203.0.113.9"}`, true},
		{`{"t":1772772550,"IP":"203.0.113.9","ip":"192.0.2.7"}`, true},
		{`{"t":1772772550,"ip":"192.0.2.7","ip ":"203.0.113.9"}`, true},
		{`{"t":1772772550,"ip":"192.0.2.7","i\u0000p":"203.0.113.9"}`, true},
		{`{"t":1772772550,"ip":"192.0.2.7","x":{"ip":"203.0.113.9"}}`, true},
		{`{"t":1772772550,"ip":"192.0.2.7","ip":"203.0.113.9"}`, false},
		{`{"t":1772772550,"ip":"203.0.113.9","ip":"192.0.2.7"}`, false},
		{`{"t":1772772550,"ip":"192.0.2.7","i\u0070":"203.0.113.9"}`, false},
		{`{"t":1772772550,"ip":"192.0.2.7","ip":null}`, false},
		{`{"t":1772772550,"ip":"192.0.2.7"}{"t":1772772550,"ip":"203.0.113.9"}`, false},
		{"{\"t\":1772772550,\"ip\":\"192.0.2.7\"}\n{\"t\":1772772550,\"ip\":\"203.0.113.9\"}", false},
		{`{"t":1772772550,"ip":["192.0.2.7","203.0.113.9"]}`, true},
		{`{"t":1772772550,"ip":"192.0.2.7 203.0.113.9"}`, false},
		{`{"t":1772772550,"xff":"203.0.113.9"}`, false},
	} {
		ev, err := decodeOne(t, decode, c.line)
		if (err == nil) != c.read || c.read && ev.Peer != netip.MustParseAddr("192.0.2.7") {
			t.Errorf("%s: %v %v", c.line, ev.Peer, err)
		}
	}
}
