package rules

import (
	"strings"

	"weir/event"
	"weir/windows"
)

// nearest returns the candidate that s is a slip of, or "" where none is near.
func nearest(s string, candidates []string) string {
	best, bestDistance := "", min(1+max(1, len(s)/3), len(s))
	if len(s) > 64 {
		return ""
	}
	for _, c := range candidates {
		if d := distance(s, c, bestDistance); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	for _, c := range candidates {
		if best == "" && len(s) >= samePrefix && len(c) >= samePrefix && s[:samePrefix] == c[:samePrefix] {
			best = c
		}
	}
	return best
}

// samePrefix is how many first letters make two words of any length alike.
const samePrefix = 4

// distance counts the insertions, deletions, replacements and swaps of
// neighbours between a and b; from limit on it may return any larger number.
func distance(a, b string, limit int) int {
	if abs(len(a)-len(b)) >= limit {
		return limit
	}
	two, one := make([]int, len(b)+1), make([]int, len(b)+1)
	row := make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return one[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// alsoCalled are names that other systems give to fields.
var alsoCalled = map[string]string{
	"address": "ip", "adress": "ip", "addr": "ip", "client_ip": "ip", "remote_addr": "ip", "source": "ip",
	"user": "credential", "username": "credential", "login": "credential", "email": "credential", "account": "credential",
	"host": "site", "domain": "site", "url": "path", "uri": "path", "user_agent": "agent", "ua": "agent",
	"status_code": "status", "code": "status", "size": "bytes", "latency": "duration", "timestamp": "time", "as": "asn",
}

// didYouMean returns the hint to append to a message about s, or "".
func didYouMean(s string, candidates []string) string {
	if n := nearest(s, candidates); n != "" {
		return " (did you mean " + n + "?)"
	}
	return ""
}

// fieldHint is didYouMean about fields.
func fieldHint(s string, x event.Extras) string {
	if f := alsoCalled[s]; f != "" {
		return " (did you mean " + f + "?)"
	}
	return didYouMean(s, fieldNames(x))
}

// fieldNames are the fields of an event, as conditions may name them.
func fieldNames(x event.Extras) []string {
	var names []string
	for f := event.FieldTime; f < event.FieldX0; f++ {
		names = append(names, f.String())
	}
	for _, n := range x {
		names = append(names, "x."+n)
	}
	return names
}

var kindNames = names(event.NumKinds, func(i int) string { return event.Kind(i).String() })
var actionNames = names(event.NumActions, func(i int) string { return event.Action(i).String() })
var outcomeNames = []string{event.Success.String(), event.Failure.String()}
var refusedNames = actionNames[:len(actionNames)-1] // an alert refuses nothing
var severityNames = names(int(event.Critical)+2, func(i int) string { return event.Severity(i - 1).String() })
var stageNames = names(int(event.Enforce)+2, func(i int) string { return event.Stage(i - 1).String() })

// names returns those of values 1 to n-1.
func names(n int, name func(int) string) []string {
	var s []string
	for i := 1; i < n; i++ {
		s = append(s, name(i))
	}
	return s
}

// windowNames are the windows as rules write them, in the order of windows.Windows.
var windowNames = func() []string {
	s := make([]string, len(windows.Windows))
	for i, w := range windows.Windows {
		s[i] = windowName(w)
	}
	return s
}()

func windowName(w windows.Window) string {
	for _, u := range timeUnits {
		n := int64(w) / u.seconds
		if int64(w)%u.seconds == 0 && (n > 1 || u.name != 'd') {
			return itoa(n) + string(u.name)
		}
	}
	return itoa(int64(w)) + "s"
}

func windowByName(name string) (windows.Window, bool) {
	for i, n := range windowNames {
		if n == name {
			return windows.Windows[i], true
		}
	}
	return 0, false
}

// list writes names for a message: "a, b or c".
func list(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// syntaxHint looks for the usual slips in an expression that is not valid
// syntax. It returns where, in characters, and what to say.
func syntaxHint(text string) (at int, message string) {
	quote := rune(0)
	runes := []rune(text)
	for i, r := range runes {
		if quote != 0 {
			if r == quote && runes[i-1] != '\\' {
				quote = 0
			}
			continue
		}
		switch r {
		case '\'', '"', '`':
			quote = r
		case '=':
			prev, next := rune(0), rune(0)
			if i > 0 {
				prev = runes[i-1]
			}
			if i+1 < len(runes) {
				next = runes[i+1]
			}
			if next != '=' && !strings.ContainsRune("=<>!", prev) {
				return i, "= assigns nothing here (did you mean ==?)"
			}
		case '%':
			start := i
			for start > 0 && (runes[start-1] >= '0' && runes[start-1] <= '9' || runes[start-1] == '.') {
				start--
			}
			if start < i && endsOperand(strings.TrimLeft(string(runes[i+1:]), " ")) {
				return start, string(runes[start:i+1]) + " is not a number (did you mean " + percent(string(runes[start:i])) + "?)"
			}
		}
	}
	return 0, ""
}

// endsOperand reports whether an operand cannot begin with rest: what stands
// before it is the end of one.
func endsOperand(rest string) bool {
	if rest == "" {
		return true
	}
	for _, s := range []string{")", "and ", "or ", "&&", "||", "]", ",", "\n"} {
		if strings.HasPrefix(rest, s) {
			return true
		}
	}
	return false
}

// percent writes digits, a number of hundredths, as a fraction.
func percent(digits string) string {
	whole, fraction, _ := strings.Cut(digits, ".")
	for len(whole) < 3 {
		whole = "0" + whole
	}
	s := strings.TrimLeft(whole[:len(whole)-2], "0")
	if s == "" {
		s = "0"
	}
	if tail := strings.TrimRight(whole[len(whole)-2:]+fraction, "0"); tail != "" {
		s += "." + tail
	}
	return s
}
