package enrich

import (
	"strings"
	"testing"

	"weir/event"
)

func TestKindsAreGuessedFromNames(t *testing.T) {
	for _, c := range []struct{ requests, want string }{
		{"POST /login", "login"}, {"GET /login", ""}, {"OPTIONS /login", ""}, {"PUT /Login/", "login"}, {"POST /signin.php", "login"},
		{"POST /wp-login.php", "login"}, {"POST /xmlrpc.php", "login"}, {"GET /xmlrpc.php", ""}, {"POST /api/v1/auth/login", "login"},
		{"POST /api/v1/auth/token", "login"}, {"POST /oauth/token", "login"}, {"POST /csrf/token", ""}, {"POST /sessions", "login"},
		{"POST /j_security_check", "login"}, {"POST /login/password", "login"}, {"POST /accounts/login/", "login"},
		{"POST /customer/account/loginPost/", "login"}, {"POST /logout", ""}, {"DELETE /login", "login"},
		{"POST /my-account/", "login"}, {"GET /my-account/", "account"}, {"POST /my-account", "account"}, {"POST /my-account/edit-account/", "account"},
		{"POST /register", "signup"}, {"GET /register", ""}, {"POST /users/sign_up", "signup"}, {"POST /customer/account/createpost", "signup"},
		{"POST /password/reset", "reset"}, {"POST /forgot-password", "reset"}, {"POST /password/email", "reset"}, {"POST /users/password", "reset"},
		{"POST /api/reset-password/confirm", "reset"},
		{"GET /search", "search"}, {"GET /api/suggest", "search"}, {"GET /products", "listing"}, {"GET /category/shoes", "listing"},
		{"GET /products/12", "product"}, {"GET /shop/item/12", "product"}, {"GET /product.php", "product"}, {"GET /collections/x/products/y", "product"},
		{"GET /api/stock/12", "inventory"}, {"POST /cart/add", "cart"}, {"GET /basket", "cart"}, {"POST /checkout", "checkout"},
		{"POST /orders", "checkout"}, {"GET /orders", ""}, {"POST /api/transfer", "transfer"}, {"GET /api/accounts/1/balance", "balance"},
		{"POST /gift-card/balance", "giftcard"}, {"GET /account/profile", "account"}, {"GET /tag/payments", "listing"},
		{"GET /health", "health"}, {"GET /actuator/health", "health"}, {"GET /status", "health"}, {"GET /news/a/b/status", ""},
		{"GET /robots.txt", "asset"}, {"GET /favicon.ico", "asset"}, {"GET /a/b/app.js", "asset"}, {"GET /LOGO.PNG", "asset"},
		{"GET /", ""}, {"GET /about", ""}, {"POST /", ""}, {" ", ""},
	} {
		method, path, _ := strings.Cut(c.requests, " ")
		if got := guessKind(method, path, make([]byte, maxGuess)).String(); got != c.want {
			t.Errorf("%s: %q, want %q", c.requests, got, c.want)
		}
	}
}

