package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"weir/event"
	"weir/ingest"
	"weir/internal/failpoint"
)

// Config says where an archive is and what it may take.
type Config struct {
	Dir   string
	Size  int64 // bytes that finished files of all sources may take; 0: any
	Queue int64 // bytes of encoded events that may wait to be written; 0: 32 MiB
	// Reserve is how many bytes are to stay free on the disk: below twice as many
	// the oldest files go, below it none is written; 0: nobody looks.
	Reserve int64
	Sources []SourceInfo // whose events come
	Extras  event.Extras // the names of the extra fields
	Log     *slog.Logger // nil: silent

	free func(dir string) (int64, error) // nil: the file system's
}

// SourceInfo is what a replay must know of a source, beside its events.
type SourceInfo struct {
	Name        string
	Disorder    time.Duration
	MaxLateness time.Duration
	Unjudged    bool // nothing maps its outcomes
}

// Part names a partition.
type Part struct {
	Source    string
	Partition int32
}

// String returns how logs name the partition.
func (p Part) String() string { return fmt.Sprintf("%s/%d", p.Source, p.Partition) }

const (
	// maxPartition is the largest number that a partition may have. Parquet
	// counts row groups in 15 bits, and each partition has at least one.
	maxPartition = 1<<14 - 1
	// defaultQueue is how many bytes of frames may wait to be written.
	defaultQueue = 32 << 20
	// maxWaiting is how many batches of one partition may wait for an earlier one:
	// far more than are ever mapped at a time.
	maxWaiting = 4096
	hour       = int64(time.Hour)
)

var errClosed = errors.New("archive: closed")

// Archive writes events. Open, then Resume, then Add, Sync and Passed.
type Archive struct {
	cfg   Config
	log   *slog.Logger
	limit int64
	lock  *os.File
	hit   func(step string) // a crash may come here

	mu      sync.Mutex
	lanes   map[Part]*lane
	ready   []*batch // in order of each partition
	queued  int64    // bytes of them
	waiting int64    // bytes of those that wait for an earlier one
	room    chan struct{}
	err     error // for good
	why     string

	wake   chan struct{}
	orders chan func()
	stop   chan struct{}
	ended  sync.WaitGroup

	// What follows belongs to the writer.
	sources map[string]*source
	stuck   bool // the last try to write failed

	syncing sync.Mutex // one Sync, and one change of marks, at a time
	marks   marks

	done     finisher
	counters counters
	kept     atomic.Int64 // bytes of finished files
	buffers  atomic.Int64 // bytes of buffers of spools
	open     atomic.Int64 // bytes of spools that are added to
	making   atomic.Int64 // bytes of the file that is made
}

// counters are read by Stats.
type counters struct {
	events, frames, bytes, passedOver, lost, deleted, files, held atomic.Int64
}

// batch is what one Add handed over.
type batch struct {
	part   Part
	gone   []gap // what the log lacks in front of its events, or among them
	pieces []piece
	bytes  int64
	at     time.Time
}

// lane is one partition on its way into the spools.
type lane struct {
	// Under the archive's mutex:
	next    uint64 // the batch that comes next
	waiting map[uint64]*batch

	// The writer's:
	began bool
	last  int64 // the offset of the last event
	max   int64 // the largest time
	done  int64 // events before it are in finished files
	cut   int64 // up to there Resume had events, and cut off what files do not have
	gap   *gap  // to be written before its next event
	in    int64 // the begin of the spool that it is in
}

// gap is a run of offsets whose events are missing.
type gap struct{ from, to int64 }

// Open opens the archive in a directory, or makes one. Resume must follow.
func Open(cfg Config) (*Archive, error) {
	registerCodec()
	a := &Archive{
		cfg: cfg, log: cfg.Log, limit: cfg.Queue, hit: failpoint.Hit,
		lanes: make(map[Part]*lane), room: make(chan struct{}),
		wake: make(chan struct{}, 1), orders: make(chan func()), stop: make(chan struct{}),
		sources: make(map[string]*source, len(cfg.Sources)),
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	if a.limit <= 0 {
		a.limit = defaultQueue
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	lock, err := lockDir(cfg.Dir)
	if err != nil {
		return nil, err
	}
	a.lock = lock
	known, err := readMarks(filepath.Join(cfg.Dir, marksFile))
	damaged := err != nil
	if damaged {
		a.log.Warn("the archive's list of positions cannot be read and is made again from its files", "error", err)
	}
	a.marks = known
	for _, info := range cfg.Sources {
		if _, twice := a.sources[info.Name]; twice {
			return nil, errors.Join(fmt.Errorf("archive: source %s is named twice", info.Name), lock.Close())
		}
		s, err := a.openSource(info, damaged)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("archive: %w", err), lock.Close())
		}
		a.sources[info.Name] = s
	}
	if err := a.lookForReached(); err != nil {
		return nil, errors.Join(wrap(err), lock.Close())
	}
	a.orphans()
	a.done.start(a)
	a.retain(2 * cfg.Reserve)
	a.ended.Add(1)
	go a.write()
	return a, nil
}

