package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/pipeline"
)

func (s *livesSite) engine() *engine {
	s.t.Helper()
	g, err := (&environment{out: io.Discard, errOut: io.Discard, log: slog.New(slog.DiscardHandler)}).engine(s.configure(), true, true)
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

// What decides is what its hash is of, and what its copy holds, whatever is
// written to the files meanwhile.
func TestWhatDecidesIsReadOnce(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.config["site"] = "site: site.yaml\n"
	g := s.engine()
	was, err := g.cfg.take(g.key)
	if err != nil {
		t.Fatal(err)
	}
	s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, 9))
	s.write("site.yaml", "endpoints: [\n")
	again, err := newEngine(g.cfg, was, g.key, g.extras, true)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := again.fingerprint()
	if first, e := g.fingerprint(); err != nil || e != nil || hash != first || again.rules[0].Hash() != g.rules[0].Hash() {
		t.Errorf("read again: %v, %v: hashes %s and %s, rules %s and %s", err, e, hash, first, again.rules[0].Hash(), g.rules[0].Hash())
	}
	if err := again.keepConfig(s.path("state"), hash); err != nil {
		t.Fatal(err)
	}
	kept, reached, err := readCopy(filepath.Join(s.path("state"), configsDir, hash), hash)
	if err != nil || len(reached) != 1 || reached[0].File.Path != "a.log" || len(kept.files) != len(was.files) {
		t.Fatalf("the copy: %v, %+v, %d files of %d", err, reached, len(kept.files), len(was.files))
	}
	for name, b := range was.files {
		if !bytes.Equal(kept.files[name], b) {
			t.Errorf("%s: kept\n%s\nof\n%s", name, kept.files[name], b)
		}
	}
}

// Tables that change while they are loaded are loaded again, or nothing starts.
func TestTablesThatChangeAreTold(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	was := s.engine().taken.said.Tables
	s.write("safe.txt", "192.0.2.2\n")
	now := s.engine().taken.said.Tables
	if other := sameTables(was, now); len(was) != 2 || len(other) != 1 || other[0] != "safe.txt" {
		t.Errorf("%v, and now %v: %v", was, now, other)
	}
	if other := sameTables(was, was[:1]); len(other) != 1 {
		t.Errorf("one that is gone: %v", other)
	}
	if other := sameTables(was[:1], was); len(other) != 1 {
		t.Errorf("one that came: %v", other)
	}
}

// A directory of crawlers' ranges is kept as a whole or not at all.
func TestSmallTablesAreKeptAndLargeOnesKnown(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.write("ranges/googlebot.txt", "192.0.2.0/24\n")
	s.write("ranges/bingbot.txt", "198.51.100.0/24\n")
	s.write("own.txt", "203.0.113.0/24\n")
	s.config["last"] = ""
	c := s.engine().cfg
	crawlers := *c
	crawlers.Enrich.Crawlers = []string{"ranges", "mine=own.txt"}
	check := func(kept int) {
		t.Helper()
		g, err := (&environment{log: slog.New(slog.DiscardHandler)}).engineWith(&crawlers, nil, true)
		if err != nil {
			t.Fatal(err)
		}
		hash := g.taken.hash()
		if err := g.keepConfig(s.path("state"), hash); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range g.taken.said.Tables {
			if f.Kept {
				n++
			}
		}
		if n != kept {
			t.Errorf("%d of %d tables are kept, want %d", n, len(g.taken.said.Tables), kept)
		}
		other := *g
		other.taken = &taken{files: map[string][]byte{decideFile: nil}} // another one by now
		by, differ, err := other.of(s.path("state"), era{hash: hash}, nil)
		if err != nil || len(differ) > 0 {
			t.Fatal(err, differ)
		}
		was := map[string]string{}
		for p, name := range g.tables.CrawlerNets() {
			was[p.String()] = name
		}
		for p, name := range by.tables.CrawlerNets() {
			if was[p.String()] != name {
				t.Errorf("%s is of %q, was of %q", p, name, was[p.String()])
			}
			delete(was, p.String())
		}
		if len(was) > 0 {
			t.Errorf("not there any more: %v", was)
		}
	}
	check(5)
	s.write("ranges/bingbot.txt", "198.51.100.0/24\n# "+strings.Repeat("-", 60)+"\n"+strings.Repeat("# "+strings.Repeat("-", 60)+"\n", 20000))
	check(3)
}

