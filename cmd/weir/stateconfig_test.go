package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// configured loads a configuration that has the given lines about its state and
// archive.
func configured(t *testing.T, lines string) (*config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(path, []byte("sources: [{name: nginx, file: {path: access.log, follow: true}, format: combined}]\nkey_file: key\n"+lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return loadConfig(path)
}

func TestWhatIsNotSaidOfTheStateHasADefault(t *testing.T) {
	type sizes struct {
		memory, disk, reserve, archive int64
		checkpoint                     time.Duration
	}
	for lines, want := range map[string]sizes{
		"":                                  {1 << 30, 8 << 30, 0, 32 << 30, 10 * time.Second},
		"state: {memory: 64MiB}":            {64 << 20, 512 << 20, 0, 32 << 30, 10 * time.Second},
		"state: {disk: 4TiB, memory: 1TiB}": {1 << 40, 4 << 40, 0, 32 << 30, 10 * time.Second},
		"state: {disk: 3GiB}":               {1 << 30, 3 << 30, 0, 32 << 30, 10 * time.Second},
		"state: {memory: 1048576GiB}":       {1 << 50, 8 << 50, 0, 32 << 30, 10 * time.Second},
		"state: {memory: 2GiB, disk: 2GiB, checkpoint: 1m30s, reserve: 100MiB}\narchive: {dir: kept, size: 5GiB}": {
			2 << 30, 2 << 30, 100 << 20, 5 << 30, 90 * time.Second,
		},
	} {
		c, err := configured(t, lines)
		if err != nil {
			t.Errorf("%q: %v", lines, err)
			continue
		}
		if got := (sizes{c.memory(), c.disk(), c.reserve(), c.archiveSize(), c.checkpoint()}); got != want {
			t.Errorf("%q: %+v, must be %+v", lines, got, want)
		}
		if dir := c.archiveDir(); (dir != "") != strings.Contains(lines, "archive") || dir != "" && dir != filepath.Join(c.dir, "kept") {
			t.Errorf("%q: the archive is in %q", lines, dir)
		}
	}
}

func TestTheLimitsOfTheStateHold(t *testing.T) {
	for lines, says := range map[string]string{
		"state: {checkpoint: 1s}":                 "",
		"state: {checkpoint: 999ms}":              `state: checkpoint: "999ms", must be a duration from 1s to 10m`,
		"state: {checkpoint: 10m}":                "",
		"state: {checkpoint: 10m1s}":              `state: checkpoint: "10m1s"`,
		"state: {memory: 100MiB, disk: 100MiB}":   "",
		"state: {memory: 100MiB, disk: 99MiB}":    "state: disk: 99MiB, must be at least memory: (100MiB)",
		"state: {disk: 1023MiB}":                  "state: disk: 1023MiB, must be at least memory: (1GiB)",
		"state: {reserve: 16MiB}":                 "",
		"state: {reserve: 16383KiB}":              "state: reserve: 16383KiB, must be at least 16MiB",
		"archive: {dir: a, size: 64MiB}":          "",
		"archive: {dir: a, size: 65535KiB}":       "archive: size: 65535KiB, must be at least 64MiB",
		"archive: {size: 64MiB}":                  "archive: dir: missing",
		"state: {dir: a}\narchive: {dir: a/../a}": "archive: dir: a/../a is that of state: dir already; each needs a directory of its own",
		"state: {dir: a}\narchive: {dir: a/b}":    "archive: dir: a/b lies in that of state: dir (a)",
		"state: {dir: a/b}\narchive: {dir: a}":    "state: dir: a/b lies in that of archive: dir (a)",
		"state: {dir: a}\narchive: {dir: ab}":     "",
		"state: {dir: a/b}\narchive: {dir: a/c}":  "",
		"state: {memory: 1048577GiB}":             `state: memory: "1048577GiB", must be at most 1048576GiB`,
		"state: {memory: 1073741824MiB}":          "",
		"state: {memory: 1073741825MiB}":          "must be at most",
		"state: {memory: 0MiB}":                   "must be a number and KiB, MiB, GiB or TiB",
		"state: {memory: 1GiB2}":                  "must be a number and KiB, MiB, GiB or TiB",
		"state: {memory: 1 GiB GiB}":              "must be a number and KiB, MiB, GiB or TiB",
	} {
		_, err := configured(t, lines)
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: %v, must say %q", lines, err, says)
		}
	}
	for memory, ok := range map[string]bool{"256MiB": true, "262143KiB": false} {
		c, err := configured(t, fmt.Sprintf("state: {dir: state, memory: %s}\n", memory))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.faultsLive(); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "state: memory: 262143KiB, must be at least 256MiB in a run") {
			t.Errorf("a run with %s: %v", memory, err)
		}
	}
}

func TestHowOftenAndWhereThingsAreKeptDecidesNothing(t *testing.T) {
	print := func(lines string) string {
		t.Helper()
		c, err := configured(t, lines+"\nrules: {dirs: [builtin]}\n")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(c.dir, "key"), []byte(strings.Repeat("k", 32)), 0o600); err != nil {
			t.Fatal(err)
		}
		var g engine
		g.cfg = c
		if g.key, _, err = c.key(); err != nil {
			t.Fatal(err)
		}
		text, err := g.fingerprint()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	plain := print("")
	for lines, same := range map[string]bool{
		"state: {dir: elsewhere, checkpoint: 1m, reserve: 1GiB}": true,
		"archive: {dir: kept, size: 1GiB}":                       true,
		"state: {memory: 1GiB, disk: 8GiB}":                      true, // the defaults
		"state: {disk: 9GiB}":                                    false,
		"state: {memory: 2GiB}":                                  false,
	} {
		if got := print(lines); (got == plain) != same {
			t.Errorf("%s: the fingerprint is the same: %v, must be %v", lines, got == plain, same)
		}
	}
}
