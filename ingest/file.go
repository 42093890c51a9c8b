package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// maxLogs is how many different logs one source reads. Each may hold an open
// file, a decompressor and up to a chunk of bytes.
const maxLogs = 4096

// Files reads log files, compressed or not, and streams such as stdin. Each
// log is a partition: a file, or a file and its rotations, oldest first.
type Files struct {
	name  string
	logs  []*fileLog
	done  atomic.Int64 // bytes read so far, before decompression
	total int64        // bytes that there are; 0 where a stream is among them
}

// ErrSource says that a file could not be read on. The records before it have
// been returned; the next Read goes on with the partition's next file.
type ErrSource struct {
	File   string
	Offset int64 // how far the file was read, in bytes after decompression
	Err    error
}

// Error names the file and how far it was read.
func (e *ErrSource) Error() string {
	err := e.Err
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err // the path stands in front already
	}
	return fmt.Sprintf("%s: stopped at byte %d: %v", e.File, e.Offset, err)
}

// Unwrap returns the reason.
func (e *ErrSource) Unwrap() error { return e.Err }

// OpenFiles returns a source, a *Files, that reads what args name: paths,
// globs, and "-" for stdin. Several rotations of one log become one partition
// (see groupRotations); each other log is a partition of its own, in the order
// of args. What is compressed with gzip or zstd is known by its first bytes or
// by its name. Every fault is reported, one sentence each.
func OpenFiles(name string, args []string) (Source, error) {
	return openFiles(name, args, os.Stdin)
}

func openFiles(name string, args []string, stdin *os.File) (*Files, error) {
	var parts []*filePart
	var faults []error
	seen := make(map[string]bool)
	for _, arg := range args {
		found, err := findParts(arg, stdin)
		if err != nil {
			faults = append(faults, err)
		}
		for _, p := range found {
			if seen[p.id] { // named twice, or through a link: read once
				p.close()
				continue
			}
			seen[p.id] = true
			parts = append(parts, p)
		}
	}
	if len(args) == 0 {
		faults = append(faults, errors.New("no log files named"))
	}
	logs, err := groupRotations(parts)
	if err != nil {
		faults = append(faults, err)
	}
	logs, err = dropEmpty(logs)
	if err != nil {
		faults = append(faults, err)
	}
	if len(logs) > maxLogs {
		faults = append(faults, fmt.Errorf("%d different logs, must be at most %d", len(logs), maxLogs))
	}
	if len(faults) > 0 {
		for _, p := range parts {
			p.close()
		}
		return nil, errors.Join(faults...)
	}
	f := &Files{name: name, logs: logs}
	stream := false
	for _, l := range logs {
		l.done = &f.done
		for _, p := range l.parts {
			stream = stream || p.stream != nil
			f.total += p.size
		}
	}
	if stream {
		f.total = 0
	}
	return f, nil
}

// Name is the source's name in the configuration.
func (f *Files) Name() string { return f.name }

// Partitions returns how many different logs there are.
func (f *Files) Partitions() int { return len(f.logs) }

// Read appends the next lines of log p to r: at most max, and not many more
// bytes than batchBytes. The lines of a stream are returned as they come; Read
// waits for one as long as ctx lasts. An *ErrSource ends one file, not the log.
func (f *Files) Read(ctx context.Context, p int, max int, r *Records) error {
	r.Partition = int32(p)
	return f.logs[p].read(ctx, max, r)
}

// Progress returns how many bytes were read and how many there are, both
// before decompression; total is 0 where it is not known. It may be called
// while others read.
func (f *Files) Progress() (done, total int64) {
	done, total = f.done.Load(), f.total
	if total > 0 && done > total { // a file grew while it was read
		done = total
	}
	return done, total
}

// Describe returns the files of partition p, oldest first.
func (f *Files) Describe(p int) []string {
	var paths []string
	for _, part := range f.logs[p].parts {
		paths = append(paths, part.path)
	}
	return paths
}

// Close frees what the source holds. A read of stdin that waits goes on to
// wait, but nothing that it reads is used.
func (f *Files) Close() error {
	var errs []error
	for _, l := range f.logs {
		errs = append(errs, l.close())
	}
	return errors.Join(errs...)
}

