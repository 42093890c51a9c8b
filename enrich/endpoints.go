package enrich

import (
	"net/http"
	"net/url"
	"strings"

	"weir/event"
)

// invalidEndpoint is the endpoint of what is no request for a path.
const invalidEndpoint = "{invalid}"

// methods are those that an endpoint is named by; any other is "OTHER", since
// a client can write what it likes there.
var methods = func() map[string]string {
	m := map[string]string{}
	for name := range stringSet("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH") {
		m[name] = name
	}
	return m
}()

const otherMethod = "OTHER"

// route is what method, site and path say about a request.
type route struct {
	endpoint string
	site     *Endpoint // what the site file says; nil: nothing
	from, to int32     // where in the clean path the item stands; empty: nowhere
	kind     event.Kind
	profile  profile
	login    bool // WordPress' login page, whose query says what it is used for
	root     bool // the front page, which WordPress also searches with
}

// The cache of routes.
const (
	routeSlots = 16384
	maxRoute   = 192
)

// router finds routes. It belongs to one worker.
type router struct {
	site    *Site
	hosts   bool // some pattern of the site file names one
	known   *memo[route]
	strings *interner
	key     []byte
	text    []byte
	lower   [maxGuess]byte
	request http.Request
	url     url.URL
}

// route returns what is known of a request; it is valid until the next call.
// The path is clean, or empty where it was none.
func (r *router) route(method, host, path string) *route {
	r.key = append(append(r.key[:0], method...), 0)
	if r.hosts {
		r.key = append(append(r.key, host...), 0)
	}
	r.key = append(r.key, path...)
	found, known := r.known.slot(r.key)
	if known {
		return found
	}
	if found == nil {
		found = new(route) // too long to be kept; rare
	}
	*found = r.resolve(method, host, path)
	return found
}

func (r *router) resolve(method, host, path string) route {
	named := methods[method]
	if named == "" && method != "" {
		named = otherMethod
	}
	if path == "" {
		return route{endpoint: r.name(named, invalidEndpoint)}
	}
	if e := r.match(method, host, path); e != nil {
		rt := route{endpoint: e.Pattern, site: e, kind: e.Kind, profile: profileOf(path)}
		if e.method == "" {
			rt.endpoint = r.name(named, e.Pattern)
		}
		if e.Guess {
			r.guess(&rt, method, path)
		}
		rt.from, rt.to = e.itemIn(path)
		return rt
	}
	rt := route{profile: profileOf(path)}
	r.text = append(r.text[:0], named...)
	if named != "" {
		r.text = append(r.text, ' ')
	}
	var from, to int
	r.text, from, to = appendShape(r.text, path)
	rt.endpoint, rt.from, rt.to = r.strings.text(r.text), int32(from), int32(to)
	r.guess(&rt, method, path)
	return rt
}

func (r *router) guess(rt *route, method, path string) {
	rt.kind = guessKind(method, path, r.lower[:])
	rt.login = rt.kind == event.Login && strings.HasSuffix(path, "/wp-login.php")
	rt.root = path == "/" || path == "/index.php"
}

func (r *router) name(method, pattern string) string {
	if method == "" {
		return pattern
	}
	r.text = append(append(append(r.text[:0], method...), ' '), pattern...)
	return r.strings.text(r.text)
}

// match asks the site's ServeMux. A page and the same with a slash at its end are one
// page to whoever writes a site file, so where nothing is for the one, what is for the
// other counts.
func (r *router) match(method, host, path string) *Endpoint {
	if r.site == nil || method == http.MethodConnect {
		return nil
	}
	e := r.matchOnly(method, host, path)
	if plain := strings.TrimSuffix(path, "/"); e == nil && plain != "" && plain != path {
		e = r.matchOnly(method, host, plain)
	}
	return e
}

func (r *router) matchOnly(method, host, path string) *Endpoint {
	r.url = url.URL{Path: path}
	if strings.IndexByte(path, '%') >= 0 {
		decoded, err := url.PathUnescape(path)
		if err != nil {
			return nil // a server would not read it either
		}
		r.url.Path, r.url.RawPath = decoded, path
	}
	r.request.Method, r.request.Host, r.request.URL = method, host, &r.url
	handler, pattern := r.site.mux.Handler(&r.request)
	r.url, r.request.Host, r.request.Method = url.URL{}, "", "" // they point into a batch
	if pattern == "" {
		return nil
	}
	if e, ok := handler.(*Endpoint); ok {
		return e
	}
	return r.site.byPattern[pattern] // the path without its slash at the end, which ServeMux redirects
}

// itemIn returns where the item stands in a clean path that matched.
func (e *Endpoint) itemIn(path string) (from, to int32) {
	if e.segment < 0 {
		return 0, 0
	}
	start := 1
	for range e.segment {
		next := nextSlash(path, start)
		if next == len(path) {
			return 0, 0
		}
		start = next + 1
	}
	end := len(path)
	if !e.rest {
		end = nextSlash(path, start)
	}
	return int32(start), int32(end)
}
