package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// span is how long something is to last: as rules write it, in days too, or as
// Go does, such as 1h30m. It is a flag's value.
type span time.Duration

// Set reads it.
func (s *span) Set(text string) error {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q, must be a duration such as 30m, 2h or 7d", text)
		}
		*s = span(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q, must be a duration such as 30m, 2h or 7d", text)
	}
	*s = span(d)
	return nil
}

// String writes it as it may be read again; whole days from two on as days.
func (s *span) String() string {
	if d := time.Duration(*s); d >= 48*time.Hour && d%(24*time.Hour) == 0 {
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	return short(time.Duration(*s))
}

// Type names it in help texts.
func (s *span) Type() string { return "duration" }
