package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
)

// ecs is what another system reads from a line.
type ecs struct {
	Offset   int    `json:"log.offset"`
	Time     string `json:"@timestamp"`
	Address  any    `json:"source.address"` // a list in one place
	IP       string `json:"source.ip"`
	Method   string `json:"http.request.method"`
	URL      string `json:"url.original"`
	Query    string `json:"url.query"`
	Status   int32  `json:"http.response.status_code"`
	Body     *int64 `json:"http.response.body.bytes"`
	Bytes    *int64 `json:"http.response.bytes"`
	Duration *int64 `json:"event.duration"`
	Referer  string `json:"http.request.referrer"`
	Agent    string `json:"user_agent.original"`
	User     string `json:"user.name"`
	Domain   string `json:"url.domain"`
	XFF      string `json:"network.forwarded_ip"`
}

// sampled are the sample files, and how many of their lines are rejected, by
// reason: some have a host name or nothing where the client's address belongs,
// some begin with a header that clients write or are of another format than
// the rest of their file.
var sampled = []struct {
	log      string
	cfg      Config
	rejected map[string]int
}{
	{"apache/access/test/darwin-2.4.23.log", Config{Format: "combined"}, nil},
	{"apache/access/test/ubuntu-2.2.22.log", Config{Format: "combined"}, nil},
	{"apache/access/test/test.log", Config{Format: "combined"}, map[string]int{"client address": 2}},
	{"apache/access/test/test-vhost.log", Config{Format: "vhost-combined"}, nil},
	{"apache/access/test/ssl-request.log", Config{Pattern: `[<time>] <ip> <tls> <_> "<request>" <bytes>`}, nil},
	{"nginx/access/test/access.log", Config{Format: "combined"}, map[string]int{"client address": 2}},
	{"nginx/access/test/test.log", Config{Format: "combined"}, map[string]int{"client address": 6}},
	{"nginx/access/test/test-with-host.log", Config{Format: "vhost-combined"}, map[string]int{"client address": 6}},
	{"nginx/ingress_controller/test/test.log", Config{Format: "combined"}, nil},
	{"traefik/access/test/test.log", Config{Format: "combined"}, nil},
	{"haproxy/log/test/haproxy.log", Config{Format: "haproxy"}, map[string]int{"client address": 9}},
	{"haproxy/log/test/httplog-no-headers.log", Config{Format: "haproxy"}, nil},
	{"haproxy/log/test/tcplog.log", Config{Format: "haproxy"}, map[string]int{"not an http log line": 1}},
	{"haproxy/log/test/default.log", Config{Format: "haproxy"}, map[string]int{"not an http log line": 1}},
	{"iis/access/test/test.log", Config{Format: "w3c"}, map[string]int{"not as many columns as fields": 2}},
	{"iis/access/test/test-ipv6zone.log", Config{Format: "w3c"}, nil},
	{"iis/access/test/test-iis-7.5.log", Config{Format: "w3c"}, map[string]int{"client address": 1}},
	{"iis/access/test/test-iis-7.2.log", Config{Format: "w3c", Columns: strings.Fields("date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken")}, nil},
	{"iis/access/test/test-x-forward-for.log", Config{Format: "w3c", Columns: strings.Fields("date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken X-Forwarded-For")}, nil},
	{"iis/access/test/test-x-forward-for-extended.log", Config{Format: "w3c", Columns: strings.Fields("date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs-version cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken X-Forwarded-For")}, nil},
	{"iis/error/test/test.log", Config{Format: "w3c"}, nil},
}

