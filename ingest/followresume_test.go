package ingest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestALogThatIsFollowedGoesOnWhereItWas has a first life read two files and
// part of the live one, then something happen to them, and another life go on
// from each place that a position may name: between lines, and within each.
func TestALogThatIsFollowedGoesOnWhereItWas(t *testing.T) {
	long := strings.Repeat("l", MaxLine+1)
	for name, away := range map[string]func(t *testing.T, path string){
		"nothing":  func(*testing.T, string) {},
		"appended": func(t *testing.T, path string) { appendLog(t, path, "more\n\nand more\n") },
		"renamed": func(t *testing.T, path string) {
			appendLog(t, path, "last")
			shift(t, path, "")
			writeLog(t, filepath.Dir(path), filepath.Base(path), "new\n")
		},
		"renamed, and no new one yet": func(t *testing.T, path string) { shift(t, path, "") },
		"renamed twice": func(t *testing.T, path string) {
			shift(t, path, "")
			writeLog(t, filepath.Dir(path), filepath.Base(path), "between\n")
			shift(t, path, "")
			writeLog(t, filepath.Dir(path), filepath.Base(path), "new\n")
		},
		"compressed": func(t *testing.T, path string) {
			shift(t, path, ".gz")
			writeLog(t, filepath.Dir(path), filepath.Base(path), "new\n")
		},
		"compressed another way": func(t *testing.T, path string) {
			shift(t, path, ".zst")
			writeLog(t, filepath.Dir(path), filepath.Base(path), "new\n")
		},
		"copied and truncated": func(t *testing.T, path string) {
			appendLog(t, path, "written before\n")
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			shift(t, path, "")
			if err := os.WriteFile(path+".1", data, 0o600); err != nil {
				t.Fatal(err)
			}
			writeLog(t, filepath.Dir(path), filepath.Base(path), "written behind\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				writeLog(t, dir, "access.log.2.gz", gzipOf(t, "# head\n1\n2\n"))
				writeLog(t, dir, "access.log.1", "\xef\xbb\xbf3\n\n"+long+"\n4 without an end")
				path := writeLog(t, dir, "access.log", "5\n6\r\n"+long+"\n7\n\xef\xbb\xbf8\n")
				one := follow(t, FollowConfig{Paths: []string{path}})
				lines := []string{"# head", "1", "2", "3", "", "4 without an end", "5", "6", "7", "\xef\xbb\xbf8"}
				one.want(0, 9*grace, lines...)
				offsets := slices.Clone(one.got[0].offsets)
				end := one.f.log(0).lines.offset
				one.close()
				away(t, path)
				// What comes of it in a life that reads all of it is the measure.
				all := follow(t, FollowConfig{Paths: []string{path}}, one)
				all.read(0, 9*grace)
				whole := all.got[0]
				if len(whole.lines) < len(lines) || !slices.Equal(whole.offsets[:len(offsets)], offsets) || len(whole.gaps) > 0 {
					t.Fatalf("read %.30q at %v, gaps %v", whole.lines, whole.offsets, whole.gaps)
				}
				all.close()
				longs := []int64{offsets[4] + 1, offsets[7] + 3}
				positions := []int64{0, end}
				for _, o := range offsets {
					positions = append(positions, o, o+1)
				}
				positions = append(positions, offsets[4]+2+MaxLine/2, offsets[5]+8, offsets[9]-1) // within a long line, within others
				for _, at := range positions {
					two := follow(t, FollowConfig{Paths: []string{path}, Starts: one.position(at)}, one)
					two.read(0, 9*grace)
					got := two.got[0]
					want := whole.from(at)
					if !got.equal(want) || len(got.gaps) > 0 || len(got.errs) > 0 || two.f.Start(0) != at {
						t.Errorf("from %d: %.30q at %v, gaps %v, want %.30q at %v", at, got.lines, got.offsets, got.gaps, want.lines, want.offsets)
					}
					begun, _ := slices.BinarySearch(longs, at)
					if got.tooLong != len(longs)-begun {
						t.Errorf("from %d: %d too long, want %d", at, got.tooLong, len(longs)-begun)
					}
					two.close()
				}
			})
		})
	}
}

