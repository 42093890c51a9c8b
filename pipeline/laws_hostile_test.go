package pipeline_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/testkit"
)

// eager decides about every value of a field at once.
func eager(id, key string) string {
	return fmt.Sprintf(`id: %s
version: 1
title: Every value of a key
severity: info
key: %s
where: "true"
features: {n: 'count("1m")'}
when: n >= 1
then: {alert: %s, for: 1m}
stage: enforce
`, id, key, key)
}

// hostile are texts that attackers put into fields. The victim is never a client.
const victim = "203.0.113.9"

var hostile = []string{
	victim,
	"a\nb", "a\r\nb", "a\x00b", "\x1b[2J\x1b[1;1H", "a\tb", "\x7f",
	`"`, `\`, `\"`, `","ip":"` + victim + `"`, `"},"target":{"ip":"` + victim + `"},"x":{"`, `'}]`, `</script><script>`, `&amp;`,
	"t=1767600000 ip=" + victim, "user ip=" + victim, "=", " ", "  ", "%0a", "%", "~", "~fp~" + victim,
	"ip\x00" + victim, "a|b", "a,b", "a;b", "{}", "[]", "null", "true", "0", "-0", "1e999", "NaN",
	"\u202e" + victim, "\u200b", "\ufeff", "\u2028", "\u0085", "日本語", "é", "e\u0301",
	"\xff", "\xfe", "\xc3", "\xc3\x28", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff\xff", "fdff", "\ufffdff",
	strings.Repeat("a", 300), strings.Repeat("a", 301), strings.Repeat("\xff", 200),
	"ip=" + victim + "\x00", "endpoint=POST /login\x00", "198.51.100.7\x00", "198.51.100.7/24",
	"${jndi:ldap://x}", "' OR 1=1 --", "../../etc/passwd", "$(id)", "`id`",
}

// Law 6: whatever stands in a field, it stays in that field: one value, one
// key, one valid line, and nobody else's.
func TestHostileTextStaysInItsFieldAndOnItsLine(t *testing.T) {
	fields := []string{"credential", "fingerprint", "endpoint", "session", "agent", "item", "org", "referer", "query", "path"}
	var sources []string
	for _, f := range fields {
		sources = append(sources, eager("hostile."+f, f), eager("hostile.with_ip_"+f, "[ip, "+f+"]"))
	}
	w := newWorld(t)
	w.rules = parseRules(t, append(sources, eager("hostile.ip", "ip"), eager("hostile.actor", "actor"))...)
	var records []ingest.MemoryRecord
	for i, text := range hostile {
		pairs := []testkit.Pair{{Name: "t", Value: testkit.FormatTime((base + int64(i)) * 1e9)}, {Name: "ip", Value: "198.51.100.7"}}
		for _, f := range fields {
			pairs = append(pairs, testkit.Pair{Name: f, Value: text})
		}
		records = append(records, ingest.MemoryRecord{Line: testkit.AppendLine(nil, pairs), Offset: int64(i)})
	}
	w.sources = []worldSource{{name: `l"og`, latest: time.Minute, records: [][]ingest.MemoryRecord{records}}}
	want := linesOf(w.oracle().run())
	for _, s := range shapes(1) {
		got, _ := w.run(t, s)
		if !compare(t, s.String(), want, got) {
			return
		}
	}
	targets := map[string]map[string]bool{} // by rule
	for _, line := range want {
		for _, r := range line {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e || r == 0x2028 || r == 0x200b || r == 0xfeff {
				t.Fatalf("the line %q holds %q", line, r)
			}
		}
		var d struct {
			Event, Rule string
			Target, Key map[string]string
		}
		dec := json.NewDecoder(strings.NewReader(line))
		if err := dec.Decode(&d); err != nil || dec.More() {
			t.Fatalf("%q is not one JSON value: %v", line, err)
		}
		if ip := d.Target["ip"] + d.Key["ip"]; strings.Contains(ip, victim) {
			t.Errorf("a decision on the victim: %s", line)
		}
		if d.Event != "new" {
			continue
		}
		if targets[d.Rule] == nil {
			targets[d.Rule] = map[string]bool{}
		}
		target := fmt.Sprint(d.Target)
		if targets[d.Rule][target] {
			t.Errorf("%s: two values make one target %q", d.Rule, target)
		}
		targets[d.Rule][target] = true
	}
	for _, f := range fields {
		for _, rule := range []string{"hostile." + f, "hostile.with_ip_" + f} {
			if n := len(targets[rule]); n != len(hostile) {
				t.Errorf("%s: %d targets of %d texts", rule, n, len(hostile))
			}
		}
	}
}

