package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// resetPeak has the kernel forget the highest memory use so far.
func resetPeak() {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		fmt.Fprintln(os.Stderr, "bench: peaks of memory are those of the whole process:", err)
	}
}

// peakRSS returns the highest memory use since resetPeak, in bytes.
func peakRSS() int64 { return procNumber("/proc/self/status", "VmHWM:") << 10 }

// anonymousRSS returns the memory in use that no file backs, in bytes.
func anonymousRSS() int64 { return procNumber("/proc/self/status", "RssAnon:") << 10 }

// writtenBytes returns how many bytes this process has had written to disks.
func writtenBytes() int64 { return procNumber("/proc/self/io", "write_bytes:") }

// openFiles returns how many descriptors of this process are tables of a store, and
// how many are anything else.
func openFiles() (tables, others int) {
	fds, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		return 0, 0
	}
	for _, fd := range fds {
		// One that was closed meanwhile, as the directory's own, has no name.
		if name, _ := os.Readlink(fd); strings.HasSuffix(name, ".sst") {
			tables++
		} else {
			others++
		}
	}
	return tables, others
}

// procNumber returns the number behind a name in a file of the kernel's.
func procNumber(file, name string) (n int64) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	if _, after, ok := bytes.Cut(b, []byte(name)); ok {
		if _, err := fmt.Sscan(string(after[:min(len(after), 32)]), &n); err != nil {
			return 0
		}
	}
	return n
}

// cpuTime returns what this process has used of all processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