// A copy that is not as it was written, or is gone, is never decided by: the
// state of which it was is made anew, loudly.
func TestAStateWithoutItsRulesIsMadeAnew(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(*testing.T, string){
		"a rule is another one": func(t *testing.T, dir string) {
			rule := filepath.Join(dir, rulesDir, "0/own/tries.yaml")
			if err := os.WriteFile(rule, fmt.Appendf(nil, livesRule, 2), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"it is gone": func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
		},
		"a rule more": func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, rulesDir, "0/own/more.yaml"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newLivesSite(t)
			s.live(4, "a.log")
			decided := s.read("state/" + decisionsFile)
			dir := filepath.Join(s.path("state"), configsDir, s.eras()[0].hash)
			// With the rules that decided it, its copy is written anew.
			harm(t, dir)
			if said := s.live(4, "a.log"); strings.Contains(said, "level=ERROR") {
				t.Errorf("with the same rules: %s", said)
			}
			if _, _, err := readCopy(dir, s.eras()[0].hash); err != nil {
				t.Error(err)
			}
			// With others nobody knows them.
			harm(t, dir)
			s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, 3))
			said := s.live(4, "a.log")
			if !strings.Contains(said, "the state cannot be used: it was put aside, and is made anew from the log") || !strings.Contains(said, dir) {
				t.Errorf("it is not said: %s", said)
			}
			aside, err := filepath.Glob(s.path("state") + "/*/why")
			if err != nil || len(aside) != 1 {
				t.Errorf("put aside: %v, %v", aside, err)
			}
			if !bytes.HasPrefix(s.read("state/"+decisionsFile), decided) {
				t.Error("what had been decided is not there any more")
			}
			s.write("rules/own/tries.yaml", fmt.Sprintf(livesRule, 5))
			s.configure()
			if said := s.replayedWhatever(); !strings.Contains(said, "a time cannot be decided as the run did") || !strings.Contains(said, `from="its beginning" until=2026-03-06T`) {
				t.Errorf("a replay says %s", said)
			}
		})
	}
}

// replayedWhatever replays, and returns what that says.
func (s *livesSite) replayedWhatever() string {
	s.t.Helper()
	var out, errOut bytes.Buffer
	if err := run(context.Background(), []string{"replay", "-c", s.path("weir.yaml"), "--journal", s.path("state/" + journalFile), "--out", filepath.Join(s.t.TempDir(), "found")}, &out, &errOut); err != nil {
		s.t.Fatalf("%v\n%s", err, &errOut)
	}
	return errOut.String()
}

// A table that is too large for a copy is known by its sum: a replay says of
// what time it is another one by now.
func TestALargeTableThatChangedIsTold(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	table := string(s.read("asn.csv")) + strings.Repeat("# "+strings.Repeat("-", 60)+"\n", 20000)
	s.write("asn.csv", table)
	s.live(4, "a.log")
	s.write("asn.csv", table+"# another one\n")
	if said := s.live(4, "a.log"); !strings.Contains(said, "part of what decided is another one by now") || !strings.Contains(said, "asn.csv") {
		t.Errorf("the run does not say so: %s", said)
	}
	if said := s.replayed(); !strings.Contains(said, "a time cannot be decided as the run did: part of what decided is another one") ||
		!strings.Contains(said, `from="its beginning" until=2026-03-06T`) || !strings.Contains(said, "what=[asn.csv]") {
		t.Errorf("a replay says %s", said)
	}
	s.write("asn.csv", table)
	if said := s.replayed(); strings.Count(said, "what=[asn.csv]") != 1 || !strings.Contains(said, `until="its end"`) {
		t.Errorf("with the first one again, a replay says %s", said)
	}
}

