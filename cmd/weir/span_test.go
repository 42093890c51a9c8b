package main

import (
	"testing"
	"time"
)

func TestASpanMayBeInDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "1d": 24 * time.Hour, "90d": 90 * 24 * time.Hour, "65535d": 65535 * 24 * time.Hour,
	} {
		var s, again span
		if err := s.Set(text); err != nil || time.Duration(s) != want {
			t.Errorf("%s: %v, %v", text, time.Duration(s), err)
		}
		if err := again.Set(s.String()); err != nil || again != s {
			t.Errorf("%s: written as %s, which reads as %v, %v", text, s.String(), time.Duration(again), err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "1.5d", "65536d", "soon", "1w"} {
		var s span
		if err := s.Set(text); err == nil {
			t.Errorf("%q reads as %v", text, time.Duration(s))
		}
	}
}
