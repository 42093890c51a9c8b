package ingest

import (
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/event"
)

// jsonDirs are the folders of testdata whose lines are JSON.
var jsonDirs = []string{"json", "nginx-json", "caddy", "traefik", "cloudflare", "unwrap"}

// decodeOne decodes a line into an event of its own.
func decodeOne(t testing.TB, decode Decoder, line string) (*event.Event, error) {
	t.Helper()
	var b event.Batch
	ev := b.Next()
	err := decode([]byte(line), ev, &b.Arena)
	if err != nil && !errors.Is(err, ErrMalformed) {
		t.Fatalf("%v is no ErrMalformed", err)
	}
	return ev, err
}

func mustNew(t testing.TB, cfg Config) Decoder {
	t.Helper()
	decode, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return decode
}

func TestJSONTakesTheFirstKeyThatHoldsAValue(t *testing.T) {
	decode := mustNew(t, Config{Format: "nginx-json"})
	const head = `{"msec":1772772550,"remote_addr":"192.0.2.7",`
	for _, c := range []struct{ line, credential, path, query string }{
		{`"remote_user":"b","username":"a"}`, "a", "", ""},
		{`"username":"a","remote_user":"b"}`, "a", "", ""},
		{`"username":"","remote_user":"b"}`, "b", "", ""},
		{`"username":null,"remote_user":"b"}`, "b", "", ""},
		{`"username":"-","remote_user":"b"}`, "b", "", ""},
		{`"username":"\u002d","remote_user":"b"}`, "b", "", ""},
		{`"username":{},"remote_user":["b"]}`, "b", "", ""},
		{`"uri":"/c","request":"GET /b?2 HTTP/1.1","request_uri":"/a?1","args":"3"}`, "", "/a", "1"},
		{`"uri":"/c","request":"GET /b HTTP/1.1","args":"3"}`, "", "/b", ""},
		{`"uri":"/c","args":"3"}`, "", "/c", "3"},
		{`"request":"GET /b?2 HTTP/1.1","request_method":"GET","server_protocol":"HTTP/1.1"}`, "", "/b", "2"},
	} {
		ev, err := decodeOne(t, decode, head+c.line)
		if err != nil || ev.Credential != c.credential || ev.Path != c.path || ev.Query != c.query {
			t.Errorf("%s: %q %q %q %v, want %q %q %q", c.line, ev.Credential, ev.Path, ev.Query, err, c.credential, c.path, c.query)
		}
	}
}

func TestJSONOwnFieldsReplaceReadyOnes(t *testing.T) {
	decode := mustNew(t, Config{Format: "nginx-json", Fields: map[string]string{"credential": "jwt.sub", "ip": "real"}})
	ev, err := decodeOne(t, decode, `{"msec":1772772550,"remote_addr":"198.51.100.1","real":"192.0.2.7","remote_user":"x","jwt":{"sub":"ann"},"status":200}`)
	if err != nil || ev.Credential != "ann" || ev.Peer != netip.MustParseAddr("192.0.2.7") || ev.Status != 200 {
		t.Errorf("%+v %v", ev, err)
	}
	if _, err := decodeOne(t, decode, `{"msec":1772772550,"remote_addr":"198.51.100.1"}`); err == nil {
		t.Error("an address was taken from a key that the operator replaced")
	}
}

func TestJSONPeerStandsInForTheClient(t *testing.T) {
	decode := mustNew(t, Config{Format: "json", Fields: map[string]string{"peer": "from", "forwarded": "xff", "ip": "client"}})
	for line, want := range map[string]string{
		`{"time":1772772550,"from":"192.0.2.1:4711","xff":"198.51.100.1"}`:                     "192.0.2.1",
		`{"time":1772772550,"from":"192.0.2.1","client":"192.0.2.2"}`:                          "192.0.2.2",
		`{"time":1772772550,"from":"192.0.2.1","client":"192.0.2.2, 192.0.2.3"}`:               "",
		`{"time":1772772550,"from":"[2001:db8::1]:80"}`:                                        "2001:db8::1",
		`{"time":1772772550,"from":"::ffff:192.0.2.1"}`:                                        "192.0.2.1",
		`{"time":1772772550,"xff":"198.51.100.1"}`:                                             "",
		`{"time":1772772550,"from":"192.0.2.1","client":{"ip":"192.0.2.2"},"remote_addr":"x"}`: "192.0.2.1",
	} {
		ev, err := decodeOne(t, decode, line)
		if got := ev.Peer.String(); err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s %v, want %q", line, got, err, want)
		}
	}
}

