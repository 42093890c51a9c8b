package ingest

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"weir/event"
)

// nginxLines returns lines of about 600 bytes as nginx writes them with
// escape=json, 19 keys each.
func nginxLines(n int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	agents := []string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0",
	}
	lines := make([][]byte, n)
	for i := range lines {
		lines[i] = fmt.Appendf(nil, `{"time_iso8601":"2026-03-06T04:%02d:%02d+00:00","remote_addr":"198.18.%d.%d","remote_user":"","request_method":"%s",`+
			`"host":"shop.example","request_uri":"/products/%d?ref=mail","server_protocol":"HTTP/2.0","status":%d,"body_bytes_sent":%d,`+
			`"request_time":%.3f,"http_referer":"https://shop.example/shoes/%d","http_user_agent":"%s","http_accept_language":"en-GB",`+
			`"http_x_forwarded_for":"","ssl_protocol":"TLSv1.3","ssl_ja4":"t13d1516h2_8daaf6152771_%012x","session":"%08x","request_id":"%016x","pipe":"."}`,
			rng.IntN(60), rng.IntN(60), rng.IntN(256), rng.IntN(256), []string{"GET", "POST"}[rng.IntN(2)], rng.IntN(1e6), []int{200, 304, 404}[rng.IntN(3)], rng.IntN(1e5),
			rng.Float64(), rng.IntN(1000), agents[rng.IntN(3)], rng.Uint32(), rng.Uint32(), rng.Uint64())
	}
	return lines
}

func benchmarkJSON(b *testing.B, decode Decoder) {
	lines := nginxLines(1024)
	total := 0
	for _, l := range lines {
		total += len(l)
	}
	var ev event.Event
	var mem event.Arena
	b.SetBytes(int64(total / len(lines)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		ev.Reset()
		if err := decode(lines[i&1023], &ev, &mem); err != nil {
			b.Fatal(err)
		}
		if i++; i&1023 == 0 {
			mem.Reset()
		}
	}
}

func BenchmarkJSONPlan(b *testing.B) {
	decode, err := newNginxJSON(Config{Key: event.FixedKey()})
	if err != nil {
		b.Fatal(err)
	}
	benchmarkJSON(b, decode)
}

func BenchmarkJSONGeneral(b *testing.B) {
	root, err := jsonTree(nginxKeys(), nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	key := event.FixedKey()
	benchmarkJSON(b, func(line []byte, ev *event.Event, mem *event.Arena) error {
		return decodeGeneral(root, "", key, line, ev, mem)
	})
}

// decodeGeneral reads a line without a plan.
func decodeGeneral(root *jsonNode, layout string, key *event.Key, line []byte, ev *event.Event, mem *event.Arena) error {
	line = line[jsonSpace(line, 0):]
	s := jsonScan{b: line, layout: layout, ev: ev, out: fields{mem: mem, key: key}}
	if err := s.line(root, noPlan); err != nil {
		return err
	}
	return s.finish()
}
