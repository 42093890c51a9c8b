package emit

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
	"weir/internal/proxytest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nand not\n%s", name, got, want)
	}
}

// What proxies are given is a contract with their configurations.
func TestTheFilesOfProxiesAreAsTheyWere(t *testing.T) {
	s := settingFor(t, enforceable, "GET /orders/{id}")
	s.Endpoints = s.Endpoints[len(s.Endpoints)-3:]
	until := time.Unix(1_800_000_000, 0)
	limited := inForce("203.0.113.8/32", "", until)
	limited.Action, limited.To = event.Limit, "10/1m"
	ofEndpoint := inForce("192.0.2.0/24", "", until)
	ofEndpoint.Endpoint = s.Endpoints[0].ID
	es := listOf(inForce("203.0.113.7/32", "", until), inForce("2001:db8:1:2::/64", "", until), limited, ofEndpoint).Entries

	lists, err := newNginxLists(s.Actions, s.Endpoints)
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := lists.render(es)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "nginx.golden", seal(body, len(es)))
	back, err := lists.parse(body)
	list := List{Entries: back}
	list.Sort()
	if fmt.Sprint(list.Entries) != fmt.Sprint(listOf(es...).Entries) || err != nil {
		t.Errorf("%v, must be %v: %v", back, es, err)
	}

	maps, err := newHAProxyMaps("/etc/haproxy/weir.map", s.Actions, s.Endpoints)
	if err != nil {
		t.Fatal(err)
	}
	held, refused, err := maps.render(es)
	if err := errors.Join(refused, err); err != nil {
		t.Fatal(err)
	}
	all := append([]byte(maps.paths.file+"\n"), seal(maps.paths.body, maps.paths.entries)...)
	for _, m := range maps.all {
		all = append(append(all, "\n"+m.file+"\n"...), seal(m.body(held[m]), len(held[m]))...)
	}
	golden(t, "haproxy.golden", all)
}

func TestTheLinesForOperatorsAreAsTheyWere(t *testing.T) {
	s := settingFor(t, enforceable)
	s.Endpoints = s.Endpoints[:3]
	n, err := newNginx(NginxConfig{Conf: "/etc/nginx/weir.conf", Probe: "http://127.0.0.1/weir-generation"}, s)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "nginx_setup.golden", []byte(n.Setup()))
	h, err := newHAProxy(HAProxyConfig{Map: "/etc/haproxy/weir.map", Socket: Addresses{"/run/haproxy/admin.sock"}}, s)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "haproxy_setup.golden", []byte(h.Setup()))
}

