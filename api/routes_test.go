package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
)

func TestNothingIsChangedOverTCP(t *testing.T) {
	r := newRig(t, nil).run()
	block := `{"target":"192.0.2.7","for":"1h","by":"alice","reason":"test"}`
	methods := []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
	tried := 0
	for _, rt := range routes {
		for _, method := range methods {
			for _, over := range []string{overTCP, overSocket} {
				tried++
				code, text, h := r.ask(over, method, rt.path, block)
				get := method == "GET" || method == "HEAD"
				fits := method == rt.method || get && rt.method == "GET"
				switch {
				case !fits:
					if code != http.StatusMethodNotAllowed || h.Get("Allow") != rt.method {
						t.Errorf("%s %s over %s: status %d, Allow %q", method, rt.path, over, code, h.Get("Allow"))
					}
				case rt.changes && over == overTCP:
					if code != http.StatusForbidden {
						t.Errorf("%s %s over tcp: status %d, %s", method, rt.path, code, text)
					}
				case code == http.StatusForbidden || code == http.StatusNotFound || code == http.StatusMethodNotAllowed:
					t.Errorf("%s %s over %s: status %d, %s", method, rt.path, over, code, text)
				}
				if over == overTCP {
					if n := len(r.ledger.Recent(10)); n > 1 && len(r.ledger.InForce().Entries) > 0 {
						t.Fatalf("%s %s over tcp changed the ledger: %v", method, rt.path, r.ledger.Recent(10))
					}
				} else if _, err := r.ledger.Unblock(ip("192.0.2.7"), time.Second, "test", "clean up"); err != nil {
					t.Fatal(err)
				} else if r.ledger.Stopped() != nil {
					if err := r.ledger.Resume("test"); err != nil {
						t.Fatal(err)
					}
				}
				if h.Get("Content-Type") != "application/json" || method != "HEAD" && !json.Valid([]byte(text)) {
					t.Errorf("%s %s over %s: %s, not json: %s", method, rt.path, over, h.Get("Content-Type"), text)
				}
				if h.Get("Access-Control-Allow-Origin") != "" || h.Get("X-Content-Type-Options") != "nosniff" {
					t.Errorf("%s %s over %s: headers %v", method, rt.path, over, h)
				}
			}
		}
	}
	if want := len(routes) * len(methods) * 2; tried != want || len(routes) < 10 {
		t.Errorf("%d of %d cases tried", tried, want)
	}
	for _, over := range []string{overTCP, overSocket} {
		if code, _, _ := r.ask(over, "GET", "/nothing", ""); code != http.StatusNotFound {
			t.Errorf("/nothing over %s: status %d", over, code)
		}
		if code, _, _ := r.ask(over, "POST", "/metrics", ""); code != http.StatusMethodNotAllowed {
			t.Errorf("POST /metrics over %s: status %d", over, code)
		}
		code, text, h := r.ask(over, "GET", "/metrics", "")
		if code != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), "text/plain") || !strings.Contains(text, "weir_ready 1") {
			t.Errorf("/metrics over %s: status %d, %s", over, code, h.Get("Content-Type"))
		}
	}
}

func TestOverTCPOnlyThisMachinesNamesAreAnswered(t *testing.T) {
	r := newRig(t, nil).run()
	for host, ok := range map[string]bool{
		"127.0.0.1:8480": true, "localhost": true, "LocalHost:8480": true, "[::1]:8480": true, "127.9.9.9": true,
		"weir.example": false, "weir.example:8480": false, "127.0.0.1.evil.example": false, "192.0.2.7:8480": false, "localhost.evil.example:80": false,
	} {
		want := http.StatusOK
		if !ok {
			want = http.StatusMisdirectedRequest
		}
		for _, path := range []string{"/healthz", "/metrics", "/api/v1/status"} {
			if code, text, _ := r.askAs(overTCP, "GET", path, "", host); code != want {
				t.Errorf("%s as %s: status %d, must be %d: %s", path, host, code, want, text)
			}
		}
		if code, _, _ := r.askAs(overSocket, "GET", "/healthz", "", host); code != http.StatusOK {
			t.Errorf("over the socket as %s: status %d", host, code)
		}
	}
}

