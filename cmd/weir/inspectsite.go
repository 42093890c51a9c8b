package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weir/enrich"
	"weir/event"
)

// siteLines is how many endpoints a proposed site file has at most.
const siteLines = 40

// siteFile proposes a site file that says what was guessed, for an operator to
// correct. It is empty where nothing worth saying was guessed.
func (t *endpointTally) siteFile() string {
	const head = "endpoints:\n"
	file := head
	lines := 0
	named := map[string]int{} // what a query decides cannot be said in a pattern
	for k := range t.by {
		named[k.name]++
	}
	for _, e := range t.sorted() {
		if lines == siteLines {
			break
		}
		if named[e.name] > 1 || !t.matters(e) || !strings.HasPrefix(e.explained.Kind, "guessed") {
			continue
		}
		entry, ok := e.siteEntry()
		if !ok {
			continue
		}
		// Two shapes may be patterns of which ServeMux could not say which counts.
		if _, err := enrich.ParseSite("site.yaml", []byte(file+entry)); err != nil {
			continue
		}
		file += entry
		lines++
	}
	if lines == 0 {
		return ""
	}
	return file
}

// siteEntry returns the endpoint's lines of a site file, in which the guesses
// of package enrich stand as conditions; ok is false where it cannot be one.
// A site file takes what is no failure for a success, unless it says what is
// one: so both are given, and what is neither stays without an outcome.
func (e *oneEndpoint) siteEntry() (lines string, ok bool) {
	pattern, ok := servePattern(e.name)
	if !ok {
		return "", false
	}
	quoted := event.AppendJSONString(nil, pattern)
	failure, success := e.siteOutcomes()
	switch {
	case failure != "":
		return fmt.Sprintf("  - pattern: %s\n    kind: %s\n    failure: %s\n    success: %s\n", quoted, e.kind, failure, success), true
	case tryKinds>>e.kind&1 == 1 && !strings.HasPrefix(e.name, "GET "):
		return fmt.Sprintf("  - pattern: %s\n    kind: %s  # its answers do not tell what came of it: add failure:\n", quoted, e.kind), true
	}
	return fmt.Sprintf("  - {pattern: %s, kind: %s}\n", quoted, e.kind), true
}

// siteOutcomes returns the conditions of an endpoint whose outcomes were guessed.
func (e *oneEndpoint) siteOutcomes() (failure, success string) {
	profile, guessed := strings.CutPrefix(e.explained.Outcome, "guessed: ")
	if tryKinds>>e.kind&1 == 0 || !guessed {
		return "", ""
	}
	refused := []int32{400, 401, 402, 403, 409, 422}
	switch e.kind {
	case event.Login:
		refused = append(refused, 406, 423, 429)
	case event.Giftcard, event.Balance, event.Reset, event.Transfer:
		refused = append(refused, 404) // there is no such card or account
	}
	slices.Sort(refused)
	failure = "status in [" + strings.Trim(fmt.Sprint(refused), "[]") + "]"
	failure = strings.ReplaceAll(failure, " 4", ", 4")
	if e.kind == event.Reset {
		return failure, `"false"  # asking for a reset proves nothing`
	}
	if form, sure := e.formAgain(); sure {
		return fmt.Sprintf("%s or status == %d  # if %d is the form again; where that is a success, it is for success:", failure, form, form), "status >= 300 and status < 400"
	}
	switch profile {
	case "form that redirects on success":
		return failure + " or status >= 200 and status < 300", "status >= 300 and status < 400"
	case "redirect either way":
		return failure, "status >= 200 and status < 300"
	case "answer in the body":
		return failure, `"false"  # the answer is in the body, a 200 tells nothing`
	}
	return failure, "status >= 200 and status < 400"
}

// placeholder is what a shape puts in the place of a whole segment.
var placeholder = regexp.MustCompile(`^\{([a-z]+)\}$`)

// servePattern turns the endpoint that a path's shape gave into a pattern of
// net/http.ServeMux. Placeholders there are whole segments with names of their
// own, and {...} stands only at the end.
func servePattern(endpoint string) (pattern string, ok bool) {
	method, path, ok := strings.Cut(endpoint, " ")
	if !ok || method == "HEAD" || method == "OTHER" || !strings.HasPrefix(path, "/") {
		return "", false
	}
	used := map[string]int{}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		switch m := placeholder.FindStringSubmatch(s); {
		case m != nil:
			name := m[1]
			if used[name]++; used[name] > 1 {
				name = fmt.Sprintf("%s%d", name, used[name])
			}
			segments[i] = "{" + name + "}"
		case s == "{...}" && i == len(segments)-1:
			segments[i] = "{rest...}"
		case strings.ContainsAny(s, "{}"):
			return "", false
		}
	}
	if path == "/" {
		segments = []string{"", "{$}"}
	}
	return method + " " + strings.Join(segments, "/"), true
}
