package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultReserve is what is kept free on a disk of so many bytes: 1 GiB, at most
// a tenth of the disk, at least 64 MiB.
func DefaultReserve(total int64) int64 {
	return max(64<<20, min(1<<30, total/10))
}

// ballastFile takes half of the reserve, to be given back when the disk runs
// full: what Badger has under way then ends well.
const ballastFile = "ballast"

// mostBallast is how large it is at most: what compactions that are under way
// may still write.
const mostBallast = 64 << 20

// disk watches the room on a store's disk. Badger maps its files: where the
// disk is full a write to one ends the process.
type disk struct {
	dir     string
	reserve int64
	ballast int64 // 0: none is kept
	free    func(dir string) (free, total int64, err error)
	log     *slog.Logger

	mu   sync.Mutex
	held bool // the ballast file is there
	told bool // that there is too little room
}

// newDisk looks at the disk that a store's directory is on.
func newDisk(cfg Config, log *slog.Logger) (*disk, error) {
	d := &disk{dir: cfg.Dir, reserve: cfg.Reserve, free: cfg.free, log: log}
	if d.free == nil {
		d.free = statfs
	}
	_, total, err := d.free(d.dir)
	if err != nil {
		return nil, fmt.Errorf("looking at the disk of %s: %w", d.dir, err)
	}
	if d.reserve == 0 {
		d.reserve = DefaultReserve(total)
	}
	if !cfg.Temporary {
		d.ballast = min(d.reserve/2, mostBallast)
	}
	if info, err := os.Stat(d.path()); err == nil {
		d.held = info.Size() == d.ballast
	}
	return d, nil
}

func (d *disk) path() string { return filepath.Join(d.dir, ballastFile) }

// short returns how many bytes are missing until the store may write, and how
// many are free. Below the reserve the ballast is given back, and writing goes
// on only when there is room for the ballast again: so it does not flutter.
func (d *disk) short() (missing, free int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	free, _, err := d.free(d.dir)
	if err != nil {
		d.log.Error("the disk cannot be looked at, so nothing is written", "dir", d.dir, "error", err)
		return d.reserve, 0
	}
	need := d.reserve
	if !d.held {
		need += d.ballast
	}
	if free < need {
		if !d.told {
			d.told = true
			d.log.Warn("the disk is nearly full, nothing is written until there is room", "dir", d.dir, "free", free, "needed", d.reserve+d.ballast)
		}
		d.drop()
		return need - free, free
	}
	if d.told {
		d.told = false
		d.log.Info("the disk has room again", "dir", d.dir, "free", free)
	}
	if !d.held && d.ballast > 0 {
		d.take()
	}
	return 0, free
}

// drop gives the ballast back.
func (d *disk) drop() {
	if !d.held {
		return
	}
	if err := os.Remove(d.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Error("the ballast cannot be given back", "error", err)
		return
	}
	d.held = false
}

// take makes the ballast file. Without one writing stops as early, and only
// what Badger has under way when the disk runs full has less room.
func (d *disk) take() {
	err := func() error {
		f, err := os.OpenFile(d.path(), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		return errors.Join(allocate(f, d.ballast), f.Close())
	}()
	if err != nil {
		d.log.Warn("no ballast could be taken", "file", d.path(), "bytes", d.ballast, "error", err)
		os.Remove(d.path())
	}
	d.held = true // as far as the room goes that must be there: it is asked for again at the next start
}

// wait waits until there is room to write.
func (d *disk) wait(ctx context.Context) error {
	const look, say = time.Second, 10 * time.Second
	tick := time.NewTicker(look)
	defer tick.Stop()
	for waited := time.Duration(0); ; waited += look {
		missing, free := d.short()
		if missing == 0 {
			return nil
		}
		if waited%say == 0 {
			d.log.Warn("waiting for room on the disk before the store is opened", "dir", d.dir, "free", free, "missing", missing, "waited", waited)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for room on the disk of %s, which has %d bytes free and needs %d more: %w", d.dir, free, missing, context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// errDiskFull is why a checkpoint is not written.
var errDiskFull = errors.New("the disk is nearly full")

// check is an error while nothing may be written, for want of room or of files.
func (d *disk) check() error {
	if missing, free := d.short(); missing > 0 {
		return fmt.Errorf("%w: that of %s has %s free and must have %s; make room on it, or lower state: reserve: and start again", errDiskFull, d.dir, mebibytes(free), mebibytes(free+missing))
	}
	return spareFiles(d.dir)
}

// mebibytes writes a size as people read it.
func mebibytes(n int64) string {
	if n >= 10<<30 {
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

// statfs asks the file system what it has.
func statfs(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
}

// allocate takes blocks for a file: a sparse one would be no ballast.
func allocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	zeros := make([]byte, 1<<20)
	for size > 0 {
		n, err := f.Write(zeros[:min(size, int64(len(zeros)))])
		if err != nil {
			return err
		}
		size -= int64(n)
	}
	return nil
}

// blocks is what the files below a directory take on the disk. Badger's files
// have holes, so their sizes say nothing.
func blocks(dir string) (bytes int64) {
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // a file may go while we look
		}
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil {
			bytes += st.Blocks * 512
		}
		return nil
	})
	return bytes
}
