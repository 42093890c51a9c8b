package score

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weir/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, is []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, is, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	must, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(is, must) {
		t.Errorf("%s is not what it was; go test -update rewrites it\n%s", path, is)
	}
}

// seeded scores one attack of 100 requests of which the first n pass.
func seeded(t *testing.T, seed uint64, n int) *Result {
	half := 0.5
	r := newRig(t, "attack/a/1", "honest/homes")
	r.truth.Seed = seed
	r.every("attack/a/1", 100, request{ip: "192.0.2.1", user: "u", status: 401})
	r.every("honest/homes", 100, request{ip: "192.0.2.2", user: "n"})
	r.how.Delay = 0
	r.decide(
		decision(time.Duration(n)*time.Second, time.Hour, event.Block, "ip", "192.0.2.1"),
		decision(0, time.Duration(n)*time.Second, event.Block, "ip", "192.0.2.2"),
	)
	(&goalBuilder{r, "attack/a/1"}).add(&half, nil, 45*time.Second)
	return r.must()
}

func TestAScoreIsWrittenAsItWas(t *testing.T) {
	b, err := json.MarshalIndent(seeded(t, 1, 20), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "score.json", append(b, '\n'))
}

func TestMergeGivesMedianAndWorst(t *testing.T) {
	var all []*Result
	for seed, n := range []int{10, 50, 25, 101} { // in the last one nothing is stopped
		r := seeded(t, uint64(seed+1), n)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if r, err = ReadResult(b); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	m, err := Merge(all)
	if err != nil {
		t.Fatal(err)
	}
	a := m.Attacks[0]
	eq(t, "blocked", a.Blocked, Spread{0.625, 0})
	eq(t, "first stop", a.First, Spread{37.5, -1})
	eq(t, "runs", a.Runs, 4)
	p := m.Populations[0]
	eq(t, "honest", p.Label, "honest")
	eq(t, "honest blocked", p.Blocked, Spread{0.375, 1})
	var blocked, first *MergedGoal
	for i := range m.Goals {
		switch g := &m.Goals[i]; g.What {
		case wantBlocked:
			blocked = g
		case wantFirst:
			first = g
		}
	}
	eq(t, "goal", blocked.Passed, 3)
	eq(t, "goal of the first stop", first.Passed, 2)
	eq(t, "its worst", first.Is.Worst, -1)
	var text bytes.Buffer
	if err := m.WriteMarkdown(&text); err != nil {
		t.Fatal(err)
	}
	golden(t, "merged.md", text.Bytes())
}

func TestOnlyScoresOfOneScenarioAreMerged(t *testing.T) {
	one, other := seeded(t, 1, 10), seeded(t, 2, 10)
	if _, err := Merge([]*Result{one, one}); err == nil || !strings.Contains(err.Error(), "seed 1 stands twice") {
		t.Errorf("twice: %v", err)
	}
	other.Variant = "without sessions"
	if _, err := Merge([]*Result{one, other}); err == nil || !strings.Contains(err.Error(), "must be the same but for the seed") {
		t.Errorf("another variant: %v", err)
	}
	if _, err := Merge(nil); err == nil {
		t.Error("nothing is merged")
	}
	for _, text := range []string{`{`, `{"v":2}`, `{"v":1}`, `{"v":1,"honest":{"hurt":[{},{},{}]},"campaigns":[{"label":"attack/a"}]}`} {
		if _, err := ReadResult([]byte(text)); err == nil {
			t.Errorf("%s is taken for a score", text)
		}
	}
}
