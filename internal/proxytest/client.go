package proxytest

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// client opens a connection for each request, so that none is served by a
// process that is about to end.
var client = http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// Ask sends a request as a client with that address, "POST /login", and returns
// the status and the body of the answer.
func Ask(t testing.TB, site, address, request string) (status int, body string) {
	t.Helper()
	method, path, _ := strings.Cut(request, " ")
	req, err := http.NewRequestWithContext(t.Context(), method, site, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	where, err := url.ParseRequestURI(path) // as it is, not cleaned
	if err != nil {
		t.Fatal(err)
	}
	where.Scheme, where.Host = req.URL.Scheme, req.URL.Host
	req.URL = where
	req.Header.Set("X-Forwarded-For", address)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// Lines waits until a log has n lines with a text in them and returns these:
// proxies write a line when the answer is already on its way.
func Lines(t testing.TB, path, with string, n int) []string {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(string(text)) {
			if strings.HasSuffix(line, "\n") && strings.Contains(line, with) {
				lines = append(lines, strings.TrimSuffix(line, "\n"))
			}
		}
		if len(lines) >= n {
			return lines
		}
		if time.Now().After(end) {
			t.Fatalf("%s has %d lines with %q, must have %d", path, len(lines), with, n)
		}
	}
}
