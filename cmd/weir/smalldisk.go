package main

import (
	"fmt"
	"os"
	"syscall"

	"weir/state"
)

// filesOfKeys is how many times what keys come to the store's files may take,
// while they are tidied up.
const filesOfKeys = 3

// fileSystem is what a directory is on, or will be.
type fileSystem struct {
	id    uint64
	total int64 // bytes
}

// fileSystemOf looks at what a directory is on; where it is not made yet, at the
// nearest one above it.
func fileSystemOf(dir string) (fs fileSystem, err error) {
	dir = nearest(dir)
	var at syscall.Stat_t
	if err := syscall.Stat(dir, &at); err != nil {
		return fs, fmt.Errorf("%s: %w", dir, err)
	}
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		return fs, fmt.Errorf("%s: %w", dir, &os.PathError{Op: "statfs", Path: dir, Err: err})
	}
	return fileSystem{id: at.Dev, total: int64(disk.Blocks) * disk.Bsize}, nil
}

// archiveReserve returns how many bytes are to stay free on the archive's disk:
// what the state wants where it is on the same one.
func (c *config) archiveReserve() (int64, error) {
	kept, err := fileSystemOf(c.archiveDir())
	if err != nil {
		return 0, fmt.Errorf("archive: dir: %w", err)
	}
	beside, err := fileSystemOf(c.path(c.State.Dir))
	if err != nil {
		return 0, fmt.Errorf("state: dir: %w", err)
	}
	if r := c.reserve(); r > 0 && kept.id == beside.id {
		return r, nil
	}
	return state.DefaultReserve(kept.total), nil
}

// smallDisks says of each disk that it could not take what the configuration lets
// weir write there: it would be full one day, in a flood of new keys at the
// latest. look is fileSystemOf; what it cannot look at is told elsewhere.
func (c *config) smallDisks(look func(dir string) (fileSystem, error)) (texts []string) {
	dir := c.path(c.State.Dir)
	disk, err := look(dir)
	if err != nil {
		return nil
	}
	reserve := c.reserve()
	if reserve == 0 {
		reserve = state.DefaultReserve(disk.total)
	}
	need := filesOfKeys*c.disk() + reserve
	sum := fmt.Sprintf("%d x state: disk: (%s), and %s stay free", filesOfKeys, sizeText(c.disk()), bytesText(reserve))
	do := "a larger disk, or a smaller disk:"
	if kept := c.archiveDir(); kept != "" {
		its, err := look(kept)
		switch {
		case err != nil:
		case its.id == disk.id:
			need += c.archiveSize()
			sum = fmt.Sprintf("%d x state: disk: (%s), archive: size: (%s), and %s stay free", filesOfKeys, sizeText(c.disk()), sizeText(c.archiveSize()), bytesText(reserve))
			do = "a larger disk, or a smaller disk: or size:; the archive gives way first: its oldest files go earlier than size: says"
		default:
			free := state.DefaultReserve(its.total)
			if most := c.archiveSize() + free; most > its.total {
				texts = append(texts, fmt.Sprintf("the disk of %s has %s in all, and the archive may come to %s: archive: size: (%s), and %s stay free. Its oldest files go earlier than size: says",
					kept, bytesText(its.total), bytesText(most), sizeText(c.archiveSize()), bytesText(free)))
			}
		}
	}
	if need > disk.total {
		texts = append([]string{fmt.Sprintf("the disk of %s has %s in all, and weir may come to %s there: %s. When it is full nothing is saved and input waits: take %s",
			dir, bytesText(disk.total), bytesText(need), sum, do)}, texts...)
	}
	return texts
}

// limits returns what this machine has less of than the configuration lets weir
// take: weir check and a start say it in the same words.
func (c *config) limits() (texts []string) {
	texts = c.smallDisks(fileSystemOf)
	for _, text := range []string{c.muchMemory(machineMemory("/")), c.fewFiles(filesAllowed())} {
		if text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// checkLimits notes what would be too little one day.
func (g *engine) checkLimits(c *checklist) {
	for _, text := range g.cfg.limits() {
		c.note("state", "%s", text)
	}
}
