package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// livedState is the directory of a run that decided a few things and ended.
type livedState struct {
	t      *testing.T
	base   string
	dir    string
	config string
}

// newLivedState runs a log through a rule until something is decided, with
// during called meanwhile.
func newLivedState(t *testing.T, during func(*livedState)) *livedState {
	t.Helper()
	base, err := os.MkdirTemp("", "weir") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	s := &livedState{t: t, base: base, dir: filepath.Join(base, "state"), config: filepath.Join(base, "weir.yaml")}
	var log strings.Builder
	for i := range 200 {
		at := time.Date(2026, 3, 6, 10, 0, i, 0, time.UTC)
		fmt.Fprintf(&log, "203.0.113.%d - - [%s] \"POST /login HTTP/1.1\" 401 5 \"-\" \"x\"\n", 1+i%20, at.Format("02/Jan/2006:15:04:05 -0700"))
	}
	for name, text := range map[string]string{
		"key": strings.Repeat("k", 32),
		"rules/own/tries.yaml": "id: own.tries\nversion: 1\ntitle: Many tries\nseverity: low\nkey: ip\nwhere: kind == \"login\"\n" +
			"features:\n  tries: count(\"10m\")\nwhen: tries >= 5\nthen: {block: ip, for: 1h}\nstage: enforce\n",
		"weir.yaml": "stage: enforce\nsources: [{name: web, file: {path: access.log, follow: true}, format: combined}]\n" +
			"key_file: key\nrules: {dirs: [rules]}\nstate: {dir: state, checkpoint: 1s, reserve: 16MiB}\n",
		"access.log": log.String(),
	} {
		path := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.live(during)
	return s
}

func (s *livedState) live(during func(*livedState)) {
	s.t.Helper()
	var said bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	e := &environment{out: &bytes.Buffer{}, errOut: &bytes.Buffer{}, log: slog.New(slog.NewTextHandler(&said, nil))}
	l, err := e.openLiveRun(ctx, s.config)
	if err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- l.run(ctx) }()
	for {
		b, err := os.ReadFile(filepath.Join(s.dir, decisionsFile))
		if err == nil && bytes.Count(b, []byte("\n")) >= 20 {
			break
		}
		if ctx.Err() != nil {
			s.t.Fatalf("nothing decided: %v\n%s", err, &said)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if during != nil {
		during(s)
	}
	cancel()
	if err := errors.Join(<-ended, l.close()); err != nil {
		s.t.Fatalf("%v\n%s", err, &said)
	}
}

// copied returns a copy of the state, to be damaged.
func (s *livedState) copied() *livedState {
	s.t.Helper()
	to := *s
	to.dir = filepath.Join(s.t.TempDir(), "state")
	if err := os.CopyFS(to.dir, os.DirFS(s.dir)); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chmod(to.dir, 0o700); err != nil {
		s.t.Fatal(err)
	}
	return &to
}

// sees runs weir state on the directory, with the key of the configuration.
func (s *livedState) sees(args ...string) (string, error) {
	return weir(append(append([]string{"state"}, args...), s.dir, "-c", s.config)...)
}

// tree says what stands in the directory, but for who holds it.
func (s *livedState) tree() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == lockFile {
			return err
		}
		b, err := os.ReadFile(path)
		found[path] = string(b)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

func TestAStateIsSeenVerifiedAndCompacted(t *testing.T) {
	t.Parallel()
	s := newLivedState(t, func(s *livedState) {
		for _, what := range []string{"info", "verify", "compact"} {
			out, err := s.sees(what)
			if err == nil || exitCode(err) != 1 || out != "" || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d; stop it first", os.Getpid())) {
				t.Errorf("weir state %s while weir runs: %v\n%s", what, err, out)
			}
		}
	})
	before := s.tree()
	out, err := s.sees("info")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must(t, out, "checkpoint      of 2026-03-06 10:0", "\n  ip  ", "\n  targets of decisions  ", "web             partition 0 ", "store  ", "journal  ", "decisions  ", "ledger  ")
	must(t, strings.Join(strings.Fields(out), " "), "oldest event 2026-03-06 10:00:00")
	if strings.Contains(out, "no rule reads any more") {
		t.Errorf("a table that is there has no name:\n%s", out)
	}
	var in stateInfo
	read := func() {
		t.Helper()
		out, err := s.sees("info", "--json")
		if err == nil {
			in = stateInfo{}
			err = json.Unmarshal([]byte(out), &in)
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	read()
	i := slices.IndexFunc(in.Tables, func(x stateTable) bool { return x.Name == "ip" })
	if i < 0 || in.Tables[i].Keys != 20 || in.Keys < 20 || len(in.Positions) != 1 || len(in.Damage) > 0 {
		t.Errorf("%+v", in)
	}
	if out, err = s.sees("verify"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	must(t, out, "store               ok: ", "journal.jsonl       ok: ", "configs             ok: the rules and all else that decides of 1 configuration", "decisions.jsonl     ok: 20 decisions", "ledger.jsonl        ok: ")
	after := s.tree()
	for name, b := range before {
		if after[name] != b {
			t.Errorf("%s is another one after looking at it", name)
		}
		delete(after, name)
	}
	for name := range after {
		t.Errorf("%s was made by looking", name)
	}
	keys := in.Keys
	if out, err = s.sees("compact"); err != nil || !strings.Contains(out, "the files t") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = s.sees("verify"); err != nil {
		t.Errorf("after it was compacted: %v\n%s", err, out)
	}
	if read(); in.Keys != keys {
		t.Errorf("%d keys after it was compacted, %d before", in.Keys, keys)
	}
	// A run goes on with it.
	s.live(nil)
	if out, err = s.sees("verify"); err != nil {
		t.Errorf("after another life: %v\n%s", err, out)
	}
}

func TestWhatIsDamagedInAStateIsNamed(t *testing.T) {
	t.Parallel()
	whole := newLivedState(t, nil)
	// edit changes a file of the directory.
	edit := func(s *livedState, name string, change func([]byte) []byte) {
		t.Helper()
		path := filepath.Join(s.dir, name)
		b, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(b), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	largest := func(s *livedState, suffix string) (name string) {
		size := -1
		for path, b := range s.tree() {
			if rel, err := filepath.Rel(s.dir, path); err == nil && strings.HasPrefix(rel, storeDir+"/") && strings.HasSuffix(rel, suffix) && len(b) > size {
				name, size = rel, len(b)
			}
		}
		if name == "" {
			t.Fatalf("the store has no file %s", suffix)
		}
		return name
	}
	copied := func(s *livedState, name string) string {
		found, err := filepath.Glob(filepath.Join(s.dir, configsDir, "*", name))
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		rel, err := filepath.Rel(s.dir, found[0])
		must0(t, err)
		return rel
	}
	flip := func(b []byte) []byte {
		b[len(b)/2] ^= 4
		return b
	}
	cut := func(b []byte) []byte { return b[:len(b)-5] }
	for _, c := range []struct {
		name   string
		damage func(*livedState)
		says   string
		sound  bool
	}{
		{"nothing", func(*livedState) {}, "ok", true},
		{"the sidecar", func(s *livedState) { edit(s, storeFile, flip) }, "store.json FAULT", false},
		{"the sidecar, a digit", func(s *livedState) {
			edit(s, storeFile, func(b []byte) []byte { return bytes.Replace(b, []byte(`"units":6`), []byte(`"units":7`), 1) })
		}, "store.json FAULT: a checksum does not fit start weir", false},
		{"the sidecar cut", func(s *livedState) { edit(s, storeFile, cut) }, "store.json FAULT: it was cut short start weir", false},
		{"no journal", func(s *livedState) { must0(t, os.Remove(filepath.Join(s.dir, journalFile))) }, "journal.jsonl FAULT: it is missing", false},
		{"no sidecar", func(s *livedState) { must0(t, os.Remove(filepath.Join(s.dir, storeFile))) }, "store.json FAULT", false},
		{"no manifest", func(s *livedState) { must0(t, os.Remove(filepath.Join(s.dir, storeDir, "MANIFEST"))) }, "store FAULT", false},
		{"no store", func(s *livedState) { must0(t, os.RemoveAll(filepath.Join(s.dir, storeDir))) }, "store FAULT", false},
		{"a table", func(s *livedState) { edit(s, largest(s, ".sst"), flip) }, ".sst FAULT", false},
		{"a table cut", func(s *livedState) { edit(s, largest(s, ".sst"), cut) }, ".sst FAULT", false},
		{"the journal", func(s *livedState) { edit(s, journalFile, func(b []byte) []byte { b[3] ^= 1; return b }) }, "journal.jsonl FAULT", false},
		{"the journal cut", func(s *livedState) { edit(s, journalFile, cut) }, "cut short", false},
		{"a decision", func(s *livedState) {
			edit(s, decisionsFile, func(b []byte) []byte { return bytes.Replace(b, []byte("203.0.113.7"), []byte("203.0.113.6"), 1) })
		}, "decisions.jsonl FAULT: line ", false},
		{"the decisions cut", func(s *livedState) { edit(s, decisionsFile, cut) }, "cut short after", false},
		{"decisions put aside, cut", func(s *livedState) {
			b, err := os.ReadFile(filepath.Join(s.dir, decisionsFile))
			must0(t, err)
			must0(t, os.WriteFile(filepath.Join(s.dir, "decisions-1.jsonl"), cut(b), 0o600))
		}, "decisions-1.jsonl FAULT", false},
		{"a decision too long", func(s *livedState) {
			edit(s, decisionsFile, func(b []byte) []byte { return append(bytes.Repeat([]byte("x"), maxDecision), '\n') })
		}, "decisions.jsonl FAULT: line 1: longer than", false},
		{"the ledger", func(s *livedState) {
			edit(s, ledgerFile, func(b []byte) []byte { return bytes.Replace(b, []byte("203.0.113.7"), []byte("203.0.113.6"), 1) })
		}, "ledger.jsonl FAULT", false},
		{"the rules", func(s *livedState) {
			found, err := filepath.Glob(filepath.Join(s.dir, configsDir, "*", decideFile))
			if err != nil || len(found) != 1 {
				t.Fatal(found, err)
			}
			must0(t, os.WriteFile(found[0], []byte("stage: [\n"), 0o600))
		}, "configs FAULT", false},
		{"a rule of the copy", func(s *livedState) {
			edit(s, copied(s, "rules/0/own/tries.yaml"), func(b []byte) []byte { return bytes.Replace(b, []byte(">= 5"), []byte(">= 6"), 1) })
		}, "is not as it was written", false},
		{"a rule more in the copy", func(s *livedState) {
			must0(t, os.WriteFile(filepath.Join(s.dir, filepath.Dir(copied(s, decideFile)), "rules/0/own/more.yaml"), []byte("id: own.more\n"), 0o600))
		}, "is not as it was written", false},
		{"a rule of the copy is gone", func(s *livedState) { must0(t, os.Remove(filepath.Join(s.dir, copied(s, "rules/0/own/tries.yaml")))) }, "is not as it was written", false},
		{"no copy", func(s *livedState) { must0(t, os.RemoveAll(filepath.Join(s.dir, configsDir))) }, "is not there restore it from a copy; a start with the same rules writes it anew", false},
	} {
		s := whole.copied()
		c.damage(s)
		out, err := s.sees("verify")
		words := strings.Join(strings.Fields(out), " ")
		if (err == nil) != c.sound || err != nil && exitCode(err) != 1 || !strings.Contains(words, c.says) || strings.Count(out, "FAULT") > 2 { // the file, and the checkpoint that rests on it
			t.Errorf("%s: %v, must say %q:\n%s", c.name, err, c.says, out)
		}
	}
	// A file that ends before the checkpoint knows it to is not said to be mended by
	// the start that refuses it.
	for _, name := range []string{journalFile, decisionsFile} {
		s := whole.copied()
		edit(s, name, func(b []byte) []byte { return b[:len(b)-40] })
		out, err := s.sees("verify")
		words := strings.Join(strings.Fields(out), " ")
		if !errors.Is(err, errFindings) || strings.Contains(words, doCut) {
			t.Errorf("%s cut: %v\n%s", name, err, out)
		}
		must(t, words, name+" FAULT: ", "cut short", doSealed)
	}
	// A key that is another one is said of the store as a start says it, and leaves
	// the ledger unchecked, as one that is not named does: neither in silence.
	other := filepath.Join(whole.base, "other")
	must0(t, os.WriteFile(other, bytes.Repeat([]byte("o"), 32), 0o600))
	out, err := weir("state", "verify", whole.dir, "--key", other)
	if !errors.Is(err, errFindings) {
		t.Errorf("another key: %v", err)
	}
	must(t, strings.Join(strings.Fields(out), " "), "store FAULT: the store was made with another key file", "name the key file that it was made with (key_file:)",
		"ledger.jsonl NOT CHECKED: its chain is made with the key of the store, which is not this one")
	if strings.Contains(out, "keep a copy of ledger") || strings.Contains(out, "puts the store aside") {
		t.Errorf("another key is taken for damage:\n%s", out)
	}
	out, err = weir("state", "verify", whole.dir)
	if !errors.Is(err, errUnchecked) || errors.Is(err, errFindings) || exitCode(err) != 1 {
		t.Errorf("no key: %v", err)
	}
	must(t, strings.Join(strings.Fields(out), " "), "ledger.jsonl NOT CHECKED: ", "weir state verify --key FILE")
	if out, err = weir("state", "verify", whole.dir, "--key", filepath.Join(whole.base, "key"), "--json"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	var all []verdict
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 5 || !all[0].OK {
		t.Errorf("%v: %s", err, out)
	}
	// What cannot be read is said by info, too.
	s := whole.copied()
	edit(s, largest(s, ".sst"), cut)
	if out, err = s.sees("compact"); err == nil || exitCode(err) != 1 || out != "" || !strings.Contains(err.Error(), "weir state verify says what to do") || strings.Contains(err.Error(), "corrupt record") || strings.Contains(err.Error(), "panicked") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = s.sees("info"); !errors.Is(err, errFindings) {
		t.Errorf("%v\n%s", err, out)
	}
	must(t, out, "DAMAGED", "weir state verify says what to do", "On disk")
}

// A directory that is named has the key of the usual configuration where it is
// that one's, and no other's.
func TestAStateThatIsNamedHasTheKeyOfTheConfigurationBesideIt(t *testing.T) {
	s := newLivedState(t, nil)
	other := s.copied()
	t.Chdir(s.base)
	for _, dir := range []string{"state", s.dir} {
		if out, err := weir("state", "verify", dir); err != nil || !strings.Contains(out, "its chain holds") {
			t.Errorf("%s: %v\n%s", dir, err, out)
		}
	}
	if out, err := weir("state", "verify", other.dir); !errors.Is(err, errUnchecked) || !strings.Contains(out, "NOT CHECKED") {
		t.Errorf("another directory: %v\n%s", err, out)
	}
}

func TestAFaultWeighsMoreThanWhatWasNotChecked(t *testing.T) {
	open, fault, ok := verdict{Open: true}, verdict{}, verdict{OK: true}
	for want, all := range map[error][]verdict{nil: {ok, ok}, errUnchecked: {ok, open, ok}, errFindings: {open, fault, open}} {
		if err := verdictOf(all); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%v: %v, must be %v", all, err, want)
		}
	}
}

func must0(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsMadeInWhatIsNoState(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "weir.yaml")
	must0(t, os.WriteFile(file, []byte("sources: [{name: web, format: combined}]\n"), 0o600))
	empty := filepath.Join(dir, "empty")
	must0(t, os.Mkdir(empty, 0o700))
	archive := filepath.Join(dir, "archive")
	must0(t, os.Mkdir(archive, 0o700))
	must0(t, os.WriteFile(filepath.Join(archive, lockFile), nil, 0o600))
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{archive}, "archive: not a state's directory: there is no journal.jsonl and no store in it"},
		{[]string{empty}, "empty: not a state's directory: there is no journal.jsonl and no store in it"},
		{[]string{filepath.Join(dir, "none")}, "none: no such directory"},
		{[]string{file}, "weir.yaml: not a directory; a configuration is named with -c"},
		{[]string{"-c", file}, "weir.yaml: state: dir: missing; name the directory instead"},
		{[]string{empty, "more"}, "takes one argument at most"},
	} {
		for _, what := range []string{"info", "verify", "compact"} {
			out, err := weir(append([]string{"state", what}, c.args...)...)
			if exitCode(err) != 2 || out != "" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("weir state %s %v: %v, must say %q\n%s", what, c.args, err, c.says, out)
			}
		}
	}
	if found, err := os.ReadDir(empty); err != nil || len(found) > 0 {
		t.Errorf("%v in it, %v", found, err)
	}
	if pid, err := os.ReadFile(filepath.Join(archive, lockFile)); err != nil || len(pid) > 0 {
		t.Errorf("the archive's lock says %q, %v", pid, err)
	}
	if _, err := weir("state", "nothing"); exitCode(err) != 2 || !strings.Contains(err.Error(), `unknown command "nothing"`) {
		t.Error(err)
	}
}

func TestAStateOfARunWithoutAStoreHasNothingInItYet(t *testing.T) {
	dir := t.TempDir()
	must0(t, os.Chmod(dir, 0o700))
	must0(t, os.WriteFile(filepath.Join(dir, journalFile), nil, 0o600))
	out, err := weir("state", "info", dir)
	if err != nil || !strings.Contains(out, "There is no checkpoint in it") {
		t.Errorf("%v\n%s", err, out)
	}
	key := filepath.Join(dir, "key")
	must0(t, os.WriteFile(key, bytes.Repeat([]byte("k"), 32), 0o600))
	if out, err = weir("state", "verify", dir, "--key", key); err != nil || strings.Count(out, "there is none yet") != 3 {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err = weir("state", "compact", dir); err != nil || !strings.Contains(out, "there is nothing in it yet") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWhatRootCompactsStaysItsOwners(t *testing.T) {
	t.Parallel()
	s := newLivedState(t, nil)
	const nobody = 65534
	err := filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	if (err == nil) != (os.Geteuid() == 0) {
		t.Fatal(err)
	}
	want, err := ownerOf(s.dir)
	must0(t, err)
	for _, what := range []string{"compact", "verify", "info"} {
		if out, err := s.sees(what); err != nil {
			t.Fatalf("weir state %s: %v\n%s", what, err, out)
		}
	}
	seen := 0
	must0(t, filepath.WalkDir(s.dir, func(path string, _ fs.DirEntry, err error) error {
		seen++
		if has, e := ownerOf(path); e != nil || has != want {
			t.Errorf("%s is %v's, must be %v's: %v", path, has, want, e)
		}
		return err
	}))
	if seen < 10 {
		t.Errorf("%d files", seen)
	}
}
