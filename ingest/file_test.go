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
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"weir/event"
)

func TestReadCutsLinesWhateverTheBatch(t *testing.T) {
	limit := strings.Repeat("l", MaxLine)
	tests := []struct {
		name    string
		data    string
		want    []string
		offsets []int64
		tooLong int
	}{
		{"lines", "one\ntwo\n", []string{"one", "two"}, []int64{0, 4}, 0},
		{"no newline at the end", "one\ntwo", []string{"one", "two"}, []int64{0, 4}, 0},
		{"crlf", "one\r\ntwo\r\n", []string{"one", "two"}, []int64{0, 5}, 0},
		{"a carriage return inside stays", "a\rb\n\r\n", []string{"a\rb", ""}, []int64{0, 4}, 0},
		{"empty lines are records", "\n\none\n\n", []string{"", "", "one", ""}, []int64{0, 1, 2, 6}, 0},
		{"nul", "a\x00b\n", []string{"a\x00b"}, []int64{0}, 0},
		{"byte order mark", "\xef\xbb\xbfone\ntwo\n", []string{"one", "two"}, []int64{0, 7}, 0},
		{"at the limit", limit + "\nx\n", []string{limit, "x"}, []int64{0, MaxLine + 1}, 0},
		{"at the limit with crlf", limit + "\r\nx\n", []string{limit, "x"}, []int64{0, MaxLine + 2}, 0},
		{"at the limit without newline", limit, []string{limit}, []int64{0}, 0},
		{"over the limit", "a\n" + limit + "l\nx\n", []string{"a", "x"}, []int64{0, MaxLine + 4}, 1},
		{"over the limit at the end", "a\n" + limit + "ll", []string{"a"}, []int64{0}, 1},
		{"over the limit alone", limit + "l", nil, nil, 1},
		{"far over the limit", "a\n" + strings.Repeat("l", 3<<20) + "\nx", []string{"a", "x"}, []int64{0, 3<<20 + 3}, 1},
	}
	for _, tt := range tests {
		for _, max := range []int{1, 2, 5000} {
			t.Run(fmt.Sprintf("%s by %d", tt.name, max), func(t *testing.T) {
				f := openLogs(t, writeLog(t, t.TempDir(), "access.log", tt.data))
				got := readLog(t, f, 0, max)
				if !slices.Equal(got.lines, tt.want) || !slices.Equal(got.offsets, tt.offsets) || got.tooLong != tt.tooLong {
					t.Errorf("got %.80q at %v, %d too long; want %.80q at %v, %d", got.lines, got.offsets, got.tooLong, tt.want, tt.offsets, tt.tooLong)
				}
			})
		}
	}
}

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

func TestLineFarOverTheLimitTakesNoMemory(t *testing.T) {
	path := writeLog(t, t.TempDir(), "access.log", "")
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := file.Truncate(64 << 20); err != nil { // 64 MiB of NUL, without a newline
		t.Fatal(err)
	}
	file.Close()
	f := openLogs(t, path)
	var r Records
	for err == nil {
		err = f.Read(context.Background(), 0, 1000, &r)
	}
	if err != io.EOF || r.TooLong != 1 || r.Len() != 0 {
		t.Errorf("err %v, %d too long, %d records; want EOF, 1, 0", err, r.TooLong, r.Len())
	}
	if held := cap(r.Data) + cap(f.logs[0].lines.pend); held > batchBytes+chunk {
		t.Errorf("%d bytes held", held)
	}
}

func TestOneReadIsBoundedInBytes(t *testing.T) {
	line := strings.Repeat("x", MaxLine) + "\n"
	f := openLogs(t, writeLog(t, t.TempDir(), "access.log", strings.Repeat(line, 200)))
	var r Records
	if err := f.Read(context.Background(), 0, 5000, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Data) > batchBytes+2*chunk {
		t.Errorf("%d bytes in one read", len(r.Data))
	}
}

