package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"weir/pipeline"
)

// liveWorld is a topic that requests are written to, and a run that reads it.
type liveWorld struct {
	t      *testing.T
	dir    string
	config string
	client *kgo.Client
	rng    *rand.Rand
	at     time.Time    // of the log
	rate   int          // requests a second of the log; a fifth are attackers'
	nets   int          // that honest ones come from
	tools  atomic.Int64 // how many pairs of attackers were used up
	sent   int64
}

const livePartitions = 12

// embedded starts a broker within the test, with the topic.
func embedded(t *testing.T) (brokers []string) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(livePartitions, "access"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster.ListenAddrs()
}

// newLiveWorld makes the configuration of a run that reads the topic of brokers.
func newLiveWorld(t *testing.T, brokers []string) *liveWorld {
	t.Helper()
	client, err := kgo.NewClient(
		kgo.SeedBrokers(brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic("access"), kgo.MaxBufferedRecords(100_000),
		kgo.RetryBackoffFn(func(int) time.Duration { return 100 * time.Millisecond }), kgo.MetadataMinAge(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	dir := t.TempDir()
	w := &liveWorld{
		t: t, dir: dir, config: filepath.Join(dir, "weir.yaml"), client: client, rng: rand.New(rand.NewPCG(1, 2)),
		at: time.Date(2026, 3, 6, 10, 0, 0, 0, time.UTC), rate: 40, nets: 4,
	}
	w.write("key", strings.Repeat("k", 32))
	w.write("weir.yaml", fmt.Sprintf(`
stage: enforce
sources:
  - name: access
    kafka: {brokers: [%q], topic: access, start: begin}
    format: nginx-json
    fields: {credential: username}
    disorder: 2s
key_file: key
state: {dir: state, memory: 256MiB, reserve: 16MiB, checkpoint: 1s}
archive: {dir: archive}
points:
  - {name: list, file: {path: block.txt}}
`, brokers[0]))
	return w
}

func (w *liveWorld) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// text returns the configuration.
func (w *liveWorld) text() string {
	w.t.Helper()
	b, err := os.ReadFile(w.config)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(b)
}

// requests makes those of some seconds of the log, for some partitions: honest
// ones, and two addresses that try one account after the other.
func (w *liveWorld) requests(seconds int, behind time.Duration, partitions ...int32) (records []*kgo.Record) {
	w.t.Helper()
	for range seconds {
		for i := range w.rate {
			at := w.at.Add(-behind).Add(time.Duration(w.rng.IntN(1000)) * time.Millisecond)
			line := map[string]any{
				"time_iso8601": at.Format("2006-01-02T15:04:05.000Z07:00"), "remote_addr": fmt.Sprintf("198.18.%d.%d", w.rng.IntN(w.nets), w.rng.IntN(250)),
				"request_method": "GET", "uri": fmt.Sprintf("/products/%d", w.rng.IntN(1000)), "status": 200, "http_user_agent": "Mozilla/5.0",
			}
			if i < w.rate/5 {
				line["remote_addr"], line["request_method"], line["uri"], line["status"] = fmt.Sprintf("203.0.113.%d", 2*w.tools.Load()+int64(i%2)), "POST", "/login", 401
				line["username"] = fmt.Sprintf("u%d", w.sent)
			}
			b, err := json.Marshal(line)
			if err != nil {
				w.t.Error(err)
			}
			records = append(records, &kgo.Record{Value: b, Partition: partitions[w.rng.IntN(len(partitions))], Timestamp: w.at.Add(time.Second)})
			w.sent++
		}
		w.at = w.at.Add(time.Second)
	}
	return records
}

// send writes requests, and returns when the broker has them.
func (w *liveWorld) send(seconds int, behind time.Duration, partitions ...int32) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := w.client.ProduceSync(ctx, w.requests(seconds, behind, partitions...)...).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// run starts weir run; stop tells it to end and waits until it has.
func (w *liveWorld) run() (l *liveRun, stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.NewTextHandler(w.t.Output(), nil))}
	l, err := e.openLiveRun(ctx, w.config)
	if err != nil {
		cancel()
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- l.run(ctx) }()
	return l, func() {
		w.t.Helper()
		cancel()
		begun := time.Now()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		if took := time.Since(begun); took > 10*time.Second {
			w.t.Errorf("the run ended %v after it was told to", took)
		}
		if err := l.close(); err != nil {
			w.t.Error(err)
		}
	}
}

// quiet waits until all that was sent has been read and every second is closed.
func (w *liveWorld) quiet(l *liveRun) {
	w.t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		s := l.status.Load()
		if s == nil {
			continue
		}
		if read := inAllLives(s); read.Events+read.Dropped < w.sent {
			continue
		}
		idle := 0
		for _, p := range s.Partitions {
			if p.Idle {
				idle++
			}
		}
		if idle == len(s.Partitions) && s.Pending == 0 {
			return
		}
	}
	w.t.Fatalf("not all was read within a minute: %+v", l.status.Load())
}