func TestNoProxyIsGivenMoreThanAddressesNumbersAndIds(t *testing.T) {
	s := settingFor(t, enforceable)
	n, err := newNginxLists(s.Actions, s.Endpoints)
	if err != nil {
		t.Fatal(err)
	}
	only, err := newNginxLists(onlyBlock, s.Endpoints)
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHAProxyMaps("/weir.map", s.Actions, s.Endpoints)
	if err != nil {
		t.Fatal(err)
	}
	good := inForce("203.0.113.0/24", "POST /login", time.Unix(maxProxyEnd, 0))
	for _, c := range []struct {
		name   string
		change func(*Entry)
		ok     bool
	}{
		{"as it is", func(*Entry) {}, true},
		{"the first end of ten digits", func(e *Entry) { e.Until = time.Unix(minProxyEnd, 0) }, true},
		{"an end of nine digits", func(e *Entry) { e.Until = time.Unix(minProxyEnd-1, 0) }, false},
		{"an end of eleven digits", func(e *Entry) { e.Until = time.Unix(maxProxyEnd+1, 0) }, false},
		{"no end", func(e *Entry) { e.Until = time.Time{} }, false},
		{"no prefix", func(e *Entry) { *e = Entry{Action: e.Action, Until: e.Until, ID: e.ID} }, false},
		{"an id of 64 digits", func(e *Entry) { e.ID = strings.Repeat("0a", 32) }, true},
		{"an id of 65 digits", func(e *Entry) { e.ID = strings.Repeat("0", 65) }, false},
		{"no id", func(e *Entry) { e.ID = "" }, false},
		{"an id of other letters", func(e *Entry) { e.ID = "5F" }, false},
		{"an id that goes on", func(e *Entry) { e.ID = "5f1c\"; }\n" }, false},
		{"an unknown endpoint", func(e *Entry) { e.Endpoint = "e00000000" }, false},
		{"an endpoint by its pattern", func(e *Entry) { e.Endpoint = "POST /login" }, false},
		{"an endpoint that goes on", func(e *Entry) { e.Endpoint += " x" }, false},
		{"a rate of a block", func(e *Entry) { e.To = "10/1m" }, false},
		{"a rate of a limit", func(e *Entry) { e.Action, e.To = event.Limit, "10/1m" }, true},
		{"a rate that goes on", func(e *Entry) { e.Action, e.To = event.Limit, "10/1m;" }, false},
		{"an alert", func(e *Entry) { e.Action = event.Alert }, false},
	} {
		e := good
		c.change(&e)
		_, _, nginx := n.render([]Entry{e})
		_, _, haproxy := h.render([]Entry{e})
		for _, err := range []error{nginx, haproxy} {
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrPermanent) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
	limited := good
	limited.Action = event.Limit
	if _, _, err := only.render([]Entry{limited}); err == nil {
		t.Error("an action that the point was not given is taken")
	}
	twice := []Entry{good, good}
	twice[1].ID = "ab"
	_, _, nginx := n.render(twice)
	_, _, haproxy := h.render(twice)
	if nginx == nil || haproxy == nil {
		t.Errorf("an address that stands twice: %v, %v", nginx, haproxy)
	}
}

func TestWhatNotAllPlacesHoldIsHeldByNone(t *testing.T) {
	until := time.Unix(1_800_000_000, 0)
	a, b := inForce("203.0.113.7/32", "", until), inForce("203.0.113.8/32", "", until)
	later := b
	later.Until = until.Add(time.Second)
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		held []Entry
		want List // that is held
	}{
		{[]Entry{a, b, a, b}, listOf(a, b)},
		{[]Entry{a, b, a, a, b, b}, List{}}, // three places' worth in two
		{nil, listOf()},
	} {
		got := alike(c.held, 2)
		ch := Diff(got.Entries, c.want.Entries, Capabilities{Ends: true}, now)
		if same := len(ch.Add)+len(ch.Remove) == 0; same != (c.want.Meant) {
			t.Errorf("%v: %v", c.held, got.Entries)
		}
	}
	for _, held := range [][]Entry{{a, b, a}, {a, b, a, later}, {b}, {a, a, b}} {
		got := alike(held, 2)
		for _, want := range []List{listOf(), listOf(a), listOf(b), listOf(a, b), listOf(later), listOf(a, later)} {
			if ch := Diff(got.Entries, want.Entries, Capabilities{Ends: true}, now); len(ch.Add)+len(ch.Remove)-ch.Over == 0 {
				t.Errorf("%v counts as %v", held, want.Entries)
			}
		}
	}
	for _, es := range [][]Entry{nil, {a}} {
		got := notKnown(es)
		for _, want := range []List{listOf(), listOf(a)} {
			if ch := Diff(got.Entries, want.Entries, Capabilities{Ends: true}, now); len(ch.Add)+len(ch.Remove)-ch.Over == 0 {
				t.Errorf("what nobody knows counts as %v", want.Entries)
			}
		}
	}
}

