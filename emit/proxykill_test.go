package emit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// killedWriter is the environment variable by which the test starts itself as
// the process to be killed.
const killedWriter = "WEIR_TEST_KILLED_WRITER"

// killedPoints are points without a proxy behind them, in a folder.
func killedPoints(t *testing.T, dir string) (*nginxPoint, *haproxyPoint) {
	t.Helper()
	s := settingFor(t, onlyBlock)
	done := []string{"true"}
	n, err := newNginx(NginxConfig{Conf: filepath.Join(dir, "weir.conf"), Test: done, Reload: done}, s)
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHAProxy(HAProxyConfig{Map: filepath.Join(dir, "weir.map"), Reload: done}, s)
	if err != nil {
		t.Fatal(err)
	}
	return n.(*nginxPoint), h.(*haproxyPoint)
}

func TestAKilledWriterLeavesTheOldListOrTheNewOne(t *testing.T) {
	until := time.Unix(4102444800, 0)
	lists := []List{manyEntries(1000, until), manyEntries(3000, until)}
	if dir := os.Getenv(killedWriter); dir != "" {
		n, h := killedPoints(t, dir)
		begun := time.Now()
		for i := 0; ; i++ {
			for _, p := range []Point{n, h} {
				if err := p.Apply(t.Context(), List{}, lists[i%2]); err != nil {
					t.Fatal(err)
				}
			}
			if i == 1 {
				fmt.Println(time.Since(begun).Microseconds()) // whoever reads it kills us
			}
		}
	}
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(5, 6))
	seen, broken := [2]int{}, 0
	for range 60 {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), killedWriter+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var both int // microseconds that writing the two lists took: the kill comes while they are written again
		if _, err := fmt.Fscanln(out, &both); err != nil || both <= 0 {
			t.Fatalf("%d, %v", both, err)
		}
		time.Sleep(time.Duration(r.IntN(both)) * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("it was not killed")
		}

		n, h := killedPoints(t, dir)
		body, entries, err := readSealed(n.cfg.Conf)
		if err != nil {
			t.Fatal(err)
		}
		es, err := n.lists.parse(body)
		if err != nil || len(es) != entries || entries != 1000 && entries != 3000 {
			t.Fatalf("nginx: %d entries of %d, %v", len(es), entries, err)
		}
		held, err := h.Read(t.Context())
		if size := len(held.Entries); err != nil || size != 1000 && size != 3000 {
			t.Fatalf("haproxy: %d entries, %v", size, err)
		}
		seen[entries/3000]++
		// What nginx may not have taken over does not count as held.
		if _, err := os.Lstat(n.backup); err == nil {
			broken++
			if differences(t, n, lists[entries/3000]) == 0 {
				t.Fatal("a list that was not taken over counts as held")
			}
		}
		mustApply(t, n, lists[r.IntN(2)])
	}
	if min(seen[0], seen[1], broken) < 5 {
		t.Errorf("seen %d and %d times, broken off %d times: the kills met too few moments", seen[0], seen[1], broken)
	}
}
