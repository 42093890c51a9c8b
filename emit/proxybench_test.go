package emit

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"weir/internal/proxytest"
)

// proxy is one whose use of the processors can be told.
type proxy interface {
	CPU(testing.TB) time.Duration
}

// BenchmarkProxies is what weir's lines cost a proxy for each request, in its
// own processor time: without them, with an empty list, with 100,000 addresses
// of others, with an entry for an endpoint besides, and for a client whose
// block is over.
func BenchmarkProxies(b *testing.B) {
	later := time.Now().Add(time.Hour)
	many := manyEntries(manyAddresses, later)
	lists := []struct {
		name string
		list List
	}{
		{"empty", listOf()},
		{"100k", many},
		{"100k+endpoint", listOf(append(many.Entries[:manyAddresses:manyAddresses], inForce("203.0.113.7/32", "POST /login", later))...)},
		{"over", listOf(inForce("192.0.2.1/32", "", time.Now().Add(-time.Second)))},
	}
	b.Run("nginx/without", func(b *testing.B) {
		n := proxytest.NewNginx(b)
		n.Configure(b, "", "location / { return 200 ok; }\n")
		n.Start(b)
		load(b, n, n.URL)
	})
	n := newNginxSite(b, true, settingFor(b, onlyBlock))
	n.Configure(b, proxytest.Part(b, n.point.Setup(), "http { }"),
		"if ($weir_block) { return 403; }\n"+proxytest.Part(b, n.point.Setup(), "server { }, the one")+"location / { return 200 ok; }\n")
	n.Start(b)
	for _, l := range lists {
		b.Run("nginx/"+l.name, func(b *testing.B) {
			if err := n.point.Apply(b.Context(), List{}, l.list); err != nil {
				b.Fatal(err)
			}
			time.Sleep(time.Second) // until the old workers are gone
			load(b, n, n.URL)
		})
	}
	b.Run("haproxy/without", func(b *testing.B) {
		h := proxytest.NewHAProxy(b)
		h.Configure(b, "", "    no log\n", "")
		h.Start(b)
		load(b, h, h.URL)
	})
	h := newHAProxySite(b, settingFor(b, onlyBlock))
	h.Configure(b, "", proxytest.Part(b, h.point.Setup(), "frontend")+"    no log\n", "")
	h.Start(b)
	for _, l := range lists {
		b.Run("haproxy/"+l.name, func(b *testing.B) {
			if err := h.point.Apply(b.Context(), List{}, l.list); err != nil {
				b.Fatal(err)
			}
			load(b, h, h.URL)
		})
	}
}

// load asks over connections that stay open.
func load(b *testing.B, p proxy, url string) {
	const clients = 8
	c := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer c.CloseIdleConnections()
	requests := make(chan struct{})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for range requests {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url+"/products/7", http.NoBody)
				if err != nil {
					b.Error(err)
					continue
				}
				req.Header.Set("X-Forwarded-For", "192.0.2.1")
				resp, err := c.Do(req)
				if err != nil {
					b.Error(err)
					continue
				}
				if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
					b.Errorf("status %d, %v", resp.StatusCode, err)
				}
			}
		})
	}
	before := p.CPU(b)
	for b.Loop() {
		requests <- struct{}{}
	}
	close(requests)
	wg.Wait()
	b.ReportMetric(float64((p.CPU(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
}
