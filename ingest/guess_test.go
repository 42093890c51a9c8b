package ingest

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestGuessFindsTheFormatOfEverySample(t *testing.T) {
	tried := 0
	for _, format := range guessed {
		path := map[string]string{"haproxy": "access", "w3c": "cloudfront", "combined": "access"}[format]
		if path == "" {
			path = "*"
		}
		logs, err := filepath.Glob("testdata/" + format + "/" + path + ".log")
		if err != nil || len(logs) == 0 {
			t.Fatalf("%s: no logs: %v", format, err)
		}
		decodable := 0
		for _, log := range logs {
			lines := readLines(t, log)
			cfg := goldenConfig(t, format, log, lines)
			decode, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			// The lines of a golden log that are there to be rejected would outvote the rest.
			lines = slices.DeleteFunc(lines, func(line []byte) bool {
				return readable(decode, [][]byte{line}) == 0 && !strings.HasPrefix(string(line), "#")
			})
			if len(lines) == 0 || len(cfg.Fields) > 0 {
				continue
			}
			decodable++
			got, err := Guess(lines)
			if err != nil || got.Format != format {
				t.Errorf("%s: guessed %q, %v", log, got.Format, err)
				continue
			}
			if format == "w3c" && len(got.Columns) != 24 {
				t.Errorf("%s: %d columns", log, len(got.Columns))
			}
			tried++
		}
		if decodable == 0 {
			t.Errorf("%s: nothing was guessed", format)
		}
	}
	if tried < len(guessed) {
		t.Errorf("only %d logs were tried", tried)
	}
}

func TestGuessSaysWhatItTried(t *testing.T) {
	line := `192.0.2.7 - - [02/Jan/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{nil, "format: cannot be guessed, there is no line to guess from"},
		{[]string{"", "\r", "#Version: 1.0"}, "format: cannot be guessed, there is no line to guess from"},
		{[]string{"hello", "world"}, "format: cannot be guessed, no format reads any of the first lines (2 tried); set format, fields or pattern"},
		{[]string{"hello", line}, "format: cannot be guessed, none reads more than half of the first lines (of 2: combined 1); set format, fields or pattern"},
	} {
		var lines [][]byte
		for _, l := range c.lines {
			lines = append(lines, []byte(l))
		}
		if _, err := Guess(lines); err == nil || err.Error() != c.want {
			t.Errorf("%q:\n got %v\nwant %s", c.lines, err, c.want)
		}
	}
	lines := [][]byte{[]byte("torn"), []byte(line), []byte(line)}
	if cfg, err := Guess(lines); err != nil || cfg.Format != "combined" {
		t.Errorf("got %v %v", cfg.Format, err)
	}
	host := `203.0.113.9 192.0.2.7 - - [02/Jan/2026:15:04:05 +0000] "GET / HTTP/1.1" 200 1 "-" "-"`
	if cfg, err := Guess([][]byte{[]byte(host), []byte(host)}); err != nil || cfg.Format != "vhost-combined" {
		t.Errorf("an address as virtual host: got %v %v", cfg.Format, err)
	}
	for i := range maxSample * 2 {
		lines = append(lines, fmt.Appendf(nil, "junk %d", i))
	}
	if _, err := Guess(lines[:2*maxSample]); err == nil {
		t.Error("a log of which two lines are readable was guessed")
	}
}