func TestOutcomesAreGuessedFromApplications(t *testing.T) {
	w := newWorker(t, Config{})
	for _, c := range []struct {
		request string
		status  int32
		want    string // kind outcome
	}{
		{"POST /wp-login.php", 200, "login failure"}, {"POST /wp-login.php", 302, "login success"}, {"POST /wp-login.php", 403, "login failure"},
		{"POST /wp-login.php", 503, "login "}, {"POST /wp-login.php", 429, "login failure"}, {"POST /wp-login.php", 406, "login failure"},
		{"POST /blog/wp-login.php?action=register", 302, "signup success"}, {"POST /wp-login.php?action=lostpassword", 302, "reset "},
		{"POST /wp-login.php?action=postpass", 302, " "}, {"GET /wp-login.php", 200, " "},
		{"POST /xmlrpc.php", 200, "login "}, {"POST /xmlrpc.php", 403, "login failure"},
		{"POST /login", 200, "login success"}, {"POST /login", 302, "login success"}, {"POST /login", 401, "login failure"},
		{"POST /login", 422, "login failure"}, {"POST /login", 404, "login "}, {"POST /login", 500, "login "}, {"POST /login", 0, "login "},
		{"POST /user/login", 200, "login failure"}, {"POST /my-account/", 200, "login failure"}, {"POST /my-account/", 302, "login success"}, {"POST /j_security_check", 302, "login "}, {"POST /j_security_check", 401, "login failure"},
		{"POST /register", 409, "signup failure"}, {"POST /register", 201, "signup success"},
		{"GET /gift-card/balance", 404, "giftcard failure"}, {"GET /gift-card/balance", 200, "giftcard success"},
		{"GET /checkout", 200, "checkout "}, {"POST /checkout", 402, "checkout failure"},
		{"POST /checkout", 302, "checkout "}, {"POST /checkout", 201, "checkout success"}, {"GET /balance", 302, "balance "},
		{"POST /transfer", 303, "transfer "}, {"GET /gift-card/balance", 307, "giftcard "}, {"POST /register", 302, "signup success"},
		{"GET /products/1", 200, "product "}, {"GET /?s=shoes", 200, "search "}, {"GET /", 200, " "},
	} {
		e := enrichOne(w, func(e *event.Event) {
			var target string
			e.Method, target, _ = strings.Cut(c.request, " ")
			e.Path, e.Query, _ = strings.Cut(target, "?")
			e.Status = c.status
		})
		if got := e.Kind.String() + " " + e.Outcome.String(); got != c.want {
			t.Errorf("%s %d: %q, want %q", c.request, c.status, got, c.want)
		}
	}
}

func TestTheLogsOwnWordCounts(t *testing.T) {
	w := newWorker(t, Config{})
	e := enrichOne(w, func(e *event.Event) {
		e.Method, e.Path, e.Status, e.Outcome, e.Fingerprint, e.Country, e.ASN = "POST", "/login", 200, event.Failure, "f1", "DE", 64500
	})
	if e.Outcome != event.Failure || e.Fingerprint != "f1" || e.SoftFingerprint || e.Country != "DE" || e.ASN != 64500 {
		t.Errorf("%+v", e)
	}
	if x := w.Explain(&e); x != (Explanation{"guessed: by shape", "guessed: by name", "log"}) {
		t.Errorf("%+v", x)
	}
}

func TestWhatIsGuessedIsTold(t *testing.T) {
	s, err := ParseSite("site.yaml", []byte("endpoints:\n  - {pattern: \"POST /enter\", kind: login, failure: \"401\"}\n  - {pattern: \"POST /login\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorker(t, Config{Site: s, Compile: statusCondition})
	for _, c := range []struct {
		path string
		want Explanation
	}{
		{"/enter", Explanation{"site file", "site file", "site file"}},
		{"/login", Explanation{"site file", "guessed: by name", "guessed: status"}},
		{"/wp-login.php", Explanation{"guessed: by shape", "guessed: by name", "guessed: form that redirects on success"}},
		{"/about", Explanation{Endpoint: "guessed: by shape"}},
	} {
		e := enrichOne(w, func(e *event.Event) { e.Method, e.Path, e.Status = "POST", c.path, 302 })
		if x := w.Explain(&e); x != c.want {
			t.Errorf("%s: %+v, want %+v", c.path, x, c.want)
		}
	}
}

func TestOddRequestsHaveEndpoints(t *testing.T) {
	w := newWorker(t, Config{})
	for _, c := range []struct{ method, path, want string }{
		{"", "\x16\x03\x01\x02", "{invalid}"}, {"", "", "{invalid}"}, {"OPTIONS", "*", "OPTIONS {invalid}"}, {"", "/a", "/a"},
		{"get", "/a", "OTHER /a"}, {strings.Repeat("X", 2000), "/a", "OTHER /a"}, {"CONNECT", "a.example:443", "CONNECT {invalid}"},
		{"GET", "/" + strings.Repeat("a/", 1000), "GET /a/a/a/a/a/a/a/a/{...}"},
	} {
		e := enrichOne(w, func(e *event.Event) { e.Method, e.Path = c.method, c.path })
		if e.Endpoint != c.want {
			t.Errorf("%q %q: %q, want %q", c.method, c.path, e.Endpoint, c.want)
		}
	}
}