// Whatever a client writes, a line of a real log is one event, of its client.
func TestNoTextInALineForgesAnotherClient(t *testing.T) {
	var jsonLog, combinedLog bytes.Buffer
	for i, text := range hostile {
		at := time.Unix(base+int64(i), 0).UTC()
		line, err := json.Marshal(map[string]any{
			"time_iso8601": at.Format(time.RFC3339), "remote_addr": "198.51.100.7", "request_method": "GET", "request_uri": "/" + text,
			"status": 200, "http_user_agent": text, "username": text, "session": text, "http_referer": text,
		})
		if err != nil {
			t.Fatal(err)
		}
		jsonLog.Write(append(line, '\n'))
		escaped := nginxEscape(text)
		fmt.Fprintf(&combinedLog, "198.51.100.7 - %s [%s] \"GET /%s HTTP/1.1\" 200 12 \"%s\" \"%s\"\n",
			strings.ReplaceAll(escaped, " ", "_"), at.Format("02/Jan/2006:15:04:05 -0700"), escaped, escaped, escaped)
	}
	rules := []string{eager("forged.ip", "ip"), eager("forged.agent", "[ip, agent]"), eager("forged.path", "[ip, path]"), eager("forged.net", "net")}
	for format, log := range map[string][]byte{testkit.NginxJSON: jsonLog.Bytes(), testkit.Combined: combinedLog.Bytes()} {
		w := newRealWorld(t, format, rules...)
		decisions, sum := w.decide(t, ingest.NewMemory("log", [][]ingest.MemoryRecord{recordsIn(log)}), shape{workers: 1, units: 8, batch: 10})
		if int(sum.Events) != len(hostile) {
			t.Errorf("%s: %d events of %d lines; rejected are %v", format, sum.Events, len(hostile), sum.Rejected)
		}
		for _, d := range decisions {
			for _, v := range d.Target {
				if v.Field == "ip" && v.Text != "198.51.100.7" || v.Field == "net" && v.Text != "198.51.100.0/24" {
					t.Fatalf("%s: a decision on %s", format, v.Text)
				}
			}
		}
	}
}

