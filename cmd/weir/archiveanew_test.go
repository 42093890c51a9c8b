package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/archive"
	"weir/event"
)

// anew deletes the topic and creates it again.
func (e *edge) anew() {
	e.t.Helper()
	admin := kadm.NewClient(e.client)
	_, err := admin.DeleteTopic(e.t.Context(), "edge")
	if err == nil {
		_, err = admin.CreateTopic(e.t.Context(), 1, 1, nil, "edge")
	}
	must0(e.t, err)
	// A producer that was there before asks for the earlier one.
	e.client, err = kgo.NewClient(e.client.Opts()...)
	must0(e.t, err)
	e.t.Cleanup(e.client.Close)
}

// archivedOffsets returns the offsets of the first partition in a directory of an
// archive, and when the first of its events was.
func archivedOffsets(t *testing.T, dir string) (offsets []int64, first string) {
	t.Helper()
	sources, err := archive.OpenFiles([]string{dir}, archive.ReadConfig{})
	must0(t, err)
	for _, s := range sources {
		defer s.Close()
	}
	for {
		var b event.Batch
		_, err := sources[0].ReadEvents(t.Context(), 0, 1000, &b, nil)
		for _, ev := range b.Events {
			if offsets = append(offsets, ev.Offset); first == "" {
				first = clock(time.Unix(0, ev.Time))
			}
		}
		if errors.Is(err, io.EOF) {
			return offsets, first
		}
		must0(t, err)
	}
}

// A topic that was deleted and created anew begins at its first offset again: the
// archive has all of the new one, and keeps what it had of the earlier one. So
// does it where the state was removed, whose journal knows of no earlier topic.
func TestAnArchiveHasATopicThatWasCreatedAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ anew, fresh bool }{
		"anew":                            {true, false},
		"anew, and a new state":           {true, true},
		"the same topic, and a new state": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, e := newLivesSite(t), newEdge(t)
			s.config["site"], s.config["b"] = "archive: {dir: archive}\n", e.source("edge")
			life := func() string {
				_, said, stop := s.start()
				before := s.decisions()
				s.log("a.log", "203.0.113")
				e.send(s)
				s.await(before, 8, said)
				stop()
				s.life++
				return said.String()
			}
			life()
			was, _ := archivedOffsets(t, s.path("archive/b"))
			if len(was) < 60 || was[0] != 0 || was[len(was)-1] != int64(len(was)-1) {
				t.Fatalf("of the first life the archive has the offsets %v", was)
			}
			if c.anew {
				e.anew()
			}
			if c.fresh {
				must0(t, os.Rename(s.path("state"), s.path("state.away")))
			}
			said := life()
			have, first := archivedOffsets(t, s.path("archive/b"))
			if n := len(have); n < 60 || have[0] != 0 || have[n-1] != int64(n-1) {
				t.Errorf("the archive has the offsets %v\n%s", have, said)
			}
			if !c.anew {
				if first != "10:00:00 UTC" || strings.Contains(said, "another log") {
					t.Errorf("the archive begins at %s\n%s", first, said)
				}
				return
			}
			if first != "10:02:00 UTC" {
				t.Errorf("the archive begins at %s\n%s", first, said)
			}
			kept, first := archivedOffsets(t, s.path("archive/b/before-1"))
			if len(kept) != len(was) || first != "10:00:00 UTC" {
				t.Errorf("of the earlier topic %d of %d events are kept, from %s on", len(kept), len(was), first)
			}
			must(t, said, "a source is read from another log than before", "before-1")
			if _, text, err := s.ofArchive(); err != nil || !strings.Contains(text, "the source was read from another log before") || !strings.Contains(text, "archive/b/before-1") {
				t.Errorf("a replay of the archive ends with %v and says\n%s", err, text)
			}
			var out, errOut bytes.Buffer
			if err := run(t.Context(), []string{"replay", "-c", s.path("weir.yaml"), "--out", s.path("found"), s.path("archive/b/before-1")}, &out, &errOut); err != nil {
				t.Errorf("what is kept cannot be replayed: %v\n%s", err, &errOut)
			}
		})
	}
}
