package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A followed file of which a run had read a part, and that is gone with all of its
// rotations when the next one starts, is a gap: the journal says so, decisions
// that look back into it are incomplete, and a replay with that journal decides
// them so.
func TestAFollowedFileThatWasLostIsAGapAlsoInAReplay(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.live(4, "a.log")
	if b := s.read("state/" + decisionsFile); bytes.Contains(b, []byte(`"incomplete"`)) {
		t.Fatalf("of a whole log:\n%s", b)
	}
	whole := len(s.read("state/" + decisionsFile))
	must0(t, os.Remove(s.path("a.log")))
	said := s.live(4, "a.log")
	must(t, said, "part of the log cannot be read any more", `missing="nobody knows how much"`, "the files that were read before are gone")
	must(t, string(s.read("state/"+journalFile)), `"event":"gap"`)
	incomplete := func(b []byte) (lines []string) {
		for line := range strings.Lines(string(b)) {
			// Where the lost file is not there a replay numbers bytes from the first
			// that is: where a decision's lines stand is not compared.
			if what, _, _ := strings.Cut(line, `,"sources":`); strings.Contains(what, `"incomplete"`) {
				lines = append(lines, what+"\n")
			}
		}
		return lines
	}
	live := incomplete(s.read("state/" + decisionsFile)[whole:])
	if len(live) < 4 {
		t.Fatalf("%d decisions behind the gap are incomplete:\n%s", len(live), s.read("state/"+decisionsFile))
	}
	var out, errOut bytes.Buffer
	found := filepath.Join(t.TempDir(), "found")
	if err := run(context.Background(), []string{"replay", "-c", s.path("weir.yaml"), "--journal", s.path("state/" + journalFile), "--out", found}, &out, &errOut); err != nil {
		t.Fatalf("%v\n%s", err, &errOut)
	}
	b, err := os.ReadFile(filepath.Join(found, decisionsFile))
	must0(t, err)
	again := incomplete(b)
	if len(again) < len(live) || strings.Join(again[:len(live)], "") != strings.Join(live, "") {
		t.Errorf("decided:\n%sand replayed:\n%s\n%s", strings.Join(live, ""), b, &errOut)
	}
}

// A store that is damaged is told once, in words that are not its library's.
func TestADamagedStoreIsToldOnceAndPlainly(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.live(4, "a.log")
	must0(t, os.WriteFile(s.path("state/"+storeDir+"/MANIFEST"), []byte("none of this is one"), 0o600))
	said := s.live(4, "a.log")
	if n := strings.Count(said, "level=ERROR"); n != 1 || strings.Contains(said, "corrupt record") || strings.Contains(said, "bad magic") {
		t.Errorf("%d errors:\n%s", n, said)
	}
	must(t, said, "the store is damaged: it was put aside", `why="MANIFEST: its list of files is damaged"`, "aside="+s.path("state/"+storeBroken+"1"))
}