func TestJSONKeepsTheRightEndOfALongChain(t *testing.T) {
	decode := mustNew(t, Config{Format: "nginx-json"})
	chain := strings.Repeat("203.0.113.9, ", 400) + "198.51.100.1"
	ev, err := decodeOne(t, decode, `{"msec":1772772550,"remote_addr":"192.0.2.7","http_x_forwarded_for":"`+chain+`"}`)
	if err != nil || len(ev.Forwarded) > MaxField || !strings.HasSuffix(ev.Forwarded, ", 198.51.100.1") {
		t.Errorf("%q %v", ev.Forwarded, err)
	}
}

func TestJSONKeepsDifferentNamesDifferent(t *testing.T) {
	decode := mustNew(t, Config{Format: "nginx-json"})
	seen := map[string]string{}
	for _, raw := range []string{
		`a`, `a\u0000`, "a\x80", "a\x81", "a\xff\xfe", `a\ud800`, `a\ud801`, `a\udc00`, `a\ufffd`, "a\xc3", `a\\ud800`, `a\u00c3`, "a\xed",
		`a\ud83d\ude00`, `a\ude00\ud83d`, `a\ud83da`, strings.Repeat("a", 3000), strings.Repeat("a", 3001),
	} {
		ev, err := decodeOne(t, decode, `{"msec":1772772550,"remote_addr":"192.0.2.7","username":"`+raw+`"}`)
		if err != nil || ev.Credential == "" {
			t.Fatalf("%q: %q %v", raw, ev.Credential, err)
		}
		if other, ok := seen[ev.Credential]; ok {
			t.Errorf("%.20q and %.20q are both %.20q", raw, other, ev.Credential)
		}
		seen[ev.Credential] = raw
	}
}

func TestJSONRejectsDepthAtOnce(t *testing.T) {
	decode := mustNew(t, Config{Format: "json"})
	for _, unit := range []string{`{"a":`, `[`, `{"request":`, `{"request":[`} {
		line := `{"x":` + strings.Repeat(unit, (MaxLine-10)/len(unit))
		if took, err := fastest(t, decode, line); err == nil || took > time.Millisecond {
			t.Errorf("%s: %v after %v", unit, err, took)
		}
		if _, err := decodeOne(t, decode, strings.Repeat(unit, 100_000)); err == nil {
			t.Errorf("%s 100,000 deep was read", unit)
		}
	}
}

func TestJSONIsLinear(t *testing.T) {
	decode := mustNew(t, Config{Format: "json"})
	fill := func(head, unit, tail string) string {
		return head + strings.Repeat(unit, (MaxLine-len(head)-len(tail))/len(unit)) + tail
	}
	const head = `{"time":1772772550,"ip":"192.0.2.7",`
	for _, line := range []string{
		fill(head+`"user":"`, `\u0041`, `"}`),
		fill(head+`"user":"`, `\\`, `"}`),
		fill(head+`"xff":[`, `"",`, `0]}`),
		fill(head+`"xff":[`, `[],`, `0]}`),
		fill(head+`"user":[`, `{},`, `0]}`),
		fill(head+`"xff":"`, `1,`, `"}`),
		fill(head+`"request":"`, ` `, `"}`),
		fill(head+`"request_uri":"`, `?`, `"}`),
		fill(head+`"duration":`, `9`, `}`),
		fill(head+`"duration":0.`, `0`, `}`),
		fill(head+`"`, `\u0069`, `":0}`),
		fill(head, ` `, `"a":0}`),
	} {
		if took, err := fastest(t, decode, line); err != nil || took > 200*time.Millisecond {
			t.Errorf("%.60s: %v after %v", line, err, took)
		}
	}
	for _, line := range []string{fill(head, ` `, `"a":0}`) + "  ", strings.Repeat(" ", MaxLine+1)} {
		if _, err := decodeOne(t, decode, line); !errors.Is(err, ErrTooLong) {
			t.Errorf("a line of %d bytes: %v", len(line), err)
		}
	}
}

// fastest returns how long decoding a line takes when nothing else runs.
func fastest(t testing.TB, decode Decoder, line string) (took time.Duration, err error) {
	took = time.Hour
	for range 5 {
		start := time.Now()
		_, err = decodeOne(t, decode, line)
		took = min(took, time.Since(start))
	}
	return took, err
}

