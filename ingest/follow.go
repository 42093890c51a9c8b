package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"weir/event"
)

// FileMark says where a file begins among the offsets of its partition. A
// journal keeps it, so that the file is known again after it was renamed or
// compressed, and its log after other logs came before it.
type FileMark struct {
	Partition int32
	Log       string // the path of the log: of its file without what rotation adds
	Offset    int64
	First     string // keyed hash of the file's first line that is neither empty nor a comment
}

// FollowConfig says which logs are followed, and from where.
type FollowConfig struct {
	Name  string
	Paths []string // of live files, or globs; rotations beside them are found
	Start string   // "begin" or "", from the oldest rotation; "end", from the end of the live file

	// What earlier lives wrote down. Starts are the positions at which to go on,
	// each the offset behind what was dealt with, in whatever file that stands by
	// now; Files what Note was given, Reached the highest offset of each partition
	// that anything was written down about. Read is the offset behind the last
	// record of each partition that is known to have been handed out, which may be
	// further than its position: what is new never has an offset before it. What
	// cannot be found any more behind a position is a Gap.
	Starts, Files []FileMark
	Reached, Read map[int32]int64

	// Note is called, by several goroutines, before a record of a newly begun
	// file is handed out, and returns when the mark is safe. Read returns its
	// error, and the next Read asks again. Nil: nothing is written down.
	Note func(FileMark) error
	Key  *event.Key
	Poll time.Duration // how often a file is looked at; 0: 100 ms; slower where there are many
	Log  *slog.Logger  // nil: silent
}

// Follow is a Tail of log files that are being written: each log, a live file
// and its rotations, is a partition. A file is read to its end, and for a
// while longer, before the one after it is begun.
//
// A file that is truncated (copytruncate) is begun again at its start; what
// was written into it behind the last look and before the truncation is lost,
// as it is to everybody but the copy. A file that is rewritten in place is
// noticed by its first KiB: one that keeps that, and is no shorter, is taken
// for one that grew.
type Follow struct {
	cfg    FollowConfig
	heads  heads
	dirs   directories
	closed chan struct{}
	end    sync.Once
	wg     sync.WaitGroup

	mu      sync.RWMutex
	logs    []*followLog          // by partition
	byPath  map[string]*followLog // by key
	refused map[string]bool       // logs beyond maxLogs
	blind   []Gap
	unseen  int // more of them
	sigh    complaint
}

// The limits on what is remembered of trouble.
const (
	maxBlind   = 1024
	maxRefused = 4096
)

// errFollowClosed is what Read returns once its source was closed.
var errFollowClosed = errors.New("followed files: closed")

// FollowFiles begins to follow logs. Paths that do not exist are waited for.
// Every fault is reported, one sentence each.
func FollowFiles(cfg FollowConfig) (*Follow, error) {
	if cfg.Poll == 0 {
		cfg.Poll = 100 * time.Millisecond
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Note == nil {
		cfg.Note = func(FileMark) error { return nil }
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	f := &Follow{cfg: cfg, closed: make(chan struct{}), byPath: make(map[string]*followLog), refused: make(map[string]bool)}
	named, globs, err := f.resolve()
	if err != nil {
		return nil, err
	}
	found := f.match(globs)
	f.recall(append(named, found...))
	for _, l := range f.logs {
		l.begin()
	}
	if len(globs) > 0 {
		f.wg.Go(func() { f.watch(globs) })
	}
	return f, nil
}

// Validate reports every fault of the configuration.
func (c *FollowConfig) Validate() (err error) {
	if len(c.Paths) == 0 {
		err = errors.Join(err, errors.New("no log files named"))
	}
	if c.Start != "" && c.Start != "begin" && c.Start != "end" {
		err = errors.Join(err, fmt.Errorf("start: %q, must be begin or end", c.Start))
	}
	if c.Poll < time.Millisecond || c.Poll > time.Minute {
		err = errors.Join(err, fmt.Errorf("poll: %v, must be between 1ms and 1m", c.Poll))
	}
	if c.Key == nil {
		err = errors.Join(err, errors.New("key: none; the first lines of files are kept as keyed hashes"))
	}
	for _, m := range slices.Concat(c.Starts, c.Files) {
		if m.Partition < 0 || m.Partition >= maxLogs || m.Offset < 0 {
			err = errors.Join(err, fmt.Errorf("journal: partition %d at offset %d, must be below %d and not negative", m.Partition, m.Offset, maxLogs))
		}
	}
	return err
}

// Name is the source's name in the configuration.
func (f *Follow) Name() string { return f.cfg.Name }

// Partitions returns how many logs there are. It rises when a glob matches a
// new one.
func (f *Follow) Partitions() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.logs)
}

