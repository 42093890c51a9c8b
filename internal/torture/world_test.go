package torture

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// world is a site with its logs, what weir needs to run beside it, and the weir
// that does.
type world struct {
	t       *testing.T
	dir     string
	home    string // where the state and the archive are
	rules   []*rule
	traffic *traffic
	proc    *process
	lives   int

	resumes []time.Duration // from a start to the first new decision
}

// sources is the part of a configuration about logs.
type sources struct {
	yaml string
	logs []log
	// recount returns what the logs hold, in their order; nil: what was written.
	recount func(sent []*request) ([]*request, error)
}

// newWorld makes the files of a site in a directory whose path is short enough
// for a socket.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() && os.Getenv("WEIR_KEEP") != "" {
			t.Logf("%s is kept", dir)
			return
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, dir: dir, home: dir, rules: exact()}
	t.Cleanup(func() {
		if w.proc != nil {
			w.proc.kill()
			if t.Failed() {
				t.Logf("what the last of %d lives said:\n%s", w.lives, w.proc.text())
			}
		}
	})
	for _, d := range []string{"logs", "rules/exact"} {
		if err := os.MkdirAll(w.path(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	w.write("key", secret)
	for _, r := range w.rules {
		w.write("rules/"+strings.ReplaceAll(r.id, ".", "/")+".yaml", r.yaml())
	}
	return w
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) state() string { return filepath.Join(w.home, "state") }

// configure writes weir.yaml.
func (w *world) configure(s sources) {
	w.t.Helper()
	w.write("weir.yaml", configText(s.yaml, w.home))
}

// configText is a configuration with its state and archive in a directory.
func configText(sources, home string) string {
	return "stage: enforce\nsources:\n" + sources + "key_file: key\nrules: {dirs: [builtin, rules]}\n" +
		"state: {dir: " + home + "/state, memory: 256MiB, checkpoint: 1s, reserve: 16MiB}\narchive: {dir: " + home + "/archive}\n"
}

// fileSources are three logs in two sources. One of them is rotated.
func (w *world) fileSources(rotate time.Duration) sources {
	w.t.Helper()
	const source = "  - name: %s\n    file: {path: %q, follow: true, start: begin}\n    format: nginx-json\n    fields: {credential: username}\n    disorder: 2s\n"
	s := sources{yaml: fmt.Sprintf(source, "web", w.path("logs/web-*.log")) + fmt.Sprintf(source, "edge", w.path("logs/edge.log"))}
	for i, l := range []struct {
		source, file string
		partition    int32
		rotate       time.Duration
	}{{"web", "web-a.log", 0, 0}, {"web", "web-b.log", 1, 0}, {"edge", "edge.log", 0, rotate}} {
		f, err := newFollowed(l.source, l.partition, w.path("logs/"+l.file), l.rotate)
		if err != nil {
			w.t.Fatalf("log %d: %v", i, err)
		}
		w.t.Cleanup(func() {
			if err := f.close(); err != nil {
				w.t.Error(err)
			}
		})
		s.logs = append(s.logs, f)
	}
	return s
}

// begin writes the history and starts the traffic.
func (w *world) begin(seed uint64, rate float64, s sources) {
	w.t.Helper()
	var err error
	if w.traffic, err = newTraffic(seed, rate, s); err != nil {
		w.t.Fatal(err)
	}
	w.traffic.start(w.t)
}

// start starts weir. What each life says has a file of its own.
func (w *world) start(env ...string) *process {
	w.t.Helper()
	w.lives++
	p, err := launch(w.path(fmt.Sprintf("said-%d", w.lives)), env, "run", "-c", w.path("weir.yaml"))
	if err != nil {
		w.t.Fatal(err)
	}
	if w.lives > keptLives {
		if err := os.Remove(w.path(fmt.Sprintf("said-%d", w.lives-keptLives))); err != nil {
			w.t.Error(err)
		}
	}
	w.proc = p
	return p
}

// keptLives is of how many lives what they said is kept.
const keptLives = 8

// resumed waits for the first decision behind before, or the end of the
// process, and says whether it came.
func (w *world) resumed(before time.Time) bool {
	w.t.Helper()
	const patience = 30 * time.Second
	for w.proc.alive() {
		if newest(w.state()).After(before) {
			w.resumes = append(w.resumes, time.Since(w.proc.begun))
			return true
		}
		if time.Since(w.proc.begun) > patience {
			w.t.Fatalf("life %d has decided nothing new %v after its start", w.lives, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}

// quarantined returns how many stores were put aside: they are numbered, and the
// newest are kept.
func (w *world) quarantined() (n int) {
	w.t.Helper()
	found, err := filepath.Glob(filepath.Join(w.state(), "store.broken-*"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, path := range found {
		number, err := strconv.Atoi(path[strings.LastIndexByte(path, '-')+1:])
		if err != nil {
			w.t.Errorf("%s is no store that was put aside: %v", path, err)
		}
		n = max(n, number)
	}
	return n
}

// wentOnFrom returns the second of the log that this life of weir went on from,
// as its status says: all before it was in the state that it found.
func (w *world) wentOnFrom() time.Time {
	w.t.Helper()
	var status struct {
		Engine *struct {
			Keeping struct {
				Resumed *time.Time `json:"resumed"`
			} `json:"keeping"`
		} `json:"engine"`
	}
	until(w.t, 10*time.Second, "the status says from where weir went on", func() bool {
		out, code, err := command("status", "--json", "-c", w.path("weir.yaml"))
		return err == nil && code == 0 && json.Unmarshal([]byte(out), &status) == nil && status.Engine != nil && status.Engine.Keeping.Resumed != nil
	})
	return *status.Engine.Keeping.Resumed
}

// settle ends the log, waits until weir has decided all of it, ends weir as an
// operator does and returns the tick up to which all was decided.
func (w *world) settle() (last int64) {
	w.t.Helper()
	last, err := w.traffic.finish()
	if err != nil {
		w.t.Fatal(err)
	}
	w.decidedUpTo(last)
	w.proc.signal(syscall.SIGTERM)
	status, ok := w.proc.wait(10 * time.Second)
	if !ok || status.ExitStatus() != 0 {
		w.t.Errorf("told to stop, weir ended within ten seconds: %v, with status %v", ok, status)
	}
	if out, code, err := command("state", "verify", "--key", w.path("key"), w.state()); err != nil || code != 0 {
		w.t.Errorf("weir state verify ended with %d, %v:\n%s", code, err, out)
	}
	return last
}

// decidedUpTo waits until the last tick was decided.
func (w *world) decidedUpTo(last int64) {
	w.t.Helper()
	until(w.t, time.Minute, "all of the log was decided", func() bool {
		if !w.proc.alive() {
			w.t.Fatalf("weir ended: %v", w.proc.cmd.ProcessState)
		}
		return newest(w.state()).Unix() >= last
	})
}

// foreseen returns what must stand in decisions.jsonl up to a tick.
func (w *world) foreseen(state string, last int64) []decided {
	w.t.Helper()
	marks, err := readMarks(state)
	if err != nil {
		w.t.Fatal(err)
	}
	return foresee(w.rules, w.traffic.logs, w.traffic.sent, marks, last)
}

// check demands that the run decided what must be decided, and what a replay of
// the log with the run's journal decides.
func (w *world) check(last int64) (right, shipped int) {
	w.t.Helper()
	lines, err := readLines(w.state(), "decisions.jsonl")
	if err != nil {
		w.t.Fatal(err)
	}
	want := w.foreseen(w.state(), last)
	if len(want) < 1000 {
		w.t.Errorf("only %d lines must be decided: the log is not what this was made for", len(want))
	}
	v := judge(lines, want, last)
	if v.wrong > 0 {
		w.t.Errorf("decisions: %v", v)
	}
	ledger, twice, err := ledgerTwice(w.state())
	if err != nil || len(twice) > 0 {
		w.t.Errorf("ledger: %d lines of %d stand there twice, %v: %s", len(twice), ledger, err, strings.Join(twice[:min(3, len(twice))], "\n"))
	}
	lacks, blocks, renewed, err := ledgerLacks(w.state(), want)
	if err != nil || len(lacks) > 0 {
		w.t.Errorf("ledger: of %d blocks it lacks %d, %v: %s", blocks, len(lacks), err, strings.Join(lacks[:min(3, len(lacks))], "\n"))
	}
	if blocks < 5 || renewed < 2 {
		w.t.Errorf("%d blocks, of which %d are renewals: the log is not what this was made for", blocks, renewed)
	}
	w.replay(lines, last)
	w.replay(lines, last, filepath.Join(w.home, "archive", "*", "*.parquet"))
	for _, line := range upTo(lines, last) {
		if !bytes.Contains(line, []byte(`"rule":"exact.`)) {
			shipped++
		}
	}
	if shipped == 0 {
		w.t.Error("the rules that ship have decided nothing: the log is not what this was made for")
	}
	return v.right, shipped
}

// replay demands the lines of a replay with the run's journal: of the logs, or
// of files that hold what they held.
func (w *world) replay(lines [][]byte, last int64, files ...string) {
	w.t.Helper()
	args := []string{"replay", "-c", w.path("weir.yaml"), "--journal", filepath.Join(w.state(), "journal.jsonl"), "--out", w.path("found")}
	out, code, err := command(append(args, files...)...)
	if err != nil || code != 0 {
		w.t.Errorf("the replay of %v ended with %d, %v:\n%s", files, code, err, out)
		return
	}
	found, err := readLines(w.path("found"), "decisions.jsonl")
	if err := errors.Join(err, os.RemoveAll(w.path("found"))); err != nil {
		w.t.Error(err)
		return
	}
	same(w.t, upTo(lines, last), upTo(found, last))
}
