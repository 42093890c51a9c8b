package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
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

func TestLineAtTheLimitMayComeInPieces(t *testing.T) {
	limit := strings.Repeat("l", MaxLine)
	var l lineReader
	var r Records
	src := io.MultiReader(strings.NewReader(limit+"\r"), strings.NewReader("\nx"), strings.NewReader("y\n"))
	for err := error(nil); err == nil; {
		err = l.fill(src, false, 10, &r)
	}
	if r.Len() != 2 || string(r.Line(0)) != limit || string(r.Line(1)) != "xy" || r.TooLong != 0 {
		t.Errorf("%d records, %d too long", r.Len(), r.TooLong)
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
	if !errors.Is(err, io.EOF) || r.TooLong != 1 || r.Len() != 0 {
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

func FuzzLines(f *testing.F) {
	f.Add([]byte("one\ntwo\r\n\n\x00\r"), uint8(3), uint8(2))
	f.Add([]byte("\n\n\r\n"), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, piece, max uint8) {
		var l lineReader
		var r Records
		var got []string
		var offsets []int64
		src := &pieces{data: data, n: int(piece) + 1}
		for err := error(nil); ; {
			r.Reset()
			l.take(int(max)+1, &r)
			if r.Len() == 0 && err == nil {
				err = l.fill(src, piece%2 == 0, int(max)+1, &r)
			}
			last := err != nil && len(l.pend)-l.lo == l.scanned
			if last {
				l.finish(err, &r)
			}
			for i := range r.Len() {
				got = append(got, string(r.Line(i)))
			}
			offsets = append(offsets, r.Offsets...)
			if last {
				break
			}
		}
		at := 0
		for i, want := range bytes.SplitAfter(data, []byte("\n")) {
			if len(want) == 0 {
				continue // behind the last newline
			}
			if i >= len(got) || offsets[i] != int64(at) || got[i] != strings.TrimSuffix(strings.TrimSuffix(string(want), "\n"), "\r") {
				t.Fatalf("line %d of %q: got %q at %v", i, data, got, offsets)
			}
			at += len(want)
		}
		if n := bytes.Count(data, []byte("\n")); len(got) > n+1 || l.offset != int64(len(data)) {
			t.Fatalf("%d lines of %q, read to %d", len(got), data, l.offset)
		}
	})
}

// pieces gives at most n bytes at a time.
type pieces struct {
	data []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.data) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.data[:min(p.n, len(p.data))])
	p.data = p.data[n:]
	return n, nil
}
