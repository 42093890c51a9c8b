package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"weir/event"
)

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func numbered(prefix string, n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("%s%d", prefix, i))
	}
	return lines
}

func text(lines ...string) string { return strings.Join(lines, "\n") + "\n" }

func TestTruncatedFileIsReadFromItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := writeLog(t, t.TempDir(), "access.log", "a\nb\nfragm")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a", "b")
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		l.want(0, time.Second, "fragm") // its file ended there
		appendLog(t, path, "c\n")
		l.want(0, time.Second, "c")
		if got := l.got[0].offsets; !slices.Equal(got, []int64{0, 2, 4, 9}) {
			t.Errorf("offsets %v", got)
		}
	})
}

func TestFileRewrittenInPlaceIsReadFromItsStart(t *testing.T) {
	for name, next := range map[string]string{"as long": "C\nD\n", "longer": "C\nD\nE\nF\n", "shorter": "C\n"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := writeLog(t, t.TempDir(), "access.log", "a\nb\n")
				l := follow(t, FollowConfig{Paths: []string{path}})
				l.want(0, time.Second, "a", "b")
				file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := file.WriteString(next); err != nil {
					t.Fatal(err)
				}
				file.Close()
				later := time.Now().AddDate(30, 0, 0) // clocks of file systems are coarse
				if err := os.Chtimes(path, later, later); err != nil {
					t.Fatal(err)
				}
				l.want(0, time.Second, strings.Split(strings.TrimSpace(next), "\n")...)
			})
		})
	}
}

func TestCopyIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "a\nb\n")
		writeLog(t, dir, "access.log.1", "a\nb\n") // copied, not yet truncated
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, 5*grace, "a", "b")
		appendLog(t, path, "c\n")
		l.want(0, time.Second, "c")
		// An editor writes a new file and puts it in the place of the old one.
		writeLog(t, dir, "access.log.new", "a\nb\nc\nd\n")
		rename(t, path+".new", path)
		l.want(0, 5*grace, "d")
		if len(l.files) != 1 {
			t.Errorf("files written down: %v", l.files)
		}
	})
}

func TestRotatedWhileDownIsKnownAgain(t *testing.T) {
	for name, rotated := range map[string][2]string{
		"numbered":          {"access.log.2", "access.log.1"},
		"compressed":        {"access.log.2.gz", "access.log.1"},
		"dated":             {"access.log-20260101", "access.log-20260102"},
		"dated, compressed": {"access.log-20260101.gz", "access.log-20260102.gz"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				writeLog(t, dir, rotated[0], packed(t, rotated[0], "old\n")) // before the start
				path := writeLog(t, dir, "access.log", "\n# one\n1\n2\n3\n")
				l := follow(t, FollowConfig{Paths: []string{path}, Start: "end"})
				appendLog(t, path, "4\n5\n")
				l.want(0, time.Second, "4", "5")
				l.close()
				remove(t, filepath.Join(dir, rotated[0]))
				remove(t, path)
				writeLog(t, dir, rotated[0], packed(t, rotated[0], "\n# one\n1\n2\n3\n4\n5\n6\n"))
				writeLog(t, dir, rotated[1], packed(t, rotated[1], "7\n8\n"))
				writeLog(t, dir, "access.log", "9\n")
				m := follow(t, FollowConfig{Paths: []string{path}, Start: "end"}, l)
				m.want(0, 9*grace, "4", "5", "6", "7", "8", "9")
				if want := []int64{13, 15, 17, 19, 21, 23}; !slices.Equal(m.got[0].offsets, want) {
					t.Errorf("offsets %v, want %v", m.got[0].offsets, want)
				}
				if m.f.Start(0) != 13 || len(m.files) != 3 {
					t.Errorf("start %d, files %v", m.f.Start(0), m.files)
				}
				if b, _ := m.f.Blind(); len(b) > 0 {
					t.Errorf("blind: %v", b)
				}
			})
		})
	}
}

func TestAnotherLifeReadsNoMoreOfACopyThanTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "a\nb\nfra")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a", "b")
		writeLog(t, dir, "access.log.1", "a\nb\nfragment\nnever seen\n")
		if err := os.WriteFile(path, []byte("c\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		l.want(0, 5*grace, "fra", "c")
		m := follow(t, FollowConfig{Paths: []string{path}}, l)
		m.want(0, 5*grace, "a", "b", "fra", "c")
		if !slices.Equal(m.got[0].offsets, l.got[0].offsets) {
			t.Errorf("offsets %v, before %v", m.got[0].offsets, l.got[0].offsets)
		}
	})
}

