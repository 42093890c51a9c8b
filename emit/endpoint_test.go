package emit

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestPatternsThatAProxyCanBeTold(t *testing.T) {
	for _, c := range []struct {
		pattern string
		names   string // joined by |
		expr    string
	}{
		{"POST /login", "POST /login", "^/login/?$"},
		{"  POST   /login ", "POST /login", "^/login/?$"},
		{"POST /wp-login.php", "POST /wp-login.php", "^/wp-login[.]php/?$"},
		{"GET /products/{id}", "GET /products/{id}", "^/products/[^/]+/?$"},
		{"POST shop.example/login", "POST shop.example/login", "^/login/?$"},
		{"POST /static/", "POST /static/", "^/static/.*$"},
		{"POST /api/{rest...}", "POST /api/{rest...}", "^/api/.*$"},
		{"GET /{$}", "GET /{$}", "^/$"},
		{"POST /v1/accounts:signInWithPassword", "POST /v1/accounts:signInWithPassword", "^/v1/accounts:signInWithPassword/?$"},
		{"POST shop.example/", "POST shop.example/", "^/.*$"},
		{"/login", "GET /login|HEAD /login|POST /login|PUT /login|PATCH /login|DELETE /login", "^/login/?$"},
	} {
		table, left, err := EndpointTable([]string{c.pattern}, nil)
		if err != nil || len(left) > 0 {
			t.Errorf("%s: %v, left %q", c.pattern, err, left)
			continue
		}
		for name := range strings.SplitSeq(c.names, "|") {
			i := slices.IndexFunc(table, func(e Endpoint) bool { return e.Pattern == name })
			if i < 0 {
				t.Errorf("%s: no %s in the table", c.pattern, name)
				continue
			}
			if e := table[i]; e.PathExpr() != c.expr || e.ID != endpointID(name) || !isEndpointID(e.ID) {
				t.Errorf("%s: %s, want %s", e, e.PathExpr(), c.expr)
			}
		}
	}
	e := Endpoint{Pattern: "GET Shop.example/x"}
	if e.Host() != "shop.example" || !slices.Equal(e.Methods(), []string{"GET", "HEAD"}) {
		t.Errorf("%s %v", e.Host(), e.Methods())
	}
}

func TestPatternsThatNoProxyIsTold(t *testing.T) {
	for pattern, why := range map[string]string{
		"":                                  "has no path",
		"POST":                              "has no path",
		"LOGIN /x":                          `method "LOGIN"`,
		"OTHER /x":                          `method "OTHER"`,
		"POST login":                        "has no path",
		"POST /lo gin":                      "segment",
		"POST /login;x":                     "segment",
		"POST /\"":                          "segment",
		"POST /$uri":                        "segment",
		"POST /a\\b":                        "segment",
		"POST /a*":                          "segment",
		"POST /é":                           "segment",
		"POST /a//b":                        "segment",
		"POST /a/../b":                      "segment",
		"POST /a/.":                         "segment",
		"POST /{":                           "segment",
		"POST /{}":                          "segment",
		"POST /{...}":                       "segment",
		"POST /{1}":                         "segment",
		"POST /{a}.css":                     "segment",
		"POST /x{a}":                        "segment",
		"POST /{a...}/b":                    "segment",
		"POST /{$}/b":                       "segment",
		"POST a_b/x":                        "host",
		"POST ho\"st/x":                     "host",
		"POST /":                            "whole site",
		"POST /{rest...}":                   "whole site",
		"/":                                 "whole site",
		"POST /" + strings.Repeat("a", 200): "must be at most 200",
	} {
		table, _, err := EndpointTable([]string{pattern}, nil)
		if err == nil || !strings.Contains(err.Error(), why) || table != nil {
			t.Errorf("%q: %v, must say %q", pattern, err, why)
		}
		if _, left, err := EndpointTable(nil, []string{pattern}); err != nil || len(left) != 1 {
			t.Errorf("%q in a site file: %v, left %q", pattern, err, left)
		}
		if e := (Endpoint{Pattern: pattern}); strings.Contains(pattern, " ") && (e.Methods() != nil || e.PathExpr() != "" || e.Host() != "") {
			t.Errorf("%q: %v %q", pattern, e.Methods(), e.PathExpr())
		}
	}
}

func TestEndpointsOfAPointAreBounded(t *testing.T) {
	var many []string
	for i := range maxEndpoints {
		many = append(many, fmt.Sprintf("POST /x%d", i))
	}
	table, left, err := EndpointTable(many, []string{"POST /y"})
	if err != nil || len(table) != maxEndpoints || len(left) != 1+len(wellKnown) {
		t.Errorf("%v, %d endpoints, %d left", err, len(table), len(left))
	}
	if _, _, err := EndpointTable(append(many, "POST /z"), nil); err == nil || !strings.Contains(err.Error(), "one more than the 256") {
		t.Errorf("%v", err)
	}
	if table, left, err := EndpointTable(nil, append(many[:maxEndpoints-1], "POST /y", "POST /y")); err != nil || len(table) != maxEndpoints || len(left) != len(wellKnown) {
		t.Errorf("%v, %d endpoints, %d left of a site file", err, len(table), len(left))
	}
}

