package emit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// The limits on the endpoints of a point. Its configuration has a line for
// each, which the proxy tries for each request.
const (
	maxEndpoints = 256
	maxPattern   = 200 // bytes
)

// wellKnown are log-ins and sign-ups as decisions name them on a site without a
// site file. They are all of a method that sends something and have no
// placeholder, so that each stands for one path.
var wellKnown = []string{
	"POST /login", "POST /signin", "POST /sign-in", "POST /auth", "POST /auth/login", "POST /auth/signin",
	"POST /user/login", "POST /users/login", "POST /users/sign_in", "POST /account/login", "POST /accounts/login", "POST /admin/login",
	"POST /session", "POST /sessions", "POST /authenticate", "POST /login.php", "POST /login.html", "POST /login.aspx",
	"POST /api/login", "POST /api/signin", "POST /api/auth/login", "POST /api/auth/signin", "POST /api/v1/login", "POST /api/v1/auth/login",
	"POST /api/v2/login", "POST /api/user/login", "POST /api/users/login", "POST /api/session", "POST /api/sessions", "POST /rest/user/login",
	"POST /oauth/token", "POST /oauth2/token", "POST /connect/token", "POST /token", "POST /api/token", "POST /identity/connect/token",
	"POST /wp-login.php", "POST /xmlrpc.php", "POST /j_security_check", "POST /customer/account/loginPost",
	"POST /register", "POST /signup", "POST /sign-up", "POST /registration", "POST /user/register", "POST /users/register",
	"POST /account/register", "POST /accounts/signup", "POST /auth/register", "POST /auth/signup", "POST /api/register", "POST /api/signup",
	"POST /api/auth/register", "POST /api/v1/register", "POST /wp-signup.php", "POST /customer/account/createpost",
	"POST /forgot-password", "POST /reset-password", "POST /password/email", "POST /password/reset", "POST /api/auth/forgot-password",
}

// bare are the methods that a pattern without one is taken apart into, since
// decisions name them one by one.
var bare = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}

// named are the methods by which an endpoint may be told apart.
var named = append(slices.Clone(bare), "OPTIONS", "PROPFIND", "REPORT", "SEARCH")

// EndpointTable returns the endpoints that a point can tell apart, the special
// before the general: the first that matches a request is the one that
// decisions name. Own are the patterns of the operator for this point, whose
// faults are errors; site those of the site file, those that matter most first,
// of which the ones that no proxy could be told are left out, with a reason, as
// are well-known ones for which no room is left.
func EndpointTable(own, site []string) (table []Endpoint, left []string, err error) {
	var all []pattern
	byID := map[string]string{}
	add := func(text string) error {
		ps, err := readPatterns(text)
		if err != nil {
			return err
		}
		for _, p := range ps {
			name := p.String()
			switch id := endpointID(name); {
			case byID[id] == name:
				if i := slices.IndexFunc(all, func(q pattern) bool { return q.String() == name }); !p.bare {
					all[i].bare = false
				}
			case byID[id] != "":
				return fmt.Errorf("endpoint %q: has the same id as %q", name, byID[id])
			case len(all) == maxEndpoints:
				return fmt.Errorf("endpoint %q: is one more than the %d that a point can tell apart", name, maxEndpoints)
			default:
				byID[id] = name
				all = append(all, p)
			}
		}
		return nil
	}
	for _, text := range own {
		if err := add(text); err != nil {
			return nil, nil, err
		}
	}
	for _, text := range site {
		if err := add(text); err != nil {
			left = append(left, err.Error())
		}
	}
	given := len(all)
	for _, text := range wellKnown {
		p, err := readPattern(text)
		if err == nil && slices.ContainsFunc(all[:given], p.within) {
			continue // decisions name it by the pattern of the operator
		}
		if err := add(text); err != nil {
			left = append(left, err.Error())
		}
	}
	slices.SortFunc(all, comparePatterns)
	for _, p := range all {
		name := p.String()
		table = append(table, Endpoint{ID: endpointID(name), Pattern: name})
	}
	return table, left, nil
}

// endpointID is how the configurations of points and lists name an endpoint.
func endpointID(pattern string) string {
	sum := sha256.Sum256([]byte(pattern))
	return "e" + hex.EncodeToString(sum[:4])
}

// Methods returns the methods of the requests that are of this endpoint: as in
// net/http.ServeMux, GET stands for HEAD too (what is named HEAD stands before
// it in the table). None: it is no pattern that EndpointTable would make.
func (e Endpoint) Methods() []string {
	p, err := readPattern(e.Pattern)
	switch {
	case err != nil:
		return nil
	case p.method == "GET":
		return []string{"GET", "HEAD"}
	}
	return []string{p.method}
}

// Host returns the host that the endpoint is of, in lower case; empty: any.
func (e Endpoint) Host() string {
	p, err := readPattern(e.Pattern)
	if err != nil {
		return ""
	}
	return strings.ToLower(p.host)
}

// PathExpr returns a regular expression that matches the whole of a path, for
// the configurations of proxies; empty where Methods has none. It is made of
// letters, digits and ^ $ [ ] . * + ? / - _ ~ : @ only. The path must be one
// whose escapes were decoded and whose dots and double slashes are gone, as
// nginx's $uri.
func (e Endpoint) PathExpr() string {
	p, err := readPattern(e.Pattern)
	if err != nil {
		return ""
	}
	var b strings.Builder
	b.WriteByte('^')
	plain := true
	for _, s := range p.segments {
		b.WriteByte('/')
		switch s.kind {
		case literal:
			b.WriteString(strings.ReplaceAll(s.text, ".", "[.]"))
		case placeholder:
			b.WriteString("[^/]+")
		case rest:
			b.WriteString(".*")
		}
		plain = plain && (s.kind == literal || s.kind == placeholder)
	}
	if plain {
		b.WriteString("/?") // decisions name a path with and without a slash at its end alike
	}
	b.WriteByte('$')
	return b.String()
}