func TestFilesThatBeginAlikeAreToldApartByTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := writeLog(t, t.TempDir(), "access.log", "a\nb\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a", "b")
		if err := os.Truncate(path, 0); err != nil {
			t.Fatal(err)
		}
		l.want(0, time.Second)
		appendLog(t, path, "a\nc\nd\n")
		l.want(0, time.Second, "a", "c", "d")
		m := follow(t, FollowConfig{Paths: []string{path}}, l)
		m.want(0, time.Minute, "a", "c", "d")
		if !slices.Equal(m.got[0].offsets, []int64{4, 6, 8}) {
			t.Errorf("offsets %v", m.got[0].offsets)
		}
	})
}

func TestUnfinishedCompressedCopyIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		lines := numbered("line ", 5000)
		writeLog(t, dir, "access.log.1", text(lines...))
		writeLog(t, dir, "access.log.1.gz", gzipOf(t, text(lines...))[:2000])
		l := follow(t, FollowConfig{Paths: []string{writeLog(t, dir, "access.log", "live\n")}})
		l.want(0, 5*grace, append(lines, "live")...)
		if len(l.got[0].errs) > 0 {
			t.Errorf("errors %v", l.got[0].errs)
		}
	})
}

func packed(t *testing.T, name, data string) string {
	if strings.HasSuffix(name, ".gz") {
		return gzipOf(t, data)
	}
	return data
}

func TestFileIsCompressedWhileItIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		lines := numbered("line ", 5000)
		writeLog(t, dir, "access.log.1", text(lines...))
		path := writeLog(t, dir, "access.log", "live\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		var r Records
		if err := l.f.Read(context.Background(), 0, 100, &r); err != nil {
			t.Fatal(err)
		}
		if lag := l.f.Lag(0); lag < logSize(t, path) {
			t.Errorf("lag %d, want at least the live file", lag)
		}
		writeLog(t, dir, "access.log.1.gz", gzipOf(t, text(lines...)))
		remove(t, path+".1")
		l.want(0, 9*grace, append(slices.Clone(lines[r.Len():]), "live")...)
		if l.f.Lag(0) != 0 {
			t.Errorf("lag %d at the end", l.f.Lag(0))
		}
	})
}

func TestRenamedAndCompressedBeforeItWasLookedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "a\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a")
		appendLog(t, path, "b\n")
		writeLog(t, dir, "access.log.2.gz", gzipOf(t, "a\nb\n"))
		remove(t, path)
		writeLog(t, dir, "access.log.1", "c\n")
		writeLog(t, dir, "access.log", "d\n")
		l.want(0, 9*grace, "b", "c", "d")
	})
}

func TestTwoRotationsBetweenTwoLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "a\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a")
		appendLog(t, path, "b\n")
		rename(t, path, path+".2")
		writeLog(t, dir, "access.log.1", "c\n")
		writeLog(t, dir, "access.log", "d\n")
		l.want(0, 9*grace, "b", "c", "d")
	})
}

func TestFileThatIsWrittenAfterItWasLeftIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "a\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a")
		rename(t, path, path+".1")
		writeLog(t, dir, "access.log", "b\n")
		want := []string{}
		for i := range int(maxGrace / grace) { // a process that never reopens its log
			line := fmt.Sprint("late ", i)
			appendLog(t, path+".1", line+"\n")
			want = append(want, line)
			l.want(0, grace/2, line)
		}
		for range int(maxGrace/grace) + 5 {
			appendLog(t, path+".1", "late\n")
			got := l.read(0, grace/2)
			want = append(want, got...)
		}
		if want[len(want)-1] != "b" {
			t.Errorf("the new file was not begun: %q", want[len(want)-3:])
		}
		b, more := l.f.Blind()
		if len(b) != 1 || more != 0 || !strings.HasSuffix(string(b[0].Why), "was left, and was then written on") {
			t.Errorf("%+v", b)
		}
	})
}

func TestDeletedFileIsReadToItsEndAndTheNextOneBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		writeLog(t, dir, "access.log.1", "old\n")
		path := writeLog(t, dir, "access.log", "a\n")
		l := follow(t, FollowConfig{Paths: []string{path}, Start: "end"})
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		remove(t, path)
		if _, err := file.WriteString("b\n"); err != nil {
			t.Fatal(err)
		}
		l.want(0, 5*grace, "b")
		writeLog(t, dir, "access.log", "c\n")
		l.want(0, 5*grace, "c") // not the rotation that was there before the start
	})
}

func TestMissingFileIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "later")
		path := filepath.Join(dir, "access.log")
		l := follow(t, FollowConfig{Paths: []string{path}, Start: "end"})
		l.want(0, time.Second)
		if !l.f.CaughtUp(0) || l.f.Lag(0) != 0 || l.f.Start(0) != 0 {
			t.Errorf("caught up %v, lag %d, start %d", l.f.CaughtUp(0), l.f.Lag(0), l.f.Start(0))
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeLog(t, dir, "access.log", "a\n")
		l.want(0, 5*grace, "a")
		rename(t, dir, dir+".away")
		l.want(0, 5*grace)
		appendLog(t, filepath.Join(dir+".away", "access.log"), "b\n")
		l.want(0, 5*grace, "b")
		rename(t, dir+".away", dir)
		appendLog(t, path, "c\n")
		l.want(0, 5*grace, "c")
		remove(t, dir)
		l.want(0, 5*grace)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		writeLog(t, dir, "access.log", "d\n")
		l.want(0, 5*grace, "d")
		if l.said.Len() > 0 {
			t.Errorf("said %s", l.said.String())
		}
	})
}

func TestLinkIsFollowedWhenItIsSwitched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, blue, green := t.TempDir(), t.TempDir(), t.TempDir()
		path := filepath.Join(dir, "current.log")
		link := func(to string) {
			if err := os.Symlink(to, path+".new"); err != nil {
				t.Fatal(err)
			}
			rename(t, path+".new", path)
		}
		link(writeLog(t, blue, "app-2026-01-02.log", "2\n"))
		writeLog(t, blue, "app-2026-01-04.log", "not yet\n")
		writeLog(t, blue, "app-2026-01-01.log", "1\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, 9*grace, "1", "2")
		link(writeLog(t, blue, "app-2026-01-03.log", "3\n"))
		appendLog(t, filepath.Join(blue, "app-2026-01-02.log"), "2b\n")
		l.want(0, 9*grace, "2b", "3")
		writeLog(t, green, "app.log.1", "something else\n")
		link(writeLog(t, green, "app.log", "4\n"))
		l.want(0, 9*grace, "4")
	})
}

func TestFilesThatBearTheirDateAreOneLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		writeLog(t, dir, "u_ex260101.log", "#Fields: a\n1\n")
		l := follow(t, FollowConfig{Paths: []string{filepath.Join(dir, "*.log")}})
		l.want(0, 5*grace, "#Fields: a", "1")
		writeLog(t, dir, "u_ex260102.log", "#Fields: a\n")
		l.want(0, 5*grace) // a file is known by its first line, so that is waited for
		appendLog(t, filepath.Join(dir, "u_ex260102.log"), "2\n")
		l.want(0, 5*grace, "#Fields: a", "2")
		if l.f.Partitions() != 1 {
			t.Errorf("%d partitions", l.f.Partitions())
		}
	})
}

func TestUnfinishedLineIsHandedOutWhenItsFileEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "\xef\xbb\xbfa\r\n\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a", "")
		appendLog(t, path, "b")
		l.want(0, time.Minute)
		rename(t, path, path+".1")
		writeLog(t, dir, "access.log", "")
		l.want(0, time.Minute) // nobody writes into the new one yet
		appendLog(t, path, "c")
		l.want(0, time.Minute, "b")
		rename(t, path, path+".0")
		remove(t, path+".1")
		rename(t, path+".0", path+".1")
		writeLog(t, dir, "access.log", "d\n")
		l.want(0, time.Minute, "c", "d") // a file that never had a complete line
	})
}

func TestLongLinesAreCountedAndPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("l", MaxLine)
		path := writeLog(t, t.TempDir(), "access.log", long+"l\n"+long+"\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, long)
		appendLog(t, path, long)
		l.want(0, time.Second)
		appendLog(t, path, long)
		l.want(0, time.Second)
		appendLog(t, path, "l\nx\n")
		l.want(0, time.Second, "x")
		if l.got[0].tooLong != 2 || l.f.Lag(0) != 0 {
			t.Errorf("%d too long, lag %d", l.got[0].tooLong, l.f.Lag(0))
		}
		m := follow(t, FollowConfig{Paths: []string{path}}, l)
		m.want(0, time.Second, long, "x")
	})
}

func TestEndOfTheLiveFileIsAWholeLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "a\nb\nhal")
		l := follow(t, FollowConfig{Paths: []string{path}, Start: "end"})
		appendLog(t, path, "f\nc\n")
		l.want(0, time.Second, "half", "c")
		if l.f.Start(0) != 4 || !slices.Equal(l.got[0].offsets, []int64{4, 9}) {
			t.Errorf("start %d, offsets %v", l.f.Start(0), l.got[0].offsets)
		}
		appendLog(t, path, "d\n")
		m := follow(t, FollowConfig{Paths: []string{path}, Start: "end"}, l)
		m.want(0, time.Second, "half", "c", "d")
		// Killed before anything was written down but the start.
		n := follow(t, FollowConfig{Paths: []string{path}, Start: "end", Starts: l.starts()})
		n.want(0, time.Second, "half", "c", "d")

		long := writeLog(t, dir, "long.log", strings.Repeat("l", 3*MaxLine))
		l = follow(t, FollowConfig{Paths: []string{long}, Start: "end"})
		appendLog(t, long, "l\nx\n")
		l.want(0, time.Second, "x")
		m = follow(t, FollowConfig{Paths: []string{long}, Start: "end"}, l)
		m.want(0, time.Second, "x")
	})
}

func TestGoneFilesAreSaidToBeMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "a\nb\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a", "b")
		rename(t, path, path+".1")
		writeLog(t, dir, "access.log", "c\n")
		l.want(0, 5*grace, "c")
		l.close()
		remove(t, path+".1")
		m := follow(t, FollowConfig{Paths: []string{path}}, l)
		m.want(0, 5*grace, "c")
		want := Gap{From: 0, To: 4, Why: "a file that was read before is gone or shorter"}
		if b, _ := m.f.Blind(); !slices.Equal(b, []Gap{want}) || !slices.Equal(m.got[0].offsets, []int64{4}) {
			t.Errorf("blind %+v, offsets %v", b, m.got[0].offsets)
		}
		m.close()
		// Rewritten in place: the same inode, nothing of what was.
		if err := os.WriteFile(path, []byte("d\ne\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		n := follow(t, FollowConfig{Paths: []string{path}, Reached: map[int32]int64{0: 100}}, m)
		n.want(0, 5*grace, "d", "e")
		want = Gap{From: 0, To: 101, Why: "the files that were read before are gone"}
		if b, _ := n.f.Blind(); !slices.Equal(b, []Gap{want}) || !slices.Equal(n.got[0].offsets, []int64{101, 103}) {
			t.Errorf("blind %+v, offsets %v", b, n.got[0].offsets)
		}
		if !strings.Contains(n.said.String(), "lines of a log are missing") {
			t.Errorf("said %q", n.said.String())
		}
		o := follow(t, FollowConfig{Paths: []string{path}}, n)
		o.want(0, 5*grace, "d", "e")
		if !slices.Equal(o.got[0].offsets, []int64{101, 103}) {
			t.Errorf("offsets %v", o.got[0].offsets)
		}
	})
}

func TestRecordIsHandedOutOnlyWhenItsFileIsWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := writeLog(t, t.TempDir(), "access.log", "# comment\na\n")
		full := errors.New("disk full")
		var noted []FileMark
		l := follow(t, FollowConfig{Paths: []string{path}, Note: func(m FileMark) error {
			noted = append(noted, m)
			return full
		}})
		for range 2 {
			var r Records
			if err := l.f.Read(context.Background(), 0, 10, &r); !errors.Is(err, full) || r.Len() > 0 {
				t.Fatalf("%d records, %v", r.Len(), err)
			}
		}
		full = nil
		l.want(0, time.Second, "# comment", "a")
		if len(noted) != 3 || noted[2] != noted[0] || noted[0].Log != path || noted[0].First == "" || noted[0].Offset != 0 {
			t.Errorf("written down: %+v", noted)
		}
	})
}

func TestPartitionsKeepTheirNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		glob := filepath.Join(dir, "*.log*")
		writeLog(t, dir, "m.log", "m\n")
		writeLog(t, dir, "m.log.1", "old m\n")
		writeLog(t, dir, "z.log", "z\n")
		writeLog(t, dir, "z.log.3.xz", "\xfd7zXZ\x00\x00\x00\x00")
		l := follow(t, FollowConfig{Paths: []string{glob}, Start: "end"})
		if l.f.Partitions() != 2 {
			t.Fatalf("%d partitions", l.f.Partitions())
		}
		writeLog(t, dir, "a.log", "a\n")
		time.Sleep(2 * globEvery)
		synctest.Wait()
		if l.f.Partitions() != 3 || filepath.Base(l.f.Log(2)) != "a.log" {
			t.Fatalf("%d partitions", l.f.Partitions())
		}
		l.want(2, time.Second, "a") // new ones from their start
		appendLog(t, filepath.Join(dir, "z.log"), "z2\n")
		l.want(1, time.Second, "z2")
		l.close()
		remove(t, filepath.Join(dir, "m.log"))
		remove(t, filepath.Join(dir, "m.log.1"))
		writeLog(t, dir, "b.log", "b\n")
		m := follow(t, FollowConfig{Paths: []string{glob}, Start: "end"}, l)
		m.want(0, time.Second)
		m.want(1, time.Second, "z2")
		m.want(2, time.Second, "a")
		m.want(3, time.Second, "b")
		if m.f.Partitions() != 4 || !m.f.CaughtUp(0) {
			t.Errorf("%d partitions, the gone one caught up: %v", m.f.Partitions(), m.f.CaughtUp(0))
		}
		n := follow(t, FollowConfig{Paths: []string{filepath.Join(dir, "a.log")}, Start: "end"}, m)
		n.want(1, time.Second) // not configured any more
		n.want(2, time.Second, "a")
	})
}

func TestLogsAreLimited(t *testing.T) {
	dir := t.TempDir()
	for i := range maxLogs + 2 {
		writeLog(t, dir, fmt.Sprintf("x%dy.log", i), "a\n")
	}
	f, err := FollowFiles(FollowConfig{Name: "files", Paths: []string{filepath.Join(dir, "*.log")}, Key: testKey, Start: "end"})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Partitions() != maxLogs || f.Refused() != 2 {
		t.Errorf("%d partitions, %d refused", f.Partitions(), f.Refused())
	}
	if f.pace() != time.Second {
		t.Errorf("pace %v", f.pace())
	}
}

func TestDamagedRotationEndsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		lines := numbered("line ", 20_000)
		whole := gzipOf(t, text(lines...))
		writeLog(t, dir, "access.log.4.gz", "no gzip at all")
		writeLog(t, dir, "access.log.3.gz", gzipOf(t, ""))
		writeLog(t, dir, "access.log.2.gz", whole[:len(whole)/2])
		writeLog(t, dir, "access.log.1", "\xff\xfeu\x00")
		path := writeLog(t, dir, "access.log", "live\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		got := l.read(0, time.Minute)
		if n := len(got) - 1; n < 1000 || !slices.Equal(got[:n], lines[:n]) || got[n] != "live" {
			t.Errorf("%d lines", len(got))
		}
		if errs := l.got[0].errs; len(errs) != 2 || errs[0].File != path+".4.gz" || errs[1].File != path+".2.gz" {
			t.Errorf("errors %v", errs)
		}
		if !strings.Contains(l.said.String(), "UTF-16") {
			t.Errorf("said %s", l.said.String())
		}
	})
}

func TestTroubleIsSaidOnceInTenSecondsAndPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "access.log")
		// A loop of links cannot be opened by root either.
		if err := os.Symlink(path, path); err != nil {
			t.Fatal(err)
		}
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, 25*time.Second)
		if l.f.CaughtUp(0) {
			t.Error("caught up with a log that cannot be read")
		}
		if n := strings.Count(l.said.String(), "\n"); n != 3 || !strings.Contains(l.said.String(), path+": too many levels of symbolic links") {
			t.Errorf("%d sentences: %s", n, l.said.String())
		}
		remove(t, path)
		writeLog(t, dir, "access.log", "a\n")
		l.want(0, 5*grace, "a")
	})
}

