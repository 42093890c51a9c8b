package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestABrokenConfigurationIsToldExactly(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d configurations, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			var out, errOut bytes.Buffer
			err := run(context.Background(), []string{"replay", "-c", file, "testdata/config/access.log"}, &out, &errOut)
			if err == nil {
				t.Fatal("no error")
			}
			got := fmt.Sprintf("exit %d\n%v\n", exitCode(err), err)
			golden := strings.TrimSuffix(file, ".yaml") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

func TestWhatCannotBeReadIsOneSentenceAndAnExitCode(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	empty, garbage := write("empty.log", "", 0o600), write("garbage.log", "hello\nworld\n", 0o600)
	line := `192.0.2.7 - - [06/Mar/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-"` + "\n"
	good := write("access.log", line, 0o600)
	cases := []struct {
		args []string
		code int
		says string
	}{
		{[]string{"replay"}, 2, "no file given (weir replay FILE…)"},
		{[]string{"replay", filepath.Join(dir, "no.log")}, 2, "no.log: no such file or directory"},
		{[]string{"replay", dir}, 2, "a directory; name its files"},
		{[]string{"replay", empty}, 2, "empty.log: empty"},
		{[]string{"replay", filepath.Join(dir, "*.txt")}, 2, "*.txt: "},
		{[]string{"replay", garbage}, 1, "format: cannot be guessed"},
		{[]string{"replay", "--format", "nope", good}, 2, "format: nope, must be one of alb"},
		{[]string{"replay", "--format", "combined", garbage}, 1, "no line could be read as combined"},
		{[]string{"replay", "-c", filepath.Join(dir, "no.yaml"), good}, 2, "no.yaml: no such file or directory"},
		{[]string{"replay", "--since", "yesterday", good}, 2, "--since yesterday: must be like"},
		{[]string{"replay", "--journal", filepath.Join(dir, "no.jsonl"), good}, 2, "no.jsonl: no such file or directory"},
		{[]string{"replay", "--journal", good, good}, 2, "access.log:1: "},
		{[]string{"replay", "--bogus", good}, 2, "unknown flag: --bogus"},
		{[]string{"bogus"}, 2, `unknown command "bogus"`},
		{[]string{"replay", "--out", filepath.Join(good, "x"), good}, 1, "--out: "},
	}
	for _, c := range cases {
		var out, errOut bytes.Buffer
		err := run(context.Background(), c.args, &out, &errOut)
		if err == nil || exitCode(err) != c.code || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("weir %v: %v, want exit %d and one line with %q", c.args, err, c.code, c.says)
		}
	}
	var out, errOut bytes.Buffer
	if err := run(context.Background(), []string{"replay", good}, &out, &errOut); err != nil || !strings.Contains(out.String(), "read 1 event as combined") {
		t.Errorf("a good log: %v\n%s", err, out.String())
	}
}

func TestAFileThatMayNotBeReadSaysSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.log")
	if err := os.WriteFile(path, []byte("a line\n"), 0o000); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		// Root reads everything, so this thread opens files as nobody does.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
		defer syscall.Setfsuid(0)
	}
	var out, errOut bytes.Buffer
	err := run(context.Background(), []string{"replay", path}, &out, &errOut)
	if err == nil || exitCode(err) != 2 || !strings.HasSuffix(err.Error(), "secret.log: permission denied") {
		t.Errorf("%v", err)
	}
}
