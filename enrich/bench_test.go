package enrich

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"weir/event"
)

// BenchmarkEnrich runs batches of 1,000 events of a shop: a million addresses,
// 3,000 agents, 20,000 products, one login in fifty requests with an account
// that seldom comes again.
func BenchmarkEnrich(b *testing.B) {
	for _, site := range []bool{false, true} {
		b.Run(fmt.Sprintf("site=%v", site), func(b *testing.B) {
			cfg := Config{Key: event.FixedKey()}
			if site {
				s, err := ParseSite("site.yaml", []byte(benchSite))
				if err != nil {
					b.Fatal(err)
				}
				cfg.Site, cfg.Compile = s, statusCondition
			}
			t, err := New(cfg)
			if err != nil {
				b.Fatal(err)
			}
			w := t.Worker(Source{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
			batches := benchEvents(50)
			var batch event.Batch
			batch.Events = make([]event.Event, 0, 1000)
			run := func(i int) {
				batch.Reset()
				batch.Events = append(batch.Events, batches[i%len(batches)]...)
				w.Enrich(&batch)
			}
			for i := range batches {
				run(i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				run(i)
				i++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(i*1000), "ns/event")
		})
	}
}

const benchSite = `endpoints:
  - {pattern: "POST /login", kind: login, failure: "401"}
  - {pattern: "GET /products/{id}", kind: product}
  - {pattern: "/cart/", kind: cart}
  - {pattern: "POST /api/v0/signin", kind: login, failure: "401", deprecated: true}
`

func benchEvents(n int) [][]event.Event {
	r := rand.New(rand.NewPCG(1, 2))
	agents := make([]string, 3000)
	for i := range agents {
		agents[i] = fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.%d Safari/537.36",
			90+i%40, i*7, i)
	}
	paths := []string{"/", "/search", "/cart", "/category/shoes", "/static/js/app.3f2a9c.js", "/img/logo.png", "/api/v1/stock"}
	var out [][]event.Event
	for range n {
		batch := make([]event.Event, 1000)
		for i := range batch {
			e := &batch[i]
			e.Reset()
			e.Peer = netip.AddrFrom4([4]byte{192, 0, 2, 1})
			e.Forwarded = netip.AddrFrom4([4]byte{198, byte(18 + r.IntN(2)), byte(r.Uint32()), byte(r.Uint32())}).String()
			e.Site, e.Method, e.Protocol, e.Status = "Shop.Example:443", "GET", "HTTP/2.0", 200
			e.Agent, e.Language = agents[r.IntN(len(agents))], "en-US,en;q=0.9"
			e.Referer = "https://shop.example/category/shoes?page=2"
			e.Session = fmt.Sprintf("sess-%08d", r.IntN(3000))
			switch k := r.IntN(100); {
			case k < 2:
				e.Method, e.Path, e.Status = "POST", "/login", 401
				e.Credential = fmt.Sprintf("user%d@mail.example", r.IntN(1_000_000))
			case k < 40:
				e.Path = fmt.Sprintf("/products/%d", r.IntN(20000))
			case k < 50:
				e.Path, e.Query = "/search", "q=red+shoes&page=2&token=abcdef"
			default:
				e.Path = paths[r.IntN(len(paths))]
			}
		}
		out = append(out, batch)
	}
	return out
}

// statusCondition compiles "401": the status is that.
func statusCondition(text string) (func(*event.Event) bool, error) {
	var status int32
	if _, err := fmt.Sscanf(text, "%d", &status); err != nil {
		return nil, fmt.Errorf("%q is no status", text)
	}
	return func(e *event.Event) bool { return e.Status == status }, nil
}
