package replay

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// firstDay is the midnight at which day 1 of every script begins.
var firstDay = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// The limits on times.
const (
	maxDay      = 366
	maxDuration = 7 * 24 * time.Hour
)

// days are those on which something is sent.
type days struct{ first, last int }

// day reads `day 3` or `day 1-7` in front of a time, if it is there.
func (l *line) day(ws []word, several bool) (days, []word) {
	if len(ws) == 0 || ws[0].text != "day" {
		return days{1, 1}, ws
	}
	if len(ws) == 1 {
		l.fail(ws[0].off, "day without a number, must be like day 3")
		return days{1, 1}, nil
	}
	first, last, cut := strings.Cut(ws[1].text, "-")
	if !cut {
		last = first
	}
	a, err1 := strconv.Atoi(first)
	b, err2 := strconv.Atoi(last)
	switch {
	case err1 != nil || err2 != nil || cut && !several:
		example := "3"
		if several {
			example = "3 or day 1-7"
		}
		l.fail(ws[1].off, "day %s, must be like day %s", ws[1].text, example)
	case a < 1 || b > maxDay || b < a:
		l.fail(ws[1].off, "day %s, must be between 1 and %d", ws[1].text, maxDay)
	default:
		return days{a, b}, ws[2:]
	}
	return days{1, 1}, ws[2:]
}

// clock reads HH:MM:SS, with a fraction if there is one, as the time since midnight.
func (l *line) clock(w word) time.Duration {
	t, err := time.Parse("15:04:05", w.text)
	if err != nil {
		l.fail(w.off, "%s is not a time, must be like 10:03:11", w.text)
		return 0
	}
	return t.Sub(t.Truncate(24 * time.Hour))
}

// duration reads a duration; d is a day.
func (l *line) duration(text string, off int) time.Duration {
	d, ok := parseDuration(text)
	if !ok || d < 0 || d > maxDuration {
		l.fail(off, "%s is not a duration from 0 to 7d, must be like 10s, 1m30s or 2d", text)
		return 0
	}
	return d
}

func parseDuration(text string) (time.Duration, bool) {
	if n, ok := strings.CutSuffix(text, "d"); ok {
		v, err := strconv.Atoi(n)
		return time.Duration(v) * 24 * time.Hour, err == nil && v >= 0 && v <= 3650
	}
	d, err := time.ParseDuration(text)
	return d, err == nil
}

// showTime writes a time as scripts do.
func showTime(t time.Time) string {
	t = t.UTC()
	day := int(t.Sub(firstDay)/(24*time.Hour)) + 1
	if day == 1 {
		return t.Format("15:04:05")
	}
	return fmt.Sprintf("day %d %s", day, t.Format("15:04:05"))
}

// showDuration writes a duration as scripts do: 1h, not 1h0m0s.
func showDuration(d time.Duration) string {
	if d >= 24*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