func TestRotationsAreOnePartitionOldestFirst(t *testing.T) {
	dir := t.TempDir()
	writeLog(t, dir, "access.log", "7\n")
	writeLog(t, dir, "access.log.1", "6") // no newline at its end: not joined with what follows
	writeLog(t, dir, "access.log.2.gz", gzipOf(t, "4\n5\n"))
	writeLog(t, dir, "access.log.10.zst", zstdOf(t, "3\n"))
	writeLog(t, dir, "access.log-20260101.gz", gzipOf(t, "1\n"))
	writeLog(t, dir, "access.log-20260102", "2\n")
	writeLog(t, dir, "error.log", "e\n")
	writeLog(t, dir, "access.log.old", "o\n")
	f := openLogs(t, filepath.Join(dir, "*"))
	want := [][]string{{"1", "2", "3", "4", "5", "6", "7"}, {"o"}, {"e"}}
	if f.Partitions() != len(want) {
		t.Fatalf("%d partitions, want %d", f.Partitions(), len(want))
	}
	for p := range want {
		if got := readLog(t, f, p, 100); !slices.Equal(got.lines, want[p]) {
			t.Errorf("partition %d of %v: %q, want %q", p, f.Describe(p), got.lines, want[p])
		}
	}
	if got := readLog(t, openLogs(t, filepath.Join(dir, "access.log*")), 0, 1); !slices.Equal(got.offsets, []int64{0, 2, 4, 6, 8, 10, 11}) {
		t.Errorf("offsets %v do not run on", got.offsets)
	}
}