func TestJSONFieldMapFaults(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Format: "json", Fields: map[string]string{"credential": "user"}}, "fields: names neither ip nor peer, and the client address must come from a key that you name"},
		{
			Config{Format: "caddy", Fields: map[string]string{"agnet": "a", "kind": "k", "x.y": "z", "referer": "", "_": "b"}},
			"fields: _ is no field\nfields: unknown field agnet\nfields: field kind is made by weir and cannot be set from a log\nfields: referer: empty key\nfields: unknown extra x.y",
		},
		{Config{Format: "caddy", Fields: map[string]string{"duration": "a", "duration_ms": "b"}}, "fields: duration and duration_ms are the same field"},
		{Config{Format: "caddy", Fields: map[string]string{"status": "a.b.c.d.e.f.g.h.i"}}, "fields: status: a.b.c.d.e.f.g.h.i: 9 levels, must be at most 8"},
		{Config{Format: "caddy", Fields: map[string]string{"status": strings.Repeat("a", 129)}}, "fields: status: key of 129 bytes, must be at most 128"},
		{Config{Format: "caddy", Time: TimeConfig{Field: "a.b.c.d.e.f.g.h.i"}}, "time: field: a.b.c.d.e.f.g.h.i: 9 levels, must be at most 8"},
		{Config{Format: "caddy", Time: TimeConfig{Field: "a"}, Fields: map[string]string{"time": "b"}}, "time: field: fields names the time too"},
		{Config{Format: "caddy", Unwrap: strings.Repeat("a", 129)}, "unwrap: key of 129 bytes, must be at most 128"},
	} {
		if _, err := New(c.cfg); err == nil || err.Error() != c.want {
			t.Errorf("\n got %v\nwant %s", err, c.want)
		}
	}
}

