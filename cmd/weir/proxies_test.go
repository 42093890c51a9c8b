package main

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/proxytest"
	"weir/internal/testkit"
)

func TestProxiesRefuseAttackersAndServeThemAgain(t *testing.T) {
	w := newProxyWorld(t)
	live, stop := w.run(t)
	honest, leave := context.WithCancel(context.Background())
	var visitors sync.WaitGroup
	visitors.Go(func() { visitor(honest, t, w.nginx.URL, "198.51.100.1") })
	visitors.Go(func() { visitor(honest, t, w.haproxy.URL, "198.51.100.2") })
	defer func() {
		leave()
		visitors.Wait()
		stop()
	}()

	words := filepath.Join(w.dir, "words")
	proxytest.WriteFile(t, words, numbered(5000))
	guessing, endGuessing := context.WithCancel(context.Background())
	var attackers sync.WaitGroup
	attackers.Go(func() { proxytest.Hydra(guessing, t, w.nginx.URL, "203.0.113.201", words) })
	attackers.Go(func() { proxytest.Hydra(guessing, t, w.haproxy.URL, "203.0.113.202", words) })
	var mu sync.Mutex
	times := map[string][]time.Duration{}
	var attacked []string
	for i := range 16 {
		name, url := "nginx", w.nginx.URL
		if i%2 == 1 {
			name, url = "haproxy", w.haproxy.URL
		}
		address := fmt.Sprintf("203.0.113.%d", i+1)
		attacked = append(attacked, address)
		attackers.Go(func() {
			time.Sleep(time.Duration(i) * 130 * time.Millisecond) // at different times within a second
			if took, ok := attack(t, url, address); ok {
				mu.Lock()
				defer mu.Unlock()
				times[name] = append(times[name], took)
			}
		})
	}
	// hydra goes on until it has been refused for a while, through both.
	for _, log := range []struct{ path, with string }{
		{w.nginx.Log, `"refused":"block"`}, {w.haproxy.Log, "|block}"},
	} {
		proxytest.Lines(t, log.path, log.with, 20)
	}
	endGuessing()
	attackers.Wait()
	for name, ds := range times {
		slices.Sort(ds)
		testkit.Figure(t, "%s: from the request that made the rule true to the first 403, %d attackers: median %v, longest %v",
			name, len(ds), ds[len(ds)/2].Round(10*time.Millisecond), ds[len(ds)-1].Round(10*time.Millisecond))
	}
	// The longest is the machine's affair too: it runs the proxies and the guessers.
	if ds := times["haproxy"]; len(ds) > 0 && (ds[len(ds)/2] > proxyDisorder+2*time.Second || ds[len(ds)-1] > proxyDisorder+10*time.Second) {
		t.Errorf("haproxy: %v, the median must be at most disorder + 2 s, the longest disorder + 10 s", ds)
	}

	// The blocks end, and with them the refusals. Who keeps asking meanwhile is
	// refused longer, so each asks only when his should be over.
	for _, at := range []struct{ url, address string }{
		{w.nginx.URL, attacked[0]}, {w.haproxy.URL, attacked[1]}, {w.nginx.URL, "203.0.113.201"}, {w.haproxy.URL, "203.0.113.202"},
	} {
		attackers.Go(func() {
			status := 0
			for range 3 {
				time.Sleep(proxyBlock + 2*time.Second)
				if status, _ = proxytest.Ask(t, at.url, at.address, "GET /products/7"); status == http.StatusOK {
					return
				}
			}
			t.Errorf("%s is still answered with %d", at.address, status)
		})
	}
	attackers.Wait()
	leave()
	visitors.Wait()

	// What the proxies refused is what weir counts as refused.
	refused := w.refusals(t)
	for begun := time.Now(); live.status.Load().Summary.Refused != refused; time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("%d refused events counted, the logs have %d", live.status.Load().Summary.Refused, refused)
		}
	}
	testkit.Figure(t, "%d requests were refused", refused)
	stop()
	w.expectOneDecisionEach(t, append(attacked, "203.0.113.201", "203.0.113.202"))
}

// The lines that weir prints for the proxies' logs, and those for weir.yaml, fit
// each other.
func TestTheLogsOfThePrintedLinesSayWhatWasRefused(t *testing.T) {
	w := newProxyWorld(t)
	edge, err := w.weir("points", "show", "edge", "--setup")
	if err != nil {
		t.Fatal(err)
	}
	site, combined := proxytest.Site(t), filepath.Join(w.nginx.Dir, "combined.log")
	server := strings.ReplaceAll(proxytest.Part(t, edge, "server { }, each"), "/var/log/nginx/weir.log", w.nginx.Log)
	w.nginx.Stop(t)
	w.nginx.Configure(t, proxytest.Part(t, edge, "http { }"), server+"access_log "+combined+" weir_combined;\n"+
		proxytest.Part(t, edge, "server { }, the one")+"location / { proxy_pass http://"+site+"; }\n")
	w.nginx.Start(t)
	_, stop := w.run(t)
	defer stop()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if out, err := w.weir("block", "203.0.113.7", "--for", "1h", "--reason", "a test"); err == nil {
			break
		} else if time.Since(begun) > 20*time.Second {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, url := range []string{w.nginx.URL, w.haproxy.URL} {
		for begun := time.Now(); ; time.Sleep(300 * time.Millisecond) {
			if status, _ := proxytest.Ask(t, url, "203.0.113.7", "GET /"); status == http.StatusForbidden {
				break
			} else if time.Since(begun) > 20*time.Second {
				t.Fatalf("%d at %s after a block by hand", status, url)
			}
		}
	}
	time.Sleep(500 * time.Millisecond) // until the old workers of nginx are gone
	_, yaml, _ := strings.Cut(proxytest.Part(t, edge, "weir.yaml"), "pattern: '")
	pattern, _, _ := strings.Cut(yaml, "'")
	for _, url := range []string{w.nginx.URL, w.haproxy.URL} {
		proxytest.Ask(t, url, "203.0.113.7", "GET /a?b=c")
		proxytest.Ask(t, url, "203.0.113.8", "GET /a?b=c")
	}
	for _, c := range []struct {
		log string
		cfg ingest.Config
	}{
		{w.nginx.Log, ingest.Config{Format: "nginx-json"}},
		{combined, ingest.Config{Format: "pattern", Pattern: pattern}},
		{w.haproxy.Log, ingest.Config{Format: "haproxy", Fields: map[string]string{"site": "request.1", "agent": "request.2", "refused": "request.3"}}},
	} {
		c.cfg.Key = event.FixedKey()
		decode, err := ingest.New(c.cfg)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]event.Action{}
		for _, line := range proxytest.Lines(t, c.log, "/a?b=c", 2) {
			var ev event.Event
			ev.Reset()
			if err := decode([]byte(line), &ev, new(event.Arena)); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if ev.Path != "/a" || ev.Agent == "" || ev.Status == 0 || time.Since(time.Unix(0, ev.Time)).Abs() > time.Minute {
				t.Errorf("%s: %+v", line, ev)
			}
			got[ev.Peer.String()] = ev.Refused
		}
		if got["203.0.113.7"] != event.Block || got["203.0.113.8"] != event.NoAction || len(got) != 2 {
			t.Errorf("%s: %v", c.cfg.Format, got)
		}
	}
}
