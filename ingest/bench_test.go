package ingest

import (
	"fmt"
	"strings"
	"testing"

	"weir/event"
)

// benchLines decodes lines in batches of 1,000, as the mapper does, and
// reports the time of one.
func benchLines(b *testing.B, cfg Config, lines [][]byte) {
	decode, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	batch := event.Batch{Events: make([]event.Event, 0, 1000)}
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	read := func(line []byte) {
		if len(batch.Events) == cap(batch.Events) {
			batch.Reset()
		}
		if err := decode(line, batch.Next(), &batch.Arena); err != nil {
			b.Fatal(err)
		}
	}
	for _, line := range lines {
		read(line)
	}
	b.SetBytes(int64(size / len(lines)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		read(lines[i])
		if i++; i == len(lines) {
			i = 0
		}
	}
}

func benchFormat(b *testing.B, cfg Config, format string) {
	var lines [][]byte
	for i := range 1024 {
		lines = append(lines, []byte(strings.ReplaceAll(strings.ReplaceAll(format, "{n}", fmt.Sprint(i)), "{b}", fmt.Sprint(i%250))))
	}
	benchLines(b, cfg, lines)
}

const benchCombined = `198.51.100.{b} - - [02/Jan/2026:15:04:05 +0000] "GET /products/{n}/reviews?page=2&sort=new HTTP/1.1" 200 5123 ` +
	`"https://shop.example/products/{n}" "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"`

func BenchmarkCombined(b *testing.B) { benchFormat(b, Config{Format: "combined"}, benchCombined) }

func BenchmarkCombinedEscaped(b *testing.B) {
	benchFormat(b, Config{Format: "combined"}, strings.ReplaceAll(benchCombined, "Mozilla", `\x22Mozilla\x22`))
}

func BenchmarkCombinedExtras(b *testing.B) {
	benchFormat(b, Config{Format: "combined"}, benchCombined+` "203.0.113.{b}, 198.51.100.7" 0.012`)
}

func BenchmarkCombined600(b *testing.B) {
	benchFormat(b, Config{Format: "combined"}, strings.ReplaceAll(benchCombined, "sort=new", "sort=new&trace="+strings.Repeat("0123456789abcdef", 20)))
}

func BenchmarkCombinedIPv6(b *testing.B) {
	benchFormat(b, Config{Format: "combined"}, strings.Replace(benchCombined, "198.51.100.{b}", "2001:db8:{b}:7::{b}", 1))
}

func BenchmarkPattern(b *testing.B) {
	benchFormat(b, Config{Pattern: `<ip> - <credential> [<time>] "<request>" <status> <bytes> "<referer>" "<agent>"`}, benchCombined)
}

func BenchmarkHAProxy(b *testing.B) {
	benchFormat(b, Config{Format: "haproxy", Fields: map[string]string{"site": "request.1", "agent": "request.2"}},
		`Jul 30 09:03:52 localhost haproxy[32450]: 198.51.100.{b}:38862 [30/Jul/2026:09:03:52.726] www~ app/node1 0/0/1/0/2 304 168 - - ---- 6/6/0/0/0 0/0 {shop.example|Mozilla/5.0 (X11; Linux x86_64)} "GET /products/{n}?a=b HTTP/1.1"`)
}

func BenchmarkALB(b *testing.B) {
	benchFormat(b, Config{Format: "alb"},
		`https 2026-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 198.51.100.{b}:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/products/{n} HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678" 1 2026-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"`)
}

func BenchmarkCloudFront(b *testing.B) {
	benchFormat(b, Config{Format: "w3c", Columns: strings.Fields("date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version")},
		"2026-12-04\t21:02:31\tLAX1\t392\t198.51.100.{b}\tGET\td111.cloudfront.net\t/products/{n}\t200\thttps://shop.example/\tMozilla/5.0%20(X11;%20Linux%20x86_64)%20AppleWebKit/537.36\ta=b\t-\tHit\tSOX4xwn4==\tshop.example\thttps\t23\t0.251\t-\tTLSv1.3\tTLS_AES_128_GCM_SHA256\tHit\tHTTP/2.0")
}

func BenchmarkIIS(b *testing.B) {
	benchFormat(b, Config{Format: "w3c", Columns: strings.Fields("date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken")},
		"2026-01-01 10:11:12 192.0.2.1 GET /products/{n} q=100 443 - 198.51.100.{b} Mozilla/5.0+(Macintosh;+Intel+Mac+OS+X+10_14_0)+AppleWebKit/537.36 https://shop.example/ 200 0 0 789")
}

// TestSteadyStateDoesNotAllocate decodes the benchmarks' lines.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	decode, err := New(Config{Format: "combined"})
	if err != nil {
		t.Fatal(err)
	}
	lines := [][]byte{
		[]byte(benchCombined), []byte(strings.ReplaceAll(benchCombined, "{b}", "7")), []byte("198.51.100.{b}"), []byte("host - -"),
		[]byte(strings.ReplaceAll(benchCombined, "{b}", "7") + ` "203.0.113.7, 198.51.100.7" 0.012`),
		[]byte(strings.ReplaceAll(strings.ReplaceAll(benchCombined, "{b}", "7"), "Mozilla", `\x22Mozilla\"`+strings.Repeat("a", MaxField))),
		[]byte(strings.Replace(benchCombined, "198.51.100.{b}", "2001:db8::7%eth0", 1)),
	}
	var batch event.Batch
	read := 0
	allocs := testing.AllocsPerRun(100, func() {
		batch.Reset()
		for _, line := range lines {
			if decode(line, batch.Next(), &batch.Arena) == nil {
				read++
			}
		}
	})
	if allocs > 0 {
		t.Errorf("%v allocations for %d lines", allocs, len(lines))
	}
	if read == 0 {
		t.Error("no line was read")
	}
}
