package archive

import (
	"os"
	"path/filepath"
	"slices"
)

// lookForEnds notes up to where files should go, by what the archive's list of
// positions says: with the last file gone nothing else knows of it. Nothing is
// noted where that list is not there, where the files lie elsewhere, or where
// later ones are there and were not asked for.
func (s *Source) lookForEnds(given []string) {
	dir := ""
	for _, r := range s.parts {
		for _, f := range r.files {
			if at := filepath.Dir(f.path); dir == "" {
				dir = at
			} else if dir != at {
				return
			}
		}
	}
	known, err := readMarks(filepath.Join(filepath.Dir(dir), marksFile))
	if err != nil || len(known.parts) == 0 {
		return // the run that writes it says so
	}
	// After the list was read: a file is there before the list names what is in it.
	there, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var left []name
	for _, f := range there {
		asked := slices.ContainsFunc(given, func(path string) bool {
			return filepath.Dir(path) == dir && filepath.Base(path) == f.Name()
		})
		if n, ok := parseName(f.Name(), fileSuffix); ok && !asked {
			left = append(left, n)
		}
	}
	for _, r := range s.parts {
		if len(r.files) == 0 {
			continue // a limit on its size may have deleted all of them
		}
		last, ok := parseName(filepath.Base(r.files[len(r.files)-1].path), fileSuffix)
		if ok && !slices.ContainsFunc(left, func(n name) bool { return n.compare(last) > 0 }) {
			r.until = known.parts[Part{s.info.Name, r.number}].done
		}
	}
}

// lookForEnd notes what is missing behind the last file.
func (r *reader) lookForEnd() {
	if len(r.files) == 0 {
		return
	}
	at := r.files[len(r.files)-1].about.partition(r.number)
	r.miss(hole{at.Last + 1, r.until, at.Latest, "the archive's list of positions says that it had files up to there, and the last are not there, or cannot be read"})
}

// Unchained returns the files of which nobody can tell whether others are lost in
// front of them, by their paths: offsets are left out there, and they do not say
// what they follow. An older weir wrote them, or one that did not know.
func (s *Source) Unchained() (files []string) {
	for _, r := range s.parts {
		for i := 1; i < len(r.files); i++ {
			f := r.files[i]
			before, at := r.files[i-1].about.partition(r.number), f.about.partition(r.number)
			if at.Follows == 0 && at.First > before.Last+1 && !slices.Contains(files, f.path) {
				files = append(files, f.path)
			}
		}
	}
	slices.Sort(files)
	return files
}
