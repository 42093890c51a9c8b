package proxytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Password is the one password that the site's log-in takes.
const Password = "correct horse"

// Site starts a site to stand behind a proxy and returns its address: log-ins
// at POST /login and POST /signin, the wrong password is 401 and 422 there, and
// 200 for all else.
func Site(t testing.TB) string {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, wrong := range map[string]int{"POST /login": http.StatusUnauthorized, "POST /signin": http.StatusUnprocessableEntity} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if r.PostFormValue("password") != Password {
				http.Error(w, "wrong password", wrong)
				return
			}
			answer(w, "welcome\n")
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { answer(w, "ok\n") })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func answer(w io.Writer, text string) {
	_, _ = io.WriteString(w, text) // a client that has gone away is no fault
}