// Add hands over the events of a batch, with their append times or nil. seq
// counts a partition's batches from 0 since Resume, without a gap: an empty one
// has its number too. They may come in any order and from several goroutines.
// Add keeps nothing of its arguments. It waits while the queue is full.
func (a *Archive) Add(ctx context.Context, part Part, seq uint64, events []event.Event, appended []int64) error {
	return a.AddBehind(ctx, part, seq, nil, events, appended)
}

// AddBehind is Add for a batch in front of or among whose events the log lacks
// something. What Resume cut off, so that the log would give it again, and is
// gone from there is missing in the archive for good: the file behind it says so.
func (a *Archive) AddBehind(ctx context.Context, part Part, seq uint64, gone []ingest.Gap, events []event.Event, appended []int64) error {
	if _, ok := a.cfg.source(part.Source); !ok || part.Partition < 0 || part.Partition > maxPartition {
		return fmt.Errorf("archive: partition %v: the source must be configured and the number at most %d", part, maxPartition)
	}
	if err := a.admit(ctx); err != nil {
		return err
	}
	b := &batch{part: part, at: time.Now()}
	for _, g := range gone {
		b.gone = append(b.gone, gap{g.From, g.To})
	}
	if err := b.encode(events, appended); err != nil {
		return fmt.Errorf("archive: %v: %w", part, err)
	}
	a.counters.events.Add(int64(len(events)))

	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err != nil {
		return a.err
	}
	l := a.lane(part)
	if seq < l.next || l.waiting[seq] != nil {
		return fmt.Errorf("archive: %v: batch %d came twice, the next is %d", part, seq, l.next)
	}
	if len(l.waiting) >= maxWaiting {
		return fmt.Errorf("archive: %v: %d batches wait for batch %d, at most %d may", part, len(l.waiting), l.next, maxWaiting)
	}
	l.waiting[seq] = b
	a.waiting += b.bytes
	moved := false
	for next := l.waiting[l.next]; next != nil; next = l.waiting[l.next] {
		delete(l.waiting, l.next)
		l.next++
		a.waiting -= next.bytes
		if len(next.pieces)+len(next.gone) > 0 {
			a.ready = append(a.ready, next)
			a.queued += next.bytes
			moved = true
		}
	}
	if moved {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// admit waits for room in the queue. Only what can be written at once counts
// there, so the batch that others wait for never waits for them.
func (a *Archive) admit(ctx context.Context) error {
	held := false
	for {
		a.mu.Lock()
		err, full, room := a.err, a.queued >= a.limit, a.room
		a.mu.Unlock()
		if err != nil {
			return err
		}
		if !full {
			return nil
		}
		if !held {
			held = true
			a.counters.held.Add(1)
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		case <-a.stop:
			return errClosed
		}
	}
}

// lane returns the lane of a partition.
func (a *Archive) lane(part Part) *lane {
	l := a.lanes[part]
	if l == nil {
		l = &lane{waiting: make(map[uint64]*batch), last: -1, max: math.MinInt64, in: math.MinInt64}
		a.lanes[part] = l
	}
	return l
}

func (c *Config) source(name string) (SourceInfo, bool) {
	for _, s := range c.Sources {
		if s.Name == name {
			return s, true
		}
	}
	return SourceInfo{}, false
}

// do has the writer run fn, behind all that was ready before.
func (a *Archive) do(ctx context.Context, fn func() error) error {
	result := make(chan error, 1)
	select {
	case a.orders <- func() { result <- fn() }:
	case <-ctx.Done():
		return ctx.Err()
	case <-a.stop:
		return errClosed
	}
	return <-result
}

// Close writes what was added and can be, and gives the archive up. Hours that
// are not finished stay in their spools.
func (a *Archive) Close() error {
	err := a.do(context.Background(), func() error {
		if err := a.drain(); err != nil {
			return err
		}
		return a.flush()
	})
	if errors.Is(err, errClosed) {
		return nil
	}
	a.done.close()
	close(a.stop)
	a.ended.Wait()
	for _, s := range a.sources {
		err = errors.Join(err, s.close())
	}
	return errors.Join(err, a.lock.Close())
}
