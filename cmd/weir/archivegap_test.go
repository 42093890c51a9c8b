package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
)

// ofArchive returns what a replay of the archive with the journal decides, what
// it says, and how it ends.
func (s *livesSite) ofArchive() (decided []string, said string, err error) {
	s.t.Helper()
	var out, errOut bytes.Buffer
	found := filepath.Join(s.t.TempDir(), "found")
	err = run(context.Background(), []string{"replay", "-c", s.path("weir.yaml"), "--journal", s.path("state/" + journalFile), "--out", found, s.path("archive/*/*.parquet")}, &out, &errOut)
	b, rerr := os.ReadFile(filepath.Join(found, decisionsFile))
	if rerr != nil {
		s.t.Fatalf("%v\n%v\n%s", rerr, err, &errOut)
	}
	return strings.SplitAfter(string(b), "\n"), errOut.String(), err
}

// killed is a life that ends before the archive made files of what is open.
func (s *livesSite) killed(more int, write func()) {
	s.t.Helper()
	said := &saidLog{}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.NewTextHandler(said, nil))}
	l, err := e.openLiveRun(ctx, s.configure())
	must0(s.t, err)
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	write()
	s.await(0, more, said)
	cancel()
	must0(s.t, <-done)
	open := l.archive
	l.archive = nil
	must0(s.t, l.close())
	must0(s.t, open.Close())
	s.life++
}

// A followed file that is gone or truncated when the next run starts: the archive
// has what both files had, and a replay of it decides what the runs decided.
func TestAnArchiveHasWhatCameAfterAFileWasLost(t *testing.T) {
	t.Parallel()
	for name, away := range map[string]func(path string) error{
		"gone":      os.Remove,
		"truncated": func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newLivesSite(t)
			s.config["site"] = "archive: {dir: archive}\n"
			s.live(4, "a.log")
			first := s.decisions()
			must0(t, away(s.path("a.log")))
			s.live(4, "a.log")
			live := strings.SplitAfter(string(s.read("state/"+decisionsFile)), "\n")
			live = live[:len(live)-1]
			again, said, err := s.ofArchive()
			if err != nil {
				t.Fatalf("%v\n%s", err, said)
			}
			for i, line := range live {
				if !slices.Contains(again, line) {
					t.Fatalf("line %d of %d, of the first life %d: decided\n%sand replayed\n%s\n%s", i, len(live), first, line, strings.Join(again, ""), said)
				}
			}
			// The first life ended before it decided about the last second that it read;
			// as did the second: a replay goes on to the end of the archive.
			if len(live)-first < 4 || !slices.Equal(again[:first], live[:first]) {
				t.Errorf("decided %d, in the first life %d:\n%s\nand replayed:\n%s", len(live), first, strings.Join(live, ""), strings.Join(again, ""))
			}
		})
	}
}

// What a run had read, and its windows have, was not in files of the archive when
// it was killed, and is gone from the log when the next one starts: a replay of
// the archive names it, marks what looks back into it, and ends with an error.
func TestAnArchiveSaysWhatAKillAndALostFileTookFromIt(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.config["site"] = "archive: {dir: archive}\n"
	s.killed(4, func() { s.log("a.log", "203.0.113") })
	must0(t, os.Remove(s.path("a.log")))
	if said := s.live(4, "a.log"); !strings.Contains(said, "the archive lacks events: they were to be read again, and are gone from the log") {
		t.Errorf("the run says\n%s", said)
	}
	again, text, err := s.ofArchive()
	if err == nil || !strings.Contains(text+err.Error(), "are missing") || !strings.Contains(text+err.Error(), "was to be read from the log again and was gone there") {
		t.Errorf("a replay ends with %v and says\n%s", err, text)
	}
	if !strings.Contains(strings.Join(again, ""), `"incomplete"`) {
		t.Errorf("nothing is incomplete:\n%s", strings.Join(again, ""))
	}
}

// So does a topic whose retention has passed the position meanwhile.
func TestAnArchiveSaysWhatAKillAndRetentionTookFromIt(t *testing.T) {
	t.Parallel()
	s, e := newLivesSite(t), newEdge(t)
	s.config["site"], s.config["b"] = "archive: {dir: archive}\n", e.source("edge")
	write := func() {
		s.log("a.log", "203.0.113")
		e.send(s)
	}
	s.killed(8, write)
	offsets := kadm.Offsets{}
	offsets.AddOffset("edge", 0, 80, -1)
	deleted, err := kadm.NewClient(e.client).DeleteRecords(t.Context(), offsets)
	must0(t, errors.Join(err, deleted.Error()))
	_, said, stop := s.start()
	before := s.decisions()
	write()
	s.await(before, 8, said)
	stop()
	must(t, said.String(), "the archive lacks events: they were to be read again, and are gone from the log", "partition=b/0", "to=80")
	again, text, err := s.ofArchive()
	if err == nil || !strings.Contains(text+err.Error(), "source b, partition 0: its events from offset") || !strings.Contains(text+err.Error(), "up to 80 are missing") {
		t.Errorf("a replay ends with %v and says\n%s", err, text)
	}
	if !strings.Contains(strings.Join(again, ""), `"incomplete"`) {
		t.Errorf("nothing is incomplete:\n%s", strings.Join(again, ""))
	}
}
