package ingest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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
	if err := os.Mkdir(filepath.Join(dir, "archive"), 0o700); err != nil {
		t.Fatal(err)
	}
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