func TestBodiesAndQueriesAreBounded(t *testing.T) {
	r := newRig(t, nil).run()
	r.add(decided("ato.stuffing_source", ip("192.0.2.7")))
	order := func(reason string) string {
		b, err := json.Marshal(Order{Target: "192.0.2.7", For: "1h", By: "alice", Reason: reason})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	long := strings.Repeat("x", maxReason)
	for _, c := range []struct {
		name, method, path, body string
		code                     int
	}{
		{"a body at the limit", "POST", "/api/v1/block", order(long) + strings.Repeat(" ", maxBody-len(order(long))), 200},
		{"a body over the limit", "POST", "/api/v1/block", order(long) + strings.Repeat(" ", maxBody-len(order(long))+1), 413},
		{"a reason over the limit", "POST", "/api/v1/block", order(long + "x"), 400},
		{"no body", "POST", "/api/v1/block", "", 400},
		{"two objects", "POST", "/api/v1/block", order("a") + order("b"), 400},
		{"an unknown key", "POST", "/api/v1/block", `{"target":"192.0.2.7","by":"alice","reason":"x","for":"1h","force":true}`, 400},
		{"nobody", "POST", "/api/v1/stop", `{"reason":"x"}`, 400},
		{"no reason", "POST", "/api/v1/stop", `{"by":"alice"}`, 400},
		{"no end", "POST", "/api/v1/block", `{"target":"192.0.2.7","by":"alice","reason":"x"}`, 400},
		{"a negative time", "POST", "/api/v1/block", `{"target":"192.0.2.7","by":"alice","reason":"x","for":"-1h"}`, 400},
		{"too long a time", "POST", "/api/v1/block", `{"target":"192.0.2.7","by":"alice","reason":"x","for":"999999h"}`, 409},
		{"an action that is none", "POST", "/api/v1/block", `{"target":"192.0.2.7","by":"alice","reason":"x","for":"1h","action":"alert"}`, 400},
		{"a limit without a rate", "POST", "/api/v1/block", `{"target":"192.0.2.7","by":"alice","reason":"x","for":"1h","action":"limit"}`, 400},
		{"all of the network", "POST", "/api/v1/block", `{"target":"0.0.0.0/0","by":"alice","reason":"x","for":"1h"}`, 409},
		{"what is private", "POST", "/api/v1/block", `{"target":"10.1.2.3","by":"alice","reason":"x","for":"1h"}`, 409},
		{"a target that is none", "POST", "/api/v1/unblock", `{"target":"x","by":"alice","reason":"x"}`, 400},
		{"approve nothing", "POST", "/api/v1/approve", `{"by":"alice"}`, 400},
		{"approve what is not held", "POST", "/api/v1/approve", `{"by":"alice","what":"ato.stuffing_source"}`, 409},
		{"resume what is not stopped", "POST", "/api/v1/resume", `{"by":"alice"}`, 409},
		{"decisions", "GET", "/api/v1/decisions?limit=1000", "", 200},
		{"too many decisions", "GET", "/api/v1/decisions?limit=1001", "", 400},
		{"no decisions", "GET", "/api/v1/decisions?limit=0", "", 400},
		{"an unknown parameter", "GET", "/api/v1/decisions?limi=10", "", 400},
		{"a parameter twice", "GET", "/api/v1/decisions?limit=1&limit=2", "", 400},
		{"a bad pattern", "GET", "/api/v1/decisions?rule=%5B", "", 400},
		{"a bad query", "GET", "/api/v1/decisions?rule=%zz", "", 400},
		{"why nothing", "GET", "/api/v1/why", "", 400},
		{"why everything", "GET", "/api/v1/why?target=" + strings.Repeat("x", maxTarget+1), "", 400},
	} {
		code, text, _ := r.ask(overSocket, c.method, c.path, c.body)
		if code != c.code {
			t.Errorf("%s: status %d, must be %d: %s", c.name, code, c.code, text)
		}
		if problem := decode[map[string]any](t, text)["error"]; (problem == nil) != (code == 200) {
			t.Errorf("%s: %s", c.name, text)
		}
	}
	c, err := net.Dial("tcp", r.tcp)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", maxHeader+4<<10))); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, len("HTTP/1.1 431"))
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Errorf("a head over the limit: %q, %v", answer, err)
	}
}

