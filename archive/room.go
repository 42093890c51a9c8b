package archive

import (
	"errors"
	"fmt"
	"maps"

	"golang.org/x/sys/unix"
)

// ErrFull is what an error wraps where a file is not written for want of room: it
// is once there is some, by this run or the next.
var ErrFull = errors.New("the disk is nearly full")

// missing returns how many bytes are not free that are to be. An archive that was
// told of no reserve does not look.
func (a *Archive) missing(wanted int64) (int64, error) {
	if a.cfg.Reserve == 0 {
		return 0, nil
	}
	look := a.cfg.free
	if look == nil {
		look = statfs
	}
	free, err := look(a.cfg.Dir)
	if err != nil {
		return 0, fmt.Errorf("looking at the disk of %s: %w", a.cfg.Dir, err)
	}
	return max(0, wanted-free), nil
}

// makeRoom deletes the oldest files where less than twice the reserve is free:
// the state on the same disk must not have to wait because of them.
func (a *Archive) makeRoom() {
	missing, err := a.missing(2 * a.cfg.Reserve)
	if err != nil {
		a.log.Error("the archive cannot tell how much room there is", "error", err)
		return
	}
	if missing > 0 {
		a.syncing.Lock()
		defer a.syncing.Unlock()
		a.retain(2 * a.cfg.Reserve)
	}
}

// giveWay drops the oldest hour that waits to become a file where not even the
// reserve is free and no file is left to delete: as if it had become a file, which
// would be deleted next. Else spools that need as much again to become files would
// hold the state on the same disk for ever. Not while somebody waits for files.
func (f *finisher) giveWay() {
	a := f.a
	f.mu.Lock()
	var sp *spool
	if len(f.waiting) > 0 && f.rush == 0 {
		sp = f.waiting[0]
	}
	f.mu.Unlock()
	if missing, err := a.missing(a.cfg.Reserve); sp == nil || err != nil || missing == 0 {
		return // an error was told when room was made
	}
	if files, _, err := finishedFiles(a.cfg.Dir); err != nil || len(files) > 0 {
		return
	}
	a.syncing.Lock()
	defer a.syncing.Unlock()
	// Marks that could not be saved are as they were: else the file that the hour
	// becomes, where there is room by then, would not know what it follows.
	parts, spools := maps.Clone(a.marks.parts), maps.Clone(a.marks.spools)
	for p, r := range sp.parts {
		a.marks.finished(Part{sp.source.Name, p}, r.last, r.max)
	}
	delete(a.marks.spools, spoolName{sp.source.Name, sp.name})
	if err := a.saveMarks(); err != nil {
		a.marks.parts, a.marks.spools = parts, spools
		a.log.Error("an hour of the archive that has no room cannot be given up; it is tried again", "hour", sp.String(), "error", err)
		return
	}
	a.counters.deleted.Add(1)
	a.log.Error("an hour of the archive is given up: the disk is nearly full, and no file is left that could be deleted for it", "hour", sp.String(), "bytes", sp.size, "reserve", a.cfg.Reserve)
	if err := sp.source.removeSpool(sp.name); err != nil {
		a.log.Error("what was given up takes room until the next start: its spool cannot be removed", "hour", sp.String(), "error", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting = f.waiting[1:]
	close(f.step)
	f.step = make(chan struct{})
}

// admitFile is an error while there is no room for the file of a spool, which
// takes about as much again until the spool goes. The oldest files make room.
func (a *Archive) admitFile(sp *spool) error {
	need := a.cfg.Reserve + sp.size
	missing, err := a.missing(need)
	if missing > 0 {
		a.syncing.Lock()
		a.retain(need)
		a.syncing.Unlock()
		missing, err = a.missing(need)
	}
	if err != nil || missing == 0 {
		return err
	}
	return fmt.Errorf("%w: a file of %v needs %d bytes for a while and %d stay free on the disk of %s, which lacks %d for both", ErrFull, sp, sp.size, a.cfg.Reserve, a.cfg.Dir, missing)
}

// statfs asks the file system what is free.
func statfs(dir string) (free int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
