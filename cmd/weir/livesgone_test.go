package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// edge is a broker with the topic of a site's second source, whose address can be
// taken away.
type edge struct {
	*gate
	client *kgo.Client
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "edge"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic("edge"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return &edge{newGate(t, cluster.ListenAddrs()[0]), client}
}

// source is how weir.yaml names a topic of the broker.
func (e *edge) source(topic string) string {
	return fmt.Sprintf("  - {name: b, kafka: {brokers: [%q], topic: %s, start: begin}, format: combined, disorder: 0s}\n", e.addr, topic)
}

// send writes the requests of the next minute.
func (e *edge) send(s *livesSite) {
	e.t.Helper()
	var records []*kgo.Record
	for line := range strings.Lines(s.requests("198.51.100")) {
		records = append(records, &kgo.Record{Value: []byte(strings.TrimSuffix(line, "\n"))})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := e.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		e.t.Fatal(err)
	}
}

// says waits until a run has said something.
func (s *livesSite) says(said *saidLog, words ...string) {
	s.t.Helper()
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		text, lacks := said.String(), ""
		for _, w := range words {
			if !strings.Contains(text, w) {
				lacks = w
			}
		}
		if lacks == "" {
			return
		}
		if time.Since(begun) > time.Minute {
			s.t.Fatalf("life %d does not say %q:\n%s", s.life, lacks, text)
		}
	}
}

// cutShort is a life that ends when all was read, and a second before the clock
// comes to a whole ten seconds: there the next configuration begins.
func (s *livesSite) cutShort() {
	s.t.Helper()
	l, said, stop := s.start()
	s.log("a.log", "203.0.113")
	for begun := time.Now(); l.status.Load() == nil || l.status.Load().Tick%10 != 9; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			s.t.Fatalf("%+v\n%s", l.status.Load(), said)
		}
	}
	stop()
	s.life++
}

// What a source had that was taken out, and cannot be read any more up to there,
// is left out, by name; the others go on.
func TestASourceThatIsGoneAndCannotBeReadIsLeftOut(t *testing.T) {
	t.Parallel()
	s, e := newLivesSite(t), newEdge(t)
	s.config["b"] = e.source("edge")
	e.send(s)
	s.cutShort()
	s.config["b"] = ""
	e.down()
	_, said, stop := s.start()
	before := s.decisions()
	s.says(said, "a source that is not configured any more cannot be read to where it was taken out", "source=b from=2026-03-06T10:01:", "until=2026-03-06T10:01:20Z", "refuses the connection")
	s.log("a.log", "203.0.113")
	s.await(before, 4, said)
	stop()
	s.life++
	if said := s.live(4, "a.log"); strings.Contains(said, "source=b") {
		t.Errorf("behind the change it is still missed: %s", said)
	}
	// A replay needs what the run had read.
	var out, errOut bytes.Buffer
	err := run(context.Background(), []string{"replay", "-c", s.path("weir.yaml"), "--journal", s.path("state/" + journalFile), "--out", filepath.Join(t.TempDir(), "found")}, &out, &errOut)
	if err == nil || !strings.Contains(err.Error(), "the time until 2026-03-06T10:01:20Z, which had other sources, cannot be decided again") {
		t.Errorf("a replay without it: %v\n%s", err, &errOut)
	}
}

// What is wrong with a source that only a later configuration reads is said at
// the start; one that is away is waited for where it begins.
func TestANewSourceIsTriedAtTheStart(t *testing.T) {
	t.Parallel()
	s, e := newLivesSite(t), newEdge(t)
	s.cutShort()
	s.config["b"] = e.source("excess")
	quiet := &environment{out: io.Discard, errOut: io.Discard, log: slog.New(slog.DiscardHandler)}
	if _, err := quiet.openLiveRun(context.Background(), s.configure()); err == nil || !strings.Contains(err.Error(), "source b: ") || !strings.Contains(err.Error(), "topic excess: the topic does not exist") {
		t.Fatalf("a topic that is not there: %v", err)
	}
	s.config["b"] = e.source("edge")
	e.down()
	_, said, stop := s.start()
	before := s.decisions()
	s.log("a.log", "203.0.113")
	s.says(said, "a source is away: weir waits for it", "source b: ")
	e.up()
	e.send(s)
	s.await(before, 8, said)
	stop()
	s.life++
	if said := s.replayed(); strings.Contains(said, "cannot be decided") {
		t.Errorf("a replay says %s", said)
	}
}

// What only lines tell is asked of them once: a log that was rotated and has no
// line yet is read as before, which is no change.
func TestAFormatThatWasGuessedIsKept(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.config["format"] = ""
	s.log("a.log", "203.0.113")
	s.life++
	if said := s.live(5, "a.log"); !strings.Contains(said, "guessed the format") || !strings.Contains(said, "format=combined") {
		t.Errorf("at first it says %s", said)
	}
	if err := os.Rename(s.path("a.log"), s.path("a.log.1")); err != nil {
		t.Fatal(err)
	}
	s.write("a.log", "")
	if said := s.live(4, "a.log"); strings.Contains(said, "guessed") || strings.Contains(said, "other ones") {
		t.Errorf("a log that was rotated: %s", said)
	}
	if n := len(s.eras()); n != 1 {
		t.Errorf("%d configurations, must be one", n)
	}
	if said := s.replayed(); strings.Contains(said, "other ones") || strings.Contains(said, "format of sources changed") {
		t.Errorf("a replay says %s", said)
	}
}

// Lines that only one of two formats reads may count otherwise in a replay around
// the time at which they changed: it says so.
func TestAReplaySaysWhereAFormatChanged(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.live(4, "a.log")
	s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, 3))
	s.live(4, "a.log")
	if said := s.replayed(); strings.Contains(said, "format of sources changed") {
		t.Errorf("only a rule changed: %s", said)
	}
	s.config["format"] = `, pattern: '<ip> - - [<time>] "<request>" <status> <bytes> "<referer>" "<agent>"'`
	s.live(4, "a.log")
	said := s.replayed()
	at := time.Unix(s.eras()[2].from, 0).UTC().Format(time.RFC3339)
	if strings.Count(said, "the format of sources changed") != 1 || !strings.Contains(said, "at="+at+" sources=[a]") {
		t.Errorf("a replay says %s", said)
	}
}