func TestDecisionsAreTheNewestThatFit(t *testing.T) {
	r := newRig(t, nil).run()
	for i := range 250 {
		rule := "ato.stuffing_source"
		if i%10 == 0 {
			rule = "scraping.source"
		}
		r.add(decided(rule, ip(fmt.Sprintf("192.0.2.%d", i))))
	}
	all := decode[Decisions](t, second2(r.ask(overTCP, "GET", "/api/v1/decisions", "")))
	if len(all.Lines) != defaultLines || !all.More {
		t.Fatalf("%d lines, more: %v", len(all.Lines), all.More)
	}
	if last := all.Lines[99].Decision.Target[0].Text; last != "192.0.2.249" {
		t.Errorf("the last is %s", last)
	}
	some := decode[Decisions](t, second2(r.ask(overTCP, "GET", "/api/v1/decisions?rule=scraping.*&limit=25", "")))
	if len(some.Lines) != 25 || some.More || some.Lines[0].Decision.Target[0].Text != "192.0.2.0" {
		t.Errorf("%d lines, more: %v", len(some.Lines), some.More)
	}
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if none := decode[Decisions](t, second2(r.ask(overTCP, "GET", "/api/v1/decisions?since="+later, ""))); len(none.Lines) != 0 {
		t.Errorf("%d lines from the future", len(none.Lines))
	}
}

func second2(_ int, text string, _ http.Header) string { return text }

func TestALineIsWhatStandsInTheLedger(t *testing.T) {
	r := newRig(t, nil)
	hostile := "\x1b[2J\u202e\u0085\x00\xff\"\\'</script>\ufffd\u00e9"
	busy(r)
	r.add(decided("ato.stuffing_source", event.Target{{Field: "ip", Text: "192.0.2.9"}, {Field: "agent", Text: hostile}}))
	if _, err := r.ledger.Block(ip("192.0.2.9"), event.Limit, "10/1m", time.Hour, "alice", hostile); err != nil {
		t.Fatal(err)
	}
	if _, err := r.ledger.Unblock(ip("192.0.2.7"), time.Hour, "bob", "an office"); err != nil {
		t.Fatal(err)
	}
	if err := r.ledger.Approve("ato.low_and_slow", "carol"); err != nil {
		t.Fatal(err)
	}
	if err := r.ledger.Stop("dora", "everything burns"); err != nil {
		t.Fatal(err)
	}
	if err := r.ledger.Resume("dora"); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	written := strings.Split(strings.TrimSuffix(string(file), "\n"), "\n")
	lines := r.ledger.Recent(1000)
	written = written[1:] // which says that the file was opened
	if len(lines) != len(written) || len(lines) < 10 {
		t.Fatalf("%d lines, %d in the file", len(lines), len(written))
	}
	kinds := map[string]bool{}
	for i, l := range lines {
		kinds[l.Event] = true
		b, err := json.Marshal(Line{l})
		if err != nil {
			t.Fatal(err)
		}
		want, _, ok := strings.Cut(written[i], `,"chain":`)
		if !ok || string(b) != want+"}" {
			t.Errorf("differs:\n%s\n%s", b, written[i])
		}
		var back Line
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatalf("%v in %s", err, b)
		}
		l.Lacks, back.Lacks = nil, nil
		if !reflect.DeepEqual(back.Line, l) {
			t.Errorf("differs:\n%+v\n%+v", back.Line, l)
		}
	}
	for _, kind := range []string{emit.LineNew, emit.LineHeld, emit.LineWithdrawn, emit.LineTripped, emit.LineApproved, emit.LineUnblocked, emit.LineStopped, emit.LineResumed} {
		if !kinds[kind] {
			t.Errorf("no %s line", kind)
		}
	}
}
