package enrich

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"weir/event"
)

// The limits of a site file.
const (
	maxSiteFile      = 1 << 20 // bytes
	maxSiteEndpoints = 2000
	maxSiteAllows    = 10000
)

// Site is what an operator said about a site: what its endpoints mean, who is
// never to be refused, and which query parameters are secret besides the
// well-known ones.
type Site struct {
	File      string
	Endpoints []Endpoint
	Allow     []Allow
	Secrets   []string

	doc       document
	mux       *http.ServeMux
	byPattern map[string]*Endpoint
	hosts     bool // some pattern names a host
}

// Endpoint is what a site file says about the requests that match a pattern of
// net/http.ServeMux.
type Endpoint struct {
	Pattern    string
	Kind       event.Kind
	Guess      bool   // the file does not say what it is for
	Failure    string // expressions; empty: not given
	Success    string
	Deprecated bool
	Item       string // query.NAME or the name of a placeholder; empty: the last placeholder

	method                     string // empty: any
	host                       bool   // it names one
	segment                    int    // of the path, which is the item's value; -1: none
	rest                       bool   // from there on to the end
	parameter                  string // of the query, instead
	at, failureAt, successAt   place
	failureMatch, successMatch func(*event.Event) bool
}

// Allow is an exception: what matches is spared the actions of the rules until
// it ends.
type Allow struct {
	Match   event.Target
	Actions []event.Action
	Rules   []string // ids or patterns such as ato.*
	Owner   string
	Reason  string
	Until   time.Time // zero: no end
	Line    int       // in the site file
}

// ParseSite reads a site file. All its faults come as one error, each with
// file, line, column and a caret.
func ParseSite(file string, src []byte) (*Site, error) {
	if len(src) > maxSiteFile {
		return nil, fmt.Errorf("%s: %d bytes, must be at most %d", file, len(src), maxSiteFile)
	}
	s := &Site{File: file, mux: http.NewServeMux(), byPattern: map[string]*Endpoint{}}
	s.doc = document{file: file, lines: strings.Split(string(src), "\n")}
	d := &s.doc
	d.members("site", d.parse(src), map[string]func(ast.Node){
		"endpoints": func(n ast.Node) {
			for _, e := range d.list("endpoints", n) {
				s.readEndpoint(e)
			}
		},
		"allow": func(n ast.Node) {
			for _, e := range d.list("allow", n) {
				s.readAllow(e)
			}
		},
		"query_secrets": func(n ast.Node) {
			for _, name := range d.texts("query_secrets", n) {
				if name == "" || len(name) > maxParameter {
					d.fault(placeOf(n), "query_secrets: %q, must be 1 to %d bytes", name, maxParameter)
				}
				s.Secrets = append(s.Secrets, strings.ToLower(name))
			}
		},
	})
	if len(s.Endpoints) > maxSiteEndpoints {
		d.fault(s.Endpoints[maxSiteEndpoints].at, "endpoints: %d, must be at most %d", len(s.Endpoints), maxSiteEndpoints)
	}
	if len(s.Allow) > maxSiteAllows {
		d.fault(place{s.Allow[maxSiteAllows].Line, 1}, "allow: %d, must be at most %d", len(s.Allow), maxSiteAllows)
	}
	if len(d.faults) == 0 {
		s.register()
	}
	if err := errors.Join(d.faults...); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Site) readEndpoint(n ast.Node) {
	d := &s.doc
	e := Endpoint{Guess: true, segment: -1, at: placeOf(n)}
	var itemAt place
	seen := d.members("endpoints", d.mapping("endpoints", n), map[string]func(ast.Node){
		"pattern": func(n ast.Node) {
			e.Pattern, e.at = strings.Join(strings.Fields(d.text("pattern", n)), " "), placeOf(n)
		},
		"kind": func(n ast.Node) {
			name := d.text("kind", n)
			k, ok := event.KindByName(name)
			if !ok && name != "none" { // no kind, and none is guessed
				d.fault(placeOf(n), "kind: there is no kind %s%s; those that there are: %s, or none", name, hint(name, kindNames()), strings.Join(kindNames()[1:], " "))
			}
			e.Kind, e.Guess = k, false
		},
		"failure":    func(n ast.Node) { e.Failure, e.failureAt = d.text("failure", n), placeOf(n) },
		"success":    func(n ast.Node) { e.Success, e.successAt = d.text("success", n), placeOf(n) },
		"deprecated": func(n ast.Node) { e.Deprecated = d.truth("deprecated", n) },
		"item":       func(n ast.Node) { e.Item, itemAt = d.text("item", n), placeOf(n) },
	})
	if _, ok := seen["pattern"]; !ok {
		d.fault(e.at, "endpoints: no pattern, each entry needs one such as \"POST /login\"")
		return
	}
	if what := e.readPattern(); what != "" {
		d.fault(itemAt, "%s", what)
	}
	s.Endpoints = append(s.Endpoints, e)
}

func kindNames() (names []string) {
	for k := range event.NumKinds {
		names = append(names, event.Kind(k).String())
	}
	return names
}
