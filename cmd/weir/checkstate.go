package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"weir/archive"
	"weir/emit"
	"weir/pipeline"
	"weir/state"
)

// checkState says what a start would find in the state's directory, and changes
// nothing there; held says that a run holds it.
func (g *engine) checkState(ctx context.Context, c *checklist) (held bool) {
	dir := g.cfg.path(g.cfg.State.Dir)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.checkMakeable("state", dir)
		g.checkRoom(c, nearest(dir))
		return false
	case err != nil:
		c.fault("state", fmt.Errorf("dir: %w", err))
		return false
	case !info.IsDir():
		c.fault("state", fmt.Errorf("dir: %s is no directory", dir))
		return false
	case info.Mode().Perm()&0o077 != 0:
		c.fault("state", fmt.Errorf("dir: %s: mode %04o, must not be open to others (chmod 700)", dir, info.Mode().Perm()))
		return false
	}
	pid, err := holderOf(dir)
	switch {
	case err != nil:
		c.fault("state", err)
		return false
	case pid != "":
		c.note("state", "%s: in use by process %s: that run goes on, this one could not be started beside it", dir, pid)
		held = true
	}
	if err := syscall.Access(dir, accessWrite); err != nil {
		c.fault("state", fmt.Errorf("dir: %s cannot be written: %w", dir, err))
	}
	if usable := g.checkStore(c, dir); usable && !held {
		g.checkBeside(ctx, c, dir)
	}
	for _, a := range storesAside(dir, nobodysRun) {
		c.note("state", "%s was put aside %s: %s (it can be deleted)", filepath.Base(a.Where), dateText(a.At), plainDamage(a.Why))
	}
	if err := g.cfg.roomFor(dir); held && err != nil {
		c.fault("state", err)
	} else if !held {
		g.checkRoom(c, dir)
	}
	return held
}

// accessWrite asks access(2) whether something may be written.
const accessWrite = 2

// checkMakeable tries whether a directory that is not there could be made.
func (c *checklist) checkMakeable(what, dir string) {
	parent := nearest(dir)
	if err := syscall.Access(parent, accessWrite); err != nil {
		c.fault(what, fmt.Errorf("dir: %s does not exist and cannot be made in %s: %w", dir, parent, err))
		return
	}
	c.ok(what, "%s will be made", dir)
}

// checkStore says from what a run would go on; usable is false where one would not
// use the store.
func (g *engine) checkStore(c *checklist, dir string) (usable bool) {
	f, err := readStoreFacts(dir)
	_, none := os.Stat(filepath.Join(dir, storeDir))
	switch r := f.refused(g.key); {
	case errors.Is(err, state.ErrCorrupt):
		c.note("state", "%s: a start puts the store aside and derives what was in it from the log again, as far as that reaches back", plainDamage(err.Error()))
	case err != nil:
		c.fault("state", err)
		return false
	case r != nil:
		c.fault("state", r)
		return false
	case f == nil && errors.Is(none, fs.ErrNotExist):
		c.ok("state", "%s: nothing is kept in it yet; the log is read from where start: says, or its journal", dir)
	case f == nil || none != nil && f.Generation > 0:
		c.note("state", "%s: of %s and %s one is missing: a start puts the other aside and derives the state from the log again", dir, storeDir, storeFile)
	case f.Generation == 0:
		c.ok("state", "%s: there is a store without a checkpoint; the log is read from where it began", dir)
	default:
		c.ok("state", "%s: a start goes on from %s by the log (checkpoint %d, format %d, of this key)", dir,
			dateText(time.Unix(f.Tick, 0)), f.Generation, f.Format)
	}
	return true
}

// checkBeside says whether a start would refuse the files beside the store: those
// that a checkpoint rests on, and those that cannot be read.
func (g *engine) checkBeside(ctx context.Context, c *checklist, dir string) {
	last, ok, err := state.Last(ctx, dir)
	var meta pipeline.Meta
	if err == nil && ok {
		meta, err = pipeline.ReadMeta(last.Meta)
	}
	var broken []string
	switch {
	case errors.Is(err, state.ErrCorrupt): // then nothing rests on the files
		if f, unread := readStoreFacts(dir); unread == nil && f != nil && !missing(filepath.Join(dir, storeDir)) { // else it was said
			c.note("state", "%s: a start puts the store aside and derives what was in it from the log again, as far as that reaches back", plainDamage(err.Error()))
		}
	case err != nil:
		c.fault("state", err)
		return
	case ok:
		if broken, err = brokenSeals(dir, &meta); err != nil {
			for line := range strings.Lines(err.Error()) {
				c.fault("state", errors.New(strings.TrimPrefix(strings.TrimSpace(line), "state: ")))
			}
		}
	}
	if _, _, err := pipeline.ReadJournal(filepath.Join(dir, journalFile)); err != nil && !errors.Is(err, fs.ErrNotExist) && !slices.Contains(broken, journalFile) {
		c.fault("state", fmt.Errorf("%w: %s", err, doJournal))
	}
	if g.key == nil || slices.Contains(broken, ledgerFile) {
		return
	}
	if _, err := emit.VerifyLedger(dir, g.key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.fault("state", fmt.Errorf("%w: %s", err, doLedger))
	}
}

// checkRoom says whether a start would refuse the disk, or wait for it.
func (g *engine) checkRoom(c *checklist, dir string) {
	if err := g.cfg.roomFor(dir); err != nil {
		c.fault("state", err)
		return
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		c.fault("state", fmt.Errorf("dir: %s: %w", dir, err))
		return
	}
	free, reserve := int64(disk.Bavail)*disk.Bsize, g.cfg.reserve()
	if reserve == 0 {
		reserve = state.DefaultReserve(int64(disk.Blocks) * disk.Bsize)
	}
	if free < reserve {
		c.fault("state", fmt.Errorf("the disk of %s has %s free, and %s is to stay free (state: reserve:): a start would wait until it has", dir, bytesText(free), bytesText(reserve)))
	}
}

// checkArchive says what a start would find in the archive's directory.
func (g *engine) checkArchive(c *checklist) {
	dir := g.cfg.archiveDir()
	if dir == "" {
		return
	}
	found, err := archive.Look(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.checkMakeable("archive", dir)
		return
	case err != nil:
		c.fault("archive", fmt.Errorf("dir: %s: %w", dir, err))
		return
	}
	if err := syscall.Access(dir, accessWrite); err != nil {
		c.fault("archive", fmt.Errorf("dir: %s cannot be written: %w", dir, err))
	}
	for _, fault := range found.Faults {
		c.note("archive", "%s", fault)
	}
	text := fmt.Sprintf("%s: %s of %s", dir, several(found.Files, "file"), bytesText(found.Bytes))
	if limit := g.cfg.archiveSize(); found.Bytes > limit {
		text += fmt.Sprintf(", more than archive: size: allows (%s): a start deletes the oldest", bytesText(limit))
	}
	if found.Spools > 0 {
		text += fmt.Sprintf("; and %s of events, not a file yet", several(found.Spools, "spool"))
	}
	if found.Held {
		c.note("archive", "%s; in use by a run", text)
		return
	}
	c.ok("archive", "%s", text)
}
