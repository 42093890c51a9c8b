package enrich

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/event"
)

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs, got:\n%s", path, got)
	}
}

func TestFaultySiteFilesSayWhatIsWrongAndWhere(t *testing.T) {
	files, err := filepath.Glob("testdata/site/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no site files: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			said := "good\n"
			s, err := ParseSite(filepath.Base(file), src)
			if err == nil {
				_, err = New(Config{Key: event.FixedKey(), Site: s, Compile: statusCondition})
			}
			if err != nil {
				said = err.Error() + "\n"
			}
			if strings.HasPrefix(filepath.Base(file), "good") != (err == nil) {
				t.Errorf("error %v", err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", said)
		})
	}
}

func TestSiteFileIsBounded(t *testing.T) {
	if _, err := ParseSite("site.yaml", make([]byte, maxSiteFile+1)); err == nil || !strings.Contains(err.Error(), "must be at most") {
		t.Errorf("error %v", err)
	}
	many := "endpoints:\n" + strings.Repeat("  - {pattern: \"/{x}\"}\n", maxSiteEndpoints+1)
	if _, err := ParseSite("site.yaml", []byte(many)); err == nil || !strings.Contains(err.Error(), "must be at most 2000") {
		t.Errorf("error %v", err)
	}
}

const shopSite = `
endpoints:
  - {pattern: "POST /login", kind: login, failure: "401"}
  - {pattern: "POST /api/v0/signin", kind: login, success: "201", deprecated: true}
  - {pattern: "POST /both", kind: login, failure: "401", success: "200"}
  - {pattern: "GET /products/{id}", kind: product}
  - {pattern: "GET /products/latest", kind: listing}
  - {pattern: "api.example/products/{id}", kind: inventory}
  - {pattern: "/files/{path...}"}
  - {pattern: "GET /blog/"}
  - {pattern: "GET /shop/{$}", kind: listing}
  - {pattern: "GET /stock", kind: inventory, item: query.sku}
  - {pattern: "GET /lang/{lang}/p/{id}", item: lang, kind: ""}
  - {pattern: "POST /queue/{n}/join", kind: none}
`

func TestEndpointsFollowTheSiteFile(t *testing.T) {
	s, err := ParseSite("site.yaml", []byte(shopSite))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(t, Config{Site: s, Compile: statusCondition})
	for _, c := range []struct {
		method, host, target string
		status               int32
		want                 string // endpoint | kind | item | outcome
	}{
		{"POST", "", "/login", 401, "POST /login|login||failure"},
		{"POST", "", "/login", 200, "POST /login|login||success"},
		{"POST", "", "/login", 302, "POST /login|login||success"},
		{"POST", "", "/login/", 401, "POST /login|login||failure"}, // as whoever writes the file sees it
		{"GET", "", "/products/12/", 200, "GET /products/{id}|product|12|"},
		{"POST", "", "/login", 500, "POST /login|login||"},
		{"POST", "", "/login", 0, "POST /login|login||"},
		{"GET", "", "/login", 200, "GET /login|||"},
		{"POST", "", "/api/v0/signin", 201, "POST /api/v0/signin|login||success"},
		{"POST", "", "/api/v0/signin", 200, "POST /api/v0/signin|login||failure"},
		{"POST", "", "/both", 200, "POST /both|login||success"},
		{"POST", "", "/both", 401, "POST /both|login||failure"},
		{"POST", "", "/both", 302, "POST /both|login||"},
		{"GET", "", "/products/12", 200, "GET /products/{id}|product|12|"},
		{"HEAD", "", "/products/12", 200, "GET /products/{id}|product|12|"},
		{"GET", "", "/products//./12", 200, "GET /products/{id}|product|12|"},
		{"GET", "", "/products/a%2Fb", 200, "GET /products/{id}|product|a%2Fb|"},
		{"GET", "", "/products/%61b", 200, "GET /products/{id}|product|ab|"},
		{"GET", "", "/products/latest", 200, "GET /products/latest|listing||"},
		{"GET", "API.example:443", "/products/12", 200, "GET api.example/products/{id}|inventory|12|"},
		{"PUT", "", "/files/a/b/c.txt", 200, "PUT /files/{path...}||a/b/c.txt|"},
		{"GET", "", "/blog/a/b", 200, "GET /blog/|||"},
		{"GET", "", "/blog", 200, "GET /blog/|||"}, // ServeMux redirects it there
		{"GET", "", "/shop/", 200, "GET /shop/{$}|listing||"},
		{"GET", "", "/shop/ab", 200, "GET /shop/ab|||"},
		{"GET", "", "/stock?x=1&sku=A-1", 200, "GET /stock|inventory|A-1|"},
		{"GET", "", "/stock", 200, "GET /stock|inventory||"},
		{"POST", "", "/queue/7/join", 200, "POST /queue/{n}/join||7|"}, // by its name a sign-up
		{"POST", "", "/team/7/join", 200, "POST /team/{n}/join|signup|7|success"},
		{"GET", "", "/lang/de/p/7", 200, "GET /lang/{lang}/p/{id}||de|"},
		{"DELETE", "", "/products/12", 200, "DELETE /products/{n}|product|12|"},
		{"GET", "", "/products/%zz", 200, "GET /products/{slug}|product|%zz|"},
		{"CONNECT", "", "/login", 200, "CONNECT /login|||"},
	} {
		e := enrichOne(w, func(e *event.Event) {
			e.Method, e.Site, e.Status = c.method, c.host, c.status
			e.Path, e.Query, _ = strings.Cut(c.target, "?")
		})
		got := strings.Join([]string{e.Endpoint, e.Kind.String(), e.Item, e.Outcome.String()}, "|")
		if got != c.want {
			t.Errorf("%s %s%s %d: %s, want %s", c.method, c.host, c.target, c.status, got, c.want)
		}
		if e.Deprecated != (c.target == "/api/v0/signin") {
			t.Errorf("%s: deprecated %v", c.target, e.Deprecated)
		}
	}
}

func newWorker(t testing.TB, cfg Config) *Worker {
	t.Helper()
	if cfg.Key == nil {
		cfg.Key = event.FixedKey()
	}
	tables, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return tables.Worker(Source{})
}

// enrichOne returns the event that set fills in, enriched.
func enrichOne(w *Worker, set func(e *event.Event)) event.Event {
	var b event.Batch
	set(b.Next())
	w.Enrich(&b)
	return b.Events[0]
}

func TestAllowEntriesAreKept(t *testing.T) {
	s, err := ParseSite("site.yaml", []byte(`allow:
  - {match: {ip: 203.0.113.10, endpoint: "POST /login"}, actions: [block], rules: ["ato.*"], owner: ops, reason: uptime monitor, until: 2027-01-01}
  - {match: {asn: 64500}, owner: ops, reason: partner}
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Allow) != 2 || len(s.Allow[0].Match) != 2 || s.Allow[0].Match[0] != (event.Value{Field: "ip", Text: "203.0.113.10"}) ||
		s.Allow[0].Until.Year() != 2027 || len(s.Allow[0].Actions) != 1 || s.Allow[1].Rules[0] != "*" || len(s.Allow[1].Actions) != 4 ||
		!s.Allow[1].Until.IsZero() || s.Allow[1].Match[0].Text != "64500" {
		t.Errorf("%+v", s.Allow)
	}
}
