package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"weir/emit"
	"weir/event"
	"weir/simulate"
)

// reactedTo makes a log whose attackers react, and returns its directory and
// what was printed.
func reactedTo(t *testing.T, scenario string, args ...string) (dir, printed string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "log")
	printed, err := weir(append([]string{"simulate", scenario, "--seed", "3", "--out", dir}, args...)...)
	if err != nil {
		t.Fatalf("simulate %s %v: %v", scenario, args, err)
	}
	return dir, printed
}

// linesOf returns the lines of a file that zstd packed.
func linesOf(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer dec.Close()
	if b, err = dec.DecodeAll(b, nil); err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
}

// attackValues counts what a key of the attack's lines has, by value.
func attackValues(t *testing.T, dir, key string) map[string]int {
	t.Helper()
	labels, found := linesOf(t, filepath.Join(dir, simulate.LabelsFile)), map[string]int{}
	for i, line := range linesOf(t, filepath.Join(dir, "access.log.zst")) {
		if !strings.HasPrefix(labels[i], "attack/") {
			continue
		}
		_, rest, _ := strings.Cut(line, `"`+key+`":"`)
		value, _, _ := strings.Cut(rest, `"`)
		found[value]++
	}
	return found
}

const fastAttack = "knobs.attack_at=day 2 10:00:00"

func TestStoppedAttackersChangeWhatTheyDo(t *testing.T) {
	for what, key := range map[string]string{"fingerprint": "ssl_ja4", "addresses": "remote_addr"} {
		args := []string{"--scale", "0.003", "--set", "days=2", "--set", fastAttack, "--set", "campaigns.stuffing.phases.stuffing.adapt.change=[" + what + "]"}
		calm, _ := reactedTo(t, "stuffing", args...)
		reacting, printed := reactedTo(t, "stuffing", append(args, "--adaptive")...)
		if n := len(attackValues(t, calm, "refused")); n != 1 {
			t.Fatalf("%d kinds of refusals where nobody stops anybody", n)
		}
		before, after, refused := attackValues(t, calm, key), attackValues(t, reacting, key), attackValues(t, reacting, "refused")
		stopped := 0
		for action, n := range refused {
			if action != "" {
				stopped += n
			}
		}
		if len(after) <= len(before) || stopped < 200 || refused[""] == 0 {
			t.Errorf("%s: %d values before, %d of who reacts; answers %v", what, len(before), len(after), refused)
		}
		if !strings.Contains(printed, "answered while it was made: attack/stuffing/stuffing ") {
			t.Errorf("it does not say who was stopped:\n%s", printed)
		}
	}
}

func TestALogWithAttackersWhoReactIsTheSameForTheSameSeed(t *testing.T) {
	files := func() map[string]string {
		dir, _ := reactedTo(t, "recon", "--adaptive", "--scale", "0.001", "--set", "days=2", "--set", fastAttack)
		found := map[string]string{}
		for _, name := range []string{"access.log.zst", simulate.LabelsFile, simulate.TruthFile, simulate.ConfigFile} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			found[name] = string(b)
		}
		return found
	}
	first, again := files(), files()
	for name, text := range first {
		if again[name] != text {
			t.Errorf("%s is another one", name)
		}
	}
}

// rulesIn returns a directory with one rule.
func rulesIn(t *testing.T, id, text string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "own")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, id+".yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// decidedWhileMade makes a log whose attackers react, and returns what the rules
// decided meanwhile.
func decidedWhileMade(t *testing.T, scenario, dir string, chosen *chosenByUser, sets []string) []byte {
	t.Helper()
	s, err := simulate.Load(scenario, sets)
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.DiscardHandler)}
	var decided bytes.Buffer
	lines := emit.NewLines(&decided)
	d := e.newDefence(t.Context(), dir, chosen, lines.Write)
	f := &simulateFlags{options: simulate.Options{Seed: 5, Scale: 0.003, Adaptive: true}, output: simulate.Output{Dir: dir}}
	if _, err := d.write(t.Context(), s, f); err != nil {
		t.Fatal(err)
	}
	if err := lines.Flush(); err != nil {
		t.Fatal(err)
	}
	return decided.Bytes()
}