func (f *Follow) log(p int) *followLog {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.logs[p]
}

// Read appends the next lines of log p to r: at most max, and not many more
// bytes than batchBytes. It waits for the first as long as ctx lasts. An
// *ErrSource ends one file, not the log.
func (f *Follow) Read(ctx context.Context, p int, max int, r *Records) error {
	r.Partition = int32(p)
	return f.log(p).read(ctx, max, r)
}

// Start returns the offset at which partition p was begun to be read: its
// position, or what the configuration meant when there was none.
func (f *Follow) Start(p int) int64 { return f.log(p).start }

// Log returns the path that identifies the log of partition p. A mark of it
// carries it as FileMark.Log.
func (f *Follow) Log(p int) string { return f.log(p).key }

// CaughtUp reports whether partition p was at the end of its live file, or had
// none, when it was looked at last, a few seconds ago at most.
func (f *Follow) CaughtUp(p int) bool { return f.log(p).caughtUp() }

// Lag returns how many bytes of partition p are still to be read, rotations
// with them; those of compressed files as they are on the disk.
func (f *Follow) Lag(p int) int64 { return f.log(p).lag() }

// Blind returns what is known to be missing since the source was opened, the
// first 1024 gaps, and how many more there are.
func (f *Follow) Blind() (first []Gap, more int) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return slices.Clone(f.blind), f.unseen
}

// Refused returns how many logs are not read because there are more than 4096.
func (f *Follow) Refused() int {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return len(f.refused)
}

// Close ends all reads, and frees what the source holds when they have ended.
func (f *Follow) Close() error {
	f.end.Do(func() { close(f.closed) })
	f.wg.Wait()
	f.mu.RLock()
	logs := slices.Clone(f.logs)
	f.mu.RUnlock()
	var errs []error
	for _, l := range logs {
		errs = append(errs, l.close())
	}
	f.heads.close()
	return errors.Join(errs...)
}

// pace is how long to wait between two looks at a log. The looks of all logs
// together stay within a few thousand a second.
func (f *Follow) pace() time.Duration {
	switch n := f.Partitions(); {
	case n <= 32:
		return f.cfg.Poll
	case n <= 256:
		return max(f.cfg.Poll, 250*time.Millisecond)
	default:
		return max(f.cfg.Poll, time.Second)
	}
}

// pause waits for d, and returns why it was ended before.
func (f *Follow) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-f.closed:
		return errFollowClosed
	}
}

// noteBlind remembers and says that lines of a log are missing.
func (f *Follow) noteBlind(log string, g Gap) {
	f.mu.Lock()
	if len(f.blind) < maxBlind {
		f.blind = append(f.blind, g)
	} else {
		f.unseen++
	}
	f.mu.Unlock()
	f.cfg.Log.Warn("lines of a log are missing", "source", f.cfg.Name, "partition", g.Partition, "log", log,
		"from_offset", g.From, "to_offset", g.To, "reason", string(g.Why))
}

// complaint limits how often trouble is said.
type complaint struct {
	last time.Time
	kept map[string]bool // logs whose trouble was not said since
}

// complainEvery is how often trouble with files is said.
const complainEvery = 10 * time.Second

// complain says that a log cannot be read, at most every ten seconds for all
// of the source's logs together.
func (f *Follow) complain(log string, err error) {
	f.mu.Lock()
	c := &f.sigh
	if c.kept == nil {
		c.kept = make(map[string]bool)
	}
	if now := time.Now(); c.last.IsZero() || now.Sub(c.last) >= complainEvery {
		c.last = now
	} else {
		if len(c.kept) < maxRefused {
			c.kept[log] = true
		}
		f.mu.Unlock()
		return
	}
	delete(c.kept, log)
	others := slices.Sorted(maps.Keys(c.kept))
	clear(c.kept)
	f.mu.Unlock()
	args := []any{"source", f.cfg.Name, "error", err}
	if len(others) > 0 {
		args = append(args, "other_logs", len(others), "such_as", filepath.Base(others[0]))
	}
	f.cfg.Log.Error("a log cannot be read", args...)
}
