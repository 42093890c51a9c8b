package archive

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
)

// finishedFile is a file that Size counts.
type finishedFile struct {
	name
	path string
	size int64
}

// finishedFiles returns the finished files of all sources that are or were
// there, the oldest first.
func finishedFiles(dir string) (all []finishedFile, total int64, err error) {
	sources, err := os.ReadDir(dir)
	if err != nil {
		return nil, 0, err
	}
	for _, s := range sources {
		if !s.IsDir() {
			continue
		}
		within, err := directories(filepath.Join(dir, s.Name()))
		if err != nil {
			return nil, 0, err
		}
		for _, d := range within {
			files, err := os.ReadDir(d)
			if err != nil {
				return nil, 0, err
			}
			for _, f := range files {
				n, ok := parseName(f.Name(), fileSuffix)
				if !ok {
					continue // not the archive's
				}
				info, err := f.Info()
				if err != nil {
					return nil, 0, err
				}
				all = append(all, finishedFile{name: n, path: filepath.Join(d, f.Name()), size: info.Size()})
				total += info.Size()
			}
		}
	}
	slices.SortFunc(all, func(x, y finishedFile) int {
		return cmp.Or(x.name.compare(y.name), cmp.Compare(x.path, y.path))
	})
	return all, total, nil
}

// retain deletes the oldest files until the rest is not larger than Size, and as
// many as are worth what is to be free and is not. Where a disk gives that back
// late, or others take it, the next round deletes more.
func (a *Archive) retain(free int64) {
	all, total, err := finishedFiles(a.cfg.Dir)
	if err != nil {
		a.log.Error("the archive's files cannot be counted", "error", err)
		return
	}
	missing, err := a.missing(free)
	if err != nil {
		a.log.Error("the archive cannot tell how much room there is", "error", err)
	}
	for len(all) > 0 && (a.cfg.Size > 0 && total > a.cfg.Size || missing > 0) {
		old := all[0]
		all = all[1:]
		if err := os.Remove(old.path); err != nil {
			a.log.Error("an old file of the archive cannot be deleted", "error", err)
			continue
		}
		a.counters.deleted.Add(1)
		total -= old.size
		if missing > 0 {
			a.log.Warn("an old file of the archive is deleted, for the disk is nearly full", "file", old.path, "bytes", old.size, "missing", missing, "reserve", a.cfg.Reserve)
			missing -= old.size
			continue
		}
		a.log.Info("an old file of the archive is deleted, for more would be kept than its size allows", "file", old.path, "bytes", old.size, "size", a.cfg.Size)
	}
	a.kept.Store(total)
}
