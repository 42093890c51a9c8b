package emit

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAFileIsReplacedWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	if err := replaceFile(path, []byte("one"), 0o640); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := replaceFile(path, []byte("two and more"), 0o604); err != nil {
		t.Fatal(err)
	}
	was := make([]byte, 10)
	n, _ := old.Read(was)
	now, err := os.ReadFile(path)
	info, _ := os.Stat(path)
	if string(was[:n]) != "one" || err != nil || string(now) != "two and more" || info.Mode().Perm() != 0o604 {
		t.Errorf("who has it open reads %q, others %q, %v, mode %v", was[:n], now, err, info.Mode())
	}
	if left := names(t, dir); left != "list" {
		t.Errorf("the directory has %s", left)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestOnlyARegularFileIsReplaced(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(in("real"), []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.Symlink("real", in("link")), os.Symlink("nowhere", in("dangling")), os.Mkdir(in("dir"), 0o700), syscall.Mkfifo(in("fifo"), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	before := names(t, dir)
	for name, why := range map[string]string{
		"link": "symbolic link", "dangling": "symbolic link", "dir": "no regular file", "fifo": "no regular file",
		"none/list": "its directory does not exist; make it with: install -d -o ", "real/list": "not a directory",
	} {
		if err := replaceFile(in(name), []byte("x"), 0o600); err == nil || !strings.Contains(err.Error(), why) || !strings.Contains(err.Error(), in(name)) {
			t.Errorf("%s: %v, must say %q", name, err, why)
		}
		if err := tryReplace(in(name)); err == nil {
			t.Errorf("%s: trying says nothing", name)
		}
	}
	if b, _ := os.ReadFile(in("real")); string(b) != "theirs" || names(t, dir) != before {
		t.Errorf("%q, %s, was %s", b, names(t, dir), before)
	}
	if err := tryReplace(in("real")); err != nil || names(t, dir) != before {
		t.Errorf("%v, %s", err, names(t, dir))
	}
}

func TestAFileThatCannotBeReplacedStays(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "list")
	if err := replaceFile(path, []byte("one"), 0o640); err != nil {
		t.Fatal(err)
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	small := limit
	small.Cur = 1000 // as a full disk would
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		t.Fatal(err)
	}
	err := replaceFile(path, make([]byte, 5000), 0o640)
	if back := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); back != nil {
		t.Fatal(back)
	}
	b, _ := os.ReadFile(path)
	if err == nil || !strings.Contains(err.Error(), path+" cannot be replaced") || string(b) != "one" || names(t, dir) != "list" {
		t.Errorf("%v; it holds %q, beside it are %s", err, b, names(t, dir))
	}
}

func TestTemporaryFilesOfACrashAreSwept(t *testing.T) {
	dir := t.TempDir()
	old, young, other := ".list.weir-1", ".list.weir-2", ".lists.weir-1"
	for _, name := range []string{old, young, other} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ago := time.Now().Add(-2 * tempAge)
	for _, name := range []string{old, other} {
		if err := os.Chtimes(filepath.Join(dir, name), ago, ago); err != nil {
			t.Fatal(err)
		}
	}
	if err := sweepTemps(filepath.Join(dir, "list")); err != nil || names(t, dir) != young+" "+other {
		t.Errorf("%v, left %s", err, names(t, dir))
	}
	if err := sweepTemps(filepath.Join(dir, "none", "list")); err != nil {
		t.Error(err)
	}
}