// nginxEscape writes a text as nginx does in its combined format.
func nginxEscape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			fmt.Fprintf(&b, "\\x%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// Law 7: what is a secret in the log is in no decision.
func TestNoSecretReachesADecision(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	var secrets []string
	secret := func() string {
		b := make([]byte, 9)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		secrets = append(secrets, "zq"+hex.EncodeToString(b))
		return secrets[len(secrets)-1]
	}
	names := []string{"password", "token", "api_key", "email", "card", "session", "access_token", "PassWord"}
	uri := func() string {
		switch rng.IntN(3) {
		case 0:
			return "/reset?" + names[rng.IntN(len(names))] + "=" + secret() + "&lang=de"
		case 1:
			return "/invite/" + secret() + "@mail.example"
		}
		return "/login"
	}
	var jsonLog, combinedLog bytes.Buffer
	for i := range 250 {
		at := time.Unix(base+int64(i), 0).UTC()
		fmt.Fprintf(&jsonLog, `{"time_iso8601":"%s","remote_addr":"198.51.100.%d","request_method":"POST","request_uri":"%s","status":401,"username":"%s","session":"%s","http_referer":"https://shop.example/?%s=%s","http_user_agent":"probe/%d"}`+"\n",
			at.Format(time.RFC3339), i%200, uri(), secret(), secret(), names[i%len(names)], secret(), i%9)
		fmt.Fprintf(&combinedLog, `198.51.100.%d - %s [%s] "POST %s HTTP/1.1" 401 12 "https://shop.example/?%s=%s" "probe/%d"`+"\n",
			i%200, secret(), at.Format("02/Jan/2006:15:04:05 -0700"), uri(), names[i%len(names)], secret(), i%9)
	}
	var sources []string
	for _, f := range []string{"ip", "credential", "session", "actor", "path", "query", "referer", "endpoint", "item", "fingerprint", "credential_domain"} {
		sources = append(sources, eager("secrets."+f, f))
	}
	if len(secrets) < 1000 {
		t.Fatalf("%d secrets, want at least 1000", len(secrets))
	}
	for format, log := range map[string][]byte{testkit.NginxJSON: jsonLog.Bytes(), testkit.Combined: combinedLog.Bytes()} {
		w := newRealWorld(t, format, sources...)
		decisions, sum := w.decide(t, ingest.NewMemory("log", [][]ingest.MemoryRecord{recordsIn(log)}), shape{workers: 2, units: 8, batch: 50})
		if sum.Events != 250 {
			t.Fatalf("%s: %d events, want 250; rejected are %v", format, sum.Events, sum.Rejected)
		}
		byRule := map[string]int{}
		for _, d := range decisions {
			byRule[d.Rule]++
		}
		for _, f := range []string{"credential", "query", "path", "referer"} {
			if byRule["secrets."+f] < 50 {
				t.Errorf("%s: %d decisions on %s, want at least 50 to look at", format, byRule["secrets."+f], f)
			}
		}
		leaked := 0
		all := strings.ToLower(strings.Join(linesOf(decisions), "\n"))
		for _, s := range secrets {
			if i := strings.Index(all, s); i >= 0 {
				if leaked++; leaked < 4 {
					t.Errorf("%s: %s is in …%s…", format, s, all[max(0, i-120):min(len(all), i+60)])
				}
			}
		}
		if leaked > 0 {
			t.Errorf("%s: %d of %d secrets are in decisions", format, leaked, len(secrets))
		}
	}
}

// A huge value is one value: it neither stops anything nor meets another.
func TestHugeValuesStayApart(t *testing.T) {
	w := newWorld(t)
	w.rules = parseRules(t, eager("huge.credential", "credential"), eager("huge.both", "[credential, agent]"), eager("huge.ip", "ip"))
	var records []ingest.MemoryRecord
	for i := range 6 {
		long := strings.Repeat("A", 1000*(1+i*10)) + fmt.Sprint(i)
		records = append(records, ingest.MemoryRecord{Offset: int64(i), Line: testkit.AppendLine(nil, []testkit.Pair{
			{Name: "t", Value: fmt.Sprint(base + i)}, {Name: "ip", Value: "198.51.100.7"}, {Name: "credential", Value: long}, {Name: "agent", Value: "x"},
		})})
	}
	w.sources = []worldSource{{name: "log", latest: time.Minute, records: [][]ingest.MemoryRecord{records}}}
	decisions, sum := w.decide(t, shape{workers: 1, units: 8, batch: 10})
	if sum.Events != 6 {
		t.Fatalf("%d events, want 6", sum.Events)
	}
	ids := map[string]int{}
	for _, d := range decisions {
		if d.Step == event.New {
			ids[d.Rule+" "+d.Target[len(d.Target)-1].Text]++
		}
	}
	// Six credentials under each of two rules, and one address.
	if len(ids) != 13 {
		t.Errorf("%d targets, want 13", len(ids))
	}
	for id, n := range ids {
		if n > 1 || len(id) > 1200 {
			t.Errorf("%d decisions on %.60s… of %d bytes, want one of at most 1200", n, id, len(id))
		}
	}
}
