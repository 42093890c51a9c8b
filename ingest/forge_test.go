package ingest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// client is what a client sends that ends up in a log.
type client struct{ user, path, referer, agent string }

// writers render a request of a client at addr as the servers do that write
// the format, with their escaping.
var writers = map[string]struct {
	cfg   Config
	write func(addr string, c client) string
	keeps func(c client) client // what of c the format holds
}{
	"nginx": {
		Config{Format: "combined"},
		func(addr string, c client) string {
			return fmt.Sprintf(`%s - %s [02/Jan/2026:15:04:05 +0000] "GET %s HTTP/1.1" 401 19 "%s" "%s"`,
				addr, dash(slashEscape(c.user)), slashEscape(c.path), dash(slashEscape(c.referer)), dash(slashEscape(c.agent)))
		}, nil,
	},
	"nginx with a virtual host": {
		Config{Format: "vhost-combined"},
		func(addr string, c client) string {
			return fmt.Sprintf(`shop.example:443 %s - %s [02/Jan/2026:15:04:05 +0000] "GET %s HTTP/1.1" 401 19 "%s" "%s"`,
				addr, dash(slashEscape(c.user)), slashEscape(c.path), dash(slashEscape(c.referer)), dash(slashEscape(c.agent)))
		}, nil,
	},
	"nginx read by a pattern": {
		Config{Pattern: `<ip> - <credential> [<time>] "<request>" <status> <bytes> "<referer>" "<agent>"`},
		func(addr string, c client) string {
			return fmt.Sprintf(`%s - %s [02/Jan/2026:15:04:05 +0000] "GET %s HTTP/1.1" 401 19 "%s" "%s"`,
				addr, dash(slashEscape(c.user)), slashEscape(c.path), dash(slashEscape(c.referer)), dash(slashEscape(c.agent)))
		}, nil,
	},
	"nginx with two chains": {
		Config{Format: "combined"},
		func(addr string, c client) string {
			return fmt.Sprintf(`%s - %s [02/Jan/2026:15:04:05 +0000] "GET %s HTTP/1.1" 401 19 "%s" "%s" "-" 0.100 "%s"`,
				addr, dash(slashEscape(c.user)), slashEscape(c.path), dash(slashEscape(c.referer)), dash(slashEscape(c.agent)), slashEscape(c.agent))
		}, nil,
	},
	"Apache": {
		Config{Format: "combined"},
		func(addr string, c client) string {
			return fmt.Sprintf(`%s - %s [02/Jan/2026:15:04:05 +0000] "GET %s HTTP/1.1" 401 19 "%s" "%s"`,
				addr, dash(apacheEscape(c.user)), apacheEscape(c.path), dash(apacheEscape(c.referer)), dash(apacheEscape(c.agent)))
		}, nil,
	},
	"Apache common": {
		Config{Format: "combined"},
		func(addr string, c client) string {
			return fmt.Sprintf(`%s - %s [02/Jan/2026:15:04:05 +0000] "GET %s HTTP/1.1" 401 19`, addr, dash(apacheEscape(c.user)), apacheEscape(c.path))
		},
		func(c client) client { return client{user: c.user, path: c.path} },
	},
	"HAProxy": {
		Config{Format: "haproxy", Fields: map[string]string{"agent": "request.1", "referer": "request.2"}},
		func(addr string, c client) string {
			return fmt.Sprintf(`Jan  2 15:04:05 lb haproxy[1]: %s:38862 [02/Jan/2026:15:04:05.000] www~ app/node1 0/0/1/0/2 401 19 - - ---- 6/6/0/0/0 0/0 {%s|%s} {} "GET %s HTTP/1.1"`,
				addr, hashEscape(c.agent, `"#{|}`), hashEscape(c.referer, `"#{|}`), hashEscape(c.path, `"#`))
		},
		func(c client) client { return client{path: c.path, referer: c.referer, agent: c.agent} },
	},
	"HAProxy with a cookie": {
		Config{Format: "haproxy"},
		func(addr string, c client) string {
			return fmt.Sprintf(`haproxy[1]: %s:38862 [02/Jan/2026:15:04:05.000] www~ app/node1 0/0/1/0/2 401 19 SESS=%s - ---- 6/6/0/0/0 0/0 "GET %s HTTP/1.1"`,
				addr, hashEscape(c.user, ""), hashEscape(c.path, `"#`))
		},
		func(c client) client { return client{path: c.path} },
	},
	"ALB": {
		Config{Format: "alb"},
		func(addr string, c client) string {
			return fmt.Sprintf(`https 2026-01-02T15:04:05.000000Z app/lb/50 %s:2817 10.0.0.1:80 0.0 0.1 0.0 401 401 34 19 "GET %s HTTP/1.1" "%s" - - arn "Root=1-5" "-" "-" 0 2026-01-02T15:04:05.000000Z "forward" "-" "-" "-" "-" "-" "-"`,
				addr, slashEscape(c.path), dash(slashEscape(c.agent)))
		},
		func(c client) client { return client{path: c.path, agent: c.agent} },
	},
	"CloudFront": {
		Config{Format: "w3c", Columns: strings.Fields("date time x-edge-location sc-bytes c-ip cs-method cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query")},
		func(addr string, c client) string {
			path, query, _ := strings.Cut(c.path, "?")
			return fmt.Sprintf("2026-01-02\t15:04:05\tLAX1\t19\t%s\tGET\t%s\t401\t%s\t%s\t%s",
				addr, percentEscape(path), dash(percentEscape(c.referer)), dash(percentEscape(c.agent)), dash(percentEscape(query)))
		},
		func(c client) client {
			path, query, ok := strings.Cut(c.path, "?")
			c.user, c.path = "", percentEscape(path)
			if ok && query != "" {
				c.path += "?" + percentEscape(query)
			}
			return c
		},
	},
	"IIS": {
		Config{Format: "w3c", Columns: strings.Fields("date time cs-method cs-uri-stem cs-uri-query cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-bytes time-taken")},
		func(addr string, c client) string {
			path, query, _ := strings.Cut(c.path, "?")
			return fmt.Sprintf("2026-01-02 15:04:05 GET %s %s %s %s %s %s 401 19 5",
				plusEscape(path), dash(plusEscape(query)), dash(plusEscape(c.user)), addr, dash(plusEscape(c.agent)), dash(plusEscape(c.referer)))
		},
		nil,
	},
}

