package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// flood measures weir where every request comes from a new address, a million
// of them a minute of event time, beside the same requests from few addresses.
// One address in between guesses passwords and must be found.
func flood(out io.Writer, weir, dir string, minutes int, memory string) error {
	const perMinute = 1_000_000
	for _, addresses := range []int{1000, minutes * perMinute} {
		path := filepath.Join(dir, fmt.Sprintf("flood-%d-%d.log", minutes, addresses))
		if err := writeFlood(path, minutes*perMinute, perMinute, addresses); err != nil {
			return err
		}
		config := path + ".yaml"
		yaml := fmt.Sprintf("sources: [{name: flood, format: combined, disorder: 2s}]\nstate: {memory: %s}\n", memory)
		if err := os.WriteFile(config, []byte(yaml), 0o644); err != nil {
			return err
		}
		s, err := replay(weir, config, path, "GOMEMLIMIT=440MiB")
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s lines, %s addresses, state.memory %s: %s events/s, peak RSS %d MiB, %s keys, shed %+v, the guesser found: %v\n",
			thousands(minutes*perMinute), thousands(addresses), memory, thousands(int(s.EventsPerSecond)), s.PeakRSS>>20,
			thousands(int(s.Keys)), s.Shed, s.Decisions["ato.guessing_source"].New > 0)
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// writeFlood writes lines in combined format, each from the next of a number
// of addresses, and a guesser's every second of them.
func writeFlood(path string, lines, perMinute, addresses int) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	defer func() { err = errors.Join(err, w.Flush(), f.Close()) }()
	start := time.Date(2026, 3, 6, 9, 0, 0, 0, time.UTC)
	var stamp string
	last := -1
	for i := range lines {
		second := int(int64(i) * 60 / int64(perMinute))
		if second != last {
			last = second
			stamp = start.Add(time.Duration(second) * time.Second).Format("02/Jan/2006:15:04:05 -0700")
			fmt.Fprintf(w, "203.0.113.9 - - [%s] \"POST /login HTTP/1.1\" 401 211 \"-\" \"Mozilla/5.0 (X11; Linux x86_64) Firefox/124.0\"\n", stamp)
		}
		a := i % addresses
		// 11.0.0.0/8 and up: one address each, no documentation range is as wide.
		if _, err := fmt.Fprintf(w, "%d.%d.%d.%d - - [%s] \"GET /products/%d HTTP/1.1\" 200 12504 \"-\" \"Mozilla/5.0 (X11; Linux x86_64) Firefox/%d.0\"\n",
			11+a>>24, a>>16&255, a>>8&255, a&255, stamp, i%20000, 100+i%30); err != nil {
			return err
		}
	}
	return nil
}