// filePart is one file of a log, or a stream.
type filePart struct {
	path     string
	id       string // equal for the same file under different names
	info     fs.FileInfo
	size     int64    // before decompression; 0 for a stream
	stream   *os.File // open from the start: a pipe cannot be opened twice
	borrowed bool     // stream belongs to the process, not to us
	globbed  bool     // found by a glob, not named
}

func (p *filePart) close() {
	if p.stream != nil && !p.borrowed {
		p.stream.Close()
	}
}

// findParts returns what one argument names. A name that exists is taken as it
// stands, even if it looks like a glob.
func findParts(arg string, stdin *os.File) ([]*filePart, error) {
	if arg == "-" {
		return stdinPart(stdin)
	}
	_, err := os.Stat(arg)
	if err == nil || !strings.ContainsAny(arg, `*?[`) {
		p, err := newPart(arg)
		if err != nil {
			return nil, err
		}
		if p.info.IsDir() {
			return nil, fmt.Errorf("%s: a directory; name its files, such as %s", arg, filepath.Join(arg, "*.log"))
		}
		return []*filePart{p}, nil
	}
	names, err := filepath.Glob(arg)
	if err != nil {
		return nil, fmt.Errorf("%s: not a valid glob: %w", arg, err)
	}
	var parts []*filePart
	var faults []error
	for _, name := range names {
		p, err := newPart(name)
		switch {
		case err != nil:
			faults = append(faults, err)
		case p.info.IsDir():
		default:
			p.globbed = true
			parts = append(parts, p)
		}
	}
	if len(parts)+len(faults) == 0 {
		return nil, fmt.Errorf("%s: no file matches", arg)
	}
	return parts, errors.Join(faults...)
}

func stdinPart(stdin *os.File) ([]*filePart, error) {
	info, err := stdin.Stat()
	if err != nil {
		return nil, fmt.Errorf("stdin: %w", err)
	}
	if info.IsDir() {
		return nil, errors.New("stdin: a directory")
	}
	return []*filePart{{path: "-", id: "-", info: info, stream: stdin, borrowed: true}}, nil
}

// newPart looks at a path and makes sure that it can be read.
func newPart(path string) (*filePart, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plainFileError(path, err)
	}
	p := &filePart{path: path, id: path, info: info}
	if info.IsDir() {
		return p, nil
	}
	if abs, err := filepath.Abs(path); err == nil {
		p.id = abs
	}
	if real, err := filepath.EvalSymlinks(p.id); err == nil {
		p.id = real
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, plainFileError(path, err)
	}
	if !info.Mode().IsRegular() {
		p.stream = file
		return p, nil
	}
	defer file.Close()
	p.size = info.Size()
	var head [headBytes]byte
	n, err := file.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, plainFileError(path, err)
	}
	if hint := unreadable(head[:n]); hint != "" {
		return nil, fmt.Errorf("%s: %s", path, hint)
	}
	return p, nil
}

// plainFileError says in one sentence why a file cannot be read.
func plainFileError(path string, err error) error {
	pe := (*fs.PathError)(nil)
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// dropEmpty takes away files without a byte. A log that was just rotated is
// empty and no fault; a log of which all is empty is one, unless a glob found
// it among others.
func dropEmpty(logs []*fileLog) ([]*fileLog, error) {
	var kept []*fileLog
	var faults []error
	var empty []*filePart
	for _, l := range logs {
		full := l.parts[:0:0]
		for _, p := range l.parts {
			if p.size > 0 || p.stream != nil {
				full = append(full, p)
			}
		}
		if len(full) > 0 {
			l.parts = full
			kept = append(kept, l)
			continue
		}
		newest := l.parts[len(l.parts)-1]
		if newest.globbed {
			empty = append(empty, newest)
		} else {
			faults = append(faults, fmt.Errorf("%s: empty", newest.path))
		}
	}
	if len(kept) == 0 && len(empty) > 0 {
		for _, p := range empty {
			faults = append(faults, fmt.Errorf("%s: empty", p.path))
		}
	}
	return kept, errors.Join(faults...)
}