// TestSampleLinesGiveWhatAnotherSystemReads compares every line of sample logs
// with the fields that Filebeat reads from it. The samples are no part of the
// project; testdata holds lines of the same shapes.
func TestSampleLinesGiveWhatAnotherSystemReads(t *testing.T) {
	dir := os.Getenv("WEIR_DATA")
	if dir == "" {
		dir = "../../shared/data"
	}
	dir = filepath.Join(dir, "formats/beats")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("%d sample logs were not compared: no %s (set WEIR_DATA)", len(sampled), dir)
	}
	lines, compared := 0, 0
	for _, s := range sampled {
		t.Run(s.log, func(t *testing.T) {
			log, err := os.ReadFile(filepath.Join(dir, s.log))
			if err != nil {
				t.Fatal(err)
			}
			expected, err := os.ReadFile(filepath.Join(dir, s.log+"-expected.json"))
			if err != nil {
				t.Fatal(err)
			}
			var want []ecs
			if err := json.Unmarshal(expected, &want); err != nil {
				t.Fatal(err)
			}
			rejected := map[string]int{}
			for _, w := range want {
				line, _, _ := bytes.Cut(log[w.Offset:], []byte("\n"))
				cfg := s.cfg
				if cfg.Format == "w3c" && cfg.Columns == nil {
					cfg.Columns = columnsBefore(log[:w.Offset])
				}
				decode, err := New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				var ev event.Event
				ev.Reset()
				lines++
				if err := decode(line, &ev, &event.Arena{}); err != nil {
					var m *Malformed
					if !errors.As(err, &m) {
						t.Fatalf("%v, want a Malformed", err)
					}
					rejected[m.Reason]++
					t.Logf("%v: %.100s", err, line)
					continue
				}
				compared++
				for _, d := range differences(&ev, w, cfg.Format == "w3c") {
					t.Errorf("%s\n%s", line, d)
				}
			}
			for reason := range s.rejected {
				if rejected[reason] != s.rejected[reason] {
					t.Errorf("%d lines rejected for %q, expected %d", rejected[reason], reason, s.rejected[reason])
				}
			}
			for reason, n := range rejected {
				if s.rejected[reason] == 0 {
					t.Errorf("%d lines rejected for %q, expected none", n, reason)
				}
			}
		})
	}
	t.Logf("%d of %d lines compared, the others rejected", compared, lines)
	if compared == 0 {
		t.Error("no line was compared")
	}
}

// columnsBefore returns the columns of the last #Fields: line.
func columnsBefore(log []byte) (names []string) {
	for line := range bytes.SplitSeq(log, []byte("\n")) {
		if n, ok := Columns(bytes.TrimSuffix(line, []byte("\r"))); ok {
			names = n
		}
	}
	return names
}

// differences says which fields differ. It leaves out only what differs by
// intent: a dash is no value, and paths stay as they were logged.
func differences(ev *event.Event, w ecs, iis bool) (diff []string) {
	check := func(field, got, want string) {
		if want == "-" {
			want = ""
		}
		if got != want {
			diff = append(diff, field+": "+got+", expected "+want)
		}
	}
	number := func(field string, got, want int64) {
		if got != want {
			check(field, time.Duration(got).String(), time.Duration(want).String())
		}
	}
	if w.Time != "" {
		check("time", time.Unix(0, ev.Time).UTC().Format("2006-01-02T15:04:05.000Z"), w.Time)
	}
	address := w.IP
	if address == "" {
		address, _ = w.Address.(string)
	}
	if a, err := netip.ParseAddr(address); err == nil {
		check("address", ev.Peer.String(), a.WithZone("").String())
	} else {
		check("address", ev.Peer.String(), map[string]string{"unix:": "127.0.0.1"}[address])
	}
	check("method", ev.Method, w.Method)
	target := ev.Path
	if ev.Query != "" && !iis {
		target += "?" + ev.Query
	}
	if w.URL != "" {
		if iis {
			if plain, err := url.PathUnescape(target); err == nil {
				target = plain
			}
			if plain, err := url.PathUnescape(strings.ReplaceAll(ev.Query, "+", " ")); err == nil {
				check("query", plain, w.Query)
			}
		}
		check("path", target, w.URL)
	}
	number("status", int64(ev.Status), int64(w.Status))
	for _, n := range []*int64{w.Body, w.Bytes} {
		if n != nil {
			number("bytes", ev.Bytes, *n)
		}
	}
	if w.Duration != nil {
		number("duration", ev.Duration*1000, *w.Duration)
	}
	check("referer", ev.Referer, w.Referer)
	check("agent", ev.Agent, w.Agent)
	check("user", ev.Credential, w.User)
	if w.Domain != "" {
		check("site", ev.Site, w.Domain)
	}
	check("forwarded", ev.Forwarded, w.XFF)
	return diff
}
