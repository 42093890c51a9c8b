package emit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/internal/proxytest"
)

// haproxySite is a real HAProxy set up as the point says, and its point.
type haproxySite struct {
	*proxytest.HAProxy
	point *haproxyPoint
}

func newHAProxySite(t testing.TB, s Setting, change ...func(*proxytest.HAProxy, *HAProxyConfig)) haproxySite {
	t.Helper()
	h := proxytest.NewHAProxy(t)
	cfg := HAProxyConfig{Map: filepath.Join(h.Dir, "weir.map"), Socket: Addresses{h.Socket}}
	for _, c := range change {
		c(h, &cfg)
	}
	p, err := newHAProxy(cfg, s)
	if err != nil {
		t.Fatal(err)
	}
	site := haproxySite{h, p.(*haproxyPoint)}
	site.configure(t)
	if err := site.point.Try(t.Context()); err == nil && len(cfg.Socket) > 0 {
		t.Fatal("nothing listens yet, and nothing is said about it")
	}
	return site
}

func (h haproxySite) configure(t testing.TB) {
	t.Helper()
	global := ""
	if len(h.point.sockets) == 1 {
		global = proxytest.Part(t, h.point.Setup(), "global")
		if os.Getuid() != 0 { // who may not give a file to a group
			global = strings.ReplaceAll(global, " group haproxy", "")
		}
	}
	h.Configure(t, global, proxytest.Part(t, h.point.Setup(), "frontend"), "")
}

func (h haproxySite) expect(t *testing.T, address, request string, status int) {
	t.Helper()
	if got, _ := proxytest.Ask(t, h.URL, address, request); got != status {
		t.Errorf("%s %s: %d, must be %d", address, request, got, status)
	}
}

func TestHAProxyRefusesWhoIsListed(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock, "GET /orders/{id}", "POST /orders/new", "POST /orders/{id}", "GET shop.example/only"))
	h.Start(t)
	if err := h.point.Try(t.Context()); err != nil {
		t.Fatal(err)
	}
	later, over := time.Now().Add(time.Hour), time.Now().Add(-time.Second)
	mustApply(t, h.point, listOf(
		inForce("203.0.113.7/32", "", later),
		inForce("203.0.113.8/32", "", over),
		inForce("198.51.100.0/24", "", later),
		inForce("198.51.100.128/25", "", later.Add(time.Hour)),
		inForce("2001:db8:1:2::/64", "", later),
		inForce("192.0.2.7/32", "POST /login", later),
		inForce("192.0.2.8/32", "POST /login", over),
		inForce("192.0.2.0/24", "GET /orders/{id}", later),
		inForce("192.0.2.9/32", "POST /orders/{id}", later),
		inForce("192.0.2.10/32", "GET shop.example/only", later),
		inForce("2001:db8:3::/48", "POST /login", later),
		inForce("2001:db8:4:5::/64", "POST /login", later),
	))
	for _, c := range []struct {
		address, request string
		status           int
	}{
		{"203.0.113.7", "GET /", 403},
		{"203.0.113.7", "POST /login", 403},
		{"203.0.113.6", "GET /", 200},
		{"203.0.113.8", "GET /", 200},
		{"198.51.100.2", "GET /", 403},
		{"198.51.100.200", "GET /", 403},
		{"198.51.101.0", "GET /", 200},
		{"2001:db8:1:2:3::4", "GET /", 403},
		{"2001:db8:1:3::4", "GET /", 200},
		{"192.0.2.7", "POST /login", 403},
		{"192.0.2.7", "POST /login/", 403},
		{"192.0.2.7", "POST //login", 403},
		{"192.0.2.7", "POST /././%6cogin", 403},
		{"192.0.2.7", "POST /x/../login", 403},
		{"192.0.2.7", "POST /x/y/../..//login", 403},
		{"192.0.2.7", "POST /login;jsessionid=7", 403},
		{"192.0.2.7", "POST /login?x=1", 403},
		{"192.0.2.7", "GET /login", 200},
		{"192.0.2.7", "POST /LOGIN", 200},
		{"192.0.2.7", "POST /login%0A", 200},
		{"192.0.2.7", "POST /", 200},
		{"192.0.2.8", "POST /login", 200},
		{"192.0.2.77", "GET /orders/5", 403},
		{"192.0.2.77", "HEAD /orders/5", 403},
		{"192.0.2.77", "POST /orders/5", 200},
		{"192.0.2.9", "POST /orders/5", 403},
		{"192.0.2.9", "POST /orders/new", 200}, // another endpoint, though the pattern fits
		{"192.0.2.10", "GET /only", 200},       // of another host
		{"2001:db8:3:4::1", "POST /login", 403},
		{"2001:db8:4:5::1", "POST /login", 403},
		{"2001:db8:4:6::1", "POST /login", 200},
	} {
		h.expect(t, c.address, c.request, c.status)
	}
	mustApply(t, h.point, listOf())
	h.expect(t, "203.0.113.7", "GET /", 200)
}

