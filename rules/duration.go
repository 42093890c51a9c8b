package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxFor is how long a decision may hold at most.
const maxFor = 7 * 24 * time.Hour

// timeUnits are the units of durations in rules, longest first.
var timeUnits = []struct {
	name    byte
	seconds int64
}{{'d', 24 * 3600}, {'h', 3600}, {'m', 60}, {'s', 1}}

// parseDuration reads a duration as rules write it: a whole number and one of
// s, m, h and d.
func parseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a duration, such as 30s, 10m, 6h or 7d", s)
	if len(s) < 2 || len(s) > 8 {
		return 0, bad
	}
	for _, u := range timeUnits {
		if s[len(s)-1] != u.name {
			continue
		}
		n, err := strconv.ParseUint(s[:len(s)-1], 10, 32)
		if err != nil {
			return 0, bad
		}
		seconds := int64(n) * u.seconds // at most eight digits: it cannot overflow
		if seconds < 1 || seconds > int64(maxFor/time.Second) {
			return 0, fmt.Errorf("%s, must be at least 1s and at most 7d", s)
		}
		return time.Duration(seconds) * time.Second, nil
	}
	return 0, bad
}

// limitRate reads the rate of a limit, 10/1m: requests in so many seconds.
func limitRate(s string) (requests, seconds int64, err error) {
	n, per, ok := strings.Cut(s, "/")
	count, err := strconv.ParseUint(n, 10, 31)
	if !ok || err != nil || count < 1 {
		return 0, 0, fmt.Errorf("%q is not a rate, such as 10/1m", s)
	}
	d, err := parseDuration(per)
	if err != nil {
		return 0, 0, fmt.Errorf("%q is not a rate, such as 10/1m: %w", s, err)
	}
	return int64(count), int64(d / time.Second), nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
