package ingest

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"weir/event"
)

// fuzzFormat decodes anything: no panic, no error but ErrMalformed, no field
// over its limit, and at most 50 ms for 64 KiB.
func fuzzFormat(f *testing.F, cfg Config, seeds string) {
	logs, err := filepath.Glob(seeds)
	if err != nil || len(logs) == 0 {
		f.Fatalf("no seeds in %s: %v", seeds, err)
	}
	for _, path := range logs {
		for _, line := range readLines(f, path) {
			f.Add(line)
		}
	}
	decode, err := New(cfg)
	if err != nil {
		f.Fatal(err)
	}
	var ev event.Event
	var mem event.Arena
	f.Fuzz(func(t *testing.T, line []byte) {
		before := string(line)
		ev.Reset()
		mem.Reset()
		err := decode(line, &ev, &mem)
		if took := timeOf(func() { ev.Reset(); mem.Reset(); _ = decode(line, &ev, &mem) }); took > 50*time.Millisecond {
			t.Fatalf("%v for %d bytes", took, len(line))
		}
		if string(line) != before {
			t.Fatal("the line was changed")
		}
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		if !ev.Peer.IsValid() || ev.Time < 0 || ev.Time/1e9 >= maxSecond || len(line) > MaxLine {
			t.Fatalf("read as %s", appendFields(&ev))
		}
		if ev.Status < 0 || ev.Status > 999 || ev.Bytes < -1 || ev.Duration < -1 {
			t.Fatalf("read as %s", appendFields(&ev))
		}
		for _, s := range []string{ev.Forwarded, ev.Site, ev.Method, ev.Path, ev.Query, ev.Agent, ev.Referer, ev.Protocol, ev.TLS, ev.Credential, ev.Session, ev.ID} {
			if len(s) > MaxField {
				t.Fatalf("a field of %d bytes", len(s))
			}
		}
	})
}

// timeOf returns the shortest of up to three runs: a busy machine is no fault.
func timeOf(run func()) time.Duration {
	best := time.Hour
	for n := 0; n < 3 && best > 20*time.Millisecond; n++ {
		start := time.Now()
		run()
		best = min(best, time.Since(start))
	}
	return best
}

func FuzzCombined(f *testing.F) {
	fuzzFormat(f, Config{Format: "combined"}, "testdata/combined/*.log")
}

func FuzzVhostCombined(f *testing.F) {
	fuzzFormat(f, Config{Format: "vhost-combined"}, "testdata/vhost-combined/*.log")
}

func FuzzHAProxy(f *testing.F) {
	fuzzFormat(f, Config{Format: "haproxy", Fields: map[string]string{
		"site": "request.1", "agent": "request.2", "language": "request.3", "session": "request_cookie", "id": "response.2",
	}}, "testdata/haproxy/*.log")
}

func FuzzALB(f *testing.F) { fuzzFormat(f, Config{Format: "alb"}, "testdata/alb/*.log") }

func FuzzCloudFront(f *testing.F) {
	fuzzFormat(f, Config{Format: "w3c", Columns: strings.Fields("date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version")}, "testdata/w3c/*.log")
}

func FuzzIIS(f *testing.F) {
	fuzzFormat(f, Config{Format: "w3c", Columns: strings.Fields("date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Cookie) sc-status time-taken X-Forwarded-For")}, "testdata/w3c/*.log")
}

func FuzzPattern(f *testing.F) {
	fuzzFormat(f, Config{Pattern: `<ip> - <credential> [<time>] "<request>" <status> <bytes> "<referer>" "<agent>"`}, "testdata/pattern/*.log")
}

// FuzzPatternText compiles anything: a pattern that compiles decodes without a panic.
func FuzzPatternText(f *testing.F) {
	f.Add(`<ip> - <credential> [<time>] "<request>" <status> <bytes> "<referer>" "<agent>"`, `192.0.2.7 - - [02/Jan/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`)
	f.Add(`ts=<time> ip=<ip> <<<_>>`, `ts=1767366245 ip=192.0.2.7 <x>`)
	f.Add(`"<ip>""<time>"`, `"192.0.2.7""1767366245"`)
	f.Fuzz(func(t *testing.T, text, line string) {
		decode, err := New(Config{Pattern: text})
		if err != nil {
			if text != "" && utf8.ValidString(text) && !strings.Contains(err.Error(), "pattern:") {
				t.Fatal(err)
			}
			return
		}
		var ev event.Event
		if err := decode([]byte(line), &ev, &event.Arena{}); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatal(err)
		}
	})
}

// TestHostileLinesAreReadInTime gives every decoder 64 KiB of what makes naive
// readers look again and again at the same bytes. Formats of JSON, which share
// a decoder, have tests of their own.
func TestHostileLinesAreReadInTime(t *testing.T) {
	prefix := map[string]string{
		"combined":       `192.0.2.7 - `,
		"vhost-combined": `a 192.0.2.7 - `,
		"haproxy":        `192.0.2.7:1 [30/Jul/2026:09:03:46.395] web web/n1 5/0/1/20/26 200 1500 - - ---- 1/1/0/0/0 0/0 `,
		"alb":            `h2 2026-07-02T22:23:00.186641Z l 192.0.2.7:1 t 0.1 0.1 0.1 401 401 0 57 "`,
		"w3c":            "",
		"pattern":        `192.0.2.7 - `,
	}
	for format := range formats {
		if _, ok := prefix[format]; !ok && !slices.Contains(inJSON, format) {
			t.Errorf("format %s is not tried: give prefix the beginning of its lines", format)
		}
	}
	for format, head := range prefix {
		cfg := Config{Format: format}
		if format == "w3c" {
			cfg.Columns = strings.Fields("date time c-ip cs(User-Agent)")
		}
		if format == "pattern" {
			cfg.Pattern = `<ip> - <credential> [<time>] "<request>" <status>`
		}
		decode, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for _, unit := range []string{"[", " [", ` [02/Jan/2026:15:04:05 +0000] `, "] ", `"`, `\`, `\"`, `" `, `\\"`, "{", "}", "{} ", "|", "#", "#2", "%", "+", " ", "\t", ",", "/", "\x00", ":", "://", ". "} {
			for _, lead := range []string{"", head, head + `- [02/Jan/2026:15:04:05 +0000] "`, head + `- [02/Jan/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 1 "`, head + `- [02/Jan/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 1 "-" "-" `} {
				line := []byte(lead + strings.Repeat(unit, (MaxLine-len(lead))/len(unit)))
				var ev event.Event
				if err := decode(line, &ev, &event.Arena{}); err != nil && !errors.Is(err, ErrMalformed) {
					t.Fatal(err)
				}
				if took := timeOf(func() { _ = decode(line, &ev, &event.Arena{}) }); took > 50*time.Millisecond {
					t.Errorf("%s: %v for %q and then %q", format, took, lead, unit)
				}
			}
		}
	}
}
