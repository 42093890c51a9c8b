package ingest

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"
)

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
	if done, total := f.Progress(); done != 13 || total != 0 {
		t.Errorf("read %d of %d, want 13 of a stream that has no total", done, total)
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
		if f, err = openFiles("stdin", []string{"-", writeLog(t, dir, "beside.log", "x\n")}, in); err != nil {
			t.Fatal(err)
		}
		if _, total := f.Progress(); total != 0 || f.Partitions() != 2 {
			t.Errorf("%d bytes in %d partitions, want no total in 2", total, f.Partitions())
		}
		in.Close()
	}
}
