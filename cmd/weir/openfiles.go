package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"weir/pipeline"
	"weir/state"
)

// otherFiles is how many files a run may have open besides those of its store:
// logs and their rotations, connections, what it writes.
const otherFiles = 1024

// filesNeeded returns how many files a run has open when its store is as large as
// it may be.
func (c *config) filesNeeded() int64 {
	return state.Config{Memory: pipeline.StoreMemory(c.memory())}.Files(c.disk()) + otherFiles
}

// fewFiles says that a store could not grow to what state: disk: allows where a
// process may have only so many files open, or mapped; empty: it could. A limit of
// 0 is not known.
func (c *config) fewFiles(open, mapped int64) string {
	need := c.filesNeeded()
	of := fmt.Sprintf("a store of state: disk: (%s) may take %s", sizeText(c.disk()), count(need))
	switch {
	case open > 0 && open < need:
		return fmt.Sprintf("this process may have %s files open, and %s: raise the hard limit (LimitNOFILE= of a unit, --ulimit nofile= of a container, ulimit -Hn), or lower state: disk:", count(open), of)
	case mapped > 0 && mapped < need:
		return fmt.Sprintf("a process may map %s files here, and %s: raise it (sysctl vm.max_map_count=%d), or lower state: disk:", count(mapped), of, 2*need)
	}
	return ""
}

// filesAllowed returns how many files this process may have open and mapped; 0:
// it is not known. Go has raised the soft limit to the hard one (less one) when it
// started.
func filesAllowed() (open, mapped int64) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		open = int64(min(limit.Cur, 1<<40))
	}
	if b, err := os.ReadFile("/proc/sys/vm/max_map_count"); err == nil { // else it is no Linux
		mapped, _ = strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64) // 0 where it is no number
	}
	return open, mapped
}