func TestASealedFileIsReadWholeOrNotAtAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.map")
	if body, n, err := readSealed(path); err != nil || len(body)+n != 0 {
		t.Errorf("a file that is not there: %q, %d, %v", body, n, err)
	}
	proxytest.WriteFile(t, path, "") // made ready by somebody
	if err := replaceSealed(path, []byte("a\nb\n"), 2); err != nil {
		t.Fatal(err)
	}
	if body, n, err := readSealed(path); err != nil || string(body) != "a\nb\n" || n != 2 {
		t.Errorf("%q, %d, %v", body, n, err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(file); i++ {
		if _, _, err := unseal(file[:i]); err == nil {
			t.Errorf("its first %d bytes are a whole file", i)
		}
	}
	for _, text := range []string{"a b\n", "# a map of ours\n", "\n" + string(file)} {
		proxytest.WriteFile(t, path, text)
		if err := replaceSealed(path, nil, 0); !errors.Is(err, errForeign) {
			t.Errorf("%q: %v", text, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
	if err := os.Truncate(path, maxSealed+1); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readSealed(path); !errors.Is(err, errForeign) || !strings.Contains(err.Error(), "must be at most") {
		t.Errorf("%v, must be too large", err)
	}
}

func TestACapacityHasALimit(t *testing.T) {
	s := settingFor(t, onlyBlock)
	for given, want := range map[int]int{0: proxyCapacity, 7: 7, maxProxyCapacity: maxProxyCapacity, maxProxyCapacity + 1: 0} {
		s.Capacity = given
		n, nginx := newNginx(NginxConfig{Conf: "/weir.conf"}, s)
		h, haproxy := newHAProxy(HAProxyConfig{Map: "/weir.map"}, s)
		if want == 0 {
			if nginx == nil || haproxy == nil {
				t.Errorf("%d is taken", given)
			}
		} else if n.Capabilities().Capacity != want || h.Capabilities().Capacity != want {
			t.Errorf("%d: %d and %d, must be %d", given, n.Capabilities().Capacity, h.Capabilities().Capacity, want)
		}
	}
}

func TestPathsThatCouldSayMoreAreRefused(t *testing.T) {
	s := settingFor(t, onlyBlock)
	for _, path := range []string{"", "/etc/weir.conf; user root", "/etc/a b", "/etc/*.conf", "/etc/$x", "/etc/\"x\"", "/etc/{x}", "/etc/x\n"} {
		if _, err := newNginx(NginxConfig{Conf: path}, s); err == nil {
			t.Errorf("nginx takes %q", path)
		}
		if _, err := newHAProxy(HAProxyConfig{Map: path}, s); err == nil {
			t.Errorf("haproxy takes %q", path)
		}
	}
	for _, probe := range []string{"weir", "ftp://127.0.0.1/", "http://", "http://a:b@127.0.0.1/", ":"} {
		if _, err := newNginx(NginxConfig{Conf: "/weir.conf", Probe: probe}, s); err == nil {
			t.Errorf("the probe %q is taken", probe)
		}
	}
	if _, err := newHAProxy(HAProxyConfig{Map: "/weir.map", Socket: make(Addresses, maxHAProxySockets+1)}, s); err == nil {
		t.Error("any number of sockets is taken")
	}
}

func TestWhatACommandSaysIsItsError(t *testing.T) {
	run := func(script string) error { return runCommand(t.Context(), []string{"sh", "-c", script}) }
	for script, want := range map[string]string{
		"exit 0": "", "echo fine": "",
		"echo one; echo two >&2; exit 1":                  "two",
		"echo 'nginx: [emerg] here'; echo failed; exit 1": "[emerg] here",
		"exit 3": "exit status 3",
		"head -c 200000 /dev/zero | tr '\\0' a; echo; echo last; exit 1": "last",
	} {
		err := run(script)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, must say %q", script, err, want)
		}
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("%s: an error of %d bytes", script, len(err.Error()))
		}
	}
	s := &said{}
	for range 100 {
		if _, err := s.Write(make([]byte, maxSaid/10)); err != nil || len(s.b) > maxSaid {
			t.Fatalf("%d bytes are kept, must be at most %d: %v", len(s.b), maxSaid, err)
		}
	}
	if err := runCommand(t.Context(), []string{"weir-has-no-such-program"}); err == nil || !strings.Contains(err.Error(), "install it") {
		t.Errorf("%v", err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := runCommand(ctx, []string{"sleep", "60"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