// The newest eras keep their copies, and the one that the state is of, by their
// numbers, whatever the dates of files say.
func TestCopiesAreForgottenByEra(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var eras []era
	for i := range maxConfigs + 40 {
		e := era{number: int64(i), from: int64(i) * 10, hash: fmt.Sprintf("%032x", i)}
		eras = append(eras, e)
		name := filepath.Join(dir, configsDir, e.hash)
		if err := os.MkdirAll(name, 0o700); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(2_000_000_000-int64(i), 0) // the oldest are the newest by date
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for _, odd := range []string{".new-1", "0123456789"} { // half made; of an era that never began
		if err := os.MkdirAll(filepath.Join(dir, configsDir, odd), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := forgetConfigs(dir, keptHashes(eras, 7)); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, configsDir))
	if err != nil || len(left) != maxConfigs+1 || left[0].Name() != eras[7].hash || left[1].Name() != eras[40].hash {
		t.Fatalf("%v: %d are left, want %d: %v", err, len(left), maxConfigs+1, left[:2])
	}
	if err := forgetConfigs(t.TempDir(), nil); err != nil {
		t.Errorf("where there are none: %v", err)
	}
}

// A source keeps its number whatever comes and goes.
func TestSourcesKeepTheirNumbers(t *testing.T) {
	t.Parallel()
	names := sourceNames([]string{"gone", "b"}, []sourceConfig{{Name: "a"}, {Name: "b"}, {Name: "c"}})
	if got := strings.Join(names, " "); got != "gone b a c" {
		t.Errorf("names %q", got)
	}
	x, err := withExtras([]string{"team"}, "a", "team", "b")
	if err != nil || strings.Join(x, " ") != "team a b" {
		t.Errorf("extras %v, %v", x, err)
	}
	if _, err := withExtras(x, "1", "2", "3", "4", "5", "6"); err == nil || !strings.Contains(err.Error(), "9 extra fields") {
		t.Errorf("nine extras: %v", err)
	}
}

// A source that was taken out and comes back could count twice or not at all.
func TestASourceThatComesBackIsRefusedByName(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.config["b"] = second
	s.live(4, "a.log", "b.log")
	s.config["b"] = ""
	s.live(4, "a.log")
	s.config["b"] = second
	said := &saidLog{}
	l, err := (&environment{out: io.Discard, errOut: io.Discard, log: slog.New(slog.NewTextHandler(said, nil))}).openLiveRun(context.Background(), s.configure())
	if err != nil {
		t.Fatal(err)
	}
	s.log("a.log", "203.0.113")
	err = errors.Join(l.run(context.Background()), l.close())
	if !errors.Is(err, pipeline.ErrNoPosition) || !strings.Contains(err.Error(), "source b, partition 0") || !strings.Contains(err.Error(), "another name") {
		t.Errorf("it came back: %v\n%s", err, said)
	}
	s.config["b"] = strings.Replace(second, "name: b", "name: again", 1)
	s.life++
	s.live(3, "a.log", "b.log")
	s.replayed()
}

// Another kind of source under the same name would read on from a place that
// means something else.
func TestASourceOfAnotherKindIsRefused(t *testing.T) {
	t.Parallel()
	topic := sourceConfig{Name: "x", Kafka: &kafkaConfig{Topic: "access"}}
	file := sourceConfig{Name: "x", File: fileConfig{Path: "a.log"}}
	ofFile := []pipeline.Mark{{Event: pipeline.MarkStart, Source: "x", Log: "a.log"}, {Event: pipeline.MarkStart, Source: "y", First: "id"}}
	ofTopic := []pipeline.Mark{{Event: pipeline.MarkStart, Source: "x", First: "id"}, {Event: pipeline.MarkStart, Source: "y", Log: "a.log"}}
	if err := errors.Join(topic.wasAnother(ofTopic), file.wasAnother(ofFile), file.wasAnother(nil), topic.wasAnother(nil)); err != nil {
		t.Error(err)
	}
	if err := topic.wasAnother(ofFile); err == nil || !strings.Contains(err.Error(), "source x: it was the file a.log and is a topic now") {
		t.Error(err)
	}
	if err := file.wasAnother(ofTopic); err == nil || !strings.Contains(err.Error(), "source x: it was a topic and is a file now") {
		t.Error(err)
	}
}

// An installation that was moved, or is reached by another path, reads on where
// it was.
func TestAnInstallationMayBeMoved(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	s.live(4, "a.log")
	before := s.dir
	s.dir += "-moved"
	if err := os.Rename(before, s.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(s.dir); err != nil {
			t.Error(err)
		}
	})
	l, said, stop := s.start()
	had := s.decisions()
	s.log("a.log", "203.0.113")
	s.await(had, 8, said)
	for begun := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		st := l.status.Load()
		if st != nil && st.Summary.Events >= 160 {
			if len(st.Partitions) != 1 || st.Summary.Events != 160 {
				t.Errorf("%d events of 160, partitions %+v", st.Summary.Events, st.Partitions)
			}
			break
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("not read: %+v\n%s", st, said)
		}
	}
	stop()
	if n := len(s.eras()); n != 1 {
		t.Errorf("%d configurations: moving it is no change", n)
	}
	s.replayed()
}

// More changes of what is kept than keys on disk may have gone through wait; it
// is said until when.
func TestChangesOfWhatIsKeptAreBounded(t *testing.T) {
	t.Parallel()
	if err := roomFor(maxLayouts-1, maxLayouts, 100); err != nil {
		t.Error(err)
	}
	err := roomFor(maxLayouts, maxLayouts, 1_772_791_199)
	if !errors.Is(err, errLayouts) || !strings.Contains(err.Error(), "256 within 7 days, must be at most 256; the next is possible when the log is at 2026-03-06T10:00:00Z") {
		t.Errorf("at the limit: %v", err)
	}
}

func TestAReloadSaysWhichStagesChange(t *testing.T) {
	t.Parallel()
	s := newLivesSite(t)
	was := s.engine()
	s.config["stage"] = "stage: alert\n"
	now := s.engine()
	text := describeReload(was, now, 1_772_791_200)
	if !strings.Contains(text, "\nstages: own.tries: enforce -> alert") {
		t.Errorf("the ceiling: %s", text)
	}
	if text := describeReload(now, was, 1_772_791_200); !strings.Contains(text, "own.tries: alert -> enforce") {
		t.Errorf("and back: %s", text)
	}
	s.config["stage"] = "stage: enforce\n"
	s.write("safe.txt", "192.0.2.9\n")
	if text := describeReload(was, s.engine(), 1_772_791_200); strings.Contains(text, "stages") || !strings.Contains(text, "\nother tables (what they protect stays as it was until a restart): safe.txt") {
		t.Errorf("a table: %s", text)
	}
	s.write("rules/own/tries.yaml", strings.Replace(fmt.Sprintf(livesRule, 4), "stage: enforce", "stage: shadow", 1))
	if text := describeReload(was, s.engine(), 1_772_791_200); !strings.Contains(text, "own.tries: enforce -> shadow") {
		t.Errorf("the rule's own: %s", text)
	}
}
