package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// usage is what a process holds, in bytes.
type usage struct {
	anon, file, peak int64 // peak is of both together, as the kernel keeps it
	descriptors      int
}

// usageOf reads what a process holds; ok is false when it is gone.
func usageOf(pid int) (u usage, ok bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	b, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return u, false
	}
	for name, to := range map[string]*int64{"RssAnon:": &u.anon, "RssFile:": &u.file, "VmHWM:": &u.peak} {
		_, after, found := bytes.Cut(b, []byte(name))
		if !found {
			return u, false // it has ended and waits for its parent
		}
		if _, err := fmt.Sscan(string(after[:min(len(after), 32)]), to); err != nil {
			return u, false
		}
		*to <<= 10
	}
	fds, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err == nil {
		u.descriptors = len(fds)
	}
	return u, true
}

// watch looks at a process every 50 ms until it ends or stop is closed, and
// returns the most that it ever held of each kind.
func watch(pid int, stop <-chan struct{}) (most usage) {
	for {
		u, ok := usageOf(pid)
		if !ok {
			return most
		}
		most.anon, most.file = max(most.anon, u.anon), max(most.file, u.file)
		most.peak, most.descriptors = max(most.peak, u.peak), max(most.descriptors, u.descriptors)
		select {
		case <-stop:
			return most
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// cage is a memory cgroup (v1): more than its limit is not to be had.
type cage struct{ dir string }

const cages = "/sys/fs/cgroup/memory"

// newCage makes a cage; an error says why there can be none.
func newCage(name string, limit int64) (*cage, error) {
	c := &cage{filepath.Join(cages, name)}
	// One that a killed bench left would go on counting.
	if err := c.remove(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return nil, err
	}
	return c, os.WriteFile(filepath.Join(c.dir, "memory.limit_in_bytes"), fmt.Append(nil, limit), 0o644)
}

// put puts a process in.
func (c *cage) put(pid int) error {
	return os.WriteFile(filepath.Join(c.dir, "cgroup.procs"), fmt.Append(nil, pid), 0o644)
}

// most returns the most that was held, page cache included, and how often the
// limit was met.
func (c *cage) most() (held, met int64) {
	for name, to := range map[string]*int64{"memory.max_usage_in_bytes": &held, "memory.failcnt": &met} {
		b, err := os.ReadFile(filepath.Join(c.dir, name))
		if err == nil {
			*to, err = strconv.ParseInt(string(bytes.TrimSpace(b)), 10, 64)
		}
		if err != nil {
			*to = -1
		}
	}
	return held, met
}

func (c *cage) remove() error { return os.Remove(c.dir) }
