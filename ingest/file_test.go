package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func TestReadIsTheSameForEveryBatchAndCompression(t *testing.T) {
	var data []byte
	var want []string
	for i := range 20_000 {
		line := fmt.Sprintf("%d %s", i, strings.Repeat("x", i*7919%257))
		want = append(want, line)
		data = append(append(data, line...), '\n')
	}
	dir := t.TempDir()
	paths := []string{
		writeLog(t, dir, "a.log", string(data)),
		writeLog(t, dir, "b.log.gz", gzipOf(t, string(data[:1_000_000]))+gzipOf(t, string(data[1_000_000:]))), // two members
		writeLog(t, dir, "c.log.zst", zstdOf(t, string(data))),
		writeLog(t, dir, "gzip-by-magic", gzipOf(t, string(data))),
		writeLog(t, dir, "zstd-by-magic", zstdOf(t, string(data))),
	}
	for _, path := range paths {
		for _, max := range []int{1, 100, 5000, 1 << 30} {
			f := openLogs(t, path)
			got := readLog(t, f, 0, max)
			if !slices.Equal(got.lines, want) {
				t.Errorf("%s by %d: other lines", path, max)
			}
			if done, total := f.Progress(); done != total || total != logSize(t, path) {
				t.Errorf("%s by %d: progress %d of %d, want all of %d", path, max, done, total, logSize(t, path))
			}
		}
	}
}

func TestDamagedFileEndsAloneAndSaysWhere(t *testing.T) {
	var data strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&data, "line %d %d\n", i, i*i*7919)
	}
	for _, ext := range []string{".gz", ".zst"} {
		packed := gzipOf(t, data.String())
		if ext == ".zst" {
			packed = zstdOf(t, data.String())
		}
		turned := []byte(packed)
		for i := range 64 {
			turned[len(turned)/2+i] ^= 0x5a
		}
		for _, tt := range []struct{ name, data string }{
			{"cut off", packed[:len(packed)/2]},
			{"bits turned", string(turned)},
			{"not compressed at all", "plain text under a wrong name\n"},
		} {
			t.Run(tt.name+ext, func(t *testing.T) {
				dir := t.TempDir()
				bad := writeLog(t, dir, "access.log.1"+ext, tt.data)
				writeLog(t, dir, "access.log", "after\n")
				writeLog(t, dir, "other.log", "other\n")
				f := openLogs(t, filepath.Join(dir, "*"))
				got := readLog(t, f, 0, 1000)
				if len(got.errs) != 1 || got.errs[0].File != bad {
					t.Fatalf("errors %v, want one of %s", got.errs, bad)
				}
				n := len(got.lines) - 1
				if got.lines[n] != "after" {
					t.Errorf("the next file was not read: last line %q", got.lines[n])
				}
				if n > 0 && !strings.HasPrefix(data.String(), strings.Join(got.lines[:n], "\n")+"\n") && tt.name == "cut off" {
					t.Error("a piece of a line was returned as a line")
				}
				if n == 0 != (tt.name == "not compressed at all") && tt.name != "bits turned" {
					t.Errorf("%d lines before the damage", n)
				}
				if end := got.errs[0].Offset; got.offsets[n] != end {
					t.Errorf("the next file begins at %d, but this one was read to %d", got.offsets[n], end)
				}
				if other := readLog(t, f, 1, 10); !slices.Equal(other.lines, []string{"other"}) {
					t.Errorf("the other partition: %q", other.lines)
				}
			})
		}
	}
}

func TestOpenFilesSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	writeLog(t, dir, "good.log", "x\n")
	writeLog(t, dir, "empty.log", "")
	writeLog(t, dir, "x.log.bz2", "BZh91AY&SYabc")
	writeLog(t, dir, "x.xz", "\xfd7zXZ\x00\x00\x00\x00")
	writeLog(t, dir, "wide.log", "\xff\xfea\x00")
	writeLog(t, dir, "twice.1", "x\n")
	writeLog(t, dir, "twice.1.gz", gzipOf(t, "x\n"))
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	locked := writeLog(t, dir, "locked.log", "x\n")
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args []string
		want string
	}{
		{nil, "no log files named"},
		{[]string{"none.log"}, "DIR/none.log: no such file or directory"},
		{[]string{"*.none"}, "DIR/*.none: no file matches"},
		{[]string{"su*"}, "DIR/su*: no file matches"},
		{[]string{"[a"}, "DIR/[a: not a valid glob: syntax error in pattern"},
		{[]string{"."}, "DIR: a directory; name its files, such as DIR/*.log"},
		{[]string{"empty.log"}, "DIR/empty.log: empty"},
		{[]string{"good.log", "empty.log"}, "DIR/empty.log: empty"},
		{[]string{"emp*"}, "DIR/empty.log: empty"},
		{[]string{"x.log.bz2"}, "DIR/x.log.bz2: bzip2, which is not read; use: bzcat FILE | weir replay -"},
		{[]string{"x.xz"}, "DIR/x.xz: xz, which is not read; use: xzcat FILE | weir replay -"},
		{[]string{"wide.log"}, "DIR/wide.log: UTF-16 text, which is not read; use: iconv -f UTF-16 -t UTF-8 FILE | weir replay -"},
		{[]string{"twice*"}, "DIR/twice.1 and DIR/twice.1.gz: the same rotation twice; name one of them"},
		{[]string{"none.log", "."}, "DIR/none.log: no such file or directory\nDIR: a directory; name its files, such as DIR/*.log"},
	}
	if os.Getuid() != 0 {
		tests = append(tests, struct {
			args []string
			want string
		}{[]string{"locked.log"}, "DIR/locked.log: permission denied"})
	}
	for _, tt := range tests {
		var args []string
		for _, a := range tt.args {
			args = append(args, filepath.Join(dir, a))
		}
		_, err := OpenFiles("files", args)
		if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != tt.want {
			t.Errorf("%q: %v, want %s", tt.args, err, tt.want)
		}
	}
	for n := 1; n < headBytes; n++ { // as far as short files go, they are text
		openLogs(t, writeLog(t, dir, "short.log", "BZh91AY&SY"[:n]))
	}
	if f := openLogs(t, filepath.Join(dir, "good.log"), filepath.Join(dir, "emp*")); f.Partitions() != 1 {
		t.Errorf("an empty file beside others that a glob found is a partition")
	}
}

func TestCancelledReadStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f := openLogs(t, writeLog(t, t.TempDir(), "access.log", "x\n"))
	if err := f.Read(ctx, 0, 1, &Records{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestReadDoesNotAllocate(t *testing.T) {
	dir := t.TempDir()
	data := strings.Repeat(strings.Repeat("x", 199)+"\n", 100_000)
	for _, path := range []string{writeLog(t, dir, "a.log", data), writeLog(t, dir, "a.log.gz", gzipOf(t, data))} {
		f := openLogs(t, path)
		var r Records
		for range 3 {
			if err := f.Read(context.Background(), 0, 4096, &r); err != nil {
				t.Fatal(err)
			}
			r.Reset()
		}
		n := testing.AllocsPerRun(10, func() {
			r.Reset()
			if err := f.Read(context.Background(), 0, 4096, &r); err != nil {
				t.Fatal(err)
			}
		})
		if n > 0 {
			t.Errorf("%s: %v allocations a batch", path, n)
		}
	}
}

func BenchmarkFiles(b *testing.B) {
	for _, size := range []int{100, 200, 600} {
		b.Run(fmt.Sprintf("line %d", size), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "access.log")
			data := bytes.Repeat(append(bytes.Repeat([]byte("x"), size-1), '\n'), 100<<20/size)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			var r Records
			for b.Loop() {
				f, err := OpenFiles("files", []string{path})
				for err == nil {
					r.Reset()
					err = f.Read(context.Background(), 0, 4096, &r)
				}
				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}

// logContent is everything that a partition gave.
type logContent struct {
	lines   []string
	offsets []int64
	tooLong int
	errs    []*ErrSource
	gaps    []toldGap
}

// toldGap is a gap, and how many records came before it.
type toldGap struct {
	Gap
	behind int
}

func readLog(t *testing.T, f *Files, p, max int) logContent {
	t.Helper()
	var a logContent
	var r Records
	for {
		r.Reset()
		err := f.Read(context.Background(), p, max, &r)
		if r.Len() > max {
			t.Fatalf("%d records, asked for %d", r.Len(), max)
		}
		for i := range r.Len() {
			a.lines = append(a.lines, string(r.Line(i)))
		}
		a.offsets = append(a.offsets, r.Offsets...)
		a.tooLong += r.TooLong
		if es := (*ErrSource)(nil); errors.As(err, &es) {
			a.errs = append(a.errs, es)
			continue
		}
		if errors.Is(err, io.EOF) {
			return a
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func openLogs(t *testing.T, args ...string) *Files {
	t.Helper()
	f, err := openFiles("files", args, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func writeLog(t *testing.T, dir, name, data string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func logSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

func gzipOf(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil || w.Close() != nil {
		t.Fatal("gzip failed")
	}
	return b.String()
}

func zstdOf(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, s); err != nil || w.Close() != nil {
		t.Fatal("zstd failed")
	}
	return b.String()
}
