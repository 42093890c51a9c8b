package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestADiskThatIsTooSmallForTheLimitsIsTold(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	base := "state: {dir: kept, memory: 1GiB, disk: 8GiB, reserve: 1GiB}\n"
	for _, tt := range []struct {
		lines          string
		state, archive fileSystem
		says           []string
	}{
		{base, fileSystem{1, 25 * gib}, fileSystem{}, nil},
		{base, fileSystem{1, 25*gib - 1}, fileSystem{}, []string{"weir may come to 25.0 GiB there: 3 x state: disk: (8GiB), and 1.0 GiB stay free. When it is full nothing is saved and input waits"}},
		{base + "archive: {dir: a, size: 10GiB}", fileSystem{1, 35 * gib}, fileSystem{1, 35 * gib}, nil},
		{base + "archive: {dir: a, size: 10GiB}", fileSystem{1, 35*gib - 1}, fileSystem{1, 35*gib - 1}, []string{"weir may come to 35.0 GiB there: 3 x state: disk: (8GiB), archive: size: (10GiB), and 1.0 GiB stay free"}},
		{base + "archive: {dir: a, size: 10GiB}", fileSystem{1, 25 * gib}, fileSystem{2, 11 * gib}, nil},
		{base + "archive: {dir: a, size: 10GiB}", fileSystem{1, 25*gib - 1}, fileSystem{2, 11*gib - 1}, []string{"weir may come to 25.0 GiB there", "the archive may come to 11.0 GiB: archive: size: (10GiB), and 1.0 GiB stay free"}},
		{"state: {dir: kept}", fileSystem{1, 20 * gib}, fileSystem{}, []string{"3 x state: disk: (8GiB), and 1.0 GiB stay free"}},
	} {
		c, err := configured(t, tt.lines)
		if err != nil {
			t.Fatal(err)
		}
		got := c.smallDisks(func(dir string) (fileSystem, error) {
			if filepath.Base(dir) == "a" {
				return tt.archive, nil
			}
			return tt.state, nil
		})
		ok := len(got) == len(tt.says)
		for i := range min(len(got), len(tt.says)) {
			ok = ok && strings.Contains(got[i], tt.says[i])
		}
		if !ok {
			t.Errorf("%s\non %v and %v it says\n%s\nmust be\n%s", tt.lines, tt.state, tt.archive, strings.Join(got, "\n"), strings.Join(tt.says, "\n"))
		}
	}
	c, err := configured(t, base)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.smallDisks(func(string) (fileSystem, error) { return fileSystem{}, errors.New("no") }); got != nil {
		t.Errorf("nothing is known, and it says %s", got)
	}
	if disk, err := fileSystemOf(filepath.Join(t.TempDir(), "not", "there", "yet")); err != nil || disk.total < 1<<20 {
		t.Errorf("%v, %v: the disk of what is not there yet", disk, err)
	}
}

func TestMoreMemoryThanThereIsIsTold(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Dir(path), filepath.Base(path), text)
	}
	says := func(memory, want string) {
		t.Helper()
		c := &config{State: stateConfig{Memory: memory}}
		if got := c.muchMemory(machineMemory(root)); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, must have %q", memory, got, want)
		}
	}
	says("900GiB", "") // nothing is known
	put("proc/meminfo", "MemTotal:        2097152 kB\nMemFree:          100000 kB\n")
	says("2GiB", "")
	says("2049MiB", "state: memory: (2049MiB) is more than the 2.0 GiB that this machine has")
	// The second version of cgroups: what any group above allows counts, too.
	put("proc/self/cgroup", "0::/system.slice/weir.service\n")
	put("sys/fs/cgroup/system.slice/weir.service/memory.max", "max\n")
	says("2GiB", "")
	put("sys/fs/cgroup/system.slice/memory.max", "1073741824\n")
	says("1GiB", "")
	says("2GiB", "state: memory: (2GiB) is more than the 1.0 GiB that this process may have (MemoryMax= of a unit, --memory of a container)")
	// The first one.
	put("proc/self/cgroup", "9:cpu:/\n4:memory:/docker/abc\n0::/\n")
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n")
	says("512MiB", "")
	says("1GiB", "is more than the 512 MiB that this process may have")
	if has, of := machineMemory("/"); has < 64<<20 || of == "" {
		t.Errorf("this machine has %d bytes, %s", has, of)
	}
}

// What check says a start would refuse or warn of is told where the state's
// directory is not made yet, too.
func TestARoomThatIsNotThereIsToldBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	for reserve, want := range map[string]string{"reserve: 900000GiB": "weir would wait for ever", "reserve: 16MiB": "will be made"} {
		c, err := configured(t, "state: {dir: not/there/yet, disk: 900000GiB, "+reserve+"}\n")
		if err != nil {
			t.Fatal(err)
		}
		g := &engine{cfg: c}
		var out strings.Builder
		list := &checklist{page: page{w: &out}}
		g.checkState(t.Context(), list)
		g.checkLimits(list)
		words := strings.Join(strings.Fields(out.String()), " ")
		if !strings.Contains(words, want) || (list.faults > 0) != (reserve != "reserve: 16MiB") {
			t.Errorf("%s: %d faults, must have %q:\n%s", reserve, list.faults, want, out.String())
		}
		if text := fmt.Sprintf("note state the disk of %s has ", c.path(c.State.Dir)); !strings.Contains(words, text) {
			t.Errorf("%s: no %q in:\n%s", reserve, text, out.String())
		}
	}
}