// shift rotates a log, and compresses what was the live file.
func shift(t *testing.T, path, ext string) {
	t.Helper()
	for n := 4; n > 0; n-- {
		for _, e := range []string{"", ".gz", ".zst"} {
			if from := fmt.Sprintf("%s.%d%s", path, n, e); exists(from) {
				rename(t, from, fmt.Sprintf("%s.%d%s", path, n+1, e))
			}
		}
	}
	if ext == "" {
		rename(t, path, path+".1")
		return
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pack := gzipOf
	if ext == ".zst" {
		pack = zstdOf
	}
	writeLog(t, filepath.Dir(path), filepath.Base(path)+".1"+ext, pack(t, string(data)))
	remove(t, path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestALongLineThatWasCountedIsNotCountedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("l", 3*chunk)
		path := writeLog(t, t.TempDir(), "access.log", "a\n"+long+"\nb\n")
		one := follow(t, FollowConfig{Paths: []string{path}})
		one.want(0, time.Second, "a", "b")
		for at, want := range map[int64]int{0: 1, 1: 1, 2: 1, 3: 0, 2 + MaxLine: 0, 2 + 3*chunk: 0} {
			two := follow(t, FollowConfig{Paths: []string{path}, Starts: one.position(at)}, one)
			two.read(0, time.Second)
			if got := two.got[0]; got.tooLong != want || got.lines[len(got.lines)-1] != "b" {
				t.Errorf("from %d: %d too long and %.20q, want %d and then b", at, got.tooLong, got.lines, want)
			}
		}
		end := follow(t, FollowConfig{Paths: []string{writeLog(t, t.TempDir(), "x.log", long)}, Start: "end"})
		appendLog(t, end.f.Log(0), long+"\nx\n")
		end.want(0, time.Second, "x")
		if n := end.got[0].tooLong; n != 0 {
			t.Errorf("%d lines are too long that had begun before", n)
		}
	})
}

