package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"weir/event"
	"weir/ingest"
)

// ReadConfig says what of an archive is read.
type ReadConfig struct {
	Reads  func(event.Field) bool // which fields anything looks at; nil: all
	Extras event.Extras           // the names of the extra fields
}

// Source hands out the events of one source of an archive, as the partitions
// that they came from.
type Source struct {
	info     SourceInfo
	cfg      ReadConfig
	appended bool // some events have append times
	parts    []*reader
}

var _ ingest.Events = (*Source)(nil)

// shared is a file that partitions read. It is open while any of them does.
type shared struct {
	path  string
	about *about

	mu    sync.Mutex
	users int
	file  *archiveFile
}

// reader reads one partition.
type reader struct {
	number int32
	faults []error   // of files of which nothing can be read, to be told first
	files  []*shared // by the first offset
	next   int       // of files

	file   *shared // that it reads
	groups []int   // its row groups that are still to be read
	group  *groupReader
	last   int64 // the offset of the last event
	time   int64 // the largest time up to there
	ended  bool

	holes []hole // what is missing and was not told yet, by offset
	until int64  // events before it were in files once; 0: nobody knows
}

// OpenFiles opens the files of an archive, or those in directories, and returns
// a source for each that they have events of, sorted by name. A file that cannot
// be read is an *ingest.ErrSource of the first ReadEvents; it is an error here
// if there is no other.
func OpenFiles(paths []string, cfg ReadConfig) ([]*Source, error) {
	files, err := find(paths)
	if err != nil {
		return nil, err
	}
	var faults []error
	var all []*shared
	for _, path := range files {
		f, err := openFile(path)
		if err != nil {
			faults = append(faults, &ingest.ErrSource{File: path, Err: reason(err, path)})
			continue
		}
		all = append(all, &shared{path: path, about: f.about})
		if err := f.close(); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, errors.Join(append(faults, errors.New("archive: no file that can be read"))...)
	}
	sources := make(map[string]*Source)
	for _, f := range all {
		s := sources[f.about.Source]
		if s == nil {
			s = &Source{cfg: cfg}
			sources[f.about.Source] = s
		}
		s.add(f)
	}
	var sorted []*Source
	for _, s := range sources {
		s.order()
		s.lookForEnds(files)
		sorted = append(sorted, s)
	}
	slices.SortFunc(sorted, func(x, y *Source) int { return cmp.Compare(x.info.Name, y.info.Name) })
	sorted[0].parts[0].faults = faults
	return sorted, nil
}

// reason takes a path off an error that will be said with it.
func reason(err error, path string) error {
	if inner := errors.Unwrap(err); inner != nil && err.Error() == path+": "+inner.Error() {
		return inner
	}
	return err
}