func TestABlockInHAProxyIsOverByItself(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock))
	h.Start(t)
	end := time.Now().Add(2 * time.Second).Truncate(time.Second)
	mustApply(t, h.point, listOf(inForce("203.0.113.7/32", "", end)))
	overByItself(t, h.URL, "203.0.113.7", end)
}

func TestHAProxyLogsWhatItRefused(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, []event.Action{event.Block, event.Challenge}))
	h.Start(t)
	later := time.Now().Add(time.Hour)
	challenged := inForce("203.0.113.9/32", "", later)
	challenged.Action = event.Challenge
	mustApply(t, h.point, listOf(inForce("203.0.113.7/32", "", later), challenged, inForce("203.0.113.9/32", "POST /login", later)))
	h.expect(t, "203.0.113.7", "GET /", 403)
	h.expect(t, "203.0.113.6", "GET /", 200)
	h.expect(t, "203.0.113.9", "GET /", 200)
	h.expect(t, "203.0.113.9", "POST /login", 403)
	got := map[string]bool{}
	for _, line := range proxytest.Lines(t, h.Log, `HTTP/1.1"`, 4) {
		address, _, _ := strings.Cut(line, ":")
		_, rest, _ := strings.Cut(line, "{")
		captures, _, _ := strings.Cut(rest, "}")
		request := line[strings.Index(line, `"`):]
		got[address+" "+strings.Split(captures, "|")[2]+" "+request] = true
	}
	for _, want := range []string{
		`203.0.113.7 block "GET / HTTP/1.1"`, `203.0.113.6  "GET / HTTP/1.1"`,
		`203.0.113.9  "GET / HTTP/1.1"`, `203.0.113.9 block "POST /login HTTP/1.1"`,
	} {
		if !got[want] {
			t.Errorf("%v, must have %s", got, want)
		}
	}
}

func TestHAProxyStartsWithTheListItHad(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock))
	h.Start(t)
	later := time.Now().Add(time.Hour)
	first := listOf(inForce("203.0.113.7/32", "", later))
	mustApply(t, h.point, first)
	file, err := os.ReadFile(h.point.cfg.Map)
	if err != nil {
		t.Fatal(err)
	}
	second := listOf(inForce("203.0.113.7/32", "", later), inForce("203.0.113.8/32", "", later))
	mustApply(t, h.point, second)
	h.Stop(t)
	if _, err := h.point.Read(t.Context()); !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), h.Socket) {
		t.Errorf("haproxy is gone: %v", err)
	}
	h.Start(t)
	mustHold(t, h.point, second)
	h.expect(t, "203.0.113.8", "GET /", 403)

	// One that begins with an older file is found and repaired.
	h.Stop(t)
	proxytest.WriteFile(t, h.point.cfg.Map, string(file))
	h.Start(t)
	if n := differences(t, h.point, second); n != 1 {
		t.Errorf("%d differences, must be 1", n)
	}
	mustApply(t, h.point, second)
	h.expect(t, "203.0.113.8", "GET /", 403)
}

func TestWhatHAProxyHoldsBesidesIsFoundAndTakenOut(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock))
	h.Start(t)
	later := time.Now().Add(time.Hour)
	want := listOf(inForce("203.0.113.7/32", "", later), inForce("203.0.113.9/32", "", later))
	mustApply(t, h.point, want)
	s := h.point.sockets[0]
	for _, command := range []string{
		"add map %s 203.0.113.8/32 4102444800:ab",
		"add map %s 203.0.113.8/32 garbage",
		"del map %s 203.0.113.7/32",
		"set map %s 203.0.113.7/32 4102444800:ab",
		"add map %s 203.0.113.7/32 4102444800:ab", // the same address twice
	} {
		if err := s.do(t.Context(), fmt.Appendf(nil, command+"\n", h.point.cfg.Map)); err != nil {
			t.Fatal(err)
		}
		if differences(t, h.point, want) == 0 {
			t.Errorf("%s: not found", command)
		}
		mustApply(t, h.point, want)
		h.expect(t, "203.0.113.8", "GET /", 200)
		h.expect(t, "203.0.113.7", "GET /", 403)
	}
}

