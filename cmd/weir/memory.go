package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory has the collector keep the whole process within state.memory: it
// works harder before the heap comes near. An operator's own GOMEMLIMIT counts.
func (c *config) limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(c.memory() / 100 * 90)
	}
}

// What bounds the memory of this process.
const (
	ofMachine = "that this machine has"
	ofGroup   = "that this process may have (MemoryMax= of a unit, --memory of a container)"
)

// muchMemory says that state: memory: is more than there is; empty: it is not, or
// nobody knows how much there is.
func (c *config) muchMemory(has int64, of string) string {
	if has == 0 || c.memory() <= has {
		return ""
	}
	return fmt.Sprintf("state: memory: (%s) is more than the %s %s: the kernel would end weir before it comes so far; lower it, keys without room are on disk and nothing is lost",
		sizeText(c.memory()), bytesText(has), of)
}

// machineMemory returns how many bytes this process may take in memory, and what
// bounds them: the machine or one of its control groups. 0: it is not known, as
// where there is no Linux. root is /.
func machineMemory(root string) (has int64, of string) {
	least := func(n int64, by string) {
		if n > 0 && (has == 0 || n < has) {
			has, of = n, by
		}
	}
	for line := range strings.Lines(readIfThere(root, "proc/meminfo")) {
		if text, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			n, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(text), " kB"), 10, 54)
			if err == nil {
				least(n<<10, ofMachine)
			}
		}
	}
	for line := range strings.Lines(readIfThere(root, "proc/self/cgroup")) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), ":") // the hierarchy's number
		controllers, group, _ := strings.Cut(line, ":")
		dir, limit := "sys/fs/cgroup", "memory.max"
		switch {
		case controllers == "":
		case strings.Contains(","+controllers+",", ",memory,"):
			dir, limit = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		// What a group above allows counts as well. In a container its own group
		// mostly is the uppermost that can be seen.
		for at := filepath.Join("/", group); ; at = filepath.Dir(at) {
			if n, err := strconv.ParseInt(strings.TrimSpace(readIfThere(root, filepath.Join(dir, at, limit))), 10, 64); err == nil { // else it is "max"
				least(n, ofGroup)
			}
			if at == "/" {
				break
			}
		}
	}
	return has, of
}

// readIfThere returns what a file says; nothing where it cannot be read.
func readIfThere(root, name string) string {
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		return ""
	}
	return string(b)
}
