package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestALimitOfOpenFilesThatIsTooSmallIsTold(t *testing.T) {
	t.Parallel()
	c := &config{State: stateConfig{Memory: "1GiB"}}
	need := c.filesNeeded()
	if need < 8<<30/(4<<20) || need > 20_000 {
		t.Errorf("%d files for 8 GiB", need)
	}
	if text := c.fewFiles(need, need); text != "" {
		t.Errorf("at the limit: %s", text)
	}
	if text := c.fewFiles(0, 0); text != "" {
		t.Errorf("nothing is known: %s", text)
	}
	must(t, c.fewFiles(need-1, need), "this process may have "+count(need-1)+" files open, and a store of state: disk: (8GiB) may take "+count(need), "LimitNOFILE=")
	must(t, c.fewFiles(need, need-1), "a process may map "+count(need-1)+" files here", "sysctl vm.max_map_count=")
	small := &config{State: stateConfig{Memory: "256MiB", Disk: "256MiB"}}
	if n := small.filesNeeded(); n >= need {
		t.Errorf("a smaller store needs %d files, the larger one %d", n, need)
	}
	if open, mapped := filesAllowed(); open < 64 || mapped < 1024 {
		t.Errorf("this process may have %d files open and %d mapped", open, mapped)
	}
}

// The unit lets the examples' states grow to what they may be.
func TestTheUnitAllowsAsManyFilesAsItsStateTakes(t *testing.T) {
	t.Parallel()
	found := regexp.MustCompile(`(?m)^LimitNOFILE=(\d+)$`).FindStringSubmatch(readFile(t, "../../deploy/weir.service"))
	if found == nil {
		t.Fatal("no LimitNOFILE in the unit")
	}
	limit, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	said := regexp.MustCompile(`enough for state: \{disk: (\d+GiB)\}, and with that memory for (\d+GiB)`).FindStringSubmatch(
		strings.ReplaceAll(readFile(t, "../../deploy/weir.service"), "\n#", ""))
	if said == nil {
		t.Fatal("the unit does not say for how large a disk that is enough")
	}
	for i, memory := range []string{"1GiB", "4GiB"} {
		c := &config{State: stateConfig{Memory: memory, Disk: said[1+i]}}
		if text := c.fewFiles(limit, 0); text != "" {
			t.Errorf("with %s of memory: %s", memory, text)
		}
	}
	for _, name := range []string{"nginx.yaml", "kafka-haproxy.yaml"} {
		if text := deployed(t, name, nil).fewFiles(limit, 0); text != "" {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// A run has as many files open as it may, whatever its soft limit was, and says
// where that is too few.
func aRunRaisesItsSoftLimitOfFiles(t *testing.T, program string) {
	s := newFollowedSite(t, "1h", plainPoint)
	p := s.start("/bin/sh", "-c", `ulimit -Sn 256 && ulimit -Hn 4096 && exec "$0" "$@"`, program, "run")
	want := "this process may have 4,09" // Go stays one below the hard limit
	for begun := time.Now(); !strings.Contains(p.said(), want); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatalf("it does not say %q:\n%s", want, p.said())
		}
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max open files +409[56] +4096 `).Match(b) {
		t.Errorf("its limits:\n%s", b)
	}
}