func TestEachHAProxyIsReadAndChanged(t *testing.T) {
	one := proxytest.NewHAProxy(t)
	two := newHAProxySite(t, settingFor(t, onlyBlock), func(h *proxytest.HAProxy, cfg *HAProxyConfig) {
		cfg.Socket = Addresses{one.Socket, h.Socket}
	})
	one.Configure(t, "", proxytest.Part(t, two.point.Setup(), "frontend"), "")
	one.Start(t)
	two.Start(t)
	later := time.Now().Add(time.Hour)
	want := listOf(inForce("203.0.113.7/32", "", later))
	mustApply(t, two.point, want)
	both := func(status int) {
		t.Helper()
		two.expect(t, "203.0.113.7", "GET /", status)
		haproxySite{one, nil}.expect(t, "203.0.113.7", "GET /", status)
	}
	both(403)
	for i, s := range two.point.sockets {
		if err := s.do(t.Context(), []byte("del map "+two.point.cfg.Map+" 203.0.113.7/32\n")); err != nil {
			t.Fatal(err)
		}
		// It is neither held nor gone.
		if differences(t, two.point, want) == 0 || differences(t, two.point, listOf()) == 0 {
			t.Errorf("socket %d: not found", i)
		}
		mustApply(t, two.point, want)
		both(403)
	}
	// One that is down is no reason not to change the other.
	one.Stop(t)
	if differences(t, two.point, want) != 0 || differences(t, two.point, listOf()) != 1 {
		t.Error("what the other one holds does not count")
	}
	if err := two.point.Apply(t.Context(), want, listOf()); err != nil {
		t.Errorf("the one that is left waits for the other: %v", err)
	}
	if err := two.point.Try(t.Context()); !errors.Is(err, errUnreachable) || !strings.Contains(err.Error(), one.Socket) {
		t.Errorf("error %v, must name %s", err, one.Socket)
	}
	two.expect(t, "203.0.113.7", "GET /", 200)
	one.Start(t)
	mustHold(t, two.point, listOf())
	both(200)
	// None is.
	one.Stop(t)
	two.Stop(t)
	_, err := two.point.Read(t.Context())
	for _, err := range []error{err, two.point.Apply(t.Context(), listOf(), want)} {
		if !errors.Is(err, errUnreachable) || !strings.Contains(err.Error(), one.Socket) || !strings.Contains(err.Error(), two.Socket) {
			t.Errorf("error %v, must name both", err)
		}
	}
}

func TestAMapThatHAProxyDoesNotUseIsNamedWithItsLine(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock))
	h.Configure(t, "", "", "")
	h.Start(t)
	const want = `lacks the line "http-request set-var(txn.weir_`
	_, err := h.point.Read(t.Context())
	for i, err := range []error{h.point.Try(t.Context()), err, h.point.Apply(t.Context(), List{}, listOf())} {
		if !errors.Is(err, errNoSuchMap) || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v, must say: %s", i, err, want)
		}
	}
}

func TestHAProxyWithoutASocketIsReloaded(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock), func(h *proxytest.HAProxy, cfg *HAProxyConfig) {
		cfg.Socket, cfg.Reload = nil, []string{"false"}
	})
	want := listOf(inForce("203.0.113.7/32", "", time.Now().Add(time.Hour)))
	if err := h.point.Apply(t.Context(), List{}, want); err == nil || !strings.Contains(err.Error(), "could not be reloaded") {
		t.Errorf("error %v", err)
	}
	if differences(t, h.point, want) == 0 || differences(t, h.point, listOf()) == 0 {
		t.Error("what haproxy was not reloaded for counts as held")
	}
	again := *h.point // as after a restart
	if differences(t, &again, want) == 0 {
		t.Error("what haproxy was not reloaded for counts as held after a restart")
	}
	h.point.cfg.Reload = []string{"true"}
	mustApply(t, h.point, want)
	h.Start(t)
	h.expect(t, "203.0.113.7", "GET /", 403)

	h.point.cfg.Reload = nil
	if err := h.point.Try(t.Context()); err == nil || !strings.Contains(err.Error(), "neither socket nor reload") {
		t.Errorf("error %v", err)
	}
}

func TestAnEndpointEntryThatHAProxyCannotFindIsNamedAndTheRestHeld(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock))
	h.Start(t)
	later := time.Now().Add(time.Hour)
	good := inForce("192.0.2.7/32", "POST /login", later)
	err := h.point.Apply(t.Context(), List{}, listOf(good, inForce("192.0.2.64/28", "POST /login", later)))
	if !errors.Is(err, ErrPermanent) || !strings.Contains(err.Error(), "192.0.2.64/28") {
		t.Errorf("error %v", err)
	}
	mustHold(t, h.point, listOf(good))
}

func TestARunningHAProxyIsToldOfNewEndpoints(t *testing.T) {
	h := newHAProxySite(t, settingFor(t, onlyBlock))
	h.Start(t)
	later := time.Now().Add(time.Hour)
	want := listOf(inForce("192.0.2.7/32", "POST /login", later))
	mustApply(t, h.point, want)
	p, err := newHAProxy(h.point.cfg, settingFor(t, onlyBlock, "POST /login", "POST /{anything}"))
	if err != nil {
		t.Fatal(err)
	}
	// As long as it tells endpoints apart as before, what is listed of them is
	// not known to be enforced.
	if differences(t, p, want) != 1 {
		t.Error("the old table of endpoints counts as the new one")
	}
	mustApply(t, p, want)
	h.expect(t, "192.0.2.7", "POST /login", 403)
	h.expect(t, "192.0.2.7", "POST /orders", 200)
	mustApply(t, p, listOf(inForce("192.0.2.7/32", "POST /{anything}", later)))
	h.expect(t, "192.0.2.7", "POST /login", 200)
	h.expect(t, "192.0.2.7", "POST /orders", 403)
}