func TestNothingAClientSendsForgesAnotherLineOrField(t *testing.T) {
	const victim, attacker, perWriter = "203.0.113.9", "192.0.2.7", 1000
	at := time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC).UnixNano()
	attempts := 0
	written := slices.Clone(inJSON) // TestJSONValuesCannotForge is about these
	for name, w := range writers {
		written = append(written, w.cfg.name())
		t.Run(name, func(t *testing.T) {
			decode, err := New(w.cfg)
			if err != nil {
				t.Fatal(err)
			}
			rnd := rand.New(rand.NewPCG(1, 2))
			forged := w.write(victim, client{path: "/forged", user: "victim", agent: "forged", referer: "forged"})
			for range perWriter {
				attempts++
				c := client{user: payload(rnd, forged), path: "/" + payload(rnd, forged), referer: payload(rnd, forged), agent: payload(rnd, forged)}
				line := w.write(attacker, c)
				if strings.ContainsAny(line, "\r\n") {
					t.Fatalf("the writer let a newline through: %q", line)
				}
				var ev event.Event
				ev.Reset()
				if err := decode([]byte(line), &ev, &event.Arena{}); err != nil {
					t.Fatalf("%v: %s", err, line)
				}
				if ev.Peer != netip.MustParseAddr(attacker) || ev.Time != at || ev.Status != 401 || ev.Bytes != 19 || ev.Method != "GET" || ev.Forwarded != "" {
					t.Fatalf("%s\nread as %s", line, appendFields(&ev))
				}
				want := c
				if w.keeps != nil {
					want = w.keeps(c)
				}
				if name == "IIS" {
					continue // its escaping cannot be undone: a plus is a plus or a space
				}
				target := ev.Path
				if strings.Contains(want.path, "?") {
					target += "?" + ev.Query
				}
				if got := (client{ev.Credential, target, ev.Referer, ev.Agent}); got != want {
					t.Fatalf("%s\n got %q\nwant %q", line, got, want)
				}
			}
		})
	}
	for format := range formats {
		if !slices.Contains(written, format) {
			t.Errorf("format %s is not tried: give writers what its server writes", format)
		}
	}
	if attempts < 10000 {
		t.Errorf("%d attempts, must be at least 10000", attempts)
	}
}

