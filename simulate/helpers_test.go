package simulate

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// logLine is what a test reads of a line, by itself.
type logLine struct {
	Addr, Forwarded, Method, URI, Agent, Language, JA4, User, Session, Consumer, Refused, Referer string
	Status                                                                                        int

	Label string
	At    time.Time
}

// parse reads a line of flat JSON in which nothing is escaped; encoding/json
// takes ten times as long for the hundreds of thousands of lines of these tests.
func (l *logLine) parse(t testing.TB, text string) {
	t.Helper()
	rest, ok := strings.CutPrefix(text, "{")
	for ok && rest != "" && rest != "}" {
		var key, value string
		key, rest, ok = strings.Cut(strings.TrimPrefix(rest, `,`), `":`)
		if strings.HasPrefix(rest, `"`) {
			value, rest, ok = strings.Cut(rest[1:], `"`)
		} else {
			i := strings.IndexAny(rest, ",}")
			value, rest = rest[:i], rest[i:]
		}
		switch key {
		case `"status`:
			var err error
			if l.Status, err = strconv.Atoi(value); err != nil {
				t.Fatal(err)
			}
		case `"remote_addr`:
			l.Addr = value
		case `"http_x_forwarded_for`:
			l.Forwarded = value
		case `"request_method`:
			l.Method = value
		case `"request_uri`:
			l.URI = value
		case `"http_user_agent`:
			l.Agent = value
		case `"http_accept_language`:
			l.Language = value
		case `"ssl_ja4`:
			l.JA4 = value
		case `"username`:
			l.User = value
		case `"session_id`:
			l.Session = value
		case `"api_key`:
			l.Consumer = value
		case `"refused`:
			l.Refused = value
		case `"http_referer`:
			l.Referer = value
		}
	}
	if !ok || l.Addr == "" || l.Status == 0 || l.Method == "" {
		t.Fatalf("%s is no line", text)
	}
}

// asset reports whether something was asked for that belongs to a page.
func (l *logLine) asset() bool { return strings.HasPrefix(l.URI, "/static/") }

func TestLinesAreJSON(t *testing.T) {
	s := begun(t, load(t, "everything"), Options{Seed: 1, Scale: 0.0001})
	lines := 0
	for line, ok := s.Next(); ok; line, ok = s.Next() {
		if s.labels[line.Label].Name != "honest/broken" {
			if lines++; !json.Valid(line.Text) {
				t.Fatalf("%s", line.Text)
			}
		}
	}
	if lines == 0 {
		t.Fatal("no lines")
	}
}

// load reads a scenario.
func load(t testing.TB, name string, sets ...string) *Scenario {
	t.Helper()
	s, err := Load(name, sets)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// begun begins a log.
func begun(t testing.TB, sc *Scenario, o Options) *Stream {
	t.Helper()
	s, err := NewStream(sc, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// play reads a whole log that is made of JSON; broken lines are passed over.
func play(t testing.TB, sc *Scenario, o Options) (lines []logLine, s *Stream) {
	t.Helper()
	s = begun(t, sc, o)
	for line, ok := s.Next(); ok; line, ok = s.Next() {
		l := logLine{Label: s.labels[line.Label].Name, At: line.Time}
		if l.Label == "honest/broken" {
			continue
		}
		l.parse(t, string(line.Text))
		lines = append(lines, l)
	}
	if len(lines) == 0 {
		t.Fatal("no lines")
	}
	return lines, s
}

// only keeps the lines of a label, or of all that begin so where it ends with a *.
func only(t testing.TB, lines []logLine, label string) (some []logLine) {
	t.Helper()
	prefix, open := strings.CutSuffix(label, "*")
	for _, l := range lines {
		if l.Label == label || open && strings.HasPrefix(l.Label, prefix) {
			some = append(some, l)
		}
	}
	if len(some) == 0 {
		t.Fatalf("no lines of %s", label)
	}
	return some
}

// counted counts lines by something of theirs.
func counted(lines []logLine, by func(*logLine) string) map[string]int {
	n := map[string]int{}
	for i := range lines {
		if k := by(&lines[i]); k != "" {
			n[k]++
		}
	}
	return n
}

// head is the share of the commonest few.
func head(n map[string]int, few int) float64 {
	values := slices.Sorted(maps.Values(n))
	slices.Reverse(values)
	var sum, all int
	for i, v := range values {
		if all += v; i < few {
			sum += v
		}
	}
	return float64(sum) / float64(all)
}

// quantileOf is the value below which a share of the counts lies.
func quantileOf(n map[string]int, share float64) int {
	values := slices.Sorted(maps.Values(n))
	return values[int(float64(len(values)-1)*share)]
}

// within fails a test for a number outside of limits.
func within(t *testing.T, what string, is, low, high float64) {
	t.Helper()
	if !(is >= low && is <= high) {
		t.Errorf("%s: %v, must be from %v to %v", what, is, low, high)
	}
}

// logins are the tries to log in.
func logins(lines []logLine) (tries []logLine) {
	for _, l := range lines {
		if l.User != "" && l.Method == "POST" && !strings.HasPrefix(l.URI, "/signup") && !strings.HasPrefix(l.URI, "/password") {
			tries = append(tries, l)
		}
	}
	return tries
}

// failing is the share of lines that are refused by the application.
func failing(lines []logLine) float64 {
	failed := 0
	for _, l := range lines {
		if l.Status == 401 || l.Status == 403 || l.Status == 429 {
			failed++
		}
	}
	return float64(failed) / float64(max(len(lines), 1))
}

func byAddr(l *logLine) string    { return l.Addr }
func byUser(l *logLine) string    { return l.User }
func bySession(l *logLine) string { return l.Session }
func byJA4(l *logLine) string     { return l.JA4 }
func byAgent(l *logLine) string   { return l.Agent }
