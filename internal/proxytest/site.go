package proxytest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Password is the one password that the site's log-in takes.
const Password = "correct horse"

// Site starts a site to stand behind a proxy and returns its address: a log-in
// at POST /login that answers 401 or 200, and 200 for all else.
func Site(t testing.TB) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("password") != Password {
			http.Error(w, "wrong password", http.StatusUnauthorized)
			return
		}
		answer(w, "welcome\n")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { answer(w, "ok\n") })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func answer(w io.Writer, text string) {
	_, _ = io.WriteString(w, text) // a client that has gone away is no fault
}