func TestParseRotation(t *testing.T) {
	tests := []struct {
		name string
		want rotation
	}{
		{"access.log", rotation{stem: "access.log"}},
		{"access.log.gz", rotation{stem: "access.log"}},
		{"access.log.1", rotation{stem: "access.log", number: 1}},
		{"access.log.12.zst", rotation{stem: "access.log", number: 12}},
		{"access.log-20260131.gz", rotation{stem: "access.log", date: "20260131"}},
		{"access.log.20260131", rotation{stem: "access.log", date: "20260131"}},
		{"access.log-2026013112", rotation{stem: "access.log", date: "2026013112"}},
		{"access.log.2026-01-31", rotation{stem: "access.log", date: "20260131"}},
		{"access.log.2026-01-31.3", rotation{stem: "access.log", date: "20260131", number: 3}},
		{"access.log-1767225600", rotation{stem: "access.log", date: "20260101000000"}},
		{"access_log-202601", rotation{stem: "access_log", date: "202601"}},
		{"access-2026-01-31.log", rotation{stem: "access.log", date: "20260131"}},
		{"access-2026-01-31T10-11-12.345.log.gz", rotation{stem: "access.log", date: "20260131101112345"}},
		{"u_ex260131.log", rotation{stem: "u_ex.log", date: "20260131"}},
		{"access.log-20261331", rotation{stem: "access.log-20261331"}}, // no such month
		{"node.2.log", rotation{stem: "node.2.log"}},
		{"node-2", rotation{stem: "node-2"}},
		{"shop-443.log", rotation{stem: "shop-443.log"}},
		{"10.0.0.1", rotation{stem: "10.0.0", number: 1}},
		{".gz", rotation{stem: ".gz"}},
		{"1", rotation{stem: "1"}},
	}
	for _, tt := range tests {
		if got := parseRotation(tt.name); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestSameFileIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	path := writeLog(t, dir, "access.log", "one\n")
	link := filepath.Join(dir, "current")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	f := openLogs(t, path, path, filepath.Join(dir, "*.log"), link)
	if got := readLog(t, f, 0, 10); f.Partitions() != 1 || !slices.Equal(got.lines, []string{"one"}) {
		t.Errorf("%d partitions, %q", f.Partitions(), got.lines)
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
	if f := openLogs(t, filepath.Join(dir, "good.log"), filepath.Join(dir, "emp*")); f.Partitions() != 1 {
		t.Errorf("an empty file beside others that a glob found is a partition")
	}
}

func TestEmptyNewestRotationIsNoFault(t *testing.T) {
	dir := t.TempDir()
	f := openLogs(t, writeLog(t, dir, "access.log", ""), writeLog(t, dir, "access.log.1", "x\n"))
	if got := readLog(t, f, 0, 10); !slices.Equal(got.lines, []string{"x"}) {
		t.Errorf("%q", got.lines)
	}
}

func TestReplacedFileIsNotRead(t *testing.T) {
	dir := t.TempDir()
	path := writeLog(t, dir, "access.log", "old\n")
	f := openLogs(t, path)
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	writeLog(t, dir, "access.log", "new\n")
	got := readLog(t, f, 0, 10)
	if len(got.lines) != 0 || len(got.errs) != 1 || !strings.Contains(got.errs[0].Error(), "another file took its place") {
		t.Errorf("%q, %v", got.lines, got.errs)
	}
}

func TestStdinReturnsLinesAsTheyCome(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	f, err := openFiles("stdin", []string{"-"}, in)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r Records
	io.WriteString(out, "one\ntw")
	if err := f.Read(context.Background(), 0, 100, &r); err != nil || r.Len() != 1 || string(r.Line(0)) != "one" {
		t.Fatalf("%d records, %v", r.Len(), err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := f.Read(ctx, 0, 100, &r); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("waiting for a line: %v", err)
	}
	io.WriteString(out, "o\nthree")
	out.Close()
	got := readLog(t, f, 0, 100)
	if !slices.Equal(got.lines, []string{"two", "three"}) || !slices.Equal(got.offsets, []int64{4, 8}) {
		t.Errorf("%q at %v", got.lines, got.offsets)
	}
	if _, total := f.Progress(); total != 0 {
		t.Errorf("total %d of a stream", total)
	}
	if _, ok := f.Position(0, 4, event.FixedKey()); ok {
		t.Error("a stream has a position to resume from")
	}
}

func TestStdinMayBeCompressedOrAFile(t *testing.T) {
	dir := t.TempDir()
	for _, data := range []string{"one\ntwo\n", gzipOf(t, "one\ntwo\n"), zstdOf(t, "one\ntwo\n")} {
		in, err := os.Open(writeLog(t, dir, "in", data))
		if err != nil {
			t.Fatal(err)
		}
		f, err := openFiles("stdin", []string{"-"}, in)
		if err != nil {
			t.Fatal(err)
		}
		if got := readLog(t, f, 0, 100); !slices.Equal(got.lines, []string{"one", "two"}) {
			t.Errorf("%q of %d bytes", got.lines, len(data))
		}
		f.Close()
		in.Close()
	}
}

func TestPositionSurvivesRenamingAndCompression(t *testing.T) {
	dir, key := t.TempDir(), event.FixedKey()
	writeLog(t, dir, "ex.log.1", "#Fields: a b\nfirst\nsecond\n")
	writeLog(t, dir, "ex.log", "#Fields: a b\nthird\n")
	f := openLogs(t, filepath.Join(dir, "ex.log*"))
	got := readLog(t, f, 0, 1)
	old, ok1 := f.Position(0, got.offsets[2], key)
	cur, ok2 := f.Position(0, got.offsets[4], key)
	if !ok1 || !ok2 || old.First == cur.First || old.First == 0 {
		t.Fatalf("positions %v %v", old, cur)
	}
	if old.Offset != 19 || cur.Offset != 13 || cur.Base != 26 {
		t.Errorf("positions %+v %+v", old, cur)
	}
	g := openLogs(t, writeLog(t, dir, "ex.log.2.gz", gzipOf(t, "#Fields: a b\nfirst\nsecond\n")))
	readLog(t, g, 0, 100)
	if again, _ := g.Position(0, 19, key); again != old {
		t.Errorf("%v after renaming, %v before", again, old)
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

func TestMemoryReturnsItsRecords(t *testing.T) {
	m := NewMemory("script", [][]MemoryRecord{
		{{Line: []byte("a"), Offset: 3, Appended: 9}, {Line: make([]byte, MaxLine+1), Offset: 4}, {Line: []byte("b"), Offset: 7}},
		{{Line: []byte("c"), Offset: 1}},
		nil,
	})
	for p, want := range [][]string{{"a", "b"}, {"c"}, nil} {
		for _, max := range []int{1} {
			var r Records
			var err error
			for err == nil {
				err = m.Read(context.Background(), p, max, &r)
			}
			var got []string
			for i := range r.Len() {
				got = append(got, string(r.Line(i)))
			}
			if err != io.EOF || !slices.Equal(got, want) || (r.Appended != nil) != (p == 0) || (r.TooLong == 1) != (p == 0) {
				t.Errorf("partition %d: %q, appended %v, %d too long, %v", p, got, r.Appended, r.TooLong, err)
			}
		}
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
				if err != io.EOF {
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
		if err == io.EOF {
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
