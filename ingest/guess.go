package ingest

import (
	"errors"
	"fmt"
	"strings"

	"weir/event"
)

// maxSample is how many lines Guess looks at.
const maxSample = 200

// guessed are the formats that can be told by their lines, the more special
// before those that read the same line with less in it.
var guessed = []string{"vhost-combined", "combined", "haproxy", "alb", "w3c", "cloudflare", "caddy", "traefik", "nginx-json"}

// Guess returns the configuration that reads most of some lines from the
// beginning of a log: more than half, empty lines and directives aside.
func Guess(lines [][]byte) (Config, error) {
	if len(lines) > maxSample {
		lines = lines[:maxSample]
	}
	sample := make([][]byte, 0, len(lines))
	for _, line := range lines {
		if len(line) > 0 && line[0] != '#' && string(line) != "\r" {
			sample = append(sample, line)
		}
	}
	if len(sample) == 0 {
		return Config{}, errors.New("format: cannot be guessed, there is no line to guess from")
	}
	var best Config
	most := 0
	var tally []string
	for _, name := range guessed {
		cfg := Config{Format: name}.Learn(lines)
		if name == "w3c" && len(cfg.Columns) == 0 {
			continue
		}
		decode, err := New(cfg)
		if err != nil {
			tally = append(tally, fmt.Sprintf("%s none (%v)", name, err))
			continue
		}
		n := readable(decode, sample)
		if n > 0 {
			tally = append(tally, fmt.Sprintf("%s %d", name, n))
		}
		if n > most {
			best, most = cfg, n
		}
	}
	if most*2 <= len(sample) {
		if len(tally) == 0 {
			return Config{}, fmt.Errorf("format: cannot be guessed, no format reads any of the first lines (%d tried); set format, fields or pattern", len(sample))
		}
		return Config{}, fmt.Errorf("format: cannot be guessed, none reads more than half of the first lines (of %d: %s); set format, fields or pattern", len(sample), strings.Join(tally, ", "))
	}
	return best, nil
}

// readable counts the lines that a decoder reads.
func readable(decode Decoder, lines [][]byte) (n int) {
	var ev event.Event
	var mem event.Arena
	for _, line := range lines {
		ev.Reset()
		mem.Reset()
		if decode(line, &ev, &mem) == nil {
			n++
		}
	}
	return n
}
