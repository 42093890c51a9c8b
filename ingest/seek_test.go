package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// manyLines makes a log with empty, ordinary and too long lines.
func manyLines(r *rand.Rand, tag string) string {
	var b strings.Builder
	for i := range 200 {
		switch r.IntN(12) {
		case 0:
		case 3:
			b.WriteString(byteOrderMark + "of no file")
		case 1:
			b.WriteString(strings.Repeat("l", MaxLine+r.IntN(3*MaxLine)))
		case 2:
			fmt.Fprintf(&b, "%s%d\r", tag, i)
		default:
			fmt.Fprintf(&b, "%s%d %s", tag, i, strings.Repeat("x", r.IntN(300)))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// from returns what of a is not before an offset.
func (a logContent) from(offset int64) logContent {
	i, _ := slices.BinarySearch(a.offsets, offset)
	return logContent{lines: a.lines[i:], offsets: a.offsets[i:]}
}

func (a logContent) equal(b logContent) bool {
	return slices.Equal(a.lines, b.lines) && slices.Equal(a.offsets, b.offsets)
}

func TestALogIsBegunAtAnyOffset(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	writeLog(t, dir, "access.log-20260101.gz", gzipOf(t, "\xef\xbb\xbf"+manyLines(rnd, "a")+"without an end"))
	writeLog(t, dir, "access.log-20260102.zst", zstdOf(t, manyLines(rnd, "b")))
	writeLog(t, dir, "access.log-20260103", "\xef\xbb\xbf"+manyLines(rnd, "c")+"without an end either")
	writeLog(t, dir, "access.log", manyLines(rnd, "d"))
	glob := filepath.Join(dir, "*")
	whole := readLog(t, openLogs(t, glob), 0, 1000)
	last := openLogs(t, glob)
	readLog(t, last, 0, 1000)
	end := last.logs[0].lines.offset
	if len(whole.lines) < 700 {
		t.Fatalf("%d lines", len(whole.lines))
	}
	at := []int64{0, 1, end - 1, end}
	for range 60 {
		at = append(at, rnd.Int64N(end))
		o := whole.offsets[rnd.IntN(len(whole.offsets))]
		at = append(at, o, o+1, max(0, o-1))
	}
	for _, offset := range at {
		f := openLogs(t, glob)
		if err := f.Seek(0, offset); err != nil {
			t.Fatal(err)
		}
		got := readLog(t, f, 0, 1+rnd.IntN(300))
		want := whole.from(offset)
		if !got.equal(want) || len(got.errs) > 0 {
			t.Fatalf("from %d of %d: %d lines from %.50q at %v, want %d from %.50q at %v (%v)", offset, end,
				len(got.lines), got.lines[:min(1, len(got.lines))], got.offsets[:min(1, len(got.offsets))],
				len(want.lines), want.lines[:min(1, len(want.lines))], want.offsets[:min(1, len(want.offsets))], got.errs)
		}
		if done, total := f.Progress(); done != total {
			t.Errorf("from %d: progress %d of %d, want what was passed over to be counted", offset, done, total)
		}
		f.Close()
	}
}

func TestATooLongLineIsCountedByTheLifeInWhichItBegins(t *testing.T) {
	data := "a\n" + strings.Repeat("l", 3*chunk) + "\nb\n"
	for offset, want := range map[int64]int{0: 1, 1: 1, 2: 1, 3: 0, 2 + MaxLine: 0, 2 + 3*chunk: 0} {
		f := openLogs(t, writeLog(t, t.TempDir(), "access.log", data))
		if err := f.Seek(0, offset); err != nil {
			t.Fatal(err)
		}
		if got := readLog(t, f, 0, 100); got.tooLong != want || got.lines[len(got.lines)-1] != "b" {
			t.Errorf("from %d: %d too long and %.20q, want %d and then b", offset, got.tooLong, got.lines, want)
		}
	}
}

func TestALogThatIsDamagedIsBegunBehindTheDamage(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, ext := range []string{".gz", ".zst"} {
		pack := gzipOf
		if ext == ".zst" {
			pack = zstdOf
		}
		var text strings.Builder
		for i := range 20_000 {
			fmt.Fprintf(&text, "line %d %d\n", i, i*i*7919)
		}
		data := []byte(pack(t, text.String()))
		for i := range 64 {
			data[len(data)/2+i] ^= 0x5a
		}
		dir := t.TempDir()
		writeLog(t, dir, "access.log.1"+ext, string(data))
		writeLog(t, dir, "access.log", "after\nthat\n")
		glob := filepath.Join(dir, "*")
		whole := readLog(t, openLogs(t, glob), 0, 1000)
		damage := whole.errs[0].Offset
		for range 20 {
			offset := rnd.Int64N(damage + 11)
			if rnd.IntN(4) == 0 {
				offset = damage + rnd.Int64N(11)
			}
			f := openLogs(t, glob)
			if err := f.Seek(0, offset); err != nil {
				t.Fatal(err)
			}
			got := readLog(t, f, 0, 1000)
			want := whole.from(offset)
			if !got.equal(want) {
				t.Errorf("%s from %d, damaged at %d: %d lines, want %d", ext, offset, damage, len(got.lines), len(want.lines))
			}
			if told := len(got.errs) > 0; told != (offset <= damage) {
				t.Errorf("%s from %d, damaged at %d: told %v", ext, offset, damage, got.errs)
			}
		}
	}
}

func TestALogThatEndsBeforeItIsBegunIsRefused(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{writeLog(t, dir, "a.log", "a\nb\n"), writeLog(t, dir, "b.log.gz", gzipOf(t, "a\nb\n"))} {
		f := openLogs(t, path)
		if err := f.Seek(0, 4); err != nil {
			t.Fatal(err)
		}
		if got := readLog(t, f, 0, 10); len(got.lines) > 0 {
			t.Errorf("%q behind the end", got.lines)
		}
		f = openLogs(t, path)
		if err := f.Seek(0, 5); err != nil {
			t.Fatal(err)
		}
		err := f.Read(t.Context(), 0, 10, &Records{})
		if err == nil || errors.Is(err, io.EOF) || !strings.Contains(err.Error(), path+": to be read from offset 5, but ends at 4") {
			t.Errorf("got %v from behind the end", err)
		}
		if err := f.Seek(0, -1); err == nil {
			t.Error("begun before the beginning")
		}
	}
}

func TestAReadLogGoesOnlyForwards(t *testing.T) {
	path := writeLog(t, t.TempDir(), "access.log", "a\nb\nc\nd\ne\nf\n")
	for name, s := range map[string]Seeker{
		"files": openLogs(t, path), "peeked files": Peek(openLogs(t, path)),
		"memory": NewMemory("memory", [][]MemoryRecord{{
			{Line: []byte("a"), Offset: 0}, {Line: []byte("b"), Offset: 2}, {Line: []byte("c"), Offset: 4},
			{Line: []byte("d"), Offset: 6}, {Line: []byte("e"), Offset: 8}, {Line: []byte("f"), Offset: 10},
		}}),
	} {
		t.Run(name, func(t *testing.T) {
			if p, ok := s.(*Peeked); ok {
				if lines, err := p.Lines(t.Context(), 0, 3); err != nil || len(lines) != 3 {
					t.Fatalf("%q, %v", lines, err)
				}
			}
			next := func(seek int64, want string) {
				t.Helper()
				if err := s.Seek(0, seek); err != nil {
					t.Fatal(err)
				}
				var r Records
				if err := s.Read(t.Context(), 0, 1, &r); err != nil || r.Len() == 0 || string(r.Line(0)) != want {
					t.Fatalf("from %d: %d records, %v, want %s", seek, r.Len(), err, want)
				}
			}
			next(1, "b")
			if err := s.Seek(0, 2); err == nil {
				if _, peeked := s.(*Peeked); !peeked { // those that were looked at are returned together
					t.Error("went back")
				}
			}
			if _, peeked := s.(*Peeked); peeked {
				next(5, "d")
			} else {
				next(3, "c")
			}
			next(9, "f")
		})
	}
	unseekable := Peek(struct{ Source }{NewMemory("script", nil)})
	if err := unseekable.Seek(0, 1); err == nil || !strings.Contains(err.Error(), "source script: cannot be read from offset 1") {
		t.Errorf("got %v", err)
	}
}

// impatient is a context that is cancelled when it has been asked a few times.
type impatient struct {
	context.Context
	asked int
}

func (c *impatient) Err() error {
	if c.asked--; c.asked < 0 {
		return context.Canceled
	}
	return nil
}

func TestPassingOverIsCalledOffAndTakenUpAgain(t *testing.T) {
	var text strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	want := int64(text.Len())
	text.WriteString("here\n")
	f := openLogs(t, writeLog(t, t.TempDir(), "access.log.gz", gzipOf(t, text.String())))
	if err := f.Seek(0, want); err != nil {
		t.Fatal(err)
	}
	var r Records
	for range 2 { // each is called off behind the first piece
		ctx := &impatient{Context: t.Context(), asked: 2}
		if err := f.Read(ctx, 0, 10, &r); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if at := f.logs[0].lines.offset; at != 2*passChunk {
		t.Errorf("passed over %d bytes, want two pieces", at)
	}
	if err := f.Read(t.Context(), 0, 10, &r); err != nil || r.Len() != 1 || string(r.Line(0)) != "here" || r.Offsets[0] != want {
		t.Errorf("%d records, %v", r.Len(), err)
	}
}

func TestAStreamThatIsSentAgainIsPassedOver(t *testing.T) {
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
	if err := f.Seek(0, 9); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(out, "one\ntw"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := f.Read(ctx, 0, 10, &Records{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if _, err := io.WriteString(out, "o\nthree\nfour\n"); err != nil {
		t.Fatal(err)
	}
	out.Close()
	if got := readLog(t, f, 0, 10); !slices.Equal(got.lines, []string{"four"}) || !slices.Equal(got.offsets, []int64{14}) {
		t.Errorf("%q at %v", got.lines, got.offsets)
	}
}
