package main

import (
	"errors"
	"fmt"
	"time"
)

// stateConfig says where a run keeps what must outlive it, and how much that
// may be.
type stateConfig struct {
	Dir        string `yaml:"dir"`
	Memory     string `yaml:"memory"`
	Disk       string `yaml:"disk"`
	Checkpoint string `yaml:"checkpoint"`
	Reserve    string `yaml:"reserve"`
}

// archiveConfig says whether and where events are kept for replays.
type archiveConfig struct {
	Dir  string `yaml:"dir"`
	Size string `yaml:"size"`
}

// Defaults and limits of the state and the archive.
const (
	defaultMemory           = 1 << 30
	defaultArchive          = 32 << 30
	defaultCheckpoint       = 10 * time.Second
	diskForMemory           = 8 // of keys' bytes on disk, for each byte of memory, unless stated
	minCheckpoint           = time.Second
	maxCheckpoint           = 10 * time.Minute
	minMemory               = 256 << 20 // the store's own tables, queues and what workers remember take so much that less would not hold
	minReserve              = 16 << 20  // below it the store could meet a full disk, which kills it
	minArchive              = 64 << 20
	wantedSize              = "must be a number and KiB, MiB, GiB or TiB"
	mostGiB           int64 = 1 << 20
)

// parseBytes reads a size such as 512MiB.
func parseBytes(s string) (int64, error) {
	var n int64
	var unit, more string
	if got, _ := fmt.Sscanf(s, "%d%s %s", &n, &unit, &more); got != 2 {
		return 0, fmt.Errorf("%q, %s", s, wantedSize)
	}
	shift, ok := map[string]int{"KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40}[unit]
	if !ok || n < 1 {
		return 0, fmt.Errorf("%q, %s", s, wantedSize)
	}
	if n > mostGiB<<30>>shift {
		return 0, fmt.Errorf("%q, must be at most %dGiB", s, mostGiB)
	}
	return n << shift, nil
}

// size reads a size that need not be stated. What is none is reported by
// Validate, and read here as if nothing stood there.
func size(text string, otherwise int64) int64 {
	if n, err := parseBytes(text); err == nil {
		return n
	}
	return otherwise
}

// memory returns how many bytes the state may take in memory.
func (c *config) memory() int64 { return size(c.State.Memory, defaultMemory) }

// disk returns how many bytes all keys may take, in memory or not, as they are
// accounted.
func (c *config) disk() int64 { return size(c.State.Disk, diskForMemory*c.memory()) }

// reserve returns how many bytes are to stay free on the state's disk; 0: what
// the store thinks right.
func (c *config) reserve() int64 { return size(c.State.Reserve, 0) }

// checkpoint returns how often the state is to come to disk.
func (c *config) checkpoint() time.Duration {
	if d, err := time.ParseDuration(c.State.Checkpoint); err == nil {
		return d
	}
	return defaultCheckpoint // Validate has refused what is no duration
}

// archiveDir returns where events are kept; empty: nowhere.
func (c *config) archiveDir() string { return c.optionalPath(c.Archive.Dir) }

// archiveSize returns how many bytes the archive's files may take.
func (c *config) archiveSize() int64 { return size(c.Archive.Size, defaultArchive) }

// stateFaults reports what is wrong with what is said about the state and the
// archive.
func (c *config) stateFaults() (err error) {
	fault := func(format string, args ...any) { err = errors.Join(err, fmt.Errorf(format, args...)) }
	sized := func(key, text string, least int64) (ok bool) {
		if text == "" {
			return true
		}
		n, e := parseBytes(text)
		switch {
		case e != nil:
			fault("%s: %w", key, e)
		case n < least:
			fault("%s: %s, must be at least %s", key, text, sizeText(least))
		default:
			return true
		}
		return false
	}
	memory := sized("state: memory", c.State.Memory, 1)
	if sized("state: disk", c.State.Disk, 1) && memory && c.disk() < c.memory() {
		fault("state: disk: %s, must be at least memory: (%s): it is what all keys may take, wherever they are", c.State.Disk, sizeText(c.memory()))
	}
	sized("state: reserve", c.State.Reserve, minReserve)
	if text := c.State.Checkpoint; text != "" {
		if d, e := time.ParseDuration(text); e != nil || d < minCheckpoint || d > maxCheckpoint {
			fault("state: checkpoint: %q, must be a duration from 1s to 10m, such as 10s", text)
		}
	}
	sized("archive: size", c.Archive.Size, minArchive)
	if c.Archive.Dir == "" && c.Archive.Size != "" {
		fault("archive: dir: missing; where the files of events go, such as /var/lib/weir-archive")
	}
	return err
}

// sizeText writes a size as the configuration does.
func sizeText(n int64) string {
	for _, unit := range []struct {
		shift int
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n >= 1<<unit.shift && n%(1<<unit.shift) == 0 {
			return fmt.Sprintf("%d%s", n>>unit.shift, unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
