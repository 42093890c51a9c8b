package enrich

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"weir/event"
)

// readPattern finds in the pattern where an item's value stands in a path.
func (e *Endpoint) readPattern() (fault string) {
	path := e.Pattern
	if method, rest, ok := strings.Cut(e.Pattern, " "); ok {
		e.method, path = method, rest
	}
	if name, ok := strings.CutPrefix(e.Item, "query."); ok {
		if name == "" || len(name) > maxParameter {
			return fmt.Sprintf("item: %s, the parameter's name must be 1 to %d bytes", e.Item, maxParameter)
		}
		e.parameter = name
		return ""
	}
	e.host = !strings.HasPrefix(path, "/")
	_, path, _ = strings.Cut(path, "/")
	for i, seg := range strings.Split(path, "/") {
		name, ok := strings.CutPrefix(seg, "{")
		name = strings.TrimSuffix(name, "}")
		if !ok || name == "$" {
			continue
		}
		name, rest := strings.CutSuffix(name, "...")
		if e.Item == "" || e.Item == name {
			e.segment, e.rest = i, rest
		}
	}
	if e.Item != "" && e.segment < 0 {
		return fmt.Sprintf("item: %s, must be query.NAME or a placeholder of the pattern", e.Item)
	}
	return ""
}

// register hands the patterns to the ServeMux. Its only way to say that a
// pattern is wrong or says the same as another one is to panic.
func (s *Site) register() {
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		if strings.ContainsAny(e.Pattern, "?#") {
			s.doc.fault(e.at, "pattern %q: has a query or a fragment; endpoints are told apart by method, host and path, and only their outcomes also by query (failure: 'query contains \"…\"')", e.Pattern)
			continue
		}
		if what := tryHandle(s.mux, e); what != "" {
			for j := 0; j < i && tryHandle(http.NewServeMux(), e) == ""; j++ {
				pair := http.NewServeMux()
				if tryHandle(pair, &s.Endpoints[j]) == "" && tryHandle(pair, e) != "" {
					what = fmt.Sprintf("conflicts with %q in line %d: %s", s.Endpoints[j].Pattern, s.Endpoints[j].at.line, reason(what))
					break
				}
			}
			s.doc.fault(e.at, "pattern %q: %s", e.Pattern, what)
		}
		s.byPattern[e.Pattern] = e
		s.hosts = s.hosts || e.host
	}
}

func tryHandle(mux *http.ServeMux, e *Endpoint) (fault string) {
	defer func() {
		if r := recover(); r != nil {
			fault = reason(fmt.Sprint(r))
		}
	}()
	mux.Handle(e.Pattern, e)
	return ""
}

// reason is the end of what ServeMux says, without the places in Go sources
// that mean nothing to an operator.
func reason(s string) string {
	if i := strings.LastIndex(s, ":\n"); i >= 0 {
		s = s[i+2:]
	} else if i := strings.Index(s, ": "); i >= 0 && strings.HasPrefix(s, "parsing ") {
		s = s[i+2:]
	}
	return strings.Join(strings.Fields(s), " ")
}

// ServeHTTP does nothing: an Endpoint is a handler only so that a ServeMux can
// find it.
func (e *Endpoint) ServeHTTP(http.ResponseWriter, *http.Request) {}

var _ http.Handler = (*Endpoint)(nil)

// compile makes the conditions of the endpoints.
func (s *Site) compile(compile func(string) (func(*event.Event) bool, error)) error {
	var errs []error
	condition := func(name, text string, at place) func(*event.Event) bool {
		if text == "" {
			return nil
		}
		if compile == nil {
			errs = append(errs, s.doc.at(at, name+": nothing here compiles expressions"))
			return nil
		}
		match, err := compile(text)
		if err != nil {
			errs = append(errs, s.doc.at(at, fmt.Sprintf("%s: %v", name, err)))
		}
		return match
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		e.failureMatch = condition("failure", e.Failure, e.failureAt)
		e.successMatch = condition("success", e.Success, e.successAt)
	}
	return errors.Join(errs...)
}
