package torture

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"weir/internal/testkit"
)

// spillKeys is how many addresses a log has that a replay with little memory
// cannot keep there.
const spillKeys = 120_000

// A replay keeps what memory has no room for on disk. Where that is full, from the
// start or later on, it ends with an error that names the directory and what can
// be done: it neither waits for ever nor dies.
func TestAReplayEndsPlainlyWhereItsTemporaryStoreHasNoRoom(t *testing.T) {
	w := newWorld(t)
	w.write("weir.yaml", "sources: [{name: web, format: combined}]\nkey_file: key\nstate: {memory: 8MiB, disk: 64GiB}\n")
	log, err := os.Create(w.path("access.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewWriter(log)
	for i := range spillKeys {
		at := time.Date(2026, 3, 6, 0, 0, i/100, 0, time.UTC)
		fmt.Fprintf(lines, "198.18.%d.%d - u%d [%s] \"POST /login?n=%d HTTP/1.1\" 401 5 \"-\" \"agent-%d\"\n", i>>8&255, i&255, i, at.Format("02/Jan/2006:15:04:05 -0700"), i, i)
	}
	if err := lines.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOMEMLIMIT", "1GiB") // so little memory is not what the collector is to live with
	for _, c := range []struct {
		name, size string
		left       int64 // bytes; 0: all of it
		ends       bool
	}{
		{"small", "48m", 0, true},
		{"filling", "256m", 72 << 20, true},
		{"large", "400m", 0, false},
	} {
		dir := w.path(c.name)
		mountMemory(t, dir, c.size)
		if c.left > 0 {
			if err := fill(dir+"/filler", c.left); err != nil {
				t.Fatal(err)
			}
		}
		out, code, err := command("replay", "-c", w.path("weir.yaml"), "--out", dir, w.path("access.log"))
		if err != nil || crashed(out) {
			t.Fatalf("%s: %v, %s", c.name, err, out)
		}
		plain := strings.Contains(out, dir+": ") && strings.Contains(out, "the disk of the temporary store is full") && strings.Contains(out, "TMPDIR=DIR")
		if c.ends != (code != 0) || c.ends != plain {
			t.Errorf("%s: ended with %d:\n%s", c.name, code, out)
		}
		if !strings.Contains(out, "go to a temporary store") && c.name != "small" {
			t.Errorf("%s: memory was not short: the log is not what this was made for\n%s", c.name, out)
		}
		if left, err := os.ReadDir(dir); err != nil || strings.Contains(fmt.Sprint(left), "temporary") {
			t.Errorf("%s: %v is left, %v", c.name, left, err)
		}
	}
	testkit.Figure(t, "a replay whose temporary store has no room, from the start or later on, ended plainly; with room it went through %d addresses with 8 MiB", spillKeys)
}
