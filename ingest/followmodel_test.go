package ingest

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"
)

// writer is a program that writes a log, and what rotates it: the model that
// Follow is compared with.
type writer struct {
	t     *rapid.T
	path  string
	file  *os.File
	n     int
	segs  [][]string      // the lines of each file, in order
	old   *os.File        // the file before, that another process writes into
	since time.Time       // when the present file got its first line
	lost  map[string]bool // those that nobody can be blamed for missing
	fresh []string        // written since the file was last read to its end
	part  string          // an unfinished line
}

func (w *writer) check(err error) {
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *writer) open() {
	if w.file != nil {
		w.check(w.file.Close())
	}
	var err error
	w.file, err = os.OpenFile(w.path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	w.check(err)
	w.segs, w.since = append(w.segs, nil), time.Time{}
}

// reopen goes over to the present file; another process stays with the old one.
func (w *writer) reopen() {
	w.endPart()
	if w.old != nil {
		w.check(w.old.Close())
	}
	w.old, w.file = w.file, nil
	w.open()
}

// straggle writes a line into the old file.
func (w *writer) straggle() {
	w.n++
	line := fmt.Sprintf("%d late", w.n)
	_, err := w.old.WriteString(line + "\n")
	w.check(err)
	w.segs[len(w.segs)-2] = append(w.segs[len(w.segs)-2], line)
}

func (w *writer) lines() []string { return slices.Concat(w.segs...) }

// wrote remembers the line that was completed.
func (w *writer) wrote() {
	last := len(w.segs) - 1
	w.segs[last], w.fresh, w.part = append(w.segs[last], w.part), append(w.fresh, w.part), ""
	if w.since.IsZero() {
		w.since = time.Now()
	}
}

func (w *writer) write(s string) {
	_, err := w.file.WriteString(s)
	w.check(err)
}

// line writes the rest of a line, and another one's beginning if half is set.
func (w *writer) line(pad int, half bool) {
	if w.part == "" {
		w.n++
		w.part = fmt.Sprintf("%d %s", w.n, strings.Repeat("x", pad))
		w.write(w.part)
		if w.since.IsZero() {
			w.since = time.Now()
		}
		if half {
			return
		}
	}
	w.write("\n")
	w.wrote()
}

// endPart ends an unfinished line where a file does.
func (w *writer) endPart() {
	if w.part != "" {
		w.wrote()
	}
}

func (w *writer) rotated() []string {
	names, err := filepath.Glob(w.path + ".*")
	w.check(err)
	slices.SortFunc(names, func(a, b string) int {
		return parseRotation(filepath.Base(b)).number - parseRotation(filepath.Base(a)).number
	})
	return names
}

// shift makes place for a new rotation.
func (w *writer) shift() {
	for _, name := range w.rotated() {
		n := parseRotation(filepath.Base(name)).number
		to := fmt.Sprintf("%s.%d", w.path, n+1)
		if strings.HasSuffix(name, ".gz") {
			to += ".gz"
		}
		w.check(os.Rename(name, to))
	}
}

func (w *writer) copy() {
	data, err := os.ReadFile(w.path)
	w.check(err)
	w.check(os.WriteFile(w.path+".1", data, 0o600))
}

func (w *writer) truncate() {
	w.endPart()
	for _, line := range w.fresh {
		w.lost[line] = true
	}
	w.check(os.Truncate(w.path, 0))
	w.fresh = nil
}

// compress packs a rotation as gzip does: the new file first, then the old one
// goes.
func (w *writer) compress(name string) {
	data, err := os.ReadFile(name)
	w.check(err)
	out, err := os.Create(name + ".gz")
	w.check(err)
	_, err = io.WriteString(out, gzipString(w.t, string(data)))
	w.check(err)
	w.check(out.Close())
	w.check(os.Remove(name))
}

func TestEveryLineIsReadOnceWhateverRotatesTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) { // a deadline is no business of a bubble
			dir, err := os.MkdirTemp(t.TempDir(), "")
			if err != nil {
				rt.Fatal(err)
			}
			w := &writer{t: rt, path: filepath.Join(dir, "access.log"), lost: make(map[string]bool)}
			w.open()
			l := follow(t, FollowConfig{Paths: []string{w.path}, Poll: 200 * time.Millisecond})
			truncated := false
			var kept logContent   // of the life before
			var before logContent // what is before the position of this life
			closed := false       // nobody writes into the old file any more
			moved := false        // the writer's file was renamed and it does not know yet
			read := func() logContent {
				return logContent{
					lines:   slices.Concat(before.lines, l.got[0].lines),
					offsets: slices.Concat(before.offsets, l.got[0].offsets),
				}
			}
			same := func() {
				got := read()
				n := min(len(got.lines), len(kept.lines))
				if !slices.Equal(got.lines[:n], kept.lines[:n]) || !slices.Equal(got.offsets[:n], kept.offsets[:n]) {
					rt.Fatalf("another life read something else:\n%q %v\n%q %v", short(got.lines), got.offsets, short(kept.lines), kept.offsets)
				}
				if len(l.got[0].gaps) > 0 {
					rt.Fatalf("something is missing: %+v", l.got[0].gaps)
				}
			}
			drain := func() { // an empty rotation takes its time too
				l.read(0, time.Duration(20+2*len(w.rotated()))*grace)
				w.fresh = nil
				same()
			}
			rt.Repeat(map[string]func(*rapid.T){
				"write": func(rt *rapid.T) {
					w.line(rapid.SampledFrom([]int{0, 10, 3000}).Draw(rt, "pad"), rapid.IntRange(0, 3).Draw(rt, "half") == 0)
				},
				"peek":  func(*rapid.T) { l.read(0, 250*time.Millisecond); same() },
				"drain": func(*rapid.T) { drain() },
				"rename": func(rt *rapid.T) {
					if moved {
						rt.Skip("not yet reopened")
					}
					w.shift()
					w.check(os.Rename(w.path, w.path+".1"))
					moved = true
				},
				"create": func(rt *rapid.T) {
					if moved {
						file, err := os.OpenFile(w.path, os.O_CREATE, 0o600)
						w.check(err)
						w.check(file.Close())
					}
				},
				"reopen": func(rt *rapid.T) {
					if !moved {
						rt.Skip("nothing to reopen")
					}
					closed = w.part != "" // nobody goes on in an unfinished line
					w.reopen()
					moved = false
				},
				"straggle": func(rt *rapid.T) {
					if w.old == nil || closed || !w.since.IsZero() && time.Since(w.since) > grace/2 {
						rt.Skip("too late")
					}
					w.straggle()
				},
				"compress": func(rt *rapid.T) {
					names := slices.DeleteFunc(w.rotated(), func(s string) bool {
						return strings.HasSuffix(s, ".gz") || moved && s == w.path+".1"
					})
					if len(names) == 0 {
						rt.Skip("nothing to compress")
					}
					closed = true
					w.compress(rapid.SampledFrom(names).Draw(rt, "name"))
				},
				"copytruncate": func(rt *rapid.T) {
					if moved {
						rt.Skip("not yet reopened")
					}
					if rapid.Bool().Draw(rt, "read before") {
						drain()
					}
					w.shift()
					w.copy()
					if rapid.Bool().Draw(rt, "read between") {
						l.read(0, 250*time.Millisecond)
						same()
					}
					w.truncate()
					truncated, closed = true, true
				},
				"restart": func(rt *rapid.T) {
					l.read(0, 250*time.Millisecond)
					same()
					got := read()
					if len(got.lines) > len(kept.lines) {
						kept = got
					}
					cfg := FollowConfig{Paths: []string{w.path}, Poll: 200 * time.Millisecond}
					n := rapid.IntRange(0, len(got.lines)).Draw(rt, "read before")
					before = logContent{lines: got.lines[:n], offsets: got.offsets[:n]}
					at := int64(0)
					if n > 0 {
						at = got.offsets[n-1] + 1
					}
					if n < len(got.lines) && rapid.Bool().Draw(rt, "at the next line") {
						at = got.offsets[n]
					}
					cfg.Starts = l.position(at)
					l.close()
					l = follow(t, cfg, l)
				},
			})
			if moved {
				w.reopen()
			}
			w.line(0, false)
			if w.part != "" {
				w.line(0, false)
			}
			w.line(0, false)
			drain()
			got := read()
			want := slices.DeleteFunc(w.lines(), func(s string) bool { return truncated && w.lost[s] && !slices.Contains(got.lines, s) })
			if !slices.Equal(got.lines, want) {
				rt.Fatalf("read %q\nwant %q\nlost %v\n%s", short(got.lines), short(want), w.lost, l.said.String())
			}
			if !slices.IsSorted(got.offsets) {
				rt.Fatalf("offsets fall: %v", got.offsets)
			}
			l.close()
			w.check(w.file.Close())
			if w.old != nil {
				w.check(w.old.Close())
			}
		})
	})
}

func short(lines []string) (s []string) {
	for _, line := range lines {
		s = append(s, fmt.Sprintf("%.8s", line))
	}
	return s
}

func gzipString(t *rapid.T, s string) string {
	var b strings.Builder
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil || w.Close() != nil {
		t.Fatal("gzip failed")
	}
	return b.String()
}
