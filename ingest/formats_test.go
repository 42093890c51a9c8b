package ingest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"weir/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestGolden decodes testdata/FORMAT/NAME.log with that format, or as NAME.yaml
// beside it says, and compares what every line became with NAME.golden.
func TestGolden(t *testing.T) {
	logs, err := filepath.Glob("testdata/*/*.log")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, path := range logs {
		format := filepath.Base(filepath.Dir(path))
		seen[format]++
		t.Run(format+"/"+strings.TrimSuffix(filepath.Base(path), ".log"), func(t *testing.T) {
			lines := readLines(t, path)
			decode, err := New(goldenConfig(t, format, path, lines))
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			for _, line := range lines {
				var b event.Batch
				ev := b.Next()
				if err := decode(line, ev, &b.Arena); err != nil {
					fmt.Fprintf(&got, "! %v\n", err)
					continue
				}
				got.Write(appendFields(ev))
				got.WriteByte('\n')
			}
			compareGolden(t, strings.TrimSuffix(path, ".log")+".golden", got.Bytes())
		})
	}
	for name := range formats {
		if seen[name] == 0 {
			t.Errorf("format %s has no testdata/%s/*.log", name, name)
		}
	}
}

// goldenConfig reads the NAME.yaml beside a log, if there is one.
func goldenConfig(t *testing.T, format, path string, lines [][]byte) Config {
	t.Helper()
	var file struct {
		Config `yaml:",inline"`
		Extras event.Extras `yaml:"extras"`
	}
	b, err := os.ReadFile(strings.TrimSuffix(path, ".log") + ".yaml")
	if err == nil {
		err = yaml.UnmarshalWithOptions(b, &file, yaml.Strict())
	}
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	cfg := file.Config
	cfg.Extras = file.Extras
	if cfg.Format == "" && cfg.Pattern == "" {
		cfg.Format = format
	}
	return cfg.Learn(lines)
}

func readLines(t testing.TB, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Errorf("%s:%d:\n got %s\nwant %s", path, i+1, a, b)
		}
	}
}

// appendFields appends every field of ev that is there, as an object.
func appendFields(ev *event.Event) []byte {
	b := []byte(`{"time":"`)
	b = time.Unix(0, ev.Time).UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, '"')
	text := func(name, s string) {
		if s != "" {
			b = fmt.Appendf(b, ",%q:", name)
			b = event.AppendJSONString(b, s)
		}
	}
	if ev.Peer.IsValid() {
		text("peer", ev.Peer.String())
	}
	if ev.IP.IsValid() {
		text("ip", ev.IP.String())
	}
	text("forwarded", ev.Forwarded)
	for f := event.FieldASN; int(f) < event.NumFields; f++ {
		switch f {
		case event.FieldActor, event.FieldDeprecated: // made of others
		case event.FieldASN, event.FieldStatus, event.FieldBytes, event.FieldDuration:
			if _, ok := ev.Num(f); ok {
				b = fmt.Appendf(b, ",%q:%s", f.String(), ev.AppendText(nil, f))
			}
		default:
			text(f.String(), ev.Str(f))
		}
	}
	return append(b, '}')
}

func TestValidateReportsEveryFault(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "format: missing; give a format or a pattern (weir inspect FILE guesses it)"},
		{"unknown format", Config{Format: "clf"}, "format: clf, must be one of alb, caddy, cloudflare, combined, haproxy, json, nginx-json, pattern, traefik, vhost-combined, w3c"},
		{
			"several", Config{Format: "combined", Pattern: "<ip>", Columns: []string{"date"}, Fields: map[string]string{"ip": "a"}, Time: TimeConfig{"ts", "ms"}},
			"fields: no meaning in format combined\ntime: field: no meaning in format combined\ntime: layout: no meaning in format combined\n" +
				"pattern: no meaning in format combined\ncolumns: no meaning in format combined\n" +
				"time: layout: ms, must be one of clf, rfc3339, iso, unix, unix_ms, unix_us, unix_ns, or a layout of Go with 2006 in it",
		},
		{"w3c without columns", Config{Format: "w3c"}, "columns: none; a w3c log names them in its #Fields: line"},
		{"w3c without a client", Config{Format: "w3c", Columns: []string{"date", "time"}}, "columns: c-ip is missing"},
		{"w3c without a time", Config{Format: "w3c", Columns: []string{"date", "c-ip"}}, "columns: date and time, or timestamp, are missing"},
		{"w3c column twice", Config{Format: "w3c", Columns: []string{"date", "time", "c-ip", "C-IP"}}, "columns: c-ip stands twice"},
		{"w3c unknown column", Config{Format: "w3c", Columns: []string{"date", "time", "c-ip"}, Fields: map[string]string{"session": "cs(Cookie)"}}, "fields: session: no column cs(Cookie)"},
		{
			"haproxy part", Config{Format: "haproxy", Fields: map[string]string{"site": "header.1"}},
			"fields: site: header.1 is no part of a haproxy line; there are request.1 to request.16, response.1 to response.16, frontend, backend, server, request_cookie, response_cookie, termination",
		},
		{
			"a chain that clients can cut", Config{Format: "haproxy", Fields: map[string]string{"forwarded": "request.2"}},
			"fields: forwarded: haproxy cuts captured headers at the end, where the hop of the nearest proxy stands; have it log the client instead (http-request set-src)",
		},
		{"a field that weir makes", Config{Format: "haproxy", Fields: map[string]string{"endpoint": "backend"}}, "fields: field endpoint is made by weir and cannot be set from a log"},
		{"an extra without a name", Config{Format: "haproxy", Fields: map[string]string{"x.pool": "backend"}}, "fields: unknown extra x.pool"},
	} {
		_, err := New(c.cfg)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s:\n got %v\nwant %s", c.name, err, c.want)
		}
	}
}
