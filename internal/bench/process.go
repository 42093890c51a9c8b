package main

import (
	"bytes"
	"fmt"
	"os"
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
func peakRSS() (n int64) {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	if _, after, ok := bytes.Cut(b, []byte("VmHWM:")); ok {
		if _, err := fmt.Sscan(string(after[:min(len(after), 32)]), &n); err != nil {
			return 0
		}
	}
	return n << 10
}

// cpuTime returns what this process has used of all processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
