package emit

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"weir/event"
	"weir/internal/proxytest"
	"weir/internal/testkit"
)

const manyAddresses = 100_000

// untilRefused asks as a client until it is refused, and returns how long that took.
func untilRefused(t *testing.T, url, address string) time.Duration {
	t.Helper()
	begun := time.Now()
	for {
		if status, _ := proxytest.Ask(t, url, address, "GET /"); status == http.StatusForbidden {
			return time.Since(begun)
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("%s is not refused", address)
		}
	}
}

func TestNginxTakesAHundredThousandAddresses(t *testing.T) {
	n := newNginxSite(t, true, settingFor(t, onlyBlock))
	n.Start(t)
	want := manyEntries(manyAddresses, time.Now().Add(time.Hour))
	first, last := want.Entries[0].Prefix.Addr().String(), want.Entries[manyAddresses-1].Prefix.Addr().String()
	done := make(chan time.Duration)
	begun := time.Now()
	go func() {
		defer close(done)
		if err := n.point.Apply(t.Context(), List{}, want); err != nil {
			t.Error(err)
		}
		done <- time.Since(begun)
	}()
	refused := untilRefused(t, n.URL, last)
	applied := <-done
	begun = time.Now()
	mustHold(t, n.point, want)
	testkit.Figure(t, "nginx, %d addresses: the first 403 after %s, proven enforced after %s, read back in %s",
		manyAddresses, refused.Round(time.Millisecond), applied.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	n.expect(t, first, "GET /", 403)
	n.expect(t, "203.0.113.7", "GET /", 200)
}

func TestHAProxyTakesAHundredThousandAddresses(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock))
	h.Start(t)
	until := time.Now().Add(time.Hour)
	want := manyEntries(manyAddresses, until)
	begun := time.Now()
	if err := h.point.Apply(t.Context(), List{}, want); err != nil {
		t.Fatal(err)
	}
	h.expect(t, want.Entries[manyAddresses-1].Prefix.Addr().String(), "GET /", 403)
	applied := time.Since(begun)
	begun = time.Now()
	mustHold(t, h.point, want)
	read := time.Since(begun)
	more := listOf(append(want.Entries[:manyAddresses:manyAddresses], inForce("203.0.113.7/32", "", until))...)
	begun = time.Now()
	if err := h.point.Apply(t.Context(), want, more); err != nil {
		t.Fatal(err)
	}
	h.expect(t, "203.0.113.7", "GET /", 403)
	testkit.Figure(t, "haproxy, %d addresses: enforced after %s, read back in %s, one more enforced after %s", manyAddresses,
		applied.Round(time.Millisecond), read.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	mustApply(t, h.point, listOf())
	h.expect(t, "203.0.113.7", "GET /", 200)
}

// FuzzProxyFiles: what is read of a file never makes weir fail, and what it
// takes for a list is one that it can write.
func FuzzProxyFiles(f *testing.F) {
	n, err := newNginxLists(enforceable, nil)
	if err != nil {
		f.Fatal(err)
	}
	until := time.Unix(4102444800, 0)
	body, _, err := n.render([]Entry{inForce("203.0.113.7/32", "", until), inForce("2001:db8::/64", "", until)})
	if err != nil {
		f.Fatal(err)
	}
	m := &haproxyMap{file: "/weir.map", action: event.Block}
	ends := &haproxyMap{file: "/weir-endpoint.map", action: event.Block, endpoints: true}
	f.Add(body)
	f.Add(m.body([]Entry{inForce("203.0.113.7/32", "", until)}))
	f.Add(ends.body([]Entry{inForce("203.0.113.0/24", "POST /login", until), inForce("2001:db8:1::/48", "POST /login", until)}))
	f.Fuzz(func(t *testing.T, text []byte) {
		if es, err := n.parse(text); err == nil {
			for i := range es {
				if err := checkProxyEntry(&es[i]); err != nil {
					t.Error(err)
				}
			}
		}
		for _, m := range []*haproxyMap{m, ends} {
			es, err := m.parse(text)
			if err != nil {
				continue
			}
			again, err := m.parse(m.body(es))
			if err != nil || fmt.Sprint(again) != fmt.Sprint(es) {
				t.Errorf("%v, must be %v: %v", again, es, err)
			}
		}
		if _, _, err := unseal(text); err == nil && len(text) > 0 && sealPattern.Find(text) == nil {
			t.Error("a foreign file was taken for weir's")
		}
	})
}