func TestWellKnownEndpointsAreOnePathEach(t *testing.T) {
	table, left, err := EndpointTable(nil, nil)
	if err != nil || len(left) > 0 || len(table) != len(wellKnown) || len(table) < 50 {
		t.Fatalf("%v, %d endpoints, left %q", err, len(table), left)
	}
	for _, e := range table {
		if !slices.Equal(e.Methods(), []string{"POST"}) || e.Host() != "" || strings.ContainsAny(e.Pattern, "{}") {
			t.Errorf("%s", e.Pattern)
		}
	}
	// Decisions name what a pattern of the operator matches by that.
	table, _, err = EndpointTable(nil, []string{"POST /{lang}/login"})
	if err != nil || slices.ContainsFunc(table, func(e Endpoint) bool { return e.Pattern == "POST /user/login" }) ||
		!slices.ContainsFunc(table, func(e Endpoint) bool { return e.Pattern == "POST /login" }) {
		t.Errorf("%v, %v", err, table)
	}
}

// The first of the table that matches must be the one that ServeMux, by which
// decisions are named, takes.
func TestTheFirstEndpointThatMatchesIsTheOneDecisionsName(t *testing.T) {
	segs := []string{"a", "b", "{x}", "{y}", "", "{$}", "{r...}"}
	rapid.Check(t, func(t *rapid.T) {
		mux := http.NewServeMux()
		var site []string
		for range rapid.IntRange(1, 8).Draw(t, "patterns") {
			p := rapid.SampledFrom([]string{"GET ", "HEAD ", "POST ", ""}).Draw(t, "method") + rapid.SampledFrom([]string{"", "", "shop.example"}).Draw(t, "host")
			for n, i := rapid.IntRange(1, 3).Draw(t, "segments"), 0; i < n; i++ {
				p += "/" + rapid.SampledFrom(segs).Draw(t, "segment")
			}
			if accepts(mux, p) {
				site = append(site, p)
			}
		}
		table, _, err := EndpointTable(nil, site)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			method := rapid.SampledFrom([]string{"GET", "HEAD", "POST"}).Draw(t, "of request")
			host := rapid.SampledFrom([]string{"shop.example", "other.example"}).Draw(t, "its host")
			path := ""
			for n, i := rapid.IntRange(1, 3).Draw(t, "length"), 0; i < n; i++ {
				path += "/" + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "part")
			}
			handler, pattern := mux.Handler(httptest.NewRequest(method, "http://"+host+path, nil))
			if _, ok := handler.(here); !ok {
				continue // nothing, or a redirect to the path with a slash
			}
			named := pattern
			if !strings.Contains(pattern, " ") {
				named = method + " " + pattern
			}
			first := ""
			for _, e := range table {
				if slices.Contains(e.Methods(), method) && (e.Host() == "" || e.Host() == host) && regexp.MustCompile(e.PathExpr()).MatchString(path) {
					first = e.Pattern
					break
				}
			}
			if _, err := readPattern(named); err == nil && first != named {
				t.Fatalf("%s %s%s: the first is %q, decisions name %q; %q", method, host, path, first, named, site)
			}
		}
	})
}

type here struct{ http.Handler }

func accepts(mux *http.ServeMux, pattern string) (ok bool) {
	defer func() { ok = recover() == nil }()
	mux.Handle(pattern, here{})
	return true
}

// FuzzPattern looks for a pattern out of which more than an expression comes.
func FuzzPattern(f *testing.F) {
	for _, p := range append(slices.Clone(wellKnown), "GET /products/{id}", "POST shop.example/{a...}", "GET /{$}", "POST /a\nb", "POST /é") {
		f.Add(p)
	}
	safe := regexp.MustCompile(`^[A-Za-z0-9^$\[\].*+?/_~:@-]*$`)
	f.Fuzz(func(t *testing.T, pattern string) {
		table, _, err := EndpointTable([]string{pattern}, nil)
		if err != nil {
			return
		}
		for _, e := range table {
			expr := e.PathExpr()
			if !safe.MatchString(expr) || !safe.MatchString(e.Host()) || !strings.HasPrefix(expr, "^/") || !strings.HasSuffix(expr, "$") || len(e.Methods()) == 0 {
				t.Errorf("%q: %q at %q", pattern, expr, e.Host())
			}
			if _, err := regexp.Compile(expr); err != nil {
				t.Errorf("%q: %v", pattern, err)
			}
		}
	})
}