// find returns the files that paths name, each once.
func find(paths []string) (files []string, err error) {
	seen := make(map[string]bool)
	add := func(path string) {
		if full, err := filepath.Abs(path); err == nil && !seen[full] {
			seen[full] = true
			files = append(files, path)
		}
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			add(path)
			continue
		}
		err = filepath.WalkDir(path, func(at string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if _, earlier := beforeNumber(d); earlier && at != path {
				return fs.SkipDir // another log's, with offsets of its own: it is read by itself
			}
			if !d.IsDir() && filepath.Ext(at) == fileSuffix {
				add(at)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// add notes a file of the source.
func (s *Source) add(f *shared) {
	a := f.about
	s.info = SourceInfo{Name: a.Source, Disorder: time.Duration(a.Disorder), MaxLateness: time.Duration(a.MaxLateness), Unjudged: a.Unjudged}
	s.appended = s.appended || a.Appended
	for _, p := range a.Partitions {
		for int(p.Partition) >= len(s.parts) {
			s.parts = append(s.parts, &reader{number: int32(len(s.parts)), last: math.MinInt64})
		}
		s.parts[p.Partition].files = append(s.parts[p.Partition].files, f)
	}
}

// order puts each partition's files in order. What the source is like is what
// its newest file says.
func (s *Source) order() {
	newest := int64(math.MinInt64)
	for _, r := range s.parts {
		slices.SortStableFunc(r.files, func(x, y *shared) int {
			return cmp.Compare(x.about.partition(r.number).First, y.about.partition(r.number).First)
		})
		if n := len(r.files); n > 0 {
			if p := r.files[n-1].about.partition(r.number); p.Latest > newest {
				newest = p.Latest
				a := r.files[n-1].about
				s.info.Disorder, s.info.MaxLateness, s.info.Unjudged = time.Duration(a.Disorder), time.Duration(a.MaxLateness), a.Unjudged
			}
		}
	}
}

func (a *about) partition(p int32) aboutPartition {
	for _, k := range a.Partitions {
		if k.Partition == p {
			return k
		}
	}
	return aboutPartition{}
}

// Name is the source's name, as it was when the events were written.
func (s *Source) Name() string { return s.info.Name }

// Info returns what the newest file says of the source.
func (s *Source) Info() SourceInfo { return s.info }

// Partitions returns the highest number of a partition, and one: those without
// events end at once.
func (s *Source) Partitions() int { return len(s.parts) }

// Read is an error: there are events, not lines.
func (s *Source) Read(context.Context, int, int, *ingest.Records) error {
	return errors.New("archive: it has events, no lines")
}

// Close closes the files.
func (s *Source) Close() (err error) {
	for _, r := range s.parts {
		err = errors.Join(err, r.leave())
		r.next = len(r.files)
	}
	return err
}

// ReadEvents appends the next events of partition p to b and their append times
// to appended. A file that cannot be read on is an *ingest.ErrSource; the next
// call goes on with the next file.
func (s *Source) ReadEvents(ctx context.Context, p, max int, b *event.Batch, appended []int64) ([]int64, error) {
	if err := ctx.Err(); err != nil {
		return appended, err
	}
	r := s.parts[p]
	if len(r.faults) > 0 {
		err := r.faults[0]
		r.faults = r.faults[1:]
		return appended, err
	}
	for r.group == nil {
		if err := r.advance(s); err != nil {
			return appended, err
		}
	}
	before, times, last, at := len(b.Events), len(appended), r.last, r.time
	appended, err := r.group.read(max, b, appended, s.appended)
	if err == nil {
		err = r.check(b.Events[before:])
	}
	if err != nil {
		b.Events, appended, r.last, r.time = b.Events[:before], appended[:times], last, at
		return appended, r.fault(err)
	}
	if r.group.left == 0 {
		r.group = nil
	}
	return appended, nil
}

// check sees to it that offsets rise and that times are such as a pipeline takes.
func (r *reader) check(events []event.Event) error {
	for i := range events {
		e := &events[i]
		if e.Offset <= r.last {
			return fmt.Errorf("offset %d of partition %d stands behind %d", e.Offset, r.number, r.last)
		}
		if e.Time < 0 || e.Time > latestTime {
			return fmt.Errorf("time %d of partition %d, must be from 1970 to 2105", e.Time, r.number)
		}
		r.last, r.time = e.Offset, max(r.time, e.Time)
	}
	return nil
}

// latestTime is the latest time that windows keep, in Unix nanoseconds.
const latestTime = (1<<32 - 10_000_000) * int64(time.Second)

// advance goes to the next row group.
func (r *reader) advance(s *Source) error {
	if len(r.groups) == 0 {
		return r.open()
	}
	i := r.groups[0]
	r.groups = r.groups[1:]
	g, err := r.file.file.group(i, s.cfg)
	if err != nil {
		return r.fault(err)
	}
	if g.left > 0 {
		r.group = g
	}
	return nil
}

// open goes to the next file.
func (r *reader) open() error {
	if err := r.leave(); err != nil {
		return err
	}
	if r.next == len(r.files) {
		if !r.ended {
			r.lookForEnd()
		}
		r.ended = true
		return io.EOF
	}
	f := r.files[r.next]
	r.lookForHoles(r.next)
	r.next++
	r.file = f
	if err := f.enter(); err != nil {
		r.file = nil
		r.unreadable(f, f.about.partition(r.number).First)
		return &ingest.ErrSource{File: f.path, Err: reason(err, f.path)}
	}
	for i, p := range f.about.RowGroups {
		if p == r.number {
			r.groups = append(r.groups, i)
		}
	}
	return nil
}

// fault gives the partition's file up.
func (r *reader) fault(err error) error {
	path := r.file.path
	r.unreadable(r.file, max(r.last+1, r.file.about.partition(r.number).First))
	return &ingest.ErrSource{File: path, Err: errors.Join(reason(err, path), r.leave())}
}

// leave closes the partition's file.
func (r *reader) leave() error {
	f := r.file
	r.file, r.group, r.groups = nil, nil, nil
	if f == nil {
		return nil
	}
	return f.exit()
}

func (f *shared) enter() (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users == 0 {
		if f.file, err = openFile(f.path); err != nil {
			return err
		}
		if n := len(f.file.about.RowGroups); n != len(f.about.RowGroups) {
			return errors.Join(fmt.Errorf("it was replaced while it was read"), f.file.close())
		}
	}
	f.users++
	return nil
}

func (f *shared) exit() (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users--; f.users == 0 {
		err = f.file.close()
		f.file = nil
	}
	return err
}
