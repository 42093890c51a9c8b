package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// A check reads the newest lines of a topic that is there, and leaves the
// position that its group shows to others as it is.
func TestACheckReadsATopicAndLeavesItsLagAlone(t *testing.T) {
	t.Parallel()
	w := newLiveWorld(t, embedded(t))
	empty := tell(t, "check", "-c", w.config)
	if empty.code != 0 || !strings.Contains(empty.out, "there is no line yet") {
		t.Errorf("an empty topic: exit %d\n%s\n%s", empty.code, empty.out, empty.end)
	}
	w.at = time.Now().Add(-30 * time.Second).UTC()
	w.send(20, 0, all()...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	admin := kadm.NewClient(w.client)
	var before kadm.Offsets
	before.AddOffset("access", 3, 7, -1)
	if err := admin.CommitAllOffsets(ctx, "weir-access", before); err != nil {
		t.Fatal(err)
	}
	for _, start := range []string{"begin", "end", "-1h"} {
		w.write("weir.yaml", strings.Replace(w.yaml(t), "start: begin", "start: "+start, 1))
		got := tell(t, "check", "-c", w.config)
		if text := strings.Join(strings.Fields(got.out), " "); got.code != 0 || !strings.Contains(text, "800 of its newest 800 lines read as nginx-json") {
			t.Errorf("start: %s: exit %d\n%s\n%s", start, got.code, got.out, got.end)
		}
		w.write("weir.yaml", strings.Replace(w.yaml(t), "start: "+start, "start: begin", 1))
	}
	after, err := admin.FetchOffsets(ctx, "weir-access")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	after.Each(func(o kadm.OffsetResponse) {
		if n++; o.Partition != 3 || o.At != 7 {
			t.Errorf("the group is at %d of partition %d, want what it was", o.At, o.Partition)
		}
	})
	if n != 1 {
		t.Errorf("the group has %d positions, want the one that it had", n)
	}
}

// yaml returns the world's configuration.
func (w *liveWorld) yaml(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(w.config)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