// payload makes a text of pieces of a forged line and of what might end a field.
func payload(rnd *rand.Rand, forged string) string {
	pieces := []string{
		forged, slashEscape(forged), apacheEscape(forged), hashEscape(forged, `"#{|}`), percentEscape(forged), "\n" + forged, "\r\n" + forged,
		`"`, `\"`, `\\"`, `\`, "\n", "\r", "\t", "\x00", " ", "  ", "-", "|", "}", "{", `\x22`, `\x0a`, "#22", "#0A", "%22", "%0A", "%09", "+", "é", "\xff",
		"203.0.113.9", "203.0.113.9 - - ", " [02/Jan/2026:15:04:05 +0000] ", `" 200 1 "-" "-"`, " HTTP/1.1", " HTTP/1.1\" 200", "GET / HTTP/1.0", "?", "[", "]", "<", ">", "://",
	}
	var b strings.Builder
	for range 1 + rnd.IntN(5) {
		b.WriteString(pieces[rnd.IntN(len(pieces))])
	}
	s := b.String()
	if len(s) > 1000 {
		s = s[:1000]
	}
	if s == "-" || s == `""` {
		return "x" // what servers write for nothing
	}
	return s
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// slashEscape is escape=default of nginx.
func slashEscape(s string) string {
	return escapeBytes(s, func(c byte) string {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return fmt.Sprintf(`\x%02X`, c)
		}
		return ""
	})
}

// apacheEscape is ap_escape_logitem.
func apacheEscape(s string) string {
	named := map[byte]string{'"': `\"`, '\\': `\\`, '\n': `\n`, '\r': `\r`, '\t': `\t`, '\b': `\b`, '\v': `\v`, '\f': `\f`}
	return escapeBytes(s, func(c byte) string {
		if e := named[c]; e != "" {
			return e
		}
		if c < 0x20 || c > 0x7e {
			return fmt.Sprintf(`\x%02x`, c)
		}
		return ""
	})
}

// hashEscape is what HAProxy does to control characters and to delimiters.
func hashEscape(s, delimiters string) string {
	return escapeBytes(s, func(c byte) string {
		if c < 0x20 || c > 0x7e || strings.IndexByte(delimiters, c) >= 0 {
			return fmt.Sprintf("#%02X", c)
		}
		return ""
	})
}

// percentEscape is what CloudFront does.
func percentEscape(s string) string {
	return escapeBytes(s, func(c byte) string {
		if c <= 0x20 || c > 0x7e || strings.IndexByte(`"\%#<>[]^{|}`+"`", c) >= 0 {
			return fmt.Sprintf("%%%02X", c)
		}
		return ""
	})
}

// plusEscape is what IIS does.
func plusEscape(s string) string {
	return escapeBytes(s, func(c byte) string {
		switch {
		case c == ' ':
			return "+"
		case c < 0x20 || c > 0x7e:
			return fmt.Sprintf("%%%02X", c)
		}
		return ""
	})
}

func escapeBytes(s string, escape func(byte) string) string {
	var b strings.Builder
	for i := range len(s) {
		if e := escape(s[i]); e != "" {
			b.WriteString(e)
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