// inAllLives returns what was counted of the sources since they were read first.
func inAllLives(s *pipeline.Status) (counted pipeline.Tally) {
	for _, p := range s.Partitions {
		counted.Add(p.Tally)
	}
	return counted
}

// replayed returns what the live runs decided, which a replay of the topic with
// their journal must decide too, byte for byte, and the replay's report.
func (w *liveWorld) replayed() (live []byte, report string) {
	w.t.Helper()
	live, err := os.ReadFile(filepath.Join(w.dir, "state", decisionsFile))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, of := range []string{"topic", "archive"} {
		var out, errOut bytes.Buffer
		found := filepath.Join(w.dir, "found-"+of)
		args := []string{"replay", "-c", w.config, "--journal", filepath.Join(w.dir, "state", journalFile), "--out", found}
		if of == "archive" {
			args = append(args, filepath.Join(w.dir, "archive", "access", "*.parquet"))
		}
		if err := run(context.Background(), args, &out, &errOut); err != nil {
			w.t.Fatalf("%v\n%s", err, errOut.String())
		}
		again, err := os.ReadFile(filepath.Join(found, decisionsFile))
		if err != nil {
			w.t.Fatal(err)
		}
		if !bytes.Equal(live, again) {
			w.t.Errorf("live:\n%s\nreplayed from the %s:\n%s", live, of, again)
		}
		report += out.String()
	}
	return live, report
}

func all() (ps []int32) {
	for p := range int32(livePartitions) {
		ps = append(ps, p)
	}
	return ps
}

// Partitions fall idle, wake and lag, the run is ended and begun again in the
// middle: what it decided is what a replay of the topic with its journal does.
func TestALiveRunDecidesWhatAReplayWithItsJournalDoes(t *testing.T) {
	w := newLiveWorld(t, embedded(t))
	w.send(60, 0, all()...)
	_, stop := w.run()
	w.send(20, 0, all()...)
	w.tools.Add(1) // they are found while most partitions are idle
	for range 14 { // only two go on: the others fall idle, and the clock goes on without them
		w.send(1, 0, 3, 7)
		time.Sleep(time.Second)
	}
	w.send(2, 30*time.Second, 0, 1, 2, 11) // they wake with lines that lag
	w.send(20, 0, all()...)
	time.Sleep(500 * time.Millisecond)
	stop()

	w.send(10, 0, all()...) // while nothing reads
	l, stop := w.run()
	w.send(10, 0, 4, 5, 6)
	w.quiet(l)
	w.write("weir.yaml", strings.Replace(w.text(), "key_file:", `rules: {set: [{rule: "ato.*", stage: alert}]}`+"\nkey_file:", 1))
	if text, err := l.reload(context.Background()); err != nil || !strings.Contains(text, "as before") {
		t.Fatalf("reload: %q, error %v", text, err)
	}
	w.send(30, 5*time.Second, all()...) // all wake
	w.quiet(l)
	late := inAllLives(l.status.Load()).Late
	stop()

	live, report := w.replayed()
	journal, err := os.ReadFile(filepath.Join(w.dir, "state", journalFile))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(live, []byte(`"event":"new"`)); n < 4 {
		t.Errorf("%d new decisions, want those about four addresses", n)
	}
	// Those that wake need a mark only where ticks passed since the last idle one.
	if !bytes.Contains(journal, []byte(`"idle"`)) || late == 0 {
		t.Errorf("nothing idled or was late (%d): the test tests nothing\n%s", late, journal)
	}
	if n := strings.Count(report, "\n"); n < 3 {
		t.Errorf("the report of the replay is %q", report)
	}
}