func TestPermissionMayBeLostAndRegained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := writeLog(t, dir, "access.log", "a\n")
		l := follow(t, FollowConfig{Paths: []string{path}})
		l.want(0, time.Second, "a")
		denied := asNobody(t, dir)
		denied(0o777, 0o644)
		rename(t, path, path+".1")
		writeLog(t, dir, "access.log", "b\n")
		denied(0o755, 0)
		l.want(0, 20*time.Second)
		if !strings.Contains(l.said.String(), "access.log: permission denied") || l.f.CaughtUp(0) {
			t.Errorf("caught up %v, said %q", l.f.CaughtUp(0), l.said.String())
		}
		denied(0, 0)
		l.want(0, 20*time.Second)
		denied(0o755, 0o644)
		l.want(0, 20*time.Second, "b")

		// A rotation that may not be read keeps its log up for a while only.
		denied(0o777, 0)
		rename(t, path, path+".2")
		m := follow(t, FollowConfig{Paths: []string{path}})
		m.want(0, 10*time.Second)
		m.want(0, 2*barredFor, "a")
		if b, _ := m.f.Blind(); len(b) != 1 || !strings.Contains(string(b[0].Why), "access.log.2: permission denied") {
			t.Errorf("blind %+v", b)
		}
	})
}

func TestCloseEndsAReadThatWaits(t *testing.T) {
	path := writeLog(t, t.TempDir(), "access.log", "")
	f, err := FollowFiles(FollowConfig{Name: "files", Paths: []string{path, filepath.Join(t.TempDir(), "*.log")}, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- f.Read(context.Background(), 0, 10, &Records{}) }()
	time.Sleep(20 * time.Millisecond)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, errFollowClosed) {
		t.Error(err)
	}
	if err := f.Read(context.Background(), 0, 10, &Records{}); !errors.Is(err, errFollowClosed) {
		t.Error(err)
	}
}

func TestFollowConfigSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := FollowFiles(FollowConfig{Start: "now", Poll: time.Hour, Starts: []FileMark{{Partition: maxLogs}}})
	want := "no log files named\nstart: \"now\", must be begin or end\npoll: 1h0m0s, must be between 1ms and 1m\n" +
		"key: none; the first lines of files are kept as keyed hashes\njournal: partition 4096 at offset 0, must be below 4096 and not negative"
	if err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	_, err = FollowFiles(FollowConfig{Key: testKey, Paths: []string{dir, pipe, filepath.Join(dir, "[a")}})
	want = "DIR: a directory; name its files, such as DIR/*.log\nDIR/pipe: not a regular file, cannot be followed\nDIR/[a: not a valid glob: syntax error in pattern"
	if err == nil || strings.ReplaceAll(err.Error(), dir, "DIR") != want {
		t.Errorf("%v", err)
	}
}

func TestFollowingDoesNotAllocate(t *testing.T) {
	path := writeLog(t, t.TempDir(), "a.log", strings.Repeat(strings.Repeat("x", 199)+"\n", 100_000))
	f, err := FollowFiles(FollowConfig{Name: "files", Paths: []string{path}, Key: testKey})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r Records
	read := func() {
		r.Reset()
		if err := f.Read(context.Background(), 0, 4096, &r); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		read()
	}
	if n := testing.AllocsPerRun(10, read); n > 0 {
		t.Errorf("%v allocations a batch", n)
	}
}

func BenchmarkFollow(b *testing.B) {
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
				f, err := FollowFiles(FollowConfig{Name: "files", Paths: []string{path}, Key: testKey})
				for n := 0; err == nil && n < len(data)/size; n += r.Len() {
					r.Reset()
					err = f.Read(context.Background(), 0, 4096, &r)
				}
				if err != nil {
					b.Fatal(err)
				}
				f.Close()
			}
		})
	}
}

var testKey = event.FixedKey()

// asNobody lets the rest of a test open files as one who may be denied: root
// may not. What it returns sets the modes of the directory and of the log in it.
func asNobody(t *testing.T, dir string) (allow func(dir, log fs.FileMode)) {
	id := os.Getuid()
	become := func(id int) {
		if err := syscall.Setfsuid(id); err != nil {
			t.Fatal(err)
		}
	}
	mode := func(path string, m fs.FileMode) {
		if err := os.Chmod(path, m); err != nil {
			t.Fatal(err)
		}
	}
	if id == 0 {
		mode(filepath.Dir(dir), 0o755)
		runtime.LockOSThread()
		t.Cleanup(runtime.UnlockOSThread)
	}
	t.Cleanup(func() { become(id); mode(dir, 0o700) })
	return func(d, log fs.FileMode) {
		become(id)
		mode(dir, 0o700)
		mode(filepath.Join(dir, "access.log"), log)
		mode(dir, d)
		if id == 0 {
			become(65534)
		}
	}
}