func TestJSONReadyMapsCompile(t *testing.T) {
	for _, f := range oracleFields() {
		root, err := jsonTree(f, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		longest := 0
		for _, b := range root.kids.buckets {
			longest = max(longest, len(b))
		}
		if longest > 12 {
			t.Errorf("%d keys in one bucket", longest)
		}
	}
}

func TestDecimalIsExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 20_000 {
		s := fmt.Sprint(rng.IntN(1000))
		if i%3 > 0 {
			s += "." + fmt.Sprintf("%0*d", 1+rng.IntN(9), rng.IntN(1e9))
		}
		if i%2 > 0 {
			s += fmt.Sprintf("e%+d", rng.IntN(14)-9)
		}
		scale := []int{inSeconds, inMillis, inMicros, inNanos}[rng.IntN(4)]
		r, _ := new(big.Rat).SetString(s)
		want := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(scale, -scale))), nil)
		if scale < 0 {
			r.Quo(r, new(big.Rat).SetInt(want))
		} else {
			r.Mul(r, new(big.Rat).SetInt(want))
		}
		want.Quo(r.Num(), r.Denom())
		if got := decimal([]byte(s), scale); got != want.Int64() {
			t.Fatalf("%s x 1e%d: %d, want %s", s, scale, got, want)
		}
	}
	for _, s := range []string{"", ".", "1.", ".5", "-1", "+1", "1e", "1e999", "1e-999", "1e19", "0x1", "1 ", "NaN", "99999999999999999999"} {
		if got := decimal([]byte(s), inSeconds); got != -1 {
			t.Errorf("%q: %d", s, got)
		}
	}
	for s, want := range map[string]int64{"0": 0, "0e99": 0, "5E-7": 0, "0.0000019": 1, "1e3": 1e9} {
		if got := decimal([]byte(s), inSeconds); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func TestJSONLearnsAtMostAFewPlans(t *testing.T) {
	root, err := jsonTree(nginxKeys(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &jsonDecoder{root: root, key: event.FixedKey()}
	rng := rand.New(rand.NewPCG(5, 6))
	lines := nginxLines(64)
	plans := map[*jsonPlans]bool{}
	const n = 3 * relearn
	for range n {
		if _, err := decodeOne(t, d.decode, string(shuffleOrder(rng, lines[rng.IntN(64)]))); err != nil {
			t.Fatal(err)
		}
		plans[d.plans.Load()] = true
	}
	if got := len(d.plans.Load().plans); got != maxPlans {
		t.Errorf("%d plans, want %d", got, maxPlans)
	}
	if got := len(plans); got > learnAtOnce+maxPlans+n/relearn {
		t.Errorf("learned %d times from %d shuffled lines", got, n)
	}
	// A shape that stays is learned again.
	for range relearn + 1 {
		if _, err := decodeOne(t, d.decode, string(lines[0])); err != nil {
			t.Fatal(err)
		}
	}
	before := d.misses.Load()
	for _, line := range lines {
		if _, err := decodeOne(t, d.decode, string(line)); err != nil {
			t.Fatal(err)
		}
	}
	if missed := d.misses.Load() - before; missed > 0 {
		t.Errorf("%d of %d lines of the learned shape missed", missed, len(lines))
	}
}

func TestJSONDoesNotLearnHugeLines(t *testing.T) {
	root, err := jsonTree(nginxKeys(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &jsonDecoder{root: root, key: event.FixedKey()}
	line := []byte(`{"msec":1772772550,"remote_addr":"192.0.2.7","` + strings.Repeat("k", maxPlanText) + `":0}`)
	var ev event.Event
	var mem event.Arena
	if n := testing.AllocsPerRun(10*learnMore, func() {
		if err := d.decode(line, &ev, &mem); err != nil || d.plans.Load() != nil {
			t.Fatalf("%v, plans %v", err, d.plans.Load())
		}
	}); n >= 1 {
		t.Errorf("%v allocations a line that cannot be learned", n)
	}
}

// A plan's texts begin with the comma in front of a key, and must not pass for
// an object's beginning.
func TestJSONPlanNeedsTheBrace(t *testing.T) {
	decode := mustNew(t, Config{Format: "json"})
	if _, err := decodeOne(t, decode, `{"a":0,"time":1772772550,"ip":"192.0.2.7"}`); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`,"time":1772772550,"ip":"192.0.2.7"}`, `{"x":0},"time":1772772550,"ip":"192.0.2.7"}`} {
		if _, err := decodeOne(t, decode, line); err == nil {
			t.Errorf("%s was read", line)
		}
	}
}

func TestJSONPlanPredictsOnly(t *testing.T) {
	const key = "the_name_of_the_one_who_asks"
	decode := mustNew(t, Config{Format: "json", Fields: map[string]string{"ip": "ip", "credential": key}})
	for _, c := range []struct{ line, credential string }{
		{`{"time":1772772550,"ip":"192.0.2.7","` + key + `":"ann","end":0}`, "ann"}, // what is learned
		{`{"time":1772772550,"ip":"192.0.2.7","` + strings.Replace(key, "the_one", "whoever", 1) + `":"ann","end":0}`, ""},
		{`{"time": 1772772550,"ip":` + "\t\r\n " + `"192.0.2.7","` + key + `":  "ann","end": 0 }`, "ann"},
		{`{"time" :1772772550, "ip" : "192.0.2.7" ,"` + key + `" : "ann"}`, "ann"},
		{`{"end":0,"` + key + `":"ann","ip":"192.0.2.7","time":1772772550}`, "ann"},
		{`{"time":1772772550,"end":0,"` + key + `":"ann","ip":"192.0.2.7"}`, "ann"},
		{`{"new":[{}],"time":1772772550,"more":{},"ip":"192.0.2.7","` + key + `":"ann"}`, "ann"},
		{`{"time":1772772550,"ip":"192.0.2.7"}`, ""},
	} {
		ev, err := decodeOne(t, decode, c.line)
		if err != nil || ev.Credential != c.credential || ev.Peer != netip.MustParseAddr("192.0.2.7") {
			t.Errorf("%s: %q %v %v", c.line, ev.Credential, ev.Peer, err)
		}
	}
}

func TestJSONDecodersAreShared(t *testing.T) {
	decode := mustNew(t, Config{Format: "json"})
	lines := nginxLines(64)
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(g, 1))
			for range 500 {
				line := lines[rng.IntN(64)]
				if rng.IntN(4) == 0 {
					line = shuffleOrder(rng, line)
				}
				if ev, err := decodeOne(t, decode, string(line)); err != nil || ev.ID == "" {
					t.Errorf("%v %v", ev, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestJSONDoesNotAllocate(t *testing.T) {
	lines := nginxLines(64)
	for i := range lines {
		if i%2 == 0 {
			lines[i] = []byte(strings.Replace(string(lines[i]), "Mozilla", `Moz\u0069lla\/`, 1))
		}
	}
	var ev event.Event
	var mem event.Arena
	for _, cfg := range []Config{{Format: "nginx-json"}, {Format: "json"}, {Format: "nginx-json", Unwrap: "log"}} {
		decode := mustNew(t, cfg)
		i := 0
		wrapped := make([][]byte, len(lines))
		for i, l := range lines {
			if wrapped[i] = l; cfg.Unwrap != "" {
				wrapped[i] = fmt.Appendf(nil, `{"log":%s,"stream":"stdout"}`, event.AppendJSONString(nil, string(l)))
			}
		}
		if n := testing.AllocsPerRun(1000, func() {
			mem.Reset()
			ev.Reset()
			if err := decode(wrapped[i%64], &ev, &mem); err != nil {
				t.Fatal(err)
			}
			i++
		}); n != 0 {
			t.Errorf("%+v: %v allocations a line", cfg, n)
		}
	}
}
