package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// route is one thing that can be asked for.
type route struct {
	method  string
	path    string
	changes bool // only on the socket
	answer  func(a *Server, r *http.Request) (any, error)
	within  time.Duration // how long an answer may take; 0: writeTimeout
}

// routes is everything there is, but for /metrics, which Prometheus's own
// handler answers.
var routes = []route{
	{"GET", "/healthz", false, (*Server).health, 0},
	{"GET", "/readyz", false, (*Server).ready, 0},
	{"GET", "/api/v1/status", false, (*Server).status, 0},
	{"GET", "/api/v1/decisions", false, (*Server).decisions, 0},
	{"GET", "/api/v1/why", false, (*Server).why, 0},
	{"POST", "/api/v1/block", true, (*Server).block, 0},
	{"POST", "/api/v1/unblock", true, (*Server).unblock, 0},
	{"POST", "/api/v1/approve", true, (*Server).approve, 0},
	{"POST", "/api/v1/stop", true, (*Server).stop, 0},
	{"POST", "/api/v1/resume", true, (*Server).resume, 0},
	{"POST", "/api/v1/reload", true, (*Server).reload, reloadTimeout},
}

const metricsPath = "/metrics"

// fault is an answer that is not the one that was asked for.
type fault struct {
	code int
	text string
}

func (f *fault) Error() string { return f.text }

func refuse(code int, format string, args ...any) error {
	return &fault{code, fmt.Sprintf(format, args...)}
}

// handler answers what comes by a listener; changes says that it is the socket.
func (a *Server) handler(changes bool) http.Handler {
	table := map[string]*route{}
	for i := range routes {
		table[routes[i].path] = &routes[i]
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if !changes && !local(r.Host) {
			// A page that a browser was lured to may resolve its own name to
			// this machine; the name gives it away.
			a.reply(w, "", http.StatusMisdirectedRequest, problem("the api answers to this machine's own names only, such as 127.0.0.1"))
			return
		}
		if r.URL.Path == metricsPath && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
			a.requests.add(metricsPath, http.StatusOK)
			a.metrics.ServeHTTP(w, r)
			return
		}
		rt := table[r.URL.Path]
		switch {
		case rt == nil && r.URL.Path != metricsPath:
			a.reply(w, "", http.StatusNotFound, problem("there is nothing here; see /api/v1/status"))
		case rt == nil || r.Method != rt.method && !(r.Method == http.MethodHead && rt.method == http.MethodGet):
			allowed := http.MethodGet
			if rt != nil {
				allowed = rt.method
			}
			h.Set("Allow", allowed)
			a.reply(w, r.URL.Path, http.StatusMethodNotAllowed, problem("the method here is "+allowed))
		case rt.changes && !changes:
			a.reply(w, rt.path, http.StatusForbidden, problem("nothing is changed over the network; use the weir command on this machine"))
		default:
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			r, done, err := allow(w, r, rt.within)
			var doc any
			if err == nil {
				doc, err = rt.answer(a, r)
			}
			done()
			code := http.StatusOK
			if f, ok := errors.AsType[*fault](err); ok {
				code = f.code
			} else if err != nil {
				code = http.StatusInternalServerError
			}
			if err != nil && doc == nil {
				doc = problem(err.Error())
			}
			a.reply(w, rt.path, code, doc)
		}
	})
}

// allow gives an answer more time than others have: the connection's deadline
// for writing moves behind it, and the request's context ends before that.
func allow(w http.ResponseWriter, r *http.Request, within time.Duration) (_ *http.Request, done context.CancelFunc, err error) {
	if within == 0 {
		return r, func() {}, nil
	}
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(within + writeTimeout)); err != nil {
		return r, func() {}, fmt.Errorf("api: %w", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), within)
	return r.WithContext(ctx), cancel, nil
}

// problem is the document of an answer that is none.
func problem(text string) any { return map[string]string{"error": text} }

func (a *Server) reply(w http.ResponseWriter, path string, code int, doc any) {
	a.requests.add(path, code)
	b, err := json.Marshal(doc)
	if err != nil {
		code, b = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written as json"}`)
		a.cfg.Log.Error("api", "path", path, "err", err)
	}
	b = append(printable(b), '\n')
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(code)
	if _, err := w.Write(b); err != nil {
		a.cfg.Log.Debug("api: the client went away", "path", path, "err", err)
	}
}

// printable escapes what JSON allows in a string and a terminal does not show
// as it is. Outside of strings JSON is ASCII, so that all of it is in strings.
func printable(b []byte) []byte {
	ok := true
	for _, c := range b {
		ok = ok && c >= 0x20 && c < 0x7f
	}
	if ok {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		// Beyond the basic plane an escape would be two, which not every reader
		// of decisions puts together again.
		if r < utf8.RuneSelf && r != 0x7f || r > 0xffff || r >= utf8.RuneSelf && r != utf8.RuneError && unicode.IsPrint(r) {
			out = append(out, b[:n]...)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out
}

// local reports whether a request's Host is this machine.
func local(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}

// read decodes a request's body, all of it, and nothing that is not known.
func read(r *http.Request, into any) error {
	b, err := io.ReadAll(r.Body)
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return refuse(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", maxBody)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "the body could not be read: %v", err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return refuse(http.StatusBadRequest, "the body is not the json that is expected: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return refuse(http.StatusBadRequest, "the body has more in it than one json object")
	}
	return nil
}

// counters counts answers by route and code: both are ours, and few.
type counters struct {
	mu sync.Mutex
	n  map[answered]int64
}

type answered struct {
	route string
	code  int
}

func (c *counters) add(route string, code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[answered]int64{}
	}
	c.n[answered{route, code}]++
}

func (c *counters) each(f func(route string, code int, n int64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, n := range c.n {
		f(k.route, k.code, n)
	}
}