func TestWhatCannotBeFoundAnyMoreIsToldInOrder(t *testing.T) {
	for _, tc := range []struct {
		name string
		away func(t *testing.T, path string)
		at   int64 // 0 to 4 is the first file, 4 to 8 the second, 8 to 12 the live one
		want []string
		gaps []Gap
		from int64 // where what follows begins
	}{
		{
			"the oldest file is gone", func(t *testing.T, path string) { remove(t, path+".2.gz") }, 2,
			[]string{"3", "4", "5", "6"}, []Gap{{From: 2, To: 4, Why: "a file that was read before is gone or shorter"}}, 4,
		},
		{
			"a file that is not needed is gone", func(t *testing.T, path string) { remove(t, path+".2.gz") }, 4,
			[]string{"3", "4", "5", "6"}, nil, 4,
		},
		{
			"two are gone", func(t *testing.T, path string) { remove(t, path+".2.gz"); remove(t, path+".1") }, 0,
			[]string{"5", "6"}, []Gap{{From: 0, To: 8, Why: "a file that was read before is gone or shorter"}}, 8,
		},
		{
			"one in the middle is gone", func(t *testing.T, path string) { remove(t, path+".1") }, 2,
			[]string{"2", "5", "6"}, []Gap{{From: 4, To: 8, Why: "a file that was read before is gone or shorter"}}, 2,
		},
		{
			"all are gone", func(t *testing.T, path string) {
				remove(t, path+".2.gz")
				remove(t, path+".1")
				remove(t, path)
				writeLog(t, filepath.Dir(path), "access.log", "new\n")
			}, 6,
			[]string{"new"}, []Gap{{From: 6, To: 9, Why: "the files that were read before are gone"}}, 9,
		},
		{
			"the live one was truncated", func(t *testing.T, path string) { writeLog(t, filepath.Dir(path), "access.log", "new\n") }, 10,
			[]string{"new"}, []Gap{{From: 10, To: 10, Why: "the files that were read before are gone"}}, 10,
		},
		{
			"the live one is shorter", func(t *testing.T, path string) {
				if err := os.Truncate(path, 2); err != nil {
					t.Fatal(err)
				}
			}, 12,
			[]string{"5"}, []Gap{{From: 12, To: 12, Why: "PATH is shorter than what was read of it"}}, 12,
		},
		{
			"the live one is shorter by a byte", func(t *testing.T, path string) {
				if err := os.Truncate(path, 3); err != nil {
					t.Fatal(err)
				}
			}, 12,
			[]string{"5"}, []Gap{{From: 12, To: 12, Why: "PATH is shorter than what was read of it"}}, 12,
		},
		{
			"a compressed one is shorter", func(t *testing.T, path string) {
				writeLog(t, filepath.Dir(path), "access.log.2.gz", gzipOf(t, "1\n"))
			}, 3,
			[]string{"3", "4", "5", "6"}, []Gap{
				{From: 3, To: 3, Why: "PATH.2.gz is shorter than what was read of it"},
				{From: 3, To: 4, Why: "a file that was read before is gone or shorter"},
			}, 4,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				writeLog(t, dir, "access.log.2.gz", gzipOf(t, "1\n2\n"))
				writeLog(t, dir, "access.log.1", "3\n4\n")
				path := writeLog(t, dir, "access.log", "5\n6\n")
				one := follow(t, FollowConfig{Paths: []string{path}})
				one.want(0, 9*grace, "1", "2", "3", "4", "5", "6")
				one.close()
				tc.away(t, path)
				two := follow(t, FollowConfig{Paths: []string{path}, Starts: one.position(tc.at)}, one)
				two.want(0, 9*grace, tc.want...)
				got := two.got[0]
				if len(got.gaps) != len(tc.gaps) || got.offsets[0] != tc.from {
					t.Fatalf("gaps %+v and lines at %v; want %+v, and lines from %d", got.gaps, got.offsets, tc.gaps, tc.from)
				}
				for i, g := range got.gaps {
					g.Why = GapReason(strings.ReplaceAll(string(g.Why), path, "PATH"))
					first, _ := slices.BinarySearch(got.offsets, g.To)
					if g.Gap != tc.gaps[i] || g.behind != first {
						t.Errorf("gap %+v, want %+v behind %d lines", g, tc.gaps[i], first)
					}
				}
				if b, _ := two.f.Blind(); len(b) != len(tc.gaps) {
					t.Errorf("blind to %+v", b)
				}
			})
		})
	}
}

// What was read beyond the position has had its offsets, wherever it is now: what
// is new begins behind them, also in a file that begins like the one before.
func TestWhatIsNewGoesBehindAllThatWasRead(t *testing.T) {
	for name, tc := range map[string]struct {
		write, want string
		why         GapReason
	}{
		"another file":    {"new\n", "new", GapGone},
		"a shorter one":   {"1\n", "1", "PATH is shorter than what was read of it"},
		"nothing at once": {"", "later", GapGone},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := writeLog(t, t.TempDir(), "access.log", "1\n2\n3\n4\n")
				one := follow(t, FollowConfig{Paths: []string{path}})
				one.want(0, time.Second, "1", "2", "3", "4")
				one.close()
				writeLog(t, filepath.Dir(path), "access.log", tc.write)
				two := follow(t, FollowConfig{Paths: []string{path}, Starts: one.position(4), Read: map[int32]int64{0: 7}}, one)
				if tc.write == "" {
					two.read(0, time.Second)
					appendLog(t, path, "later\n")
				}
				two.want(0, time.Second, tc.want)
				got := two.got[0]
				want := Gap{From: 4, To: 7, Why: tc.why}
				if len(got.gaps) != 1 || got.offsets[0] != 7 {
					t.Fatalf("gaps %+v and lines at %v; want %+v, and lines from 7", got.gaps, got.offsets, want)
				}
				g := got.gaps[0].Gap
				if g.Why = GapReason(strings.ReplaceAll(string(g.Why), path, "PATH")); g != want {
					t.Errorf("gap %+v, want %+v", g, want)
				}
			})
		})
	}
}
