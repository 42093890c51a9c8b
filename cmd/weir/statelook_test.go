package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/state"
)

// rewritten writes a state's store.json with other facts, whole.
func (s *livedState) rewritten(t *testing.T, change func(map[string]any)) {
	t.Helper()
	path := filepath.Join(s.dir, storeFile)
	b, err := os.ReadFile(path)
	must0(t, err)
	var sealed struct {
		Store json.RawMessage `json:"store"`
		Sum   string          `json:"sum"`
	}
	must0(t, json.Unmarshal(b, &sealed))
	facts := map[string]any{}
	must0(t, json.Unmarshal(sealed.Store, &facts))
	change(facts)
	sealed.Store, err = json.Marshal(facts)
	must0(t, err)
	sealed.Sum = fmt.Sprintf("%08x", crc32.Checksum(sealed.Store, crc32.MakeTable(crc32.Castagnoli)))
	b, err = json.Marshal(sealed)
	must0(t, err)
	must0(t, os.WriteFile(path, b, 0o600))
}

// with returns the path of a configuration that is another one than the state's.
func (s *livedState) with(t *testing.T, from, to string) string {
	t.Helper()
	b, err := os.ReadFile(s.config)
	must0(t, err)
	text := strings.ReplaceAll(string(b), from, to)
	if from != "" && text == string(b) {
		t.Fatalf("%q is not in the configuration", from)
	}
	path := filepath.Join(s.base, fmt.Sprintf("other-%d.yaml", time.Now().UnixNano()))
	must0(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// What keeps a start from using a state is said by it and by every command that
// looks at the state in the same words, and none of them changes anything.
func TestWhatKeepsAStateFromBeingUsedIsSaidAlikeEverywhere(t *testing.T) {
	t.Parallel()
	whole := newLivedState(t, nil)
	must0(t, os.WriteFile(filepath.Join(whole.base, "other"), bytes.Repeat([]byte("o"), 32), 0o600))
	for name, c := range map[string]struct {
		change     func(map[string]any)
		configFrom string
		configTo   string
		says, do   string
	}{
		"a newer format": {func(f map[string]any) { f["format"] = state.Format + 1 }, "", "",
			fmt.Sprintf("the store is of format %d, and this version of weir reads format %d", state.Format+1, state.Format), "start the newer weir that wrote it"},
		"an older format": {func(f map[string]any) { f["format"] = state.Format - 1 }, "", "",
			fmt.Sprintf("the store is of format %d, an older one, and this version of weir reads format %d", state.Format-1, state.Format), "go on with the weir that wrote it, or move store and store.json away"},
		"other units": {func(f map[string]any) { f["units"] = 32 }, "", "", "the store has 32 units, and this weir keeps 64", "start the weir that made it"},
		"another key": {func(map[string]any) {}, "key_file: key", "key_file: other", "the store was made with another key file", "name the key file that it was made with"},
	} {
		t.Run(name, func(t *testing.T) {
			s := whole.copied()
			s.rewritten(t, c.change)
			s.config = s.with(t, "state: {dir: state", "state: {dir: "+s.dir)
			if c.configFrom != "" {
				s.config = s.with(t, "key_file: key", c.configTo)
				b, err := os.ReadFile(s.config)
				must0(t, err)
				must0(t, os.WriteFile(s.config, bytes.ReplaceAll(b, []byte("state: {dir: state"), []byte("state: {dir: "+s.dir)), 0o600))
			}
			before := s.tree()
			_, started := weir("run", "-c", s.config)
			checked, err := weir("check", "-c", s.config)
			if err == nil {
				t.Errorf("weir check finds nothing:\n%s", checked)
			}
			verified, err := s.sees("verify")
			if err == nil {
				t.Errorf("weir state verify finds nothing:\n%s", verified)
			}
			if started == nil {
				t.Fatal("weir run starts on it")
			}
			info, err := s.sees("info")
			if !errors.Is(err, errFindings) {
				t.Errorf("weir state info: %v:\n%s", err, info)
			}
			status, err := weir("status", "-c", s.config)
			if err != nil { // with another key nothing can be said of what is in force
				status += err.Error()
			}
			if (err != nil) != (c.configFrom != "") {
				t.Errorf("weir status: %v", err)
			}
			for who, text := range map[string]string{"run": started.Error(), "check": checked, "verify": verified, "info": info, "status": status} {
				must(t, strings.Join(strings.Fields(text), " "), c.says, c.do)
				if strings.Contains(text, "puts the store aside") || strings.Contains(text, "DAMAGED") || strings.Contains(text, "goes on from there") || strings.Contains(text, "chain does not hold") {
					t.Errorf("%s gives other advice: %s", who, text)
				}
			}
			for path, b := range s.tree() {
				if before[path] != b {
					t.Errorf("%s is another one than before", path)
				}
				delete(before, path)
			}
			if len(before) > 0 {
				t.Errorf("gone: %v", before)
			}
		})
	}
}

func TestCheckSaysWhatAStartWouldFind(t *testing.T) {
	t.Parallel()
	var meanwhile string
	s := newLivedState(t, func(s *livedState) {
		meanwhile, _ = weir("check", "-c", s.config) // its faults are looked at below
	})
	must(t, strings.Join(strings.Fields(meanwhile), " "), fmt.Sprintf("in use by process %d", os.Getpid()), "weir runs already; weir status -c ")
	if strings.Contains(meanwhile, "start it with") {
		t.Errorf("beside a run: %s", meanwhile)
	}
	before := s.tree()
	lock, err := os.ReadFile(filepath.Join(s.dir, lockFile))
	must0(t, err)
	out, err := weir("check", "-c", s.config)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	must(t, strings.Join(strings.Fields(out), " "), "a start goes on from 2026-03-06 10:0", "of this key")
	after := s.tree()
	for path, b := range before {
		if after[path] != b {
			t.Errorf("%s is another one than before", path)
		}
	}
	now, err := os.ReadFile(filepath.Join(s.dir, lockFile))
	if err != nil || len(after) != len(before) || !bytes.Equal(lock, now) {
		t.Errorf("%d files, before %d; the lock says %q, before %q", len(after), len(before), now, lock)
	}
	// A store that was put aside, a sidecar that is damaged, a reserve that no disk has.
	aside := filepath.Join(s.dir, storeBroken+"4")
	must0(t, os.Mkdir(aside, 0o700))
	must0(t, os.WriteFile(filepath.Join(aside, "why"), []byte("corrupt record: badger panicked: runtime error: index out of range\n"), 0o600))
	must0(t, os.WriteFile(filepath.Join(s.dir, storeFile), []byte("{}"), 0o600))
	out, err = weir("check", "-c", s.config)
	words := strings.Join(strings.Fields(out), " ")
	must(t, words, "store.broken-4 was put aside", "its files cannot be read", "a start puts the store aside and derives what was in it from the log again")
	if strings.Contains(out, "panic") || err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
	huge := s.with(t, "reserve: 16MiB", "reserve: 900000GiB")
	out, err = weir("check", "-c", huge)
	if err == nil {
		t.Error("a reserve that no disk has is not found")
	}
	must(t, strings.Join(strings.Fields(out), " "), "weir would wait for ever")
	if _, err = weir("run", "-c", huge); err == nil || exitCode(err) != 2 || !strings.Contains(err.Error(), "weir would wait for ever") {
		t.Errorf("weir run: %v", err)
	}
}

// Whatever of the files beside the store keeps a run from starting is a fault of
// the check, which changes nothing.
func TestCheckRefusesTheFilesThatAStartRefuses(t *testing.T) {
	t.Parallel()
	s := newLivedState(t, nil)
	unknown := []byte(`{"event":"nothing","source":"web","partition":0,"offset":5}` + "\n")
	for _, name := range []string{journalFile, decisionsFile, ledgerFile} {
		path := filepath.Join(s.dir, name)
		whole, err := os.ReadFile(path)
		must0(t, err)
		changed := bytes.Clone(whole)
		changed[len(changed)/2] ^= 1
		for what, now := range map[string][]byte{
			"lost": nil, "emptied": {}, "cut": whole[:20], "changed": changed, "added to": append(bytes.Clone(whole), unknown...),
		} {
			if what == "added to" && name == decisionsFile {
				continue // a start reads no more of them than the seal and the last time
			}
			must0(t, os.WriteFile(path, now, 0o600))
			if now == nil {
				must0(t, os.Remove(path))
			}
			before := s.tree()
			out, err := weir("check", "-c", s.config)
			words := strings.Join(strings.Fields(out), " ")
			if exitCode(err) != 1 || !strings.Contains(words, "FAULT state") || !strings.Contains(strings.Join(strings.Fields(out), ""), name) || !strings.Contains(words, "restore") || strings.Contains(out, "start it with") {
				t.Errorf("%s is %s: %v\n%s", name, what, err, out)
			}
			if n := strings.Count(out, "FAULT"); n != 1 {
				t.Errorf("%s is %s: %d faults\n%s", name, what, n, out)
			}
			if after := s.tree(); !maps.Equal(before, after) {
				t.Errorf("%s is %s: the check changed something", name, what)
			}
			if err := s.start(); err == nil {
				t.Errorf("%s is %s, and a run starts", name, what)
			}
			must0(t, os.WriteFile(path, whole, 0o600))
		}
	}
	if out, err := weir("check", "-c", s.config); err != nil {
		t.Errorf("all is whole: %v\n%s", err, out)
	}
	// Where a start puts the store aside nothing rests on those files.
	must0(t, os.WriteFile(filepath.Join(s.dir, storeDir, "MANIFEST"), []byte("none"), 0o600))
	must0(t, os.Remove(filepath.Join(s.dir, decisionsFile)))
	out, err := weir("check", "-c", s.config)
	if err != nil {
		t.Errorf("the store is damaged: %v\n%s", err, out)
	}
	must(t, strings.Join(strings.Fields(out), " "), "MANIFEST", "a start puts the store aside")
}

func TestDamageIsToldInPlainWords(t *testing.T) {
	for text, want := range map[string]string{
		"corrupt record: badger panicked: runtime error: slice bounds out of range [:4] with capacity 2\ngoroutine 7 [running]": "its files cannot be read",
		"the table 000003.sst: corrupt record: badger panicked: runtime error: index out of range":                              "the table 000003.sst: its files cannot be read",
		"unit 3, table 1, page 4: corrupt record: checksum 00000001, must be 00000002":                                          "unit 3, table 1, page 4: a checksum does not fit",
		"MANIFEST: corrupt record: manifest has bad magic":                                                                      "MANIFEST: its list of files is damaged",
		`store.json: corrupt record: checksum "784f353b", must be "f963346f"`:                                                   "store.json: a checksum does not fit",
		`corrupt record: checksum "784f353b", must be "f963346f"`:                                                               "a checksum does not fit",
		"store.json: corrupt record: unexpected end of JSON input":                                                              "store.json: it was cut short",
		"store.json: corrupt record: invalid character '7' looking for beginning of object key string":                          "store.json: it is not what weir wrote",
		"no space left on device": "no space left on device",
	} {
		if got := plainDamage(text); got != want {
			t.Errorf("%q, must be %q", got, want)
		}
	}
}

func TestAStatusWithoutARunSaysHowTheLastOneEndedAndWhatItLeft(t *testing.T) {
	t.Parallel()
	s := newLivedState(t, nil)
	says := func() string {
		t.Helper()
		out, err := weir("status", "-c", s.config)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return strings.Join(strings.Fields(out), " ")
	}
	text := says()
	must(t, text, "weir is not running", "saved up to 2026-03-06 10:0", "a start goes on from there")
	if strings.Contains(text, "did not end by itself") {
		t.Errorf("it ended as it was told to: %s", text)
	}
	leaveSocket(t, filepath.Join(s.dir, socketFile))
	must(t, says(), "weir is not running", "It was killed, or the machine went down", "saved up to 2026-03-06 10:0")
	held, err := openState(s.dir)
	must0(t, err)
	defer func() { must0(t, held.close()) }()
	must(t, says(), fmt.Sprintf("Process %d holds the directory and does not answer", os.Getpid()))

	sidecar := filepath.Join(s.dir, storeFile)
	must0(t, os.WriteFile(sidecar, nil, 0o600))
	must(t, says(), "DAMAGED store.json: it was cut short: start weir")
	must0(t, os.Remove(sidecar))
	must(t, says(), "DAMAGED store.json is missing: start weir")
	must0(t, os.Remove(filepath.Join(s.dir, ledgerFile)))
	if out, err := weir("status", "-c", s.config); err == nil || !strings.Contains(err.Error(), ledgerFile+": file does not exist: no run has begun in this directory, or") {
		t.Errorf("%v\n%s", err, out)
	}
	must0(t, os.Rename(s.dir, s.dir+".away"))
	if out, err := weir("status", "-c", s.config); err == nil || !strings.Contains(err.Error(), s.dir+": no such directory") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestInspectSendsWhoHasAnArchiveToReplay(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.parquet")
	must0(t, os.WriteFile(path, []byte("PAR1 and more PAR1"), 0o600))
	if _, err := weir("inspect", path); exitCode(err) != 2 || !strings.Contains(err.Error(), "weir replay "+path) {
		t.Error(err)
	}
}

// leaveSocket makes a socket that nobody listens at, as a process that was killed
// leaves one.
func leaveSocket(t *testing.T, path string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	must0(t, err)
	must0(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
	must0(t, syscall.Close(fd))
}
