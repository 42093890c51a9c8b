package ingest

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"weir/event"
)

var _ Tail = (*Follow)(nil)

// life is a Follow and what it was told to write down.
type life struct {
	t     *testing.T
	f     *Follow
	mu    sync.Mutex
	files []FileMark
	said  strings.Builder
	got   []logContent
}

// follow begins to follow paths; earlier lives' marks go on.
func follow(t *testing.T, cfg FollowConfig, earlier ...*life) *life {
	t.Helper()
	l := &life{t: t}
	for i, e := range earlier {
		l.files = append(l.files, e.files...)
		if i == 0 && cfg.Starts == nil {
			cfg.Starts = e.starts()
		}
	}
	cfg.Files = slices.Clone(l.files)
	cfg.Name, cfg.Key = "files", event.FixedKey()
	if cfg.Note == nil {
		cfg.Note = func(m FileMark) error {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.files = append(l.files, m)
			return nil
		}
	}
	cfg.Log = slog.New(slog.NewTextHandler(&lockedWriter{mu: &l.mu, b: &l.said}, nil))
	f, err := FollowFiles(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.f = f
	t.Cleanup(func() { l.close() })
	return l
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *strings.Builder
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(b)
}

func (l *life) starts() (marks []FileMark) {
	for p := range l.f.Partitions() {
		marks = append(marks, FileMark{Partition: int32(p), Log: l.f.Log(p), Offset: l.f.Start(p)})
	}
	return marks
}

func (l *life) close() {
	if err := l.f.Close(); err != nil {
		l.t.Error(err)
	}
}

// position is where partition 0 is, as a checkpoint would have it.
func (l *life) position(offset int64) []FileMark {
	return []FileMark{{Log: l.f.Log(0), Offset: offset}}
}

// read reads partition p until nothing came for a while, and returns the lines
// that came.
func (l *life) read(p int, wait time.Duration) []string {
	l.t.Helper()
	for len(l.got) <= p {
		l.got = append(l.got, logContent{})
	}
	a, had := &l.got[p], 0
	had = len(a.lines)
	var r Records
	for {
		r.Reset()
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		err := l.f.Read(ctx, p, 1000, &r)
		cancel()
		for i := range r.Len() {
			a.lines = append(a.lines, string(r.Line(i)))
		}
		a.offsets = append(a.offsets, r.Offsets...)
		a.tooLong += r.TooLong
		for _, g := range r.Gaps {
			before, _ := slices.BinarySearch(r.Offsets, g.To)
			a.gaps = append(a.gaps, toldGap{g, len(a.lines) - r.Len() + before})
		}
		if es := (*ErrSource)(nil); errors.As(err, &es) {
			a.errs = append(a.errs, es)
			continue
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return a.lines[had:]
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *life) want(p int, wait time.Duration, lines ...string) {
	l.t.Helper()
	if got := l.read(p, wait); !slices.Equal(got, lines) {
		l.t.Fatalf("partition %d: %.300q, want %.300q\n%s", p, got, lines, l.said.String())
	}
}

func appendLog(t *testing.T, path, data string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(data); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestFollowedFileIsReadThroughRenaming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "3\n")
		writeLog(t, dir, "access.log.1", "2\n")
		writeLog(t, dir, "access.log.2.gz", gzipOf(t, "1\n"))
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, 5*grace, "1", "2", "3")
		if !l.f.CaughtUp(0) || l.f.Lag(0) != 0 {
			t.Errorf("caught up %v, lag %d", l.f.CaughtUp(0), l.f.Lag(0))
		}
		appendLog(t, path, "4\npart")
		l.want(0, time.Second, "4")
		rename(t, filepath.Join(dir, "access.log.1"), filepath.Join(dir, "access.log.3"))
		rename(t, path, path+".1")
		l.want(0, time.Second)
		appendLog(t, path+".1", "ial\n5\n")
		l.want(0, time.Second, "partial", "5")
		writeLog(t, dir, "access.log", "7\n")
		l.want(0, grace/2)
		appendLog(t, path+".1", "6\n")
		l.want(0, grace+time.Second, "6", "7")
		m := follow(t, FollowConfig{Paths: []string{path}}, l)
		m.want(0, 9*grace, l.got[0].lines...)
		if !slices.Equal(m.got[0].offsets, l.got[0].offsets) {
			t.Errorf("offsets %v, before %v", m.got[0].offsets, l.got[0].offsets)
		}
	})
}
