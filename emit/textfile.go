package emit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"weir/event"
)

// FileConfig is a plain list: an address or a prefix a line, for whatever reads
// such files.
type FileConfig struct {
	Path   string `yaml:"path"`
	Mode   Octal  `yaml:"mode"`   // default 0644
	Header *bool  `yaml:"header"` // false: no comment in the file; it goes to PATH.weir
}

// Octal is a number as it stands in the file, which YAML would read as another.
type Octal string

// UnmarshalYAML keeps the text.
func (o *Octal) UnmarshalYAML(text []byte) error {
	*o = Octal(strings.Trim(strings.TrimSpace(string(text)), `"'`))
	return nil
}

// The limits of a plain list.
const (
	defaultMode     = fs.FileMode(0o644)
	maxTextEntries  = 1_000_000
	maxTextFile     = maxTextEntries*48 + 1024 // bytes; an IPv6 prefix has at most 43
	markerExtension = ".weir"
)

// textFile is the point of a plain list. The file cannot say when an entry
// ends: its first line says until when the last one is valid, and Reap empties
// one that weir did not live to empty.
type textFile struct {
	name     string
	path     string
	marker   string // where the header goes; path itself, or beside it
	mode     fs.FileMode
	action   event.Action
	capacity int
	log      *slog.Logger
}

func newTextFile(cfg FileConfig, s Setting) (Point, error) {
	if cfg.Path == "" {
		return nil, errors.New("file: path: is missing, must name the list to write")
	}
	if len(s.Actions) != 1 {
		return nil, fmt.Errorf("actions: %d, must be one: a plain list does not say what is to be done; "+
			"make another point with another file for another action", len(s.Actions))
	}
	t := &textFile{name: s.Name, path: s.Path(cfg.Path), mode: defaultMode, action: s.Actions[0], capacity: maxTextEntries, log: s.Log}
	if s.Capacity > 0 {
		t.capacity = min(t.capacity, s.Capacity)
	}
	if cfg.Mode != "" {
		mode, err := strconv.ParseUint(strings.TrimPrefix(string(cfg.Mode), "0o"), 8, 9)
		if err != nil || mode&0o600 != 0o600 {
			return nil, fmt.Errorf("file: mode: %q, must be octal such as 0644, with reading and writing for the owner", cfg.Mode)
		}
		t.mode = fs.FileMode(mode)
	}
	t.marker = t.path
	if cfg.Header != nil && !*cfg.Header {
		t.marker = t.path + markerExtension
	}
	return t, nil
}

func (t *textFile) Name() string { return t.name }

func (t *textFile) Capabilities() Capabilities {
	return Capabilities{Actions: []event.Action{t.action}, Capacity: t.capacity, MinInterval: time.Second}
}

// Read returns what is in the file. One that weir did not write is left alone.
func (t *textFile) Read(context.Context) (List, error) {
	body, head, err := t.load()
	if err != nil {
		return List{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	prefixes, fault := parsePlainLines(body)
	if fault == nil && head != nil {
		fault = head.check(body, len(prefixes))
	}
	l := List{Entries: make([]Entry, 0, len(prefixes)+1)}
	if fault != nil {
		// It is weir's file, but somebody changed it: this entry differs from any
		// list, so the file is written again.
		t.log.Warn("the list was changed by somebody else", "path", t.path, "error", fault)
		l.Entries = append(l.Entries, Entry{Action: t.action, ID: "foreign"})
	}
	for _, p := range prefixes {
		l.Entries = append(l.Entries, Entry{Prefix: p, Action: t.action, Until: head.valid}) // no later than that
	}
	l.Sort()
	return l, nil
}

// errNotOurs is that a file was not written by weir.
var errNotOurs = errors.New("was not written by weir, so weir leaves it alone; move it away, or name another file")

// load returns the lines behind the header, and the header; neither where there
// is no file, or an empty one.
func (t *textFile) load() (body []byte, head *textHead, err error) {
	file, err := readBounded(t.path, maxTextFile)
	if err != nil || len(file) == 0 {
		return nil, nil, err
	}
	first, rest, _ := bytes.Cut(file, []byte{'\n'})
	if t.marker != t.path {
		if first, err = readBounded(t.marker, 1024); err != nil {
			return nil, nil, err
		}
		first, rest = bytes.TrimSuffix(first, []byte{'\n'}), file
	}
	if head = parseHead(first); head == nil {
		return nil, nil, fmt.Errorf("%w: %s %w", ErrPermanent, t.path, errNotOurs)
	}
	return rest, head, nil
}

// readBounded reads a regular file; one that does not exist is empty.
func readBounded(path string, limit int64) ([]byte, error) {
	if err := replaceable(path); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: more than %d bytes, which is no list of weir's", path, limit)
	}
	return b, err
}

// Apply replaces the file.
func (t *textFile) Apply(_ context.Context, _, want List) error {
	if _, _, err := t.load(); err != nil {
		return err
	}
	body := listText(want.Entries)
	var valid time.Time
	for i := range want.Entries {
		if u := want.Entries[i].Until; u.After(valid) {
			valid = u
		}
	}
	return t.write(newTextHead(body, len(want.Entries), valid), body)
}

func (t *textFile) write(head textHead, body []byte) error {
	line := head.append(nil)
	if t.marker == t.path {
		return replaceFile(t.path, append(line, body...), t.mode)
	}
	// The marker first: a list without one would be somebody else's.
	if err := replaceFile(t.marker, line, t.mode); err != nil {
		return err
	}
	return replaceFile(t.path, body, t.mode)
}

// Try finds out whether the file can be read and replaced.
func (t *textFile) Try(context.Context) error {
	_, _, err := t.load()
	return errors.Join(err, tryReplace(t.path), sweepTemps(t.path))
}

// Setup says what reads the file and what empties it.
func (t *textFile) Setup() string {
	return fmt.Sprintf(`# %[1]s holds the addresses to %[2]s, one address or prefix a line.
# It is replaced whole (a rename): whatever reads it must open it again by name.
# It cannot say when an entry ends. weir takes each out on time; so that this is
# also so when weir does not run, let a timer call, say each minute:
#   weir points reap
`, t.path, t.action)
}

func (t *textFile) Close() error { return nil }

// Reaper is a point that cannot end entries by itself.
type Reaper interface {
	// Reap empties the list if all that it holds is over, and reports whether it
	// did. It may be called while nothing else uses the point.
	Reap(now time.Time) (bool, error)
}

// Reap empties a file whose last entry is over.
func (t *textFile) Reap(now time.Time) (bool, error) {
	body, head, err := t.load()
	if err != nil || head == nil || len(body) == 0 || head.valid.After(now) {
		return false, err
	}
	return true, t.write(newTextHead(nil, 0, time.Time{}), nil)
}
