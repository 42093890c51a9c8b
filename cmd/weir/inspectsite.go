package main

import (
	"fmt"
	"regexp"
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
	for _, e := range t.sorted() {
		if lines == siteLines {
			break
		}
		if e.kind == event.NoKind || e.kind == event.Asset || e.kind == event.Health || !strings.HasPrefix(e.explained.Kind, "guessed") {
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

// What the status of an answer says, as weir guesses it, in the words of a
// site file. Where both are given, what is neither has no outcome.
const (
	failureByStatus = "status in [400, 401, 402, 403, 409, 422]"
	failureOfItems  = "status in [400, 401, 402, 403, 404, 409, 422]" // there is no such card or account
	successByStatus = "status >= 200 and status < 400"
	failureOfForm   = "status >= 200 and status < 300 or status in [400, 401, 403]"
	successOfForm   = "status >= 300 and status < 400"
)

// siteEntry returns the endpoint's line of a site file; ok is false where it
// cannot be one.
func (e *oneEndpoint) siteEntry() (line string, ok bool) {
	pattern, ok := servePattern(e.name)
	if !ok {
		return "", false
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  - {pattern: %s, kind: %s", event.AppendJSONString(nil, pattern), e.kind)
	note := ""
	switch {
	case tryKinds>>e.kind&1 == 0:
	case strings.HasSuffix(e.explained.Outcome, "form that redirects on success"):
		fmt.Fprintf(&b, ", failure: %q, success: %q", failureOfForm, successOfForm)
	case e.explained.Outcome != "":
		failure := failureByStatus
		if e.kind == event.Giftcard || e.kind == event.Balance || e.kind == event.Reset || e.kind == event.Transfer {
			failure = failureOfItems
		}
		fmt.Fprintf(&b, ", failure: %q, success: %q", failure, successByStatus)
	case !strings.HasPrefix(e.name, "GET "):
		note = "  # its answers do not tell whether it worked: add failure:"
	}
	b.WriteString("}" + note + "\n")
	return b.String(), true
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
