package enrich

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/event"
)

func TestClientIsFoundBehindTrustedProxies(t *testing.T) {
	dir := t.TempDir()
	asn := filepath.Join(dir, "asn.csv")
	ranges := filepath.Join(dir, "googlebot.txt")
	write(t, asn, "198.51.100.0,198.51.100.255,64500,Example Net\n203.0.113.0,203.0.113.255,64501,Other Net\n")
	write(t, ranges, "203.0.113.7/32\n")
	tables, err := New(Config{ASN: asn, Crawlers: []string{ranges}, Key: event.FixedKey()})
	if err != nil {
		t.Fatal(err)
	}
	w := tables.Worker(Source{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for _, c := range []struct {
		ip, peer, forwarded string
		asn                 uint32
		want                string // ip asn org crawler
	}{
		{"", "192.0.2.1", "198.51.100.9", 0, "198.51.100.9 64500 Example Net "},
		{"192.0.2.1", "", "198.51.100.9", 0, "198.51.100.9 64500 Example Net "},
		{"", "203.0.113.7", "198.51.100.9", 0, "203.0.113.7 64501 Other Net googlebot"},
		{"203.0.113.8", "192.0.2.1", "198.51.100.9", 0, "203.0.113.8 64501 Other Net "}, // the operator named it
		{"", "203.0.113.8", "", 64999, "203.0.113.8 64999  "},                           // the log's number, so not our name for it
		{"", "2001:db8:1:2:3::4", "", 0, "2001:db8:1:2:: 0  "},
		{"", "", "198.51.100.9", 0, "invalid IP 0  "},
	} {
		e := enrichOne(w, func(e *event.Event) {
			e.IP, _ = netip.ParseAddr(c.ip)
			e.Peer, _ = netip.ParseAddr(c.peer)
			e.Forwarded, e.ASN = c.forwarded, c.asn
		})
		if got := fmt.Sprintf("%s %d %s %s", e.IP, e.ASN, e.Org, e.Crawler); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFaultOfTheTablesIsTold(t *testing.T) {
	_, err := New(Config{ASN: "testdata/none.mmdb", Crawlers: []string{"testdata/nowhere"}, Lookups: map[string]string{"a": "testdata/nothing.txt"}, Key: event.FixedKey()})
	for _, part := range []string{"none.mmdb", "nowhere", "nothing.txt"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v does not name %s", err, part)
		}
	}
	if _, err := New(Config{}); err == nil {
		t.Error("no error without a key")
	}
	s, err := ParseSite("site.yaml", []byte(benchSite))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Site: s, Key: event.FixedKey()}); err == nil || !strings.Contains(err.Error(), "site.yaml:2:") {
		t.Errorf("error %v", err)
	}
}

func TestSiteIsTheHostsName(t *testing.T) {
	for _, c := range []struct{ host, want string }{
		{"", ""}, {"shop.example", "shop.example"}, {"Shop.Example:8443", "shop.example"}, {"shop.example.", "shop.example"},
		{"[2001:db8::1]:80", "[2001:db8::1]"}, {"[2001:DB8::1]", "[2001:db8::1]"}, {"2001:db8::1", "2001:db8::1"}, {":80", ""},
	} {
		var mem event.Arena
		if got := siteName(c.host, &mem); got != c.want {
			t.Errorf("%q: %q, want %q", c.host, got, c.want)
		}
	}
}

// oddEvents are events that differ in everything, more than the caches hold.
func oddEvents(n int) []event.Event {
	r := rand.New(rand.NewPCG(3, 4))
	events := make([]event.Event, n)
	for i := range events {
		e := &events[i]
		e.Reset()
		k := r.IntN(n / 2) // half of them come again
		e.Method, e.Status = []string{"GET", "POST", "PUT"}[k%3], int32(200+k%300)
		e.Site = fmt.Sprintf("S%d.example", k%7)
		e.Path = fmt.Sprintf("/%s/%d/a%x", []string{"login", "products", "x//y", "%6cogin", "cart"}[k%5], k, k*k)
		e.Query = fmt.Sprintf("q=%d&token=%d", k, k)
		e.Agent = fmt.Sprintf("Mozilla/5.0 (Windows NT 10.0) Chrome/%d.%d Safari/%d", k%50, k, k%9)
		if k%11 == 0 {
			e.Agent = strings.Repeat("long ", k%300)
		}
		e.Credential, e.Session = fmt.Sprintf("u%d@mail.example", k), fmt.Sprint(k)
	}
	return events
}

func TestNothingDependsOnTheCaches(t *testing.T) {
	s, err := ParseSite("site.yaml", []byte(benchSite))
	if err != nil {
		t.Fatal(err)
	}
	tables, err := New(Config{Site: s, Compile: statusCondition, Key: event.FixedKey()})
	if err != nil {
		t.Fatal(err)
	}
	events := oddEvents(20_000)
	one, other := tables.Worker(Source{}), tables.Worker(Source{})
	var forward, backward event.Batch
	forward.Events = append(forward.Events, events...)
	one.Enrich(&forward)
	for i := range events { // in another order, so other texts are in the caches
		backward.Events = append(backward.Events, events[len(events)-1-i])
	}
	other.Enrich(&backward)
	for i := range events {
		if a, b := forward.Events[i], backward.Events[len(events)-1-i]; a != b {
			t.Fatalf("event %d:\n%+v\n%+v", i, a, b)
		}
	}
}

// Where memory is short a worker remembers less, and says the same.
func TestSmallerCachesChangeNothingButWhatIsRemembered(t *testing.T) {
	tables, err := New(Config{Key: event.FixedKey()})
	if err != nil {
		t.Fatal(err)
	}
	held := func(w *Worker) int64 {
		return int64(len(w.agents.texts) + len(w.routes.known.texts) + len(w.hide.known.texts) + 56*len(w.agents.values) + 72*len(w.routes.known.values) + 32*len(w.hide.known.values))
	}
	events := oddEvents(3000)
	enriched := func(memory int64) ([]event.Event, int64) {
		w := tables.Worker(Source{Memory: memory})
		b := event.Batch{Events: slices.Clone(events)}
		w.Enrich(&b)
		return b.Events, held(w)
	}
	want, whole := enriched(0)
	for _, memory := range []int64{1, 1 << 20, 4 << 20, 1 << 30} {
		got, takes := enriched(memory)
		if !slices.Equal(got, want) {
			t.Errorf("with caches of %d bytes events are enriched otherwise", memory)
		}
		if least := whole / leastPart; takes > max(memory, least) {
			t.Errorf("caches of at most %d bytes take %d, must be at most that, or the least, %d", memory, takes, least)
		}
	}
}

func TestCachesTellTextsApart(t *testing.T) {
	k := event.FixedKey()
	m := newMemo[int](k, ways, 16)
	marks := map[uint32]string{}
	for i := range 1 << 20 { // until two texts have the same mark
		text := fmt.Sprintf("%08d", i)
		mark := uint32(k.HashString(text) >> 32)
		other, again := marks[mark]
		if !again {
			marks[mark] = text
			continue
		}
		v, _ := m.slot([]byte(other))
		*v = 1
		if _, known := m.slot([]byte(text)); known {
			t.Errorf("%s is taken for %s", text, other)
		}
		if v, known := m.slot([]byte(other)); !known || *v != 1 {
			t.Errorf("%s is lost", other)
		}
		return
	}
	t.Fatal("no two texts have the same mark")
}

func TestRandomEventsCostOnlyTheMiss(t *testing.T) {
	w := newWorker(t, Config{})
	events := oddEvents(5000)
	var b event.Batch
	texts, keys := len(w.agents.texts)+len(w.routes.known.texts)+len(w.hide.known.texts), len(w.strings.held)
	for i := range events {
		b.Events = append(b.Events[:0], events[i])
		w.Enrich(&b)
	}
	if now := len(w.agents.texts) + len(w.routes.known.texts) + len(w.hide.known.texts); now != texts || len(w.strings.held) != keys {
		t.Errorf("caches grew to %d bytes", now)
	}
	for _, held := range w.strings.held {
		if len(held) > 200 {
			t.Errorf("%d bytes are held: %q", len(held), held)
		}
	}
}

func TestKnownEventsAllocateNothing(t *testing.T) {
	w := newWorker(t, Config{})
	events := benchEvents(1)[0][:200]
	var b event.Batch
	run := func() {
		b.Reset()
		b.Events = append(b.Events, events...)
		w.Enrich(&b)
	}
	run()
	if n := testing.AllocsPerRun(20, run); n > 0 {
		t.Errorf("%v allocations in 200 events", n)
	}
}

func TestLookupsCanBeAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.txt")
	write(t, path, "bin.example\n")
	tables, err := New(Config{Lookups: map[string]string{"disposable": path}, Key: event.FixedKey()})
	if err != nil {
		t.Fatal(err)
	}
	if l := tables.Lookups(); !l.Has("disposable", "bin.example") || l.Has("disposable", "mail.example") {
		t.Error("the set is wrong")
	}
}