// The log says itself what was refused, and who passed a challenge: a replay,
// which refuses nothing, must see what the rules saw while the log was made.
func TestAReplayDecidesWhatWasDecidedWhileTheLogWasMade(t *testing.T) {
	asking := rulesIn(t, "asking", `id: asking
version: 1
title: Whoever logs in is asked
severity: low
key: endpoint
where: kind == "login"
features: {tries: 'count("1h")'}
when: tries >= 20
then: {challenge: endpoint, for: 30m}
stage: enforce
`)
	for scenario, chosen := range map[string]*chosenByUser{
		"stuffing": nil, "fake_accounts": nil, "scraping_own": nil,
		"recon": {Rules: rulesConfig{Dirs: []string{asking}}}, // most people pass, and count
	} {
		dir := filepath.Join(t.TempDir(), "log")
		made := decidedWhileMade(t, scenario, dir, chosen, []string{"days=2", fastAttack})
		ledger := filepath.Join(dir, "decided")
		if _, err := weir("replay", "-c", filepath.Join(dir, simulate.ConfigFile), "--out", ledger, filepath.Join(dir, "access.log.zst")); err != nil {
			t.Fatal(err)
		}
		replayed, err := os.ReadFile(filepath.Join(ledger, "decisions.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		if len(made) == 0 || !bytes.Equal(made, replayed) {
			a, b := bytes.Split(made, []byte("\n")), bytes.Split(replayed, []byte("\n"))
			for i := range min(len(a), len(b)) {
				if !bytes.Equal(a[i], b[i]) {
					t.Errorf("%s: decision %d was\n%s\nand is\n%s", scenario, i, a[i], b[i])
					break
				}
			}
			t.Errorf("%s: %d decisions while it was made, %d in the replay", scenario, len(a)-1, len(b)-1)
		}
		printed, err := weir("score", dir, ledger)
		if err != nil || !strings.Contains(printed, "Attacks, the least stopped first") || strings.Contains(printed, "INCOMPLETE") {
			t.Errorf("%s: score: %v\n%s", scenario, err, printed)
		}
	}
}

func TestRefusedLinesStartNoDecision(t *testing.T) {
	dir, _ := reactedTo(t, "stuffing", "--adaptive", "--scale", "0.003", "--set", "days=2", "--set", fastAttack)
	ledger := filepath.Join(dir, "decided")
	if _, err := weir("replay", "-c", filepath.Join(dir, simulate.ConfigFile), "--out", ledger, filepath.Join(dir, "access.log.zst")); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(ledger, "summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range linesOf(t, filepath.Join(dir, "access.log.zst")) {
		if !strings.Contains(line, `"refused":""`) && strings.Contains(line, `"refused":"`) {
			n++
		}
	}
	if want := fmt.Sprintf(`"refused":%d`, n); n == 0 || !strings.Contains(strings.ReplaceAll(string(b), " ", ""), want) {
		t.Errorf("the log has %d refused lines, the replay says\n%s", n, b)
	}
}

// quickRule blocks the address of every third try at an endpoint that is old.
const quickRule = `id: quick
version: 1
title: Three tries
severity: high
key: ip
where: deprecated
features: {tries: 'count("10m")'}
when: tries >= 3
then: {block: ip, for: 6h}
stage: enforce
`

func TestRulesOfOnesOwnStopAttackers(t *testing.T) {
	own := rulesIn(t, "quick", quickRule)
	config := filepath.Join(t.TempDir(), "weir.yaml")
	if err := os.WriteFile(config, []byte("stage: enforce\nrules: {dirs: ["+own+"]}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"--adaptive", "--scale", "0.002", "--set", "days=2", "--set", fastAttack, "--set", "knobs.honest=0.1"}
	byFlag, printed := reactedTo(t, "stuffing", append(args, "--rules", own)...)
	if !strings.Contains(printed, "attack/stuffing/stuffing block ") || strings.Contains(printed, "challenge") {
		t.Errorf("only blocks are wanted:\n%s", printed)
	}
	byConfig, again := reactedTo(t, "stuffing", append(args, "-c", config)...)
	if !strings.HasSuffix(again, printed[strings.LastIndex(printed, "answered"):]) {
		t.Errorf("the configuration stops others than the flag:\n%s", again)
	}
	for _, dir := range []string{byFlag, byConfig} {
		ledger := filepath.Join(dir, "decided")
		if _, err := weir("replay", "-c", filepath.Join(dir, simulate.ConfigFile), "--out", ledger, filepath.Join(dir, "access.log.zst")); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(ledger, "decisions.jsonl"))
		if err != nil || !bytes.Contains(b, []byte(`"rule":"quick"`)) || bytes.Contains(b, []byte(`"rule":"ato`)) {
			t.Errorf("a replay does not decide by the rules that stopped them: %v", err)
		}
	}
}

func TestWhereNobodyCouldReactIsSaid(t *testing.T) {
	shadow, empty := filepath.Join(t.TempDir(), "weir.yaml"), t.TempDir()
	if err := os.WriteFile(shadow, []byte("stage: shadow\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"stuffing", "--adaptive", "--variant", "combined"}, "has no field that says what was refused"},
		{[]string{"quiet", "--adaptive"}, "nobody in quiet reacts"},
		{[]string{"stuffing", "--rules", "builtin"}, "only with --adaptive"},
		{[]string{"stuffing", "--adaptive", "--rules", "nowhere"}, "nowhere"},
		{[]string{"stuffing", "--adaptive", "--rules", empty}, "no rules"},
		{[]string{"stuffing", "--adaptive", "-c", shadow}, "nobody is stopped"},
	} {
		t.Chdir(t.TempDir())
		_, err := weir(append(append([]string{"simulate"}, c.args...), "--scale", "0.001", "--out", "x")...)
		if err == nil || !strings.Contains(err.Error(), c.want) || exitCode(err) != 2 {
			t.Errorf("simulate %v: %v (exit %d), must have %q", c.args, err, exitCode(err), c.want)
		}
		if entries, _ := os.ReadDir("x"); len(entries) > 0 {
			t.Errorf("simulate %v left %s", c.args, entries[0].Name())
		}
	}
}

func TestWhatCannotBeDecidedEndsTheLog(t *testing.T) {
	s, err := simulate.Load("stuffing", []string{"days=2", fastAttack})
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.DiscardHandler)}
	full := errors.New("no room")
	dir := filepath.Join(t.TempDir(), "log")
	d := e.newDefence(t.Context(), dir, nil, func([]event.Decision) error { return full })
	f := &simulateFlags{options: simulate.Options{Seed: 5, Scale: 0.003, Adaptive: true}, output: simulate.Output{Dir: dir}}
	if _, err := d.write(t.Context(), s, f); !errors.Is(err, full) {
		t.Errorf("%v, must be %v", err, full)
	}
	if _, err := os.Stat(filepath.Join(dir, simulate.TruthFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v: a log that is not whole has a truth", err)
	}
}

func TestClockOfWhatIsMadeIsThatOfWhoReadsIt(t *testing.T) {
	const h = int64(time.Hour)
	for _, c := range []struct {
		times []int64 // hours
		want  int64   // the latest that counts, hours; below 0: none
	}{
		{[]int64{10}, -1},
		{[]int64{10, 10}, 10},
		{[]int64{10, 12, 11}, 12},
		{[]int64{10, 40}, 10},         // the first counts, the second is in doubt
		{[]int64{10, 11, 40}, 11},     // in doubt
		{[]int64{10, 11, 40, 41}, 41}, // borne out
		{[]int64{10, 11, 40, 12}, 12}, // belied
		{[]int64{10, 11, 40, 70}, 11}, // belied, and the next in doubt
		{[]int64{50, 10}, -1},         // belied by what is more than a day before
		{[]int64{50, 10, 11}, 11},
	} {
		clock := madeClock{disorder: 2e9}
		for _, at := range c.times {
			clock.add(at * h)
		}
		second, ok := clock.watermark()
		if ok != (c.want >= 0) || ok && second != c.want*3600-2 {
			t.Errorf("%v: the watermark is %d, %v; want that of hour %d", c.times, second, ok, c.want)
		}
	}
}
